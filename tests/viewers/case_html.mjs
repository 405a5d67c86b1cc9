// SPDX-License-Identifier: MIT OR Apache-2.0
// case_html.mjs: the HTML report: it opens without an error, sorts, filters, opens stacks, and marks the timeline; its numbers are SQL's; hostile names stay text.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { ascope, ascope_codes, sql, test, check, equal, finish, DEMO } from './viewer.mjs';

const MIN = 10000000;
const LOOKS = [['1600-light', { width: 1600, dark: false }], ['1600-dark', { width: 1600, dark: true }],
	['800-light', { width: 800, dark: false }], ['800-dark', { width: 800, dark: true }]];
const ROWS = '#blocks tbody tr.row';

/** The report of a capture, opened; its data beside it. */
async function open(t, name, capture = DEMO, look = {}, ...options) {
	const file = t.file(`${name}.html`);
	ascope_codes([0, 3], 'export', '--html', '--force', '-o', file, ...options, capture);
	const page = await t.open(file, look);
	await page.waitForSelector('#about');
	const data = await page.evaluate(() => JSON.parse(document.getElementById('data').textContent));
	data.places = data.places.map((p) => Object.fromEntries(data.place_columns.map((c, i) => [c, p[i]])));
	data.blocks = data.blocks.map((b) => Object.fromEntries(data.block_columns.map((c, i) => [c, b[i]])));
	return { page, data, file };
}

const cells = (page, i) => page.$$eval(ROWS, (rows, at) => rows.map((r) => r.children[at].innerText.trim()), i);
const sum = (list) => list.reduce((a, b) => a + b, 0);

for (const [name, look] of LOOKS) {
	await test(`opens: ${name}`, async (t) => {
		const { page } = await open(t, 'report', DEMO, look);
		await t.shot(page, `html-${name}`, { fullPage: true });
		await page.click(ROWS);
		await page.waitForSelector('ol.stack');
		await t.shot(page, `html-${name}-open`, { fullPage: true });
		const [wide, room] = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
		check(wide <= room, `the page is ${wide} px wide in ${room}`);
	});
}

await test('the worst place stands first, with what to try', async (t) => {
	const { page } = await open(t, 'report');
	const [worst] = sql(`SELECT function AS f, line, count(*) AS n FROM blocking WHERE dur_max >= ${MIN} AND held >= ${MIN} AND holds = 'runtime' GROUP BY function, class ORDER BY sum(dur) DESC LIMIT 1`);
	const text = await page.innerText('.culprit');
	check(text.includes(worst.f.split('::').pop()) && text.includes(`:${worst.line}`) && text.includes(`${worst.n} polls`), `${JSON.stringify(worst)} is not in ${text}`);
	check(/try \S/.test(text), `nothing to try in ${text}`);
	const box = await (await page.$('.culprit')).boundingBox();
	check(box.y < 250, `it stands ${box.y} px down the page`);
	await page.click('.culprit');
	check((await page.innerText('tr.open')).includes('user stack'), 'a click on it does not open its stack');
});

await test('numbers are those of SQL', async (t) => {
	const { page, data } = await open(t, 'report');
	const blocked = `FROM blocking WHERE dur_max >= ${MIN} AND held >= ${MIN}`;
	const [all] = sql(`SELECT count(*) AS n, sum(dur) AS dur, max(dur) AS most ${blocked} AND holds = 'runtime'`);
	equal([data.totals.runtime.count, data.totals.runtime.total, data.totals.runtime.max], [all.n, all.dur, all.most], 'totals');
	equal(sum(data.places.filter((p) => p.worker_time).map((p) => p.count)), all.n, 'polls of all places');
	equal(sum((await cells(page, 2)).map((c) => Number(c.replaceAll(',', '')))), sql(`SELECT count(*) AS n ${blocked}`)[0].n, 'counts in the table');
	const polls = sql(`SELECT poll_id, dur, off_cpu, on_cpu, runnable, task_id ${blocked} ORDER BY poll_id`);
	equal(data.blocks.map((b) => [b.poll_id, b.dur, b.off_cpu, b.on_cpu, b.runnable, b.task]).sort((a, b) => a[0] - b[0]),
		polls.map((p) => [p.poll_id, p.dur, p.off_cpu, p.on_cpu, p.runnable, p.task_id]), 'polls');
	for (const th of data.threads) {
		equal(sum(th.parts), th.hi - th.lo, `parts of thread ${th.tid}`);
		let len = 0;
		for (let i = 0; i < th.seg.length; i++) {
			len += Math.floor(th.seg[i] / 8);
			i += th.seg[i] % 8 === 7 ? 1 : 0;
		}
		equal(len, th.hi - th.lo, `segments of thread ${th.tid}`);
	}
	const waited = sql(`SELECT t.tid, sum(coalesce(o.ts_waking, o.ts + o.dur) - o.ts) AS ns FROM offcpu AS o JOIN thread AS t ON t.id = o.thread_id
		WHERE o.role = 'in_poll' AND o.state <> 'R' AND o.dur IS NOT NULL GROUP BY t.tid`);
	for (const { tid, ns } of waited)
		equal(data.threads.find((th) => th.tid === tid).parts[2], ns, `waiting inside polls of ${tid}`);
	const [exact] = sql(`SELECT count(*) AS n, max(dur) AS most FROM task_poll AS p LEFT JOIN task_type AS y ON y.id = p.type_id WHERE dur IS NOT NULL AND coalesce(y.kind, 'future') = 'future'`);
	equal([data.latency.polls.count, data.latency.polls.max_ns], [exact.n, exact.most], 'histogram of polls');
	const [delays] = sql('SELECT count(*) AS n, max(delay) AS most, sum(delay) AS ns FROM task_wake WHERE delay IS NOT NULL');
	equal([data.latency.delays.count, data.latency.delays.max_ns, data.latency.delays.sum_ns], [delays.n, delays.most, delays.ns], 'histogram of delays');
	equal(sum(data.latency.delays.bins.filter((_, i) => i % 2)), delays.n, 'its bins');
	check((await page.innerText('#latency')).includes(String(exact.n).replace(/\B(?=(\d{3})+$)/g, ',')), 'the count of polls is shown');
});

await test('flame graphs weigh what SQL counts', async (t) => {
	const { page } = await open(t, 'report');
	const flame = (id) => page.evaluate((i) => JSON.parse(document.getElementById(i).textContent), id);
	const [{ n, ns }] = sql('SELECT count(*) AS n, count(*) * (SELECT sample_period FROM capture) AS ns FROM sample');
	const oncpu = await flame('flame-oncpu'), blocking = await flame('flame-blocking');
	equal([oncpu.flame.samples, oncpu.flame.total_ns, sum(oncpu.flame.nodes.self_ns)], [n, ns, ns], 'on-CPU');
	equal(sum(blocking.flame.nodes.self_ns), blocking.flame.total_ns, 'blocking');
	check(blocking.flame.total_ns > 0, 'the demo blocks');
	for (const id of ['flame-oncpu', 'flame-offcpu', 'flame-blocking']) {
		await page.click(`[data-flame="${id}"]`);
		equal(await page.getAttribute(`[data-flame="${id}"]`, 'aria-pressed'), 'true', `${id} is shown`);
		check(await page.$('.flame *'), `${id} is drawn`);
	}
});

await test('every column sorts, both ways', async (t) => {
	const { page, data } = await open(t, 'report');
	for (const mode of ['places', 'polls']) {
		await page.click(`[data-mode="${mode}"]`);
		const n = (await page.$$('#blocks thead th')).length;
		for (let i = 0; i < n; i++) {
			const orders = [];
			for (let way = 0; way < 2; way++) {
				await page.click(`#blocks thead th:nth-child(${i + 1}) button`);
				orders.push(await page.$$eval(ROWS, (rows) => rows.map((r) => Number(r.dataset.row))));
				const sort = await page.getAttribute(`#blocks thead th:nth-child(${i + 1})`, 'aria-sort');
				check(sort !== 'none', `column ${i} of ${mode} is not marked as sorted`);
			}
			const column = await page.getAttribute(`#blocks thead th:nth-child(${i + 1})`, 'data-column');
			const list = mode === 'places' ? data.places : data.blocks;
			if (!['total', 'max', 'p99', 'count', 'dur', 'ts'].includes(column))
				continue;
			for (const order of orders) {
				const got = order.map((at) => list[at][column]), want = [...got].sort((a, b) => a - b);
				equal(got.length, list.length, `rows by ${column}`);
				check(JSON.stringify(got) === JSON.stringify(want) || JSON.stringify(got) === JSON.stringify(want.reverse()), `${mode} by ${column}: ${got}`);
			}
			check(list.every((r) => r[column] === list[0][column]) || JSON.stringify(orders[0]) !== JSON.stringify(orders[1]), `${column} sorts one way only`);
		}
	}
});

await test('the filter, classes, threads and keys', async (t) => {
	const { page, data } = await open(t, 'report');
	await page.click('[data-mode="polls"]');
	for (const cls of ['sleep', 'lock', 'disk', 'cpu']) {
		const [{ n }] = sql(`SELECT count(*) AS n FROM blocking WHERE dur_max >= ${MIN} AND held >= ${MIN} AND class = '${cls}'`);
		await page.click(`button.c-${cls}`);
		equal((await page.$$(ROWS)).length, n, `rows of class ${cls}`);
		await page.click(`button.c-${cls}`);
	}
	await page.keyboard.press('Escape');
	await page.click('h2');
	await page.keyboard.press('/');
	await page.keyboard.type('pread64 report.rs');
	const [{ n }] = sql(`SELECT count(*) AS n FROM blocking WHERE dur_max >= ${MIN} AND held >= ${MIN} AND syscall = 'pread64'`);
	equal((await page.$$(ROWS)).length, n, 'rows with pread64');
	check((await page.innerText('#blocks .said')).startsWith(`${n} of ${data.blocks.length} polls`), 'how many are shown');
	await page.keyboard.press('Escape');
	equal((await page.$$(ROWS)).length, Math.min(data.blocks.length, 100), 'Escape shows all');
	await page.click('[data-mode="places"]');
	await page.focus(ROWS);
	await page.keyboard.press('j');
	await page.keyboard.press('Enter');
	const detail = await page.innerText('tr.open');
	check(detail.includes('user stack') && detail.includes('hash_password') && detail.includes('login.rs:20'), detail);
	equal(await page.$$eval(ROWS, (rows) => rows.findIndex((r) => r.getAttribute('aria-expanded') === 'true')), 1, 'the second row is open');
	const folded = page.locator('tr.open li.folded button').last();
	const before = (await page.$$('tr.open li.frame')).length;
	await folded.click();
	check((await page.$$('tr.open li.frame')).length > before, 'folded frames open');
});

await test('from the table to the timeline and back', async (t) => {
	const { page } = await open(t, 'report');
	await page.click('#blocks tbody tr:nth-child(1)');
	await page.click('tr.open dl .link');
	const said = (re) => page.waitForFunction((text) => new RegExp(text).test(document.querySelector('#timeline .said').textContent), re, { timeout: 5000 });
	await said(' of 5\\.01 s.*marked: wait_before_retry');
	equal(await page.evaluate(() => document.activeElement.tagName), 'CANVAS', 'the timeline has the keys');
	await t.shot(page, 'html-timeline-zoomed');
	await page.keyboard.press('Escape');
	await said('^(?!.*marked)');
	await page.keyboard.press('n');
	await page.keyboard.press('Enter');
	check((await page.innerText('tr.open')).includes('user stack'), 'n, Enter opens the first poll');
	await page.click('#timeline .controls button:nth-child(3)');
	// With the pointer: along the first worker's row until a mark is under it.
	await page.click('tr.row[aria-expanded="true"]');
	/* A click may have scrolled: where it is now counts. */
	await page.locator('#timeline canvas').scrollIntoViewIfNeeded();
	const box = await (await page.$('#timeline canvas')).boundingBox();
	let hit = null;
	for (let x = box.x + 140; x < box.x + box.width && !hit; x += 3) {
		await page.mouse.move(x, box.y + 34);
		hit = (await page.$eval('#timeline canvas', (c) => c.style.cursor)) === 'pointer' ? x : null;
	}
	check(hit, 'no poll is under the pointer on the whole row');
	check(/ at \+\d/.test(await page.innerText('#timeline .tip')), 'the tip says when');
	await page.mouse.click(hit, box.y + 34);
	check((await page.innerText('tr.open')).includes('user stack'), 'a click on a mark opens it in the table');
	await page.mouse.move(0, 0);
	await page.locator('#timeline canvas').scrollIntoViewIfNeeded();
	const c = await (await page.$('#timeline canvas')).boundingBox();
	await page.mouse.move(c.x + 400, c.y + 40);
	await page.mouse.down();
	await page.mouse.move(c.x + 700, c.y + 40, { steps: 4 });
	await page.mouse.up();
	await said(' of 5\\.01 s');
});

// What W9 of the design lists, and what ends a script or turns the reading direction.
const HOSTILE = ['</script><script>alert(1)</script>', '<!--<script>', '"\'><img src=x onerror=alert(2)>', '${alert(3)}', 'a;b\nc\x1b[31m', '\u{1f600}', '../../etc', '%n%s',
	"'); DROP TABLE poll;--", '\u202eabc\u2066', '\\u003cscript\\u003e', 'javascript:alert(4)'];
const SPOIL = `
import json, shutil, sqlite3, sys
capture, names = sys.argv[1], json.loads(sys.argv[2])
db = sqlite3.connect(capture + '.db')
n = [0]
def name(*_):
    n[0] += 1
    return names[n[0] % len(names)] + (' %d' % n[0])
db.create_function('hostile', 1, name)
for table, columns in {'process': ['name', 'exe'], 'thread': ['name'], 'symbol': ['function', 'file'], 'stack_place': ['function', 'file'], 'poll': ['function', 'file', 'detail', 'syscall'],
                       'task_type': ['name'], '_spawn_site': ['file'], 'module': ['path'], 'advice': ['text'], 'meta': ['value'], 'capture': ['host', 'kernel', 'verdict_why']}.items():
    for column in columns:
        where = "WHERE key LIKE 'option.%' OR key LIKE 'host.%'" if table == 'meta' else ''
        db.execute('UPDATE %s SET %s = hostile(%s) %s' % (table, column, column, where))
db.execute("INSERT INTO loss VALUES (?, 3)", (names[0],))
db.execute("INSERT INTO gap SELECT ts_start + 1000000000, ts_start + 1200000000, ?, 3 FROM capture", (names[2],))
db.execute("UPDATE thread SET name = CAST(x'ff3c623e' AS TEXT) WHERE id = (SELECT min(id) FROM thread)")
db.commit()
`;

await test('hostile names are text', async (t) => {
	const capture = t.file('<b>hostile &amp; "file".ascope');
	execFileSync('cp', ['-p', DEMO, capture]);
	execFileSync('cp', ['-p', `${DEMO}.db`, `${capture}.db`]);
	execFileSync('python3', ['-c', SPOIL, capture, JSON.stringify(HOSTILE)]);
	const { page, data, file } = await open(t, 'hostile', capture);
	await t.shot(page, 'html-hostile', { fullPage: true });
	for (const row of (await page.$$(ROWS)).slice(0, 3))
		await row.click();
	for (const id of ['flame-oncpu', 'flame-offcpu', 'flame-blocking'])
		await page.click(`[data-flame="${id}"]`);
	await page.click('[data-mode="polls"]');
	await page.click(ROWS);
	await page.hover('#timeline canvas');
	await page.evaluate(() => document.querySelectorAll('details').forEach((d) => { d.open = true; }));
	equal(await page.$$eval('img, iframe, object, embed, a[href], link, base, form, [onerror], [onclick]', (l) => l.length), 0, 'elements of names');
	const clean = await open(t, 'report');
	equal(await page.$$eval('script', (l) => l.length), await clean.page.$$eval('script', (l) => l.length), 'scripts');
	equal(await page.$$eval('script:not([type]), style', (l) => l.map((e) => e.textContent.length)), await clean.page.$$eval('script:not([type]), style', (l) => l.map((e) => e.textContent.length)), 'scripts and styles');
	const text = await page.evaluate(() => document.body.innerText);
	for (const part of ['</script><script>alert(1)', '<img src=x onerror', '\u{1f600}'])
		check(text.includes(part), `${part} is to be read on the page`);
	check(!/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/.test(text), 'no control character is on the page');
	equal(data.verdict.reasons.length > 0, true, 'reasons are told');
	const raw = readFileSync(file, 'latin1');
	equal(raw.split('<script').length - 1, (await page.$$('script')).length, '<script in the file');
});

await test('a part of the recording, and one with nothing in it', async (t) => {
	const part = await open(t, 'part', DEMO, {}, '--from', '1s', '--to', '2s');
	equal([part.data.lo, part.data.hi], [1e9, 2e9], 'window');
	for (const th of part.data.threads)
		equal(sum(th.parts), th.hi - th.lo, 'parts');
	const s = 'SELECT ts_start FROM capture';
	const [{ n }] = sql(`SELECT count(*) AS n FROM blocking WHERE dur_max >= ${MIN} AND held >= ${MIN} AND ts <= (${s}) + 2000000000 AND ts + dur >= (${s}) + 1000000000`);
	equal(part.data.blocks.length, n, 'polls of the part');
	check((await part.page.innerText('header')).includes('only +1.000 s to +2.000 s'), 'the head says so');
	const empty = await open(t, 'empty', DEMO, {}, '--from', '3600us', '--to', '3700us');
	check((await empty.page.innerText('#culprits')).includes('No poll'), 'nothing blocked');
});

await test('the same bytes, whatever the locale and the time zone', async (t) => {
	const files = [['a', { LC_ALL: 'C', TZ: 'UTC' }], ['b', { LC_ALL: 'de_DE.UTF-8', TZ: 'Asia/Tokyo' }]].map(([name, env]) => {
		execFileSync(process.env.ASCOPE, ['export', '--html', '--force', '-o', t.file(`same-${name}.html`), DEMO], { env: { ...process.env, ...env }, stdio: 'ignore' });
		return readFileSync(t.file(`same-${name}.html`));
	});
	check(files[0].equals(files[1]), 'they differ');
	check(files[0].includes("default-src 'none'") && !/unsafe|https?:\/\/(?!www\.w3\.org)/.test(String(files[0]).replace(/<script type="application\/json".*?<\/script>/gs, '')), 'the policy, and no address of a network');
});

await test('without scripts the reports are there as text', async (t) => {
	ascope('export', '--html', '--force', '-o', t.file('report.html'), DEMO);
	const page = await t.open(t.file('report.html'), { javaScriptEnabled: false });
	const text = await page.innerText('body');
	check(text.includes('70 blocked polls') && text.includes('wait_before_retry') && text.includes('TIME BY THREAD'), text.slice(0, 400));
	await t.shot(page, 'html-no-scripts');
});

await finish();
