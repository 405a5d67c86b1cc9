// SPDX-License-Identifier: MIT OR Apache-2.0
// case_pictures.mjs: the pictures of doc/viewing.md, made from the demo: `make pictures` copies them to doc/pictures. Here: that each can be made, and is small.
import { mkdirSync, statSync } from 'node:fs';
import { ascope, test, check, finish, DEMO } from './viewer.mjs';
import { open_in_speedscope } from './speedscope.mjs';

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

await finish();
