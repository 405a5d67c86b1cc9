// SPDX-License-Identifier: MIT OR Apache-2.0
// case_catapult.mjs: export --chrome in chrome://tracing itself (perfetto_ui.mjs): no warning of its importer, and what it made is what the file says, to the
// slice, and what SQL says: of the demo, of names that mean harm, of every golden capture.
import { copyFileSync, cpSync, readFileSync, readdirSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { ascope_codes, sql, test, check, equal, finish, DEMO } from './viewer.mjs';
import { install, serve, open_in_catapult, import_in_catapult, model_of } from './perfetto_ui.mjs';

const GOLDEN = path.join(import.meta.dirname, '../../fixtures/captures/good');
const HARM = '<img src=x onerror=alert(1)></script><!--"]},\u202e\x1b\n';
const why = install();
if (why) {
	console.log(`ok 1 - chrome://tracing reads it # SKIP ${why}`);
	process.exit(0);
}
const ui = await serve();

function exported(t, name, capture, ...options) {
	const file = t.file(`${name}.trace.json`);
	ascope_codes([0, 3], 'export', '--chrome', '--force', '-o', file, ...options, capture);
	return { file, events: JSON.parse(readFileSync(file, 'utf8')).traceEvents };
}

/** key -> list */
function grouped(list, key) {
	const groups = new Map();
	for (const x of list)
		groups.set(key(x), [...(groups.get(key(x)) ?? []), x]);
	return groups;
}

/** How many slices directly lie in each, by the file: they come in order, outer ones first. 1 ps is what doubles lose at the end of a day. */
function nested(slices) {
	const open = [], kids = slices.map(() => 0);
	slices.forEach((s, i) => {
		while (open.length && slices[open.at(-1)].ts + slices[open.at(-1)].dur <= s.ts + 1e-6)
			open.pop();
		if (open.length)
			kids[open.at(-1)]++;
		open.push(i);
	});
	return kids;
}

const ms = (us) => Number((us / 1000).toFixed(6));
const by_place = (a, b) => a[2] - b[2] || b[3] - a[3];

/** The importer's model is the file's. nesting: also what lies in what, which is a matter of taste for slices of no length at a seam. */
function same(model, events, nesting = true) {
	equal(model.warnings, [], 'warnings of the importer');
	const threads = grouped(events.filter((e) => e.ph === 'X'), (e) => `${e.pid} ${e.tid}`);
	const drawn = model.threads.filter((th) => th.slices.length);
	equal(drawn.length, threads.size, 'threads with slices');
	for (const th of drawn) {
		const wanted = threads.get(`${th.pid} ${th.tid}`), kids = nested(wanted);
		equal(th.slices.map(([c, n, start, dur, sub]) => [c, n, Number(start.toFixed(6)), Number(dur.toFixed(6)), nesting && sub]).sort(by_place),
			wanted.map((e, i) => [e.cat, e.name, ms(e.ts), ms(e.dur), nesting && kids[i]]).sort(by_place), `slices of ${th.name}`);
	}
	const names = new Map(events.filter((e) => e.name === 'thread_name').map((e) => [`${e.pid} ${e.tid}`, e.args.name]));
	for (const th of drawn)
		equal(th.name, names.get(`${th.pid} ${th.tid}`), 'name of a track');
	equal(model.flows, events.filter((e) => e.ph === 's').length, 'arrows');
	equal(model.counters.map((c) => [c.pid, c.name, c.samples, c.series]).sort(),
		[...grouped(events.filter((e) => e.ph === 'C'), (e) => `${e.pid} ${e.name}`).values()].map((l) => [l[0].pid, l[0].name, l.length, 1]).sort(), 'counters');
	check(model.counters.every((c) => c.category && c.category !== 'undefined'), 'a counter has no category');
	const instants = model.instants + model.processes.reduce((n, p) => n + p.instants, 0) + model.threads.reduce((n, th) => n + th.instants, 0);
	equal(instants, events.filter((e) => 'iIR'.includes(e.ph)).length, 'instants');
}

for (const options of [[], ['--tasks'], ['--no-args', '--min', '100us', '--max-flows', '9']]) {
	await test(`the demo ${options.join(' ')}: no warning, and every slice, arrow and counter is there`, async (t) => {
		const { file, events } = exported(t, `catapult${options.join('')}`, DEMO, ...options);
		const page = await open_in_catapult(t, ui, file, { width: 1400 });
		const model = await model_of(page);
		same(model, events);
		if (options.length <= 1) {
			const drawn = model.threads.flatMap((th) => th.slices).filter(([c]) => c.startsWith('blocked.')).reduce((sum, s) => sum + Math.round(s[3] * 1e6), 0);
			const [{ ns }] = sql('SELECT sum(off_cpu) AS ns FROM poll');
			equal(drawn, ns, 'ns of waiting in polls, beside SQL');
			check((await page.innerText('body')).includes('worker 2 (tid '), 'no track is called a worker');
		}
		await t.shot(page, `catapult${options.join('')}`);
	});
}

await test('a function that is searched for is found, and a click tells of it', async (t) => {
	const { file, events } = exported(t, 'catapult', DEMO);
	const page = await open_in_catapult(t, ui, file, { width: 1400 });
	const found = await page.evaluate(async () => {
		const view = document.querySelector('x-profiling-view').timelineView_;
		const controller = view.findCtl_.controller;
		await controller.startFiltering('wait_before_retry');
		return controller.filterHits.filter((h) => h.title.includes('wait_before_retry')).length; // others have it in their arguments
	});
	equal(found, events.filter((e) => e.ph === 'X' && e.name.includes('wait_before_retry')).length, 'hits of the search');
	check(found > 0, 'the demo waits before it tries again');
	await page.evaluate(() => document.querySelector('x-profiling-view').timelineView_.findCtl_.controller.findNext());
	await page.waitForFunction(() => document.body.innerText.includes('Wall Duration'));
	check((await page.innerText('body')).includes('stack'), 'what is selected does not tell its stack');
	await t.shot(page, 'catapult-found');
});

await test('names that mean harm are text', async (t) => {
	const capture = t.file('catapult-spoiled.ascope');
	for (const suffix of ['', '.db'])
		cpSync(DEMO + suffix, capture + suffix, { preserveTimestamps: true });
	execFileSync('python3', ['-c', `import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
for table, column in (("symbol", "function"), ("symbol", "file"), ("thread", "name"), ("process", "name"), ("task_type", "name")):
    db.execute("UPDATE " + table + " SET " + column + " = ? || " + column + " WHERE " + column + " IS NOT NULL", (sys.argv[2],))
db.commit()`, `${capture}.db`, HARM]);
	const { file, events } = exported(t, 'catapult-spoiled', capture, '--tasks');
	const page = await open_in_catapult(t, ui, file);
	same(await model_of(page), events);
	equal(await page.evaluate(() => document.querySelectorAll('img[src=x]').length), 0, 'images of a name');
	await t.shot(page, 'catapult-spoiled');
});

await test('golden captures: no warning', async (t) => {
	const page = await open_in_catapult(t, ui, exported(t, 'catapult', DEMO).file);
	let n = 0;
	for (const name of readdirSync(GOLDEN).filter((f) => f.endsWith('.ascope'))) {
		const capture = t.file(`catapult-${name}`);
		copyFileSync(path.join(GOLDEN, name), capture);
		const { file, events } = exported(t, `catapult-${name}`, capture, '--tasks');
		if (!events.some((e) => e.ph === 'X'))
			continue; // nothing to look at: it says so
		try {
			await import_in_catapult(page, ui, file);
			same(await model_of(page), events, false);
		} catch (e) {
			throw new Error(`${name}: ${e.message}`, { cause: e });
		}
		n++;
	}
	check(n >= 8, `only ${n} have slices`);
});

ui.close();
await finish();
