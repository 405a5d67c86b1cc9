// SPDX-License-Identifier: MIT OR Apache-2.0
// viewer.mjs: what the cases of tests/viewers share: runs ascope, asks SQL, opens files in Chromium, prints TAP. run.sh says what is in the environment.
//
//	import { ascope, sql, test, check, equal, finish } from './viewer.mjs';
//	await test('its totals are those of SQL', async (t) => {
//		ascope('export', '--flamegraph', '--force', '-o', t.file('flame.html'), DEMO);
//		const page = await t.open(t.file('flame.html'), { width: 800, dark: true });
//		...
//		await t.shot(page, 'flame-800-dark');
//	});
//	await finish();
//
// A test fails when a page that it opened wrote an error to its console, threw, or asked for anything that is neither the file itself nor data.
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const { ASCOPE, VIEWERS, DEMO, CHROMIUM, NODE_MODULES } = process.env;
const { chromium } = createRequire(path.join(NODE_MODULES, 'x.js'))('playwright-core');

export { DEMO, NODE_MODULES, VIEWERS };

/** stdout of ascope with these arguments; throws with its stderr when it fails. `codes`: exit codes that are right. */
export function ascope_codes(codes, ...args) {
	try {
		return execFileSync(ASCOPE, args, { encoding: 'utf8', maxBuffer: 1 << 30, stdio: ['ignore', 'pipe', 'pipe'] });
	} catch (e) {
		if (codes.includes(e.status))
			return e.stdout;
		throw new Error(`ascope ${args.join(' ')}: exit ${e.status}: ${e.stderr}`);
	}
}
export const ascope = (...args) => ascope_codes([0], ...args);

/** The rows of a query of a capture, as objects. */
export function sql(query, capture = DEMO) {
	return JSON.parse(ascope_codes([0, 3], 'query', '--json', capture, query));
}

export function check(good, what) {
	if (!good)
		throw new Error(what);
}

export function equal(got, wanted, what) {
	const [g, w] = [JSON.stringify(got), JSON.stringify(wanted)];
	if (g !== w)
		throw new Error(`${what}: ${g} is not ${w}`);
}

/** Numbers that differ by at most so much of the second. */
export function near(got, wanted, part, what) {
	if (!(Math.abs(got - wanted) <= part * Math.abs(wanted)))
		throw new Error(`${what}: ${got} is not ${wanted}`);
}

let browser, n = 0, failed = 0;

async function the_browser() {
	browser ??= await chromium.launch({
		executablePath: CHROMIUM,
		args: ['--no-sandbox', '--allow-file-access-from-files', '--use-angle=swiftshader', '--enable-unsafe-swiftshader'],
	});
	return browser;
}

class Test {
	contexts = [];
	wrong = [];

	/** A file of this case's, by its name. */
	file(name) {
		return path.join(VIEWERS, name);
	}

	/**
	 * url: a file, or a file: or http: URL. allow: a regular expression of what the page may fetch besides itself; refuse: of that, what it does not get;
	 * quiet: of what it may write to its console.
	 */
	async open(url, { width = 1600, height = 900, dark = false, allow = /^(data|blob):/, hash = '', refuse, quiet, ...more } = {}) {
		const context = await (await the_browser()).newContext({
			viewport: { width, height }, colorScheme: dark ? 'dark' : 'light', reducedMotion: 'reduce', ...more,
		});
		const self = /^(file|http):/.test(url) ? url : pathToFileURL(url).href + hash;
		this.contexts.push(context);
		const page = await context.newPage();
		page.on('console', (m) => ['error', 'warning'].includes(m.type()) && !quiet?.test(m.text()) && this.wrong.push(`console: ${m.text()}`));
		page.on('pageerror', (e) => this.wrong.push(`thrown: ${e.stack}`));
		page.on('dialog', (d) => { this.wrong.push(`dialog: ${d.message()}`); d.dismiss(); });
		page.on('request', (r) => {
			if (r.url() !== self.replace(/#.*/s, '') && r.url() !== self && !allow.test(r.url()))
				this.wrong.push(`request: ${r.url()}`);
		});
		if (refuse)
			await page.route(refuse, (route) => route.abort());
		await page.goto(self);
		/* What watches its own size has seen it. Without scripts nothing does, and no frame is ever announced. */
		if (more.javaScriptEnabled !== false)
			await page.evaluate(() => new Promise((done) => { requestAnimationFrame(() => requestAnimationFrame(done)); }));
		return page;
	}

	/** A screenshot to be looked at: OUT/viewers/shots/NAME.png. */
	async shot(page, name, options = {}) {
		mkdirSync(path.join(VIEWERS, 'shots'), { recursive: true });
		await page.screenshot({ path: path.join(VIEWERS, 'shots', `${name}.png`), ...options });
	}

	async end() {
		for (const c of this.contexts)
			await c.close();
	}
}

export async function test(name, fn) {
	const t = new Test();
	let error;
	try {
		await fn(t);
	} catch (e) {
		error = e;
	}
	try {
		await t.end();
	} catch (e) {
		error ??= e;
	}
	if (!error && t.wrong.length)
		error = new Error(t.wrong.join('\n'));
	failed += error ? 1 : 0;
	console.log(`${error ? 'not ' : ''}ok ${++n} - ${name}`);
	if (error)
		console.log('# ' + String(error.stack).slice(0, 4000).replaceAll('\n', '\n# '));
}

export async function finish() {
	await browser?.close();
	process.exitCode = failed ? 1 : 0;
}
