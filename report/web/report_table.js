/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * report_table.js: the table of what blocked: by place or poll by poll; sorted by any column, filtered, each row opens to its stacks.
 * Calls app.select(place, block) when a row is chosen; app.showInTimeline(block) on request. Its rows are buttons to the keyboard.
 */
"use strict";

const ascopeTable = (() => {
	const {el, ns, at, count, percent, plural, place, why, chip, threadLabel} = ascopeReport;
	const PAGE = 100; /* rows at a time */
	const POLLS = 12; /* polls of a place listed at first */

	/* ---- stacks ---- */

	function frameRow(f) {
		return el("li", {class: `frame k-${f.kernel ? "kernel" : f.kind || "unknown"}`, title: [f.name, f.file, f.module].filter((s) => s).join("\n")},
			el("span", {class: "fn"}, f.label || "?"),
			f.file ? el("span", {class: "at"}, place(f.file, f.line)) : null,
			f.inlined ? el("span", {class: "dim"}, "inlined") : null);
	}

	/* Runs of frames that say nothing of the user's code are one line, until it is clicked. */
	function foldedRow(frames) {
		const kinds = [...new Set(frames.map((f) => f.kind || "unnamed"))];
		const li = el("li", {class: "folded"});

		li.append(el("button", {onclick: () => li.replaceWith(...frames.map(frameRow))},
			`... ${frames.length} ${kinds.length < 3 ? kinds.join(" and ") + " " : ""}frame${frames.length === 1 ? "" : "s"}`));
		return li;
	}

	function stackRows(frames, kernel) {
		const out = [];
		let run = [];

		const flush = () => {
			if (run.length)
				out.push(run.length === 1 ? frameRow(run[0]) : foldedRow(run));
			run = [];
		};
		for (const f of frames) {
			if (kernel || f.shown) {
				flush();
				out.push(frameRow(f));
			} else {
				run.push(f);
			}
		}
		flush();
		return out;
	}

	function stack(d, id, kernel) {
		const s = d.stacks[id];

		if (!s)
			return el("p", {class: "dim"}, kernel ? "no kernel stack" : "no user stack");
		return el("ol", {class: kernel ? "stack kernel" : "stack"}, stackRows(s.f.map((i) => d.functions[i]), kernel),
			s.why ? el("li", {class: "dim"}, `cut: ${s.why}`) : null);
	}

	/* ---- one poll ---- */

	function parts(b) {
		return [["waiting", b.off_cpu, "blocked"], ["on-CPU", b.on_cpu, "on_cpu"], ["runnable, but not running", b.runnable, "runnable"]]
			.filter(([, v]) => v >= b.dur / 100 && v);
	}

	function partsBar(b) {
		const bar = el("span", {class: "parts"});

		for (const [name, v, key] of parts(b)) {
			const piece = el("i", {class: `p-${key}`, title: `${name} ${ns(v)}`});

			piece.style.width = `${100 * v / Math.max(b.dur, 1)}%`;
			bar.append(piece);
		}
		return bar;
	}

	function fact(name, ...value) {
		return [el("dt", {}, name), el("dd", {}, ...value)];
	}

	function paidBy(b) {
		const depths = [["in the LIFO slot", b.lifo], ["local", b.queued], ["injected", b.inject]].filter(([, n]) => n !== null)
			.map(([name, n]) => `${count(n)} ${name}`).join(", ");

		if (b.victims !== null)
			return (b.victims ? `${plural(b.victims, "task")} queued behind it` : "no task was delayed by it") +
				(depths ? ` (at its start ${depths})` : "") +
				(b.victims && b.worst_delay ? `; worst extra delay ${ns(b.worst_delay)}` : "");
		return depths ? `queued at its start: ${depths}` : null;
	}

	function state(b) {
		if (b.state === "open-start" || b.state === "open-both")
			return "had begun when the recording began: it took longer than this";
		return b.state === "open-end" ? "had not ended when the recording did: it took longer than this" : null;
	}

	function task(b) {
		if (b.task === null)
			return b.holds === "runtime" ? null : "a root future or local set, no worker's time";
		return [`task ${b.task}`, b.task_name ? [" ", el("code", {}, b.task_name)] : null,
			b.spawn_fn || b.spawn_file ? ` spawned ${b.spawn_file ? "at " + place(b.spawn_file, b.spawn_line) : "in " + b.spawn_fn}` : null];
	}

	function pollFacts(app, b) {
		const paid = paidBy(b);

		return el("dl", {class: "facts"},
			b.advice ? fact("try", el("strong", {}, b.advice)) : null,
			fact("when", el("button", {class: "link", onclick: () => app.showInTimeline(b)}, `${at(b.ts)}, ${ns(b.dur)}`),
				` ${b.thread ? threadLabel(app.d, b.thread) : "thread"} (tid ${b.tid}${b.cpu === null ? "" : `, cpu ${b.cpu}`})`),
			fact("why", `${why(b)}${b.syscall ? ` (${b.syscall})` : ""}`),
			task(b) ? fact("task", task(b)) : null,
			fact("parts", partsBar(b), parts(b).map(([name, v]) => `${name} ${ns(v)}`).join(", "), b.waits > 1 ? ` in ${count(b.waits)} waits` : ""),
			b.dur_max - b.dur_min > b.dur_min / 100 ? fact("length", `between ${ns(b.dur_min)} and ${ns(b.dur_max)}, seen by ${plural(b.samples, "sample")}`) : null,
			state(b) ? fact("cut", state(b)) : null,
			paid ? fact("paid by", paid) : null,
			b.driver >= 1e6 ? fact("driver", `the I/O driver stood still for ${ns(b.driver)} of it: all timers and I/O${b.runtime ? ` of runtime ${b.runtime}` : ""} waited`) : null,
			b.stopped ? fact("stopped", `its thread was stopped or frozen for ${ns(b.stopped)} more meanwhile, which does not count`) : null,
			b.throttled ? fact("cpu", "maybe throttled: its cgroup ran out of cpu quota about then") : null);
	}

	function pollDetail(app, b) {
		return el("div", {class: "poll"}, pollFacts(app, b),
			b.kstack ? [el("h4", {}, "kernel"), stack(app.d, b.kstack, true)] : null,
			el("h4", {}, "user stack, innermost first"), stack(app.d, b.stack, false));
	}

	/* ---- one place ---- */

	/* Its polls as buttons; the first, the longest, is open. */
	function placeDetail(app, p, chosen) {
		const box = el("div", {class: "detail"}), list = el("div", {class: "polls"}), slot = el("div");
		let shown = POLLS;

		const open = (b) => {
			slot.replaceChildren(pollDetail(app, b));
			for (const button of list.children)
				button.classList.toggle("on", button.dataset.poll === String(b.poll_id));
		};
		const fill = () => {
			list.replaceChildren(...p.blocks.slice(0, shown).map((b) => el("button", {
				"data-poll": b.poll_id, title: `poll at ${at(b.ts)}`,
				onclick: () => { open(b); app.select(p, b); },
			}, ns(b.dur))));
			if (p.blocks.length > shown)
				list.append(el("button", {class: "link", onclick: () => { shown = Infinity; fill(); }}, `all ${count(p.blocks.length)}`));
			if (p.count > p.blocks.length)
				list.append(el("span", {class: "dim"}, ` ${count(p.count - p.blocks.length)} shorter ones are not in this file`));
		};
		if (!p.blocks.length)
			return el("div", {class: "detail dim"}, "its polls are not in this file: export a part with --from and --to");
		if (chosen && p.blocks.indexOf(chosen) >= shown)
			shown = Infinity;
		fill();
		open(chosen || p.blocks[0]);
		box.append(p.blocks.length > 1 ? el("div", {class: "pollhead"}, el("span", {class: "dim"}, "its polls, longest first"), list) : "", slot);
		return box;
	}

	/* ---- columns ---- */

	function victims(p) {
		return p.victims === null ? "" : `${p.at_least && p.victims ? ">=" : ""}${count(p.victims)}`;
	}

	/* name, heading, value to sort by, cell, is a number */
	const placeColumns = [
		["label", "where", (p) => p.label, (app, p) => [el("code", {}, p.label), " ", el("span", {class: "at"}, place(p.file, p.line)),
			p.worker_time ? null : el("span", {class: "dim"}, " (root future or local set)")], false],
		["class", "class", (p) => p.class, (app, p) => chip(p.class), false],
		["count", "count", (p) => p.count, (app, p) => count(p.count), true],
		["total", "total", (p) => p.total, (app, p) => [ns(p.total), meter(p.total, app.most)], true],
		["max", "max", (p) => p.max, (app, p) => ns(p.max), true],
		["p99", "p99", (p) => p.p99, (app, p) => ns(p.p99), true],
		["victims", "delayed", (p) => p.victims === null ? -1 : p.victims, (app, p) => victims(p), true],
	];
	const pollColumns = [
		["label", "where", (b) => b.place ? b.place.label : "", (app, b) => b.place ? [el("code", {}, b.place.label), " ",
			el("span", {class: "at"}, place(b.place.file, b.place.line))] : "(a place that is not in this file)", false],
		["class", "class", (b) => why(b), (app, b) => [chip(b.class), b.detail && b.detail !== b.class ? ` ${b.detail}` : ""], false],
		["dur", "took", (b) => b.dur, (app, b) => [ns(b.dur), meter(b.dur, app.longest)], true],
		["ts", "at", (b) => b.ts, (app, b) => at(b.ts), true],
		["worker", "thread", (b, app) => b.thread ? threadLabel(app.d, b.thread) : `tid ${b.tid}`, (app, b) => b.thread ? threadLabel(app.d, b.thread) : `tid ${b.tid}`, false],
		["task", "task", (b) => b.task === null ? "" : b.task, (app, b) => b.task === null ? "" : String(b.task), true],
		["victims", "delayed", (b) => b.victims === null ? -1 : b.victims, (app, b) => b.victims === null ? "" : count(b.victims), true],
	];

	function meter(v, most) {
		const bar = el("i");

		bar.style.width = `${most ? 100 * v / most : 0}%`;
		return el("span", {class: "meter"}, bar);
	}

	/* ---- the table ---- */

	function create(app, root) {
		const d = app.d;
		const view = {mode: "places", sort: "total", up: false, text: "", classes: new Set(), thread: "", min: 0, limit: PAGE, open: new Map()};
		const body = el("tbody"), head = el("tr"), said = el("p", {class: "dim said", role: "status"});
		const classes = [...new Set(d.blocks.map((b) => b.class).concat(d.places.map((p) => p.class)))].sort();
		const threads = d.threads.filter((t) => t.blocks.length);

		const columns = () => view.mode === "places" ? placeColumns : pollColumns;

		function textOf(row) {
			const p = view.mode === "places" ? row : row.place, bs = view.mode === "places" ? row.blocks : [row];

			if (row.search === undefined)
				row.search = [p ? `${p.name} ${p.label} ${place(p.file, p.line)} ${p.class}` : "",
					...new Set(bs.map((b) => `${b.task_name || ""} ${b.syscall || ""} ${b.detail || ""} task ${b.task}`))].join(" ").toLowerCase();
			return row.search;
		}

		function passes(row) {
			const bs = view.mode === "places" ? row.blocks : [row];

			if (view.classes.size && !view.classes.has(row.class))
				return false;
			if (view.thread !== "" && !bs.some((b) => b.thread && String(b.thread.id) === view.thread))
				return false;
			if (view.min && (view.mode === "places" ? row.max : row.dur) < view.min)
				return false;
			return view.text.toLowerCase().split(/\s+/).every((word) => textOf(row).includes(word));
		}

		function sorted(list) {
			const column = columns().find(([name]) => name === view.sort) || columns()[3];
			const key = column[2], sign = view.up ? 1 : -1;

			return list.map((row) => [key(row, app), row]).sort(([a, x], [b, y]) =>
				(a < b ? -sign : a > b ? sign : 0) || x.index - y.index).map(([, row]) => row);
		}

		function toggle(row, tr, chosen) {
			const was = view.open.get(row);

			if (was && !chosen) {
				was.remove();
				view.open.delete(row);
			} else {
				const detail = el("tr", {class: "open"}, el("td", {colspan: columns().length},
					view.mode === "places" ? placeDetail(app, row, chosen) : el("div", {class: "detail"}, pollDetail(app, row))));

				if (was)
					was.remove();
				view.open.set(row, detail);
				tr.after(detail);
				app.select(view.mode === "places" ? row : row.place, chosen || (view.mode === "places" ? null : row));
			}
			tr.setAttribute("aria-expanded", view.open.has(row));
		}

		function rowOf(row) {
			const tr = el("tr", {tabindex: 0, "aria-expanded": "false", class: "row", "data-row": row.index}, columns().map(([, , , cell, num]) =>
				el("td", {class: num ? "num" : null}, cell(app, row))));

			tr.addEventListener("click", (e) => {
				if (!String(window.getSelection()))
					toggle(row, tr);
			});
			tr.addEventListener("keydown", (e) => {
				const move = {ArrowDown: 1, ArrowUp: -1, j: 1, k: -1}[e.key];
				const all = [...body.querySelectorAll("tr.row")];

				if (e.target !== tr || e.ctrlKey || e.metaKey || e.altKey)
					return;
				if (e.key === "Enter" || e.key === " ")
					toggle(row, tr);
				else if (e.key === "t" && (row.blocks ? row.blocks.length : true))
					app.showInTimeline(row.blocks ? row.blocks[0] : row);
				else if (move)
					(all[all.indexOf(tr) + move] || tr).focus();
				else
					return;
				e.preventDefault();
			});
			return tr;
		}

		function drawHead() {
			head.replaceChildren(...columns().map(([name, heading, , , num]) => el("th", {
				scope: "col", class: num ? "num" : null, "data-column": name,
				"aria-sort": name !== view.sort ? "none" : view.up ? "ascending" : "descending",
			}, el("button", {
				title: `sort by ${heading}`,
				onclick: () => {
					view.up = name === view.sort ? !view.up : !num;
					view.sort = name;
					draw();
					head.querySelector(`[data-column="${name}"] button`).focus();
				},
			}, heading, el("span", {class: "dir", "aria-hidden": "true"}, name !== view.sort ? "" : view.up ? " \u25b2" : " \u25bc")))));
		}

		function draw() {
			const all = view.mode === "places" ? d.places : d.blocks, rows = sorted(all.filter(passes));
			const total = view.mode === "places" ? d.totals.runtime.places + d.totals.root_and_localset.places :
				d.totals.runtime.count + d.totals.root_and_localset.count;

			view.open.clear();
			drawHead();
			body.replaceChildren(...rows.slice(0, view.limit).map(rowOf));
			said.replaceChildren(`${rows.length === all.length ? "" : `${count(rows.length)} of `}${plural(all.length, view.mode === "places" ? "place" : "poll")}` +
				(total > all.length ? `; ${count(total - all.length)} more are not in this file (the shortest)` : ""));
			if (rows.length > view.limit)
				said.append(" ", el("button", {class: "link", onclick: () => { view.limit += PAGE * 10; draw(); }}, `show ${count(Math.min(rows.length - view.limit, PAGE * 10))} more`));
		}

		function setMode(mode) {
			for (const row of d.places.concat(d.blocks))
				delete row.search;
			view.mode = mode;
			view.sort = mode === "places" ? "total" : "dur";
			view.up = false;
			view.limit = PAGE;
			for (const b of modes.querySelectorAll("button"))
				b.setAttribute("aria-pressed", b.dataset.mode === mode);
			draw();
		}

		/* Opens the row of a place (at one of its polls), whatever the filter. */
		function reveal(p, b) {
			if (view.mode !== "places" || !passes(p)) {
				clear();
				setMode("places");
			}
			while (!body.querySelector(`tr.row[data-row="${p.index}"]`) && view.limit < d.places.length) {
				view.limit += PAGE * 10;
				draw();
			}
			const tr = body.querySelector(`tr.row[data-row="${p.index}"]`);

			if (!tr)
				return;
			toggle(p, tr, b || p.blocks[0]);
			tr.scrollIntoView({block: "center"});
			tr.focus({preventScroll: true});
		}

		function clear() {
			view.text = filter.value = "";
			view.thread = select.value = "";
			view.min = 0;
			min.value = "";
			view.classes.clear();
			for (const b of chips.children)
				b.setAttribute("aria-pressed", "false");
		}

		const modes = el("span", {class: "tabs", role: "group", "aria-label": "rows"},
			[["places", "by place"], ["polls", "every poll"]].map(([mode, label]) =>
				el("button", {"data-mode": mode, "aria-pressed": mode === "places", onclick: () => setMode(mode)}, label)));
		const filter = el("input", {type: "search", id: "filter", placeholder: "filter: function, file, task, syscall  ( / )", "aria-label": "filter",
			oninput: (e) => { view.text = e.target.value; view.limit = PAGE; draw(); }});
		const min = el("input", {type: "number", min: 0, step: "any", class: "min", placeholder: "min ms", "aria-label": "at least this many ms",
			oninput: (e) => { view.min = Number(e.target.value) * 1e6 || 0; draw(); }});
		const select = el("select", {"aria-label": "thread", onchange: (e) => { view.thread = e.target.value; draw(); }},
			el("option", {value: ""}, "all threads"), threads.map((t) => el("option", {value: t.id}, `${threadLabel(d, t)} (tid ${t.tid})`)));
		const chips = el("span", {class: "chips"}, classes.map((c) => el("button", {
			class: `chip c-${c}`, "aria-pressed": "false",
			onclick: (e) => {
				if (!view.classes.delete(c))
					view.classes.add(c);
				e.currentTarget.setAttribute("aria-pressed", view.classes.has(c));
				draw();
			},
		}, c)));

		root.append(el("div", {class: "controls"}, modes, filter, min, select, classes.length > 1 ? chips : ""),
			el("div", {class: "scroll"}, el("table", {class: "blocks"}, el("thead", {}, head), body)), said);
		draw();
		return {reveal, focusFilter: () => filter.focus(), clear: () => { clear(); draw(); }};
	}

	return {create};
})();
