// SPDX-License-Identifier: MIT OR Apache-2.0
// case_pictures.mjs: the pictures of doc/viewing.md, made from the demo: `make pictures` copies them to doc/pictures. Here: that each can be made, and is small.
import { mkdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { ascope, test, check, finish, DEMO, VIEWERS } from './viewer.mjs';
import { open_in_speedscope } from './speedscope.mjs';
import { install, serve, open_in_perfetto } from './perfetto_ui.mjs';

const MAX = 150000;

async function picture(t, page, name, options = {}) {
	const file = t.file(`pictures/${name}.png`);
	mkdirSync(t.file('pictures'), { recursive: true });
	await page.mouse.move(0, 0);
	await page.screenshot({ path: file, ...options });
	check(statSync(file).size < MAX, `${name}.png has ${statSync(file).size} bytes`);
}

await test('the HTML report: html, html-stack, html-timeline, html-flame', async (t) => {
	const file = t.file('report.html');
	ascope('export', '--html', '--force', '-o', file, DEMO);
	const page = await t.open(file, { width: 1200, height: 760 });
	await page.waitForSelector('#about');
	await picture(t, page, 'html');
	await page.locator('#flames').screenshot({ path: t.file('pictures/html-flame.png') });
	await page.click('#blocks tbody tr:nth-child(4)');
	await page.locator('#blocks').screenshot({ path: t.file('pictures/html-stack.png') });
	await page.click('tr.open dl .link');
	await page.locator('#timeline').screenshot({ path: t.file('pictures/html-timeline.png') });
	for (const name of ['html-flame', 'html-stack', 'html-timeline'])
		check(statSync(t.file(`pictures/${name}.png`)).size < MAX, `${name} is too large`);
});

await test('speedscope: speedscope', async (t) => {
	const file = t.file('pictures.speedscope.json');
	ascope('export', '--speedscope', '--blocking', '--by', 'class', '--force', '-o', file, DEMO);
	const page = await open_in_speedscope(t, file, 'orders.speedscope.json', { width: 1200, height: 620 });
	await page.waitForTimeout(1000);
	await picture(t, page, 'speedscope');
});

const why = install();
if (why) {
	console.log(`ok 3 - Perfetto's UI: perfetto # SKIP ${why}`);
} else {
	const ui = await serve();
	const file = path.join(VIEWERS, 'pictures.trace.json');
	ascope('export', '--chrome', '--tasks', '--from', '2s', '--to', '2600ms', '--force', '-o', file, DEMO);
	await test("Perfetto's UI: perfetto", async (t) => {
		const page = await open_in_perfetto(t, ui, file, { width: 1200, height: 800 });
		await page.evaluate(async () => {
			const app = window.app.trace;
			(app.currentWorkspace ?? app.workspace).flatTracks.forEach((x) => x.expand());
			const found = await app.engine.query("SELECT max(id) AS id FROM slice WHERE name = 'blocked: sleep wait_before_retry'");
			app.selection.selectSqlEvent('slice', Number(found.iter({}).get('id')));
			await window.waitForPerfettoIdle(1000);
		});
		await picture(t, page, 'perfetto');
	});
	ui.close();
}

await finish();
