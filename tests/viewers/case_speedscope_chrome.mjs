// SPDX-License-Identifier: MIT OR Apache-2.0
// case_speedscope_chrome.mjs: Chrome's trace without arguments in speedscope: a profile for each track; what it adds up is SQL's.
import { ascope, sql, test, check, near, finish, DEMO } from './viewer.mjs';
import { open_in_speedscope, speedscope_rows } from './speedscope.mjs';

await test('timeline of a worker: its time adds up to the recording', async (t) => {
	const file = t.file('demo-timeline.json');
	ascope('export', '--chrome', '--no-args', '--force', '-o', file, DEMO);
	const page = await open_in_speedscope(t, file, 'demo-timeline.json');
	await t.shot(page, 'speedscope-chrome');
	// Its list of profiles is a table, too.
	const rows = (await speedscope_rows(page)).filter((r) => !Number.isNaN(r.self));
	const [{ life }] = sql('SELECT ts_end - ts_start AS life FROM capture');
	check(rows.length > 0, "speedscope shows no function of the first track");
	near(rows.reduce((sum, r) => sum + r.self, 0), life, 0.01, 'time of the first track');
});

await finish();
