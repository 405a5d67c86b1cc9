// SPDX-License-Identifier: MIT OR Apache-2.0
// case_perfetto_ui.mjs: Perfetto's UI (perfetto_ui.mjs) with export --perfetto and --chrome of the demo: nothing is lost, its tracks are there, its totals are SQL's.
import { readFileSync } from 'node:fs';
import { ascope, sql, test, check, equal, finish, DEMO } from './viewer.mjs';
import { install, serve, open_in_perfetto, query_of } from './perfetto_ui.mjs';

const COMPLAINTS = "SELECT name, value FROM stats WHERE severity <> 'info' AND value > 0";
const why = install();
if (why) {
	console.log(`ok 1 - Perfetto's UI reads it # SKIP ${why}`);
	process.exit(0);
}
const ui = await serve();

/** Names of the tracks that the UI lists, without the id that it puts behind them. */
const tracks = (page) => page.evaluate(() => (window.app.trace.currentWorkspace ?? window.app.trace.workspace).flatTracks.map((x) => x.name ?? x.title));

/** Opens all groups of tracks, so that a picture shows them. */
async function unfold(page) {
	await page.evaluate(() => {
		(window.app.trace.currentWorkspace ?? window.app.trace.workspace).flatTracks.forEach((x) => x.expand());
		window.app.trace.selection.clearSelection();
	});
	await page.evaluate(() => window.waitForPerfettoIdle(500));
}

await test("Perfetto's own format: tracks, polls, blocks and samples are SQL's", async (t) => {
	const file = t.file('ui.pftrace');
	ascope('export', '--perfetto', '--force', '-o', file, DEMO);
	const page = await open_in_perfetto(t, ui, file, { width: 1400 });
	// Stacks of slices are newer than this version of it, which counts them and shows the rest.
	const complaints = await query_of(page, COMPLAINTS);
	equal(complaints.filter((c) => c.name !== 'unknown_extension_fields'), [], 'what it complains of');
	equal(await query_of(page, "SELECT count(*) AS n, sum(dur) AS ns FROM slice WHERE category = 'blocked'"),
		sql("SELECT count(*) AS n, sum(coalesce(ts_waking - ts, dur)) AS ns FROM offcpu WHERE role = 'in_poll' AND state NOT IN ('R', 'T', 't')"), 'blocks');
	equal(await query_of(page, 'SELECT count(*) AS n FROM perf_sample'), sql('SELECT count(*) AS n FROM sample'), 'samples');
	equal(await query_of(page, "SELECT tid, count(*) AS n FROM slice s JOIN thread_track k ON k.id = s.track_id JOIN thread USING (utid) WHERE category = 'poll' GROUP BY 1 ORDER BY 1"),
		sql('SELECT t.tid, count(*) AS n FROM poll AS p JOIN thread AS t ON t.id = p.thread_id WHERE classified GROUP BY 1 ORDER BY 1'), 'polls of each thread');
	const names = await tracks(page);
	check(names.filter((x) => /worker \d/.test(x)).length >= 4, `tracks: ${names.join(', ')}`);
	check(names.some((x) => x.includes('send_receipt')), 'no task has a track');
	await unfold(page);
	await t.shot(page, 'perfetto-ui');
});

await test("Chrome's format: nothing to complain of, every slice, counter and arrow", async (t) => {
	const file = t.file('ui.json');
	ascope('export', '--chrome', '--tasks', '--force', '-o', file, DEMO);
	const { traceEvents } = JSON.parse(readFileSync(file, 'utf8'));
	const count = (ph) => traceEvents.filter((e) => e.ph === ph).length;
	const page = await open_in_perfetto(t, ui, file, { width: 1400 });
	equal(await query_of(page, COMPLAINTS), [], 'what it complains of');
	equal(await query_of(page, 'SELECT count(*) AS n FROM slice'), [{ n: count('X') + count('i') }], 'slices');
	equal(await query_of(page, 'SELECT count(*) AS n FROM counter'), [{ n: count('C') }], 'values of counters');
	equal(await query_of(page, 'SELECT count(*) AS n FROM flow'), [{ n: count('s') }], 'arrows');
	// It rounds to ns what is 0.1 ns and more shorter, so that nothing overlaps.
	equal(await query_of(page, "SELECT sum(dur) AS ns FROM slice WHERE category GLOB 'blocked.*'"), sql('SELECT sum(off_cpu) AS ns FROM poll'), 'waiting in polls');
	const names = await tracks(page);
	const threads = sql("SELECT DISTINCT 'worker ' || worker || ' (tid ' || tid || ')' AS name FROM poll AS p JOIN thread AS t ON t.id = p.thread_id");
	check(threads.length === 4 && threads.every(({ name }) => names.some((x) => x.startsWith(name))), `tracks: ${names.join(', ')}`);
	await unfold(page);
	await t.shot(page, 'perfetto-ui-chrome');
});

ui.close();
await finish();
