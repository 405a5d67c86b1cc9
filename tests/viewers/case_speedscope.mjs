// SPDX-License-Identifier: MIT OR Apache-2.0
// case_speedscope.mjs: collapsed stacks, and speedscope's own format, in speedscope: their totals are SQL's.
import { readFileSync } from 'node:fs';
import { ascope, sql, test, check, equal, near, finish, DEMO } from './viewer.mjs';
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

await test('its own format, blocked polls: the time is SQL\'s, the functions those of the file', async (t) => {
	const file = t.file('demo.speedscope.json');
	ascope('export', '--speedscope', '--blocking', '--force', '-o', file, DEMO);
	const page = await open_in_speedscope(t, file, 'demo.speedscope.json');
	await t.shot(page, 'speedscope-own');
	const rows = await speedscope_rows(page);
	const [{ ns }] = sql('SELECT sum(off_cpu + on_cpu + runnable) AS ns FROM blocking');
	near(rows.reduce((sum, r) => sum + r.self, 0), ns, 0.01, 'time in speedscope');
	const names = [...new Set(JSON.parse(readFileSync(file, 'utf8')).shared.frames.map((f) => f.name))].sort();
	equal(JSON.stringify([...new Set(rows.map((r) => r.name))].sort()), JSON.stringify(names), 'functions in speedscope');
});

await finish();
