// SPDX-License-Identifier: MIT OR Apache-2.0
// speedscope.mjs: opens a file in speedscope, as its package from npm has it, and reads its table of functions.
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { NODE_MODULES } from './viewer.mjs';

/**
 * The page with `file` loaded under the name `as`, which decides how it is read: *.speedscope.json, *.collapsedstack.txt, *.pb.gz, *.json. It is given over as a
 * script, which is how speedscope's own command line does it (its bin/cli.mjs), so that the page needs no server.
 */
export async function open_in_speedscope(t, file, as, options = {}) {
	const script = t.file(path.basename(file) + '.load.js');
	writeFileSync(script, `speedscope.loadFileFromBase64(${JSON.stringify(as)}, ${JSON.stringify(readFileSync(file).toString('base64'))})`);
	const app = pathToFileURL(path.join(NODE_MODULES, 'speedscope/dist/release/index.html')).href;
	const page = await t.open(`${app}#localProfilePath=${script}`, { allow: /^(data:|blob:|file:)/, ...options });
	await page.waitForSelector('text=Sandwich', { timeout: 20000 });
	return page;
}

/** Its table of functions ("Sandwich"): [{total, self, name}], times in ns as it rounds them, or counts. */
export async function speedscope_rows(page) {
	// It makes only the rows that are in view; a texture of WebGL has 8192 lines at most.
	await page.setViewportSize({ width: 1000, height: 8000 });
	await page.keyboard.press('3');
	await page.waitForSelector('tr:has-text("%")');
	const cells = await page.$$eval('table tr', (rows) => rows.map((r) => [...r.children].map((c) => c.innerText)));
	const units = { ns: 1, 'µs': 1e3, ms: 1e6, s: 1e9 };
	const number = (text) => {
		const m = /^([\d.,]+)\s*(ns|µs|ms|s)?/.exec(text.trim());
		return m ? Number(m[1].replaceAll(',', '')) * (units[m[2]] ?? 1) : NaN;
	};
	return cells.filter((c) => c.length >= 3 && /\d/.test(c[0])).map(([total, self, name]) => ({ total: number(total), self: number(self), name: name.trim() }));
}
