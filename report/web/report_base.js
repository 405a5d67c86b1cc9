/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * report_base.js: what the parts of the HTML report share (export_html.c): elements, numbers as people read them, the data as objects.
 * Texts of the capture become text nodes and nothing else: there is no innerHTML in this report.
 */
"use strict";

const ascopeReport = (() => {
	/* el("td", {class: "num", onclick: f}, "text", node, null, [..]) */
	function el(tag, attrs, ...children) {
		const e = document.createElement(tag);

		for (const [key, value] of Object.entries(attrs || {})) {
			if (value === null || value === undefined || value === false)
				continue;
			if (key.startsWith("on"))
				e.addEventListener(key.slice(2), value);
			else
				e.setAttribute(key, value === true ? "" : value);
		}
		for (const child of children.flat(3))
			if (child !== null && child !== undefined && child !== false)
				e.append(child);
		return e;
	}

	function svg(tag, attrs, ...children) {
		const e = document.createElementNS("http://www.w3.org/2000/svg", tag);

		for (const [key, value] of Object.entries(attrs || {}))
			e.setAttribute(key, value);
		e.append(...children);
		return e;
	}

	/* As the reports' human_ns(): 830 ns, 12.3 us, 450.2 ms, 4.51 s, 20.0 s */
	function ns(v) {
		if (v < 1e3)
			return `${Math.round(v)} ns`;
		if (v < 1e6)
			return `${(v / 1e3).toFixed(1)} us`;
		if (v < 1e9)
			return `${(v / 1e6).toFixed(1)} ms`;
		return `${(v / 1e9).toFixed(v < 1e10 ? 2 : v < 1e11 ? 1 : 0)} s`;
	}

	/* An instant: +1.298 s */
	function at(v) {
		return `+${(v / 1e9).toFixed(3)} s`;
	}

	function count(n) {
		return String(n).replace(/\B(?=(\d{3})+(?!\d))/g, ",");
	}

	function percent(part, whole) {
		return whole ? `${(100 * part / whole).toFixed(1)} %` : "0.0 %";
	}

	function plural(n, word, many) {
		return `${count(n)} ${n === 1 ? word : many || word + "s"}`;
	}

	/* "demo/src/checkout.rs:40": without the well-known parts in front of a crate (text_place() of view_text.c) */
	function place(file, line) {
		const known = [/^.*\/registry\/src\/[^/]+\//, /^\/rustc\/[^/]+\//, /^.*\/rustlib\/src\/rust\//];
		let short = file || "";

		for (const re of known)
			short = short.replace(re, "");
		return short + (short && line ? `:${line}` : "");
	}

	function rows(columns, list) {
		return list.map((row) => Object.fromEntries(columns.map((c, i) => [c, row[i]])));
	}

	/* The data, with texts in place of their positions and places and threads linked. */
	function read(d) {
		const text = (i) => d.texts[i] || null;
		const byThread = new Map();

		d.functions = d.functions.map((f) => f && {
			label: text(f[6]), name: text(f[0]), file: text(f[1]), line: f[2], module: text(f[3]), kind: f[4],
			shown: (f[5] & 1) !== 0, inlined: (f[5] & 2) !== 0, guessed: (f[5] & 4) !== 0, kernel: (f[5] & 8) !== 0,
		});
		d.places = rows(d.place_columns, d.places);
		d.places.forEach((p, i) => {
			for (const c of ["name", "label", "file", "class"])
				p[c] = text(p[c]);
			p.index = i;
			p.blocks = [];
		});
		for (const t of d.threads) {
			t.name = text(t.name) || "?";
			t.process = text(t.process) || "?";
			t.blocks = [];
			byThread.set(t.id, t);
		}
		d.blocks = rows(d.block_columns, d.blocks);
		d.blocks.forEach((b, i) => {
			for (const c of ["class", "detail", "syscall", "holds", "state", "task_name", "spawn_fn", "spawn_file", "advice"])
				b[c] = text(b[c]);
			b.index = i;
			b.place = b.place === null ? null : d.places[b.place];
			b.thread = byThread.get(b.thread) || null;
			b.end = b.ts + b.dur + b.stopped;
			if (b.place)
				b.place.blocks.push(b);
			if (b.thread)
				b.thread.blocks.push(b);
		});
		for (const p of d.places)
			p.blocks.sort((x, y) => y.dur - x.dur || x.ts - y.ts);
		for (const t of d.threads)
			t.blocks.sort((x, y) => x.ts - y.ts);
		return d;
	}

	function threadLabel(d, t) {
		const many = new Set(d.threads.filter((x) => x.worker !== null).map((x) => x.runtime)).size > 1;

		if (t.worker !== null)
			return `${many ? `rt ${t.runtime} ` : ""}worker ${t.worker}`;
		return t.runtime !== null ? `runtime ${t.runtime} (${t.name})` : t.name;
	}

	/* "sleep", "lock: mutex" */
	function why(b) {
		return b.class + (b.detail && b.detail !== b.class ? `: ${b.detail}` : "");
	}

	function chip(name) {
		return el("span", {class: `chip c-${name}`}, name);
	}

	return {el, svg, ns, at, count, percent, plural, place, read, threadLabel, why, chip};
})();
