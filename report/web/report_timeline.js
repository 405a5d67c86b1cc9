/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * report_timeline.js: threads x time on a canvas: what each did (bands), the polls that blocked (marks by class), gaps. Drag chooses a part, two
 * clicks or 0 show all again, arrows and + - move; a click on a mark calls app.select() and opens it in the table.
 *
 * Every pixel column of a row shows the shares of the time it stands for, so that nothing short disappears when all is shown.
 */
"use strict";

const ascopeTimeline = (() => {
	const {el, ns, at, count, percent, why, threadLabel} = ascopeReport;
	const PARTS = ["on_cpu", "runnable", "blocked", "idle", "other", "unseen"];
	const PART_TEXT = ["on a CPU", "ready, but no CPU", "waiting inside a poll", "idle (parked)", "waiting elsewhere", "no event seen"];
	const MIXED = 7, ROW = 24, GAP = 5, AXIS = 22, MIN_MARK = 3, MIN_SPAN = 1000;

	/* Segments as columns: begin, kind, packed shares. They leave no room, so the end is the next one's begin. */
	function unpack(t) {
		const seg = t.seg || [], from = [], kind = [], share = [];
		let ts = t.lo;

		for (let i = 0; i < seg.length; i++) {
			const k = seg[i] % 8;

			from.push(ts);
			kind.push(k);
			ts += Math.floor(seg[i] / 8);
			share.push(k === MIXED ? seg[++i] : 0);
		}
		from.push(ts);
		return {from, kind, share};
	}

	function shareOf(packed, part) {
		return Math.floor(packed / 2 ** (7 * part)) % 128 / 100;
	}

	/* The last segment that begins at or before ts. */
	function find(s, ts) {
		let lo = 0, hi = s.kind.length;

		while (lo + 1 < hi) {
			const mid = (lo + hi) >> 1;

			if (s.from[mid] <= ts)
				lo = mid;
			else
				hi = mid;
		}
		return lo;
	}

	/* Per pixel column the share of each part: [column * parts + part]. */
	function columns(s, lo, hi, width) {
		const per = (hi - lo) / width, out = new Float32Array(width * PARTS.length);

		for (let i = find(s, lo); i < s.kind.length && s.from[i] < hi; i++) {
			const a = Math.max(s.from[i], lo), b = Math.min(s.from[i + 1], hi);

			for (let x = Math.floor((a - lo) / per); x < width && lo + x * per < b; x++) {
				const part = (Math.min(b, lo + (x + 1) * per) - Math.max(a, lo + x * per)) / per;

				if (part <= 0)
					continue;
				if (s.kind[i] !== MIXED)
					out[x * PARTS.length + s.kind[i]] += part;
				else
					for (let k = 0; k < PARTS.length; k++)
						out[x * PARTS.length + k] += part * shareOf(s.share[i], k);
			}
		}
		return out;
	}

	function step(span, width) {
		const want = span / Math.max(width / 110, 2);
		const ten = 10 ** Math.floor(Math.log10(want));

		return [1, 2, 5, 10].map((f) => f * ten).find((f) => f >= want);
	}

	function tick(ts, by) {
		if (by >= 1e9)
			return `${(ts / 1e9).toFixed(0)} s`;
		if (by >= 1e6)
			return `${(ts / 1e9).toFixed(3)} s`;
		return `${(ts / 1e6).toFixed(by >= 1e3 ? 3 : 6)} ms`;
	}

	function create(app, root) {
		const d = app.d, full = {lo: d.lo, hi: Math.max(d.hi, d.lo + 1)};
		const canvas = el("canvas", {tabindex: 0, role: "application", "aria-label":
			"timeline: arrows move, + and - zoom, 0 shows all, n and p go to the next and previous blocked poll, Enter opens it in the table"});
		const tip = el("div", {class: "tip", hidden: true}), said = el("p", {class: "dim said", role: "status"});
		const workers = d.threads.filter((t) => t.runtime !== null || t.blocks.length);
		const others = d.threads.filter((t) => t.runtime === null && !t.blocks.length && t.seg);
		const view = {lo: full.lo, hi: full.hi, place: null, block: null, others: !workers.length, drag: null, width: 0, label: 0};
		let color = {}, pending = false;

		for (const t of d.threads)
			t.cols = unpack(t);

		const rows = () => view.others ? workers.concat(others) : workers;
		const x = (ts) => view.label + (ts - view.lo) / (view.hi - view.lo) * view.width;
		const ts = (px) => view.lo + (px - view.label) / view.width * (view.hi - view.lo);
		const top = (i) => AXIS + i * (ROW + GAP);

		function readColors() {
			const style = getComputedStyle(root);

			color = new Proxy({}, {get: (o, name) => o[name] || (o[name] = style.getPropertyValue(`--${name}`).trim() || "#888")});
		}

		function drawAxis(g, height) {
			const by = step(view.hi - view.lo, view.width);

			g.font = "11px system-ui, sans-serif";
			g.textBaseline = "middle";
			g.textAlign = "left";
			for (let t = Math.ceil(view.lo / by) * by; t <= view.hi; t += by) {
				const px = Math.round(x(t)) + 0.5;

				g.fillStyle = color.line;
				g.fillRect(px, AXIS - 4, 1, height - AXIS);
				g.fillStyle = color.dim;
				if (px < view.label + view.width - 44)
					g.fillText(tick(t, by), px + 3, AXIS / 2);
			}
		}

		/* Columns that are of one kind are drawn together. */
		function drawBands(g, t, y) {
			const n = PARTS.length, width = Math.floor(view.width), cols = columns(t.cols, view.lo, view.hi, width);
			let from = 0, same = -1;

			const flush = (to) => {
				if (same >= 0) {
					g.fillStyle = color[`p-${PARTS[same]}`];
					g.fillRect(view.label + from, y, to - from, ROW);
				}
			};
			for (let px = 0; px < width; px++) {
				let one = -1, h = ROW;

				for (let k = 0; k < n; k++)
					if (cols[px * n + k] > 0.98)
						one = k;
				if (one >= 0 && one === same)
					continue;
				flush(px);
				from = px;
				same = one;
				if (one >= 0)
					continue;
				for (const k of [0, 2, 1, 4, 3, 5]) { /* work at the bottom */
					const share = cols[px * n + k] * ROW;

					if (!share)
						continue;
					g.fillStyle = color[`p-${PARTS[k]}`];
					g.fillRect(view.label + px, y + h - share, 1, share);
					h -= share;
				}
			}
			flush(width);
		}

		function isDim(b) {
			return view.block ? b !== view.block && b.place !== view.block.place : view.place && b.place !== view.place;
		}

		function drawMarks(g, t, y) {
			for (const b of t.blocks) {
				const a = x(b.ts), w = Math.max(x(b.end) - a, MIN_MARK);

				if (a > view.label + view.width || a + w < view.label)
					continue;
				g.globalAlpha = isDim(b) ? 0.35 : 1;
				g.fillStyle = color[`c-${b.class}`];
				g.fillRect(Math.max(a, view.label), y - 2, Math.min(a + w, view.label + view.width) - Math.max(a, view.label), ROW + 4);
				if (w > 46 && !isDim(b)) {
					g.fillStyle = color["on-mark"];
					g.save();
					g.beginPath();
					g.rect(Math.max(a, view.label), y, Math.min(w, view.width) - 3, ROW);
					g.clip();
					g.fillText(`${b.place ? b.place.label : b.class}  ${ns(b.dur)}`, Math.max(a, view.label) + 4, y + ROW / 2);
					g.restore();
				}
				g.globalAlpha = 1;
				if (b === view.block) {
					g.strokeStyle = color.ink;
					g.lineWidth = 2;
					g.strokeRect(Math.max(a, view.label) - 1, y - 3, Math.min(w, view.width) + 2, ROW + 6);
				}
			}
		}

		function drawGaps(g, height) {
			g.fillStyle = color.gap;
			for (const [from, to] of d.gaps) {
				const a = Math.max(x(from), view.label), b = Math.min(x(to), view.label + view.width);

				if (b >= view.label && a <= view.label + view.width)
					g.fillRect(a, AXIS, Math.max(b - a, 2), height - AXIS);
			}
		}

		function drawLabel(g, t, y) {
			g.fillStyle = t.blocks.length ? color.ink : color.dim;
			g.textAlign = "left";
			g.font = "12px system-ui, sans-serif";
			g.save();
			g.beginPath();
			g.rect(0, y, view.label - 6, ROW);
			g.clip();
			g.fillText(threadLabel(d, t), 0, y + ROW / 2);
			g.restore();
		}

		function draw() {
			const list = rows(), width = Math.max(root.clientWidth, 300), height = top(list.length) + 2, scale = window.devicePixelRatio || 1;
			const g = canvas.getContext("2d");

			pending = false;
			view.label = width < 700 ? 84 : 130;
			view.width = width - view.label - 2;
			canvas.style.width = `${width}px`;
			canvas.style.height = `${height}px`;
			canvas.width = Math.round(width * scale);
			canvas.height = Math.round(height * scale);
			g.scale(scale, scale);
			readColors();
			drawAxis(g, height);
			g.textBaseline = "middle";
			list.forEach((t, i) => {
				drawBands(g, t, top(i));
				drawLabel(g, t, top(i));
			});
			drawGaps(g, height);
			g.font = "11px system-ui, sans-serif";
			list.forEach((t, i) => drawMarks(g, t, top(i)));
			if (view.drag && Math.abs(view.drag.to - view.drag.from) > 3) {
				g.fillStyle = color.drag;
				g.fillRect(Math.min(view.drag.from, view.drag.to), AXIS, Math.abs(view.drag.to - view.drag.from), height - AXIS);
			}
			say();
		}

		function say() {
			const part = view.lo !== full.lo || view.hi !== full.hi;

			said.textContent = `${at(view.lo)} to ${at(view.hi)}: ${ns(view.hi - view.lo)}${part ? ` of ${ns(full.hi - full.lo)}` : ""}` +
				(view.place ? `; marked: ${view.place.label} (${view.place.class})` : "") +
				(d.timeline.resolution ? `; what is shorter than ${ns(d.timeline.resolution)} is put together` : "");
			reset.disabled = !part;
		}

		function later() {
			if (!pending)
				requestAnimationFrame(draw);
			pending = true;
		}

		function show(lo, hi) {
			const span = Math.min(Math.max(hi - lo, MIN_SPAN), full.hi - full.lo);

			view.lo = Math.min(Math.max(lo, full.lo), full.hi - span);
			view.hi = view.lo + span;
			later();
		}

		function zoom(by, px) {
			const middle = px === undefined ? (view.lo + view.hi) / 2 : ts(px), span = (view.hi - view.lo) * by;

			show(middle - (middle - view.lo) * by, middle - (middle - view.lo) * by + span);
		}

		function pan(by) {
			const span = view.hi - view.lo;

			show(view.lo + span * by, view.hi + span * by);
		}

		/* ---- what is under the pointer ---- */

		function pick(px, py) {
			const i = Math.floor((py - AXIS + 2) / (ROW + GAP)), t = rows()[i];
			let best = null;

			if (py < AXIS - 2 || !t || px < view.label)
				return {};
			for (const b of t.blocks) {
				const a = x(b.ts), w = Math.max(x(b.end) - a, MIN_MARK);

				if (px >= a - 1 && px <= a + w + 1 && (!best || b.dur > best.dur || b === view.block))
					best = b;
			}
			return {t, b: best, ts: ts(px)};
		}

		function describe(hit) {
			const s = hit.t.cols, i = find(s, hit.ts);

			if (hit.b) {
				return [el("strong", {}, hit.b.place ? hit.b.place.label : "?"), el("br"), `${why(hit.b)}${hit.b.syscall ? ` (${hit.b.syscall})` : ""}, ${ns(hit.b.dur)} at ${at(hit.b.ts)}`,
					el("br"), hit.b.task === null ? "" : `task ${hit.b.task}, `, threadLabel(d, hit.t), ` (tid ${hit.t.tid})`];
			}
			if (!s.kind.length || hit.ts < s.from[0] || hit.ts > s.from[s.kind.length])
				return [`${threadLabel(d, hit.t)}: did not live here`];
			if (s.kind[i] !== MIXED)
				return [`${PART_TEXT[s.kind[i]]} for ${ns(s.from[i + 1] - s.from[i])} at ${at(s.from[i])}`, el("br"), threadLabel(d, hit.t)];
			return [`${ns(s.from[i + 1] - s.from[i])} at ${at(s.from[i])}: `, PARTS.map((p, k) => [shareOf(s.share[i], k), k]).filter(([v]) => v > 0.005)
				.map(([v, k]) => `${Math.round(v * 100)} % ${PART_TEXT[k]}`).join(", "), el("br"), threadLabel(d, hit.t)];
		}

		function point(e) {
			const r = canvas.getBoundingClientRect(), px = e.clientX - r.left, py = e.clientY - r.top;

			if (view.drag) {
				view.drag.to = Math.min(Math.max(px, view.label), view.label + view.width);
				tip.hidden = true;
				later();
				return;
			}
			const hit = pick(px, py);

			canvas.style.cursor = hit.b ? "pointer" : "crosshair";
			tip.hidden = !hit.t;
			if (!hit.t)
				return;
			tip.replaceChildren(...describe(hit).flat());
			tip.style.left = `${Math.max(Math.min(px + 14, root.clientWidth - tip.offsetWidth - 4), 0)}px`;
			tip.style.top = `${py + 18}px`;
		}

		function down(e) {
			const px = e.clientX - canvas.getBoundingClientRect().left;

			if (e.button || px < view.label)
				return;
			canvas.setPointerCapture(e.pointerId);
			view.drag = {from: px, to: px};
		}

		function up(e) {
			const r = canvas.getBoundingClientRect(), drag = view.drag;

			view.drag = null;
			if (!drag)
				return;
			if (Math.abs(drag.to - drag.from) > 3) {
				show(ts(Math.min(drag.from, drag.to)), ts(Math.max(drag.from, drag.to)));
				return;
			}
			const hit = pick(e.clientX - r.left, e.clientY - r.top);

			mark(hit.b ? hit.b.place : null, hit.b || null);
			if (hit.b)
				app.showInTable(hit.b);
		}

		/* The next or previous poll in time, of all rows; of the marked place when there is one. */
		function walk(by) {
			const list = rows().flatMap((t) => t.blocks).filter((b) => !view.place || b.place === view.place).sort((a, b) => a.ts - b.ts);
			const i = list.indexOf(view.block), next = list[i < 0 ? (by > 0 ? 0 : list.length - 1) : i + by];

			if (next)
				focus(next, false);
		}

		function key(e) {
			const span = view.hi - view.lo;
			const done = {
				ArrowLeft: () => pan(-0.2), ArrowRight: () => pan(0.2), "+": () => zoom(0.5), "=": () => zoom(0.5), "-": () => zoom(2),
				0: () => show(full.lo, full.hi), Home: () => show(full.lo, full.lo + span), End: () => show(full.hi - span, full.hi),
				n: () => walk(1), p: () => walk(-1), Enter: () => view.block && app.showInTable(view.block),
				Escape: () => { mark(null, null); show(full.lo, full.hi); },
			}[e.key];

			if (!done || e.ctrlKey || e.metaKey || e.altKey)
				return;
			done();
			e.preventDefault();
			e.stopPropagation();
		}

		function mark(place, block) {
			view.place = place;
			view.block = block;
			later();
		}

		/* One poll, with room about it. */
		function focus(b, scroll) {
			const room = Math.max((b.end - b.ts) * 4, (full.hi - full.lo) / 400);

			if (b.thread && !rows().includes(b.thread))
				view.others = true;
			mark(b.place, b);
			if (b.end - b.ts < (view.hi - view.lo) / 40 || b.ts < view.lo || b.end > view.hi)
				show(b.ts - room, b.end + room);
			if (scroll) {
				canvas.scrollIntoView({block: "center"});
				canvas.focus({preventScroll: true});
			}
		}

		/* ---- around it ---- */

		function legend() {
			const classes = [...new Set(d.blocks.map((b) => b.class))].sort();
			const used = PARTS.map((p, k) => k).filter((k) => d.threads.some((t) => t.parts[k]));

			return el("p", {class: "legend"}, classes.length ? el("span", {class: "dim"}, "blocked polls: ") : "", classes.map((c) => el("span", {class: "key"}, el("i", {class: `b-${c}`}), c)),
				el("span", {class: "dim"}, " threads: "), used.map((k) => el("span", {class: "key"}, el("i", {class: `p-${PARTS[k]}`}), PART_TEXT[k])));
		}

		const reset = el("button", {onclick: () => show(full.lo, full.hi), title: "0"}, "show all");
		const more = others.length && workers.length ? el("button", {"aria-pressed": "false", onclick: (e) => {
			view.others = !view.others;
			e.currentTarget.setAttribute("aria-pressed", view.others);
			later();
		}}, `${count(others.length)} other thread${others.length === 1 ? "" : "s"}`) : "";

		canvas.addEventListener("pointermove", point);
		canvas.addEventListener("pointerleave", () => { tip.hidden = true; });
		canvas.addEventListener("pointerdown", down);
		canvas.addEventListener("pointerup", up);
		canvas.addEventListener("dblclick", () => show(full.lo, full.hi));
		canvas.addEventListener("keydown", key);
		canvas.addEventListener("wheel", (e) => {
			if (!e.ctrlKey && !e.shiftKey)
				return;
			e.preventDefault();
			if (e.ctrlKey)
				zoom(e.deltaY > 0 ? 1.25 : 0.8, e.clientX - canvas.getBoundingClientRect().left);
			else
				pan((e.deltaY || e.deltaX) > 0 ? 0.1 : -0.1);
		}, {passive: false});
		root.append(el("div", {class: "controls"}, el("button", {onclick: () => zoom(0.5), title: "zoom in (+)", "aria-label": "zoom in"}, "+"),
			el("button", {onclick: () => zoom(2), title: "zoom out (-)", "aria-label": "zoom out"}, "\u2212"), reset, more,
			el("span", {class: "dim hint"}, "drag to zoom, click a mark to open it, ctrl+wheel zooms")),
		legend(), el("div", {class: "canvas"}, canvas, tip), said);
		new ResizeObserver(later).observe(root);
		for (const query of ["(prefers-color-scheme: dark)", "print"])
			window.matchMedia(query).addEventListener("change", draw);
		window.addEventListener("beforeprint", draw);
		window.addEventListener("afterprint", draw);
		draw();
		return {mark, focus, view};
	}

	return {create};
})();
