// SPDX-License-Identifier: MIT OR Apache-2.0
// case_speedscope.mjs: collapsed stacks in speedscope: their total is SQL's.
import { ascope, sql, test, check, equal, finish, DEMO } from './viewer.mjs';
import { open_in_speedscope, speedscope_rows } from './speedscope.mjs';

await test('collapsed stacks of samples: as many as SQL counts', async (t) => {
	const file = t.file('demo.collapsedstack.txt');
	ascope('export', '--folded', '--force', '-o', file, DEMO);
	const page = await open_in_speedscope(t, file, 'demo.collapsedstack.txt');
	await t.shot(page, 'speedscope-folded');
	const rows = await speedscope_rows(page);
	const [{ n }] = sql('SELECT count(*) AS n FROM sample');
	check(rows.length > 10, `speedscope shows ${rows.length} functions`);
	equal(rows.reduce((sum, r) => sum + r.self, 0), n, 'samples in speedscope');
});

await finish();
