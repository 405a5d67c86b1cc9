/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * report.js: puts the HTML report together (export_html.c): verdict and numbers, what cost most, timeline, table, flame graphs, latencies, threads, how
 * it was made. What is read first stands first.
 */
"use strict";

(() => {
	const {el, svg, ns, at, count, percent, plural, place, chip, threadLabel} = ascopeReport;
	const d = ascopeReport.read(JSON.parse(document.getElementById("data").textContent));
	const root = document.getElementById("report");
	const CULPRITS = 4;
	const app = {
		d,
		most: d.places.reduce((m, p) => Math.max(m, p.total), 0),
		longest: d.blocks.reduce((m, b) => Math.max(m, b.dur), 0),
		select: (p, b) => app.timeline.mark(p, b),
		showInTimeline: (b) => app.timeline.focus(b, true),
		showInTable: (b) => b.place && app.table.reveal(b.place, b),
	};

	function section(id, title, note, ...children) {
		const e = el("section", {id}, el("h2", {}, title, note ? el("span", {class: "note"}, note) : null), ...children);

		root.append(e);
		return e;
	}

	/* ---- head ---- */

	const VERDICTS = {complete: "COMPLETE", partial: "PARTIAL", untrustworthy: "UNTRUSTWORTHY"};

	function verdictNote() {
		const v = d.verdict;
		const whole = v.stacks === v.stacks_whole ? "100 %" : `${Math.min(99.99, 100 * v.stacks_whole / v.stacks).toFixed(2)} %`;

		return `${count(d.events_lost)} events lost${v.stacks ? `, ${whole} of the stacks whole` : v.stacks_frame_pointers ? ", stacks by frame pointers" : ""}` +
			(v.gap_ns ? `, events may be missing in ${ns(v.gap_ns)}` : "");
	}

	function recorded() {
		return d.realtime_ms ? `recorded ${new Date(d.realtime_ms).toISOString().replace("T", " ").replace(/\..*/, "")} UTC` : "";
	}

	function processes() {
		const names = [...new Set((d.capture.processes || []).map((p) => p.name))], pids = [...new Set((d.capture.processes || []).map((p) => p.pid))];

		return `${names.slice(0, 3).join(", ")} ${pids.length > 4 ? `(${pids.length} processes)` : `(pid ${pids.join(", ")})`}`;
	}

	function head() {
		const part = d.lo > 0 || d.lo + d.capture.duration_ns > d.hi;

		root.append(el("header", {},
			el("div", {class: "title"}, el("h1", {}, d.made.file),
				el("span", {class: `verdict v-${d.verdict.state}`}, VERDICTS[d.verdict.state] || d.verdict.state), el("span", {class: "dim"}, verdictNote())),
			el("p", {class: "dim"}, [processes(), d.capture.host && `on ${d.capture.host}`, ns(d.capture.duration_ns), plural(d.capture.workers, "worker"),
				plural(d.capture.switches, "switch", "switches"), plural(d.capture.tasks, "task"), recorded()].filter((s) => s).join("  \u00b7  ")),
			part ? el("p", {class: "warn"}, `only ${at(d.lo)} to ${at(d.hi)} of it`) : null,
			d.verdict.reasons.length ? el("ul", {class: "warn"}, d.verdict.reasons.map((r) => el("li", {}, r))) : null,
			d.notes ? el("ul", {class: "dim"}, d.notes.split("\n").filter((n) => n).map((n) => el("li", {}, n))) : null));
	}

	/* ---- what cost most ---- */

	function culprit(p, i) {
		const lost = d.totals.runtime.total, bar = el("i", {class: `b-${p.class}`}), worst = p.blocks[0];

		bar.style.width = `${lost ? 100 * p.total / lost : 0}%`;
		return el("button", {class: "culprit", onclick: () => { app.table.reveal(p, null); app.select(p, null); }},
			el("span", {class: "rank"}, `#${i + 1}`),
			el("span", {class: "who"}, el("code", {}, p.label), el("span", {class: "at"}, place(p.file, p.line))),
			el("span", {class: "how"}, chip(p.class), el("b", {}, ns(p.total)), ` in ${plural(p.count, "poll")}, worst ${ns(p.max)}`,
				p.victims ? `, ${p.at_least ? ">=" : ""}${plural(p.victims, "task")} delayed` : ""),
			el("span", {class: "share", title: `${percent(p.total, lost)} of the time that blocked polls took`}, bar),
			worst && worst.advice ? el("span", {class: "try"}, el("span", {class: "dim"}, "try "), worst.advice) : null);
	}

	function headline() {
		const t = d.totals.runtime, other = d.totals.root_and_localset, first = d.places.filter((p) => p.worker_time).slice(0, CULPRITS);
		const e = section("culprits", t.count ? "What held the workers" : "No poll held a worker", null);

		if (t.count) {
			e.append(el("p", {class: "headline"}, el("b", {class: "big"}, percent(t.lost, d.totals.worker_time)), " of worker time lost ",
				el("span", {class: "dim"}, `(${ns(t.lost)} of ${ns(d.totals.worker_time)})`), ` in ${plural(t.count, "poll")} that blocked for ${ns(d.totals.min_ns)} or longer; worst `,
				el("b", {}, ns(t.max))),
			el("div", {class: "culprits"}, first.map(culprit)));
			if (t.places > first.length)
				e.append(el("p", {class: "dim"}, `and ${plural(t.places - first.length, "more place", "more places")}: see the table`));
		} else {
			e.append(el("p", {class: "headline"}, d.capture.workers ? `No poll blocked a worker for ${ns(d.totals.min_ns)} or longer in ${ns(d.hi - d.lo)}; looked at ` +
				`${plural(d.capture.switches, "switch", "switches")} and ${plural(d.capture.samples, "sample")}.` : "No Tokio runtime was found."),
			d.verdict.state !== "complete" ? el("p", {class: "warn"}, "The recording is not complete: a block may be among what is missing.") : "");
		}
		if (other.count)
			e.append(el("p", {class: "dim"}, `${plural(other.count, "poll")} of root futures and local sets blocked, too (${ns(other.total)} in all): no worker's time`));
		if (d.verdict.runtimes_tick_unproven)
			e.append(el("p", {class: "dim"}, `Polls that hold the CPU cannot be told apart in ${plural(d.verdict.runtimes_tick_unproven, "runtime")}: only waits were judged there.`));
	}

	/* ---- flame graphs ---- */

	const FLAMES = [["flame-blocking", "blocking", "time inside blocked polls, by class"], ["flame-oncpu", "on-CPU", "cpu-clock samples"],
		["flame-offcpu", "off-CPU", "waiting, but for idle threads, by class"]];

	function flames() {
		const there = FLAMES.filter(([id]) => document.getElementById(id));
		const box = el("div", {class: "flame"}), note = el("span", {class: "note"});
		const tabs = el("span", {class: "tabs", role: "group", "aria-label": "which time"}), drawn = new Map();
		let first = null;

		function show(id, text) {
			if (!drawn.has(id))
				drawn.set(id, draw(id));
			for (const b of tabs.children)
				b.setAttribute("aria-pressed", b.dataset.flame === id);
			note.textContent = text + (drawn.get(id).cut ? `; the lightest ${count(drawn.get(id).cut)} stacks have no frames in this file` : "");
			for (const graph of drawn.values())
				graph.node.hidden = graph !== drawn.get(id);
		}
		/* Each once, when it is first looked at. */
		function draw(id) {
			const data = JSON.parse(document.getElementById(id).textContent), node = el("div");

			box.append(node);
			if (data.flame.total_ns) {
				const flame = ascopeFlame(node, data.flame, {hash: false, weight: FLAMES.find(([name]) => name === id)[2]});

				/* Eighty frames of executor below each function of the user's hide it: a press on the legend shows them. */
				if (data.flame.frames.kind.includes(data.flame.kinds.indexOf("user")))
					flame.set({folded: ["runtime", "std"]}, false);
			} else {
				node.append(el("p", {class: "dim"}, "nothing of this kind in this part of the recording"));
			}
			return {node, cut: data.cut_stacks};
		}
		for (const [id, label, text] of there) {
			tabs.append(el("button", {"data-flame": id, "aria-pressed": "false", onclick: () => show(id, text)}, label));
			first = first || [id, text];
		}
		section("flames", "Flame graph", null, el("div", {class: "controls"}, tabs, note), box);
		if (first)
			show(...first);
	}

	/* ---- latencies ---- */

	/* Bin n of html_latency.h: [from, to) */
	function bin(n) {
		const s = Math.floor(n / 16) - 1;

		return n < 16 ? [n, n + 1] : [(16 + n % 16) * 2 ** s, (17 + n % 16) * 2 ** s];
	}

	/* At most so long is this share of them: the end of the bin that it lies in. */
	function quantile(h, q) {
		let seen = 0;

		for (let i = 0; i < h.bins.length; i += 2) {
			seen += h.bins[i + 1];
			if (seen >= Math.ceil(h.count * q))
				return Math.min(bin(h.bins[i])[1], h.max_ns);
		}
		return h.max_ns;
	}

	function unit(v) {
		return v >= 1e9 ? `${v / 1e9} s` : v >= 1e6 ? `${v / 1e6} ms` : v >= 1e3 ? `${v / 1e3} us` : `${v} ns`;
	}

	/* Half octaves; the height goes with the logarithm of the count, so that one poll of 1 s is seen beside a million of 10 us. */
	function chart(h, threshold) {
		const W = 640, H = 190, LEFT = 8, BOTTOM = 22, TOP = 16, bars = new Map();
		const first = Math.floor(2 * Math.log2(Math.max(bin(h.bins[0])[0], 1))), last = Math.floor(2 * Math.log2(Math.max(h.max_ns, 1)));
		const n = last - first + 1, width = (W - 2 * LEFT) / n, x = (v) => LEFT + (2 * Math.log2(Math.max(v, 1)) - first) * width;
		const g = svg("svg", {viewBox: `0 0 ${W} ${H}`, role: "img", class: "chart"});
		let most = 0;

		for (let i = 0; i < h.bins.length; i += 2) {
			const k = Math.floor(2 * Math.log2(Math.max(bin(h.bins[i])[0], 1)) + 1e-9);

			bars.set(k, (bars.get(k) || 0) + h.bins[i + 1]);
		}
		for (const c of bars.values())
			most = Math.max(most, c);
		for (let v = 1; v < h.max_ns * 2; v *= 10)
			if (x(v) >= LEFT && x(v) < W - 30)
				g.append(svg("line", {x1: x(v), x2: x(v), y1: TOP, y2: H - BOTTOM, class: "grid"}), svg("text", {x: x(v) + 2, y: H - 7}, unit(v)));
		for (const [k, c] of bars) {
			const height = (H - TOP - BOTTOM) * Math.log(c + 1) / Math.log(most + 1), from = 2 ** (k / 2), to = 2 ** ((k + 1) / 2);

			g.append(svg("rect", {x: LEFT + (k - first) * width + 0.5, y: H - BOTTOM - height, width: Math.max(width - 1, 1), height,
				class: from * 1.0001 >= threshold ? "bar long" : "bar"}, svg("title", {}, `${ns(from)} to ${ns(to)}: ${count(c)} (${percent(c, h.count)})`)));
		}
		for (const [name, q] of [["p50", 0.5], ["p99", 0.99]]) {
			const at2 = x(quantile(h, q));

			g.append(svg("line", {x1: at2, x2: at2, y1: TOP - 4, y2: H - BOTTOM, class: "mark"}), svg("text", {x: at2 + 3, y: TOP - 5, class: "mark"}, name));
		}
		return g;
	}

	function histogram(title, h, threshold, note) {
		if (!h || !h.count)
			return el("figure", {}, el("figcaption", {}, el("b", {}, title), el("span", {class: "dim"}, ` ${note}`)));
		return el("figure", {}, el("figcaption", {}, el("b", {}, title), " ", count(h.count), `: p50 \u2264 ${ns(quantile(h, 0.5))}, p90 \u2264 ${ns(quantile(h, 0.9))}, p99 \u2264 ${ns(quantile(h, 0.99))}, max ${ns(h.max_ns)}`,
			el("span", {class: "dim"}, ` ${note}`)), chart(h, threshold));
	}

	function latencies() {
		const l = d.latency;

		section("latency", "Latency", null, el("div", {class: "charts"},
			histogram("How long polls took", l.polls, d.totals.min_ns, l.exact ? "every poll of a task; the heights are logarithmic" :
				"only polls that were caught waiting or by two samples (record --polls records all); the heights are logarithmic"),
			histogram("How long woken tasks waited for their poll", l.delays, Infinity, l.delays ? "the heights are logarithmic" : "needs ascope record --wakes")));
	}

	/* ---- threads ---- */

	const PARTS = [["on_cpu", "on-CPU"], ["runnable", "runnable"], ["blocked", "blocked"], ["idle", "idle"], ["other", "other"], ["unseen", "no event"]];

	function threadRow(t) {
		const wall = Math.max(t.hi - t.lo, 1), bar = el("span", {class: "parts wide"});

		PARTS.forEach(([key, name], k) => {
			const piece = el("i", {class: `p-${key}`, title: `${name} ${ns(t.parts[k])}`});

			piece.style.width = `${100 * t.parts[k] / wall}%`;
			bar.append(piece);
		});
		return el("tr", {}, el("th", {scope: "row"}, threadLabel(d, t), t.worker !== null ? el("span", {class: "dim"}, ` ${t.name}`) : ""), el("td", {class: "num"}, String(t.tid)), el("td", {}, bar),
			PARTS.slice(0, 5).map((p, k) => el("td", {class: "num"}, t.parts[k] ? percent(t.parts[k], wall) : "")),
			el("td", {class: "num"}, count(t.switches)));
	}

	function threads() {
		const FIRST = 16, body = el("tbody", {}, d.threads.slice(0, FIRST).map(threadRow));
		const rest = d.threads.slice(FIRST);
		const more = rest.length ? el("button", {class: "link", onclick: () => { body.append(...rest.map(threadRow)); more.remove(); }}, `${count(rest.length)} more`) : "";

		section("threads", "Threads", "shares of each one's time; blocked: waiting inside a poll", el("div", {class: "scroll"}, el("table", {},
			el("thead", {}, el("tr", {}, el("th", {}, "thread"), el("th", {class: "num"}, "tid"), el("th", {}, ""), PARTS.slice(0, 5).map(([, name]) => el("th", {class: "num"}, name)),
				el("th", {class: "num", title: "times it left its cpu"}, "out"))), body)), more);
	}

	/* ---- how it was made ---- */

	function leftOut() {
		const out = [], l = d.left;

		if (l.places)
			out.push(`${plural(l.places, "place")} of least time`);
		if (l.blocks)
			out.push(`${count(l.blocks)} of the shorter polls (the totals count them)`);
		if (l.stacks)
			out.push(`the stacks of some polls (${count(l.stacks)} distinct)`);
		if (d.timeline.without_segments)
			out.push(`the timeline of ${plural(d.timeline.without_segments, "thread")}`);
		if (d.timeline.resolution)
			out.push(`what threads did for less than ${ns(d.timeline.resolution)} is put together in the timeline`);
		return out;
	}

	function about() {
		const runtimes = d.capture.runtimes || [], lost = Object.entries(d.verdict.lost), left = leftOut();
		const fact = (name, ...value) => [el("dt", {}, name), el("dd", {}, ...value)];

		section("about", "How this was made", null, el("dl", {class: "facts"},
			fact("this file", el("code", {}, d.made.command), el("span", {class: "dim"}, ` ascope ${d.made.version}`)),
			fact("capture", el("code", {}, d.capture.uuid), recorded() ? `, ${recorded()}` : "", d.capture.stopped_by ? `, ended by: ${d.capture.stopped_by}` : ""),
			fact("host", `${d.capture.host || "?"}, Linux ${d.capture.kernel || "?"}`),
			fact("processes", (d.capture.processes || []).slice(0, 8).map((p) => `${p.pid} ${p.exe || p.name || ""}`).join(", ")),
			runtimes.length ? fact("runtimes", runtimes.slice(0, 8).map((r) => `Tokio ${r.tokio_version || "?"}, ${r.flavor}`).join("; ")) : null,
			fact("options", d.facts.filter(([k]) => k.startsWith("option.")).map(([k, v]) => `${k.slice(7)} ${v}`).join(", ") || "not recorded"),
			fact("lost", lost.length ? lost.map(([k, n]) => `${k} ${count(n)}`).join(", ") : "nothing"),
			fact("left out", left.length ? left.join("; ") : "nothing"),
			fact("keys", "/ filter, j k or arrows rows, Enter opens, t shows in the timeline; in the timeline arrows + - 0, n p next and previous blocked poll")),
		el("details", {}, el("summary", {}, "everything the recorder noted"), el("div", {class: "scroll"}, el("table", {class: "plain"}, el("tbody", {}, d.facts.map(([k, v]) =>
			el("tr", {}, el("th", {scope: "row"}, k), el("td", {}, el("code", {}, v)))))))));
	}

	/* The text reports stand behind everything, folded. */
	function text() {
		const old = document.getElementById("text"), box = el("details", {}, el("summary", {}, "the reports as text"));

		box.append(...old.querySelectorAll("pre"));
		old.replaceChildren(box);
	}

	head();
	headline();
	if (d.threads.length)
		app.timeline = ascopeTimeline.create(app, section("timeline", "What each worker did when", null));
	else
		app.timeline = {mark: () => {}, focus: () => {}};
	app.table = ascopeTable.create(app, section("blocks", "What blocked", null));
	flames();
	latencies();
	threads();
	about();
	text();
	document.addEventListener("keydown", (e) => {
		if (e.key === "/" && !document.activeElement.closest(".af") && !/^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName)) {
			e.preventDefault();
			app.table.focusFilter();
		} else if (e.key === "Escape" && document.activeElement.id === "filter") {
			app.table.clear();
			document.activeElement.blur();
		}
	});
})();
