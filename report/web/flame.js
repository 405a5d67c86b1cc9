/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * flame.js: ascopeFlame(element, data, options): an interactive flame graph of the data of report/flame_data.h in `element`.
 *
 * options: weight: what the widths are, "time on CPU" · hash: false: the address bar is left alone (default: the state stands in the URL's hash, and
 * Back undoes a zoom) · names: {now, base}: what the two captures of a comparison are called.
 *
 * Returns a handle, which is element.flame, too: {model, state, set(changes), find(text) -> where a box with this name is on the page}.
 *
 * Text of the capture gets into the page by textContent and fillText only.
 */
'use strict';

globalThis.ascopeFlame = (() => {
	const DEFAULTS = { view: 'flame', focus: 0, part: 0, z: [], q: '', icicle: false, by_name: false, by_base: false, folded: [], sort: 'self' };
	const KIND_TEXT = {
		user: 'your code', library: 'library', std: 'std', runtime: 'runtime', native: 'native', jit: 'jit', kernel: 'kernel',
		synthetic: 'thread, task', unknown: 'no symbol', inlined: 'inlined',
	};
	const KEYS = [
		['click, Enter', 'zoom; what stands below stays in sight'], ['Esc', 'zoom out, close'], ['Backspace', 'one step back'],
		['\u2190 \u2191 \u2192 \u2193', 'from frame to frame'], ['/ or Ctrl+F', 'search: text, or /regular expression/'], ['n  N', 'next, previous match'],
		['i', 'flame or icicle'], ['o', 'heaviest first, or by name'], ['f', 'callers and callees of the frame'],
		['u', 'only your code, or all'], ['1 2 3', 'flame graph, callers, functions'], ['r', 'reset'], ['Ctrl+wheel, drag', 'zoom and move freely'],
	];

	/* An element: attributes, listeners as on*, children (text is text). */
	function h(tag, props = {}, ...children) {
		const e = document.createElement(tag);

		for (const [k, v] of Object.entries(props))
			if (k.startsWith('on'))
				e.addEventListener(k.slice(2), v);
			else if (v !== false && v !== null && v !== undefined)
				e.setAttribute(k, v === true ? '' : v);
		e.append(...children.flat(Infinity).filter((c) => c !== null && c !== undefined && c !== false));
		return e;
	}

	/* As base/human.c writes durations. */
	function time(ns) {
		const steps = [[1e3, 1, 'ns'], [1e6, 1e3, '\u00b5s'], [1e9, 1e6, 'ms'], [1e12, 1e9, 's']];
		const minus = ns < 0 ? '\u2212' : '';

		ns = Math.abs(ns);
		for (const [below, unit, name] of steps)
			if (ns < below * 0.99995)
				return `${minus}${unit === 1 ? Math.round(ns) : unit === 1e9 && ns < 1e10 ? (ns / unit).toFixed(2) : (ns / unit).toFixed(1)} ${name}`;
		return `${minus}${Math.floor(ns / 60e9)} min ${Math.round(ns / 1e9) % 60} s`;
	}
	const count = (n) => String(Math.round(n)).replace(/\B(?=(\d{3})+$)/g, ',');
	function percent(part, all) {
		const p = all > 0 ? 100 * part / all : 0;

		return p === 0 || p === 100 ? `${p}%` : p < 0.01 ? '<0.01%' : p < 1 ? `${p.toFixed(2)}%` : p > 99.9 ? '>99.9%' : `${p.toFixed(1)}%`;
	}
	const signed = (n, digits) => `${n > 0 ? '+' : n < 0 ? '\u2212' : '\u00b1'}${Math.abs(n).toFixed(digits)}`;

	let n_instances = 0;

	class Flame {
		constructor(element, data, options) {
			this.element = element;
			this.options = { weight: 'time', hash: true, ...options };
			this.model = new globalThis.AscopeFlameModel(data);
			this.state = structuredClone(DEFAULTS);
			this.id = `af${++n_instances}`;
			this.history = [];
			this.#build();
			if (this.options.hash) {
				this.#from_hash();
				addEventListener('hashchange', () => location.hash.slice(1) !== this.hash && this.#from_hash());
			}
			this.#rebuild();
		}

		amount(w) {
			return this.model.has_time ? time(w) : `${count(w)} samples`;
		}

		/* ---- the frame around the graph ---- */

		#build() {
			const button = (text, title, onclick, more = {}) => h('button', { type: 'button', title, onclick, ...more }, text);
			const view = (name, text, title) => button(text, title, () => this.set({ view: name, z: [], part: 0 }), { 'data-view': name });

			this.views = [view('flame', 'Flame graph', 'stacks from their root (1)'), view('callers', 'Callers', 'what took time itself, and who called it (2)'),
				view('functions', 'Functions', 'a table, and callers and callees of one (3)')];
			this.icicle = button('', 'root below or above (i)', () => this.set({ icicle: !this.state.icicle }), { class: 'af-toggle' });
			this.order = button('', 'order of siblings (o)', () => this.set({ by_name: !this.state.by_name }), { class: 'af-toggle' });
			this.width = button('', 'whose weights the widths are', () => this.set({ by_base: !this.state.by_base }), { class: 'af-toggle' });
			this.reset = button('Reset zoom', 'the whole again (Esc)', () => this.set({ z: [], part: 0 }), { class: 'af-toggle' });
			this.search = h('input', {
				type: 'search', placeholder: 'Search \u2014 text or /regex/', 'aria-label': 'search functions and files', spellcheck: 'false', autocomplete: 'off',
				oninput: () => this.set({ q: this.search.value }, false), onkeydown: (e) => this.#search_key(e),
			});
			this.matches = h('output', { class: 'af-matches', 'aria-live': 'polite' });
			this.help_button = button('?', 'keys', () => this.#help(), { class: 'af-help-button', 'aria-label': 'keys' });
			this.bar = h('div', { class: 'af-bar', role: 'toolbar', 'aria-label': 'flame graph' }, h('div', { class: 'af-views' }, this.views), this.icicle, this.order,
				this.model.has_base && this.width, this.reset, h('div', { class: 'af-search' }, this.search, this.matches), this.help_button);
			this.current = h('div', { role: 'treeitem', id: `${this.id}-current`, 'aria-level': '1' });
			this.scroller = h('div', {
				class: 'af-scroll', tabindex: '0', role: 'tree', 'aria-label': `${this.options.weight}: frames of stacks; arrows move, Enter zooms`,
				'aria-activedescendant': `${this.id}-current`, onkeydown: (e) => this.#key(e),
			}, h('div', { class: 'af-hidden' }, this.current));
			this.table = h('div', { class: 'af-table' });
			this.empty = h('p', { class: 'af-empty' });
			this.stage = h('div', { class: 'af-stage' }, this.table, h('div', { class: 'af-graph' }, this.scroller, this.empty));
			this.status = h('div', { class: 'af-status' });
			this.legend = h('div', { class: 'af-legend', role: 'group', 'aria-label': 'kinds of frames; a press folds one away' });
			this.tip = h('div', { class: 'af-tip', role: 'tooltip', hidden: true });
			this.help = h('div', { class: 'af-help', hidden: true, role: 'dialog', 'aria-label': 'keys' },
				h('dl', {}, KEYS.map(([k, text]) => [h('dt', {}, k), h('dd', {}, text)])), button('Close', 'close (Esc)', () => this.#help(false)));
			this.root = h('section', { class: 'af' }, this.bar, this.stage, this.status, this.legend, this.help, this.tip);
			this.element.append(this.root);
			this.canvas = new globalThis.AscopeFlameCanvas(this.scroller, this.model, {
				hover: (item, e) => this.#hover(item, e), click: (item, e) => this.#click(item, e), change: () => this.#status(),
			});
			addEventListener('keydown', (e) => this.#page_key(e));
		}

		#help(show = this.help.hidden) {
			this.help.hidden = !show;
			(show ? this.help.querySelector('button') : this.scroller).focus();
		}

		/* ---- state ---- */

		/* Changes of the state; keep: a step that Back undoes. */
		set(changes, keep = true) {
			const before = this.state, s = { ...before, ...changes };

			if (JSON.stringify(before) === JSON.stringify(s))
				return;
			if (keep)
				this.history.push(before);
			this.state = s;
			this.#to_hash(keep);
			const differs = (...keys) => keys.some((k) => JSON.stringify(before[k]) !== JSON.stringify(s[k]));

			if (differs('view', 'focus', 'folded'))
				this.#rebuild();
			else
				this.#update(differs('icicle'), differs('by_name', 'by_base'), differs('z', 'part'), differs('sort'));
		}

		#to_hash(keep) {
			if (!this.options.hash)
				return;
			const s = this.state, p = new URLSearchParams();
			const put = (key, value, is_default) => is_default || p.set(key, value);

			put('view', s.view, s.view === 'flame');
			put('f', s.focus.toString(36), !s.focus);
			put('part', s.part, !s.part);
			put('z', s.z.map((f) => f.toString(36)).join('.'), !s.z.length);
			put('q', s.q, !s.q);
			put('icicle', 1, !s.icicle);
			put('by', 'name', !s.by_name);
			put('width', 'base', !s.by_base);
			put('fold', s.folded.join('.'), !s.folded.length);
			this.hash = p.toString();
			if (keep)
				location.hash = this.hash;
			else
				history.replaceState(null, '', `#${this.hash}`);
			this.hash = location.hash.slice(1);
		}

		#from_hash() {
			const p = new URLSearchParams(location.hash.slice(1));
			const frame = (text) => Math.min(Number.parseInt(text, 36) || 0, this.model.n_frames - 1);
			const view = p.get('view');

			this.hash = location.hash.slice(1);
			this.state = {
				...DEFAULTS, view: ['callers', 'functions'].includes(view) ? view : 'flame', focus: frame(p.get('f') ?? ''), part: Number(p.get('part') === '1'),
				z: (p.get('z') ?? '').split('.').filter(Boolean).map(frame), q: p.get('q') ?? '', icicle: p.has('icicle'), by_name: p.get('by') === 'name',
				by_base: this.model.has_base && p.get('width') === 'base',
				folded: (p.get('fold') ?? '').split('.').filter((k) => k in KIND_TEXT), sort: this.state.sort,
			};
			if (this.views)
				this.#rebuild();
		}

		#look() {
			return { channel: this.state.by_base ? 1 : 0, by_name: this.state.by_name, diff: this.model.has_base };
		}

		/* Everything from the model on. */
		#rebuild() {
			const m = this.model, s = this.state;

			m.fold(s.folded);
			if (s.view === 'functions') {
				this.functions = m.functions();
				if (!this.functions.some((r) => r.frame === s.focus))
					s.focus = this.functions.reduce((a, b) => (a && a.self[0] >= b.self[0] ? a : b), null)?.frame ?? 0;
				this.roots = [m.of(s.focus, true), m.of(s.focus, false)];
			} else {
				this.roots = [s.view === 'callers' ? m.callers() : m.tree()];
			}
			this.root.dataset.view = s.view;
			this.shown = false;
			this.#update(true, false, s.z.length > 0, true);
		}

		#parts() {
			const up = this.state.view === 'flame' ? !this.state.icicle : this.state.icicle;

			return this.roots.length === 2 ? [{ root: this.roots[0], up: true }, { root: this.roots[1], up: false }] : [{ root: this.roots[0], up }];
		}

		#update(parts, look, zoom, table) {
			const s = this.state, c = this.canvas;

			this.#match();
			if (parts)
				c.show(this.#parts(), this.#look());
			if (look)
				c.relook(this.#look());
			if (parts || look || zoom) {
				const part = c.parts[s.part] ?? c.parts[0], box = this.model.find(part.root, s.z);

				/* The boxes on the way have their places only when they were laid out. */
				for (let b = [], k = box; ; k = k.parent, b.unshift(k))
					if (!k.parent) {
						[k, ...b].forEach((x) => this.model.arrange(x, this.#look().channel, s.by_name));
						break;
					}
				if (box !== part.zoomed || zoom)
					c.zoom(part, box, this.shown);
			}
			this.shown = true;
			if (parts && s.view === 'functions')
				c.selected = this.roots[1];
			if (s.view === 'functions' && (table || look))
				this.#table();
			this.#controls();
			c.draw();
		}

		#match() {
			const s = this.state;

			this.search.setCustomValidity('');
			try {
				this.matched = this.model.match(s.q);
			} catch {
				this.matched = null;
				this.search.setCustomValidity('this is no regular expression');
			}
			this.canvas.matched = this.matched;
			if (this.search.value !== s.q)
				this.search.value = s.q;
			this.matches.textContent = this.#matched_text();
			this.matches.classList.toggle('af-some', !!s.q);
			if (s.view === 'functions' && this.functions && this.table_query !== s.q)
				this.#table();
		}

		#matched_text() {
			const m = this.model, s = this.state;

			if (!s.q)
				return '';
			if (!this.matched)
				return 'no regular expression';
			const w = m.matched_weight(this.matched, [0]), n = this.matched.reduce((a, b) => a + b, 0);
			let text = n ? `${percent(w[0], m.all[0])} \u00b7 ${this.amount(w[0])} in ${count(n)} function${n > 1 ? 's' : ''}` : 'nothing matches';

			if (m.has_base && n)
				text += ` \u00b7 base ${percent(w[1], m.all[1])}`;
			if (s.view === 'flame' && s.z.length && n && this.roots) {
				const box = m.find(this.roots[0], s.z);

				text += ` \u00b7 ${percent(m.matched_weight(this.matched, box.at)[0], box.weight[0])} of the zoomed`;
			}
			return text;
		}

		#controls() {
			const s = this.state, m = this.model;

			for (const b of this.views)
				b.setAttribute('aria-pressed', b.dataset.view === s.view);
			this.icicle.textContent = (s.view === 'flame') === !s.icicle ? '\u25b2 root below' : '\u25bc root above';
			this.icicle.hidden = s.view === 'functions';
			this.order.textContent = s.by_name ? 'A\u2013Z' : 'heaviest first';
			this.width.textContent = s.by_base ? 'widths: base' : 'widths: now';
			this.reset.disabled = !this.canvas.parts.some((p) => p.zoomed !== p.root || p.view[0] > 0 || p.view[1] < 1);
			this.#legend();
			const none = !(m.all[s.by_base ? 1 : 0] > 0);

			this.empty.hidden = !none;
			this.empty.textContent = `Nothing to draw: no ${this.options.weight} was recorded${s.by_base ? ' in the base' : ''}.`;
		}

		#legend() {
			const m = this.model, kinds = this.own ??= m.kinds(), s = this.state, entries = [];

			if (m.has_base) {
				const names = { now: 'now', base: 'base', ...this.options.names };

				entries.push(h('div', { class: 'af-scale' }, h('span', {}, 'gone'), h('i', { class: 'af-gradient' }), h('span', {}, 'new'),
					h('span', { class: 'af-note' }, `share in ${names.now} against ${names.base}, each of its own total`)));
			}
			for (const name of Object.keys(KIND_TEXT)) {
				const w = kinds.get(name), used = m.data.frames.kind.some((k, f) => f && (m.data.kinds[k] === name || (name === 'inlined' && m.inlined(f))));

				if (!used)
					continue;
				const off = s.folded.includes(name);

				entries.push(h('button', {
					type: 'button', class: `af-kind af-is-${name}`, 'aria-pressed': !off,
					title: `${off ? 'folded: its time counts for what called it; press to show it' : 'press to fold it into what called it'}`,
					onclick: () => this.set({ folded: off ? s.folded.filter((k) => k !== name) : [...s.folded, name], z: [], part: 0 }),
				}, h('i', {}), KIND_TEXT[name], w && w[0] > 0 && name !== 'synthetic' ? h('b', {}, percent(w[0], m.all[0])) : null));
			}
			const others = ['library', 'std', 'runtime', 'native', 'inlined'].filter((k) => entries.some((e) => e.classList.contains(`af-is-${k}`)));
			const only = others.every((k) => s.folded.includes(k));

			if (kinds.size > 1 && others.length)
				entries.push(h('button', { type: 'button', class: 'af-only', 'aria-pressed': only, title: 'folds what is not yours or the kernel\u2019s into it (u)',
					onclick: () => this.#only(only ? [] : others) }, only ? 'show all code' : 'only your code'));
			this.only = () => this.#only(only ? [] : others);
			this.legend.replaceChildren(...entries);
		}

		#only(folded) {
			this.set({ folded, z: [], part: 0 });
		}

		/* ---- what a box says ---- */

		#where(box) {
			const m = this.model, f = box.frame, lines = m.lines(box), file = m.file(f);

			return { file: file ? `${file}${lines ? `:${lines}` : ''}` : '', module: m.module(f), kind: KIND_TEXT[m.kind(f)], inlined: m.inlined(f) };
		}

		/* Rows [what, amount, of what]. */
		#figures(box) {
			const m = this.model, w = box.weight, own = m.self_of(box), rows = [];
			const zoomed = this.canvas.parts.find((p) => p.zoomed !== p.root)?.zoomed;

			rows.push(['total', this.amount(w[0]), `${percent(w[0], m.all[0])} of all`]);
			if (box.parent?.parent)
				rows.push(['', '', `${percent(w[0], box.parent.weight[0])} of ${box.up ? 'what it called' : 'its caller'}`]);
			if (zoomed && zoomed !== box && zoomed.weight[0] >= w[0] && box.level > zoomed.level)
				rows.push(['', '', `${percent(w[0], zoomed.weight[0])} of the zoomed`]);
			if (!box.up && own[0] && own[0] !== w[0])
				rows.push(['own', this.amount(own[0]), `${percent(own[0], m.all[0])} of all`]);
			if (m.has_samples && m.has_time)
				rows.push(['samples', count(w[2]), '']);
			if (m.has_base) {
				const a = 100 * w[0] / (m.all[0] || 1), b = 100 * w[1] / (m.all[1] || 1);

				rows.push(['base', this.amount(w[1]), `${percent(w[1], m.all[1])} of all`]);
				rows.push(['change', `${signed(a - b, Math.abs(a - b) < 1 ? 2 : 1)} points`, !b ? (a ? 'new' : '') : !a ? 'gone' : `\u00d7${(a / b).toFixed(2)}`]);
			}
			return rows;
		}

		#tip_of(item) {
			const m = this.model;

			if (item.thin) {
				const w = item.thin.reduce((sum, b) => sum + b.weight[0], 0);

				return [h('strong', {}, `${count(item.thin.length)} frame${item.thin.length > 1 ? 's' : ''} too narrow to draw`),
					h('p', {}, `${this.amount(w)} together, ${percent(w, m.all[0])} of all. Zoom in to see them.`)];
			}
			const box = item.box, at = this.#where(box);

			if (!box.frame)
				return [h('strong', {}, 'all'), h('p', {}, `${this.amount(box.weight[0])} of ${this.options.weight}`)];
			return [h('strong', {}, m.name(box.frame)),
				h('p', {}, h('span', { class: `af-dot af-is-${m.kind(box.frame)}` }, h('i', {})), `${at.kind}${at.inlined ? ', inlined' : ''}`),
				at.file ? h('p', { class: 'af-file' }, at.file) : null, at.module ? h('p', { class: 'af-file' }, at.module) : null,
				h('table', {}, this.#figures(box).map((r) => h('tr', {}, h('th', {}, r[0]), h('td', {}, r[1]), h('td', {}, r[2]))))].filter(Boolean);
		}

		#hover(item, e) {
			if (!item || this.canvas.grabbed?.moved) {
				this.tip.hidden = true;
				this.#status();
				return;
			}
			if (this.tipped !== item || this.tip.hidden)
				this.tip.replaceChildren(...this.#tip_of(item));
			this.tipped = item;
			this.tip.hidden = false;
			const r = this.tip.getBoundingClientRect(), x = e.clientX + 14, y = e.clientY + 18;

			this.tip.style.left = `${Math.max(4, Math.min(x, innerWidth - r.width - 8))}px`;
			this.tip.style.top = `${y + r.height > innerHeight - 4 ? Math.max(4, e.clientY - r.height - 10) : y}px`;
			this.#status(item);
		}

		/* The line below the graph: the frame under the pointer, else the selected, else the zoomed, else the whole. */
		#status(item) {
			const c = this.canvas, m = this.model;

			if (!c?.parts.length)
				return;
			const zoomed = c.parts.find((p) => p.zoomed !== p.root)?.zoomed, box = (item && !item.thin && item.box) || c.selected || zoomed || this.roots[0];

			if (this.status_of === box)
				return;
			this.status_of = box;
			const at = this.#where(box);
			const button = (text, title, onclick) => h('button', { type: 'button', title, onclick }, text);

			this.status.replaceChildren(
				h('span', { class: 'af-name' }, box.frame ? m.path(box.frame) : 'all'),
				h('span', { class: 'af-amount' }, `${this.amount(box.weight[0])} \u00b7 ${percent(box.weight[0], m.all[0])}`),
				at.file ? h('span', { class: 'af-file' }, at.file) : '',
				box.frame && this.state.view !== 'functions' ? button('callers and callees', 'of this function (f)', () => this.#focus(box.frame)) : '',
				box.frame ? button('copy name', 'to the clipboard', () => navigator.clipboard?.writeText(m.name(box.frame)).catch(() => {})) : '');
		}

		/* ---- the table ---- */

		#table() {
			const m = this.model, s = this.state, MAX = 500;
			const keys = { self: (r) => r.self[0], total: (r) => r.total[0], change: (r) => Math.abs(this.#points(r)) };
			const rows = this.functions.filter((r) => m.kind(r.frame) !== 'synthetic' && (!this.matched || this.matched[r.frame]));
			const key = keys[s.sort] ?? keys.self;

			this.table_query = s.q;
			rows.sort((a, b) => key(b) - key(a) || b.total[0] - a.total[0] || (m.name(a.frame) < m.name(b.frame) ? -1 : 1));
			const head = (name, text) => h('th', { 'aria-sort': s.sort === name ? 'descending' : 'none' },
				h('button', { type: 'button', onclick: () => this.set({ sort: name }, false) }, text));
			const most = Math.max(1, ...rows.map((r) => r.self[0])), all = Math.max(1, m.all[0]);
			const cell = (w, of) => {
				const bar = h('i', {});

				bar.style.width = `${(100 * w / of).toFixed(2)}%`;
				return h('td', { class: 'af-number' }, this.amount(w), h('span', {}, percent(w, m.all[0])), bar);
			};
			const body = rows.slice(0, MAX).map((r) => h('tr', {
				tabindex: '-1', 'data-frame': r.frame, 'aria-selected': r.frame === s.focus, onclick: () => this.#focus(r.frame),
			}, cell(r.self[0], most), cell(r.total[0], all), m.has_base && h('td', { class: 'af-number' }, signed(this.#points(r), 2)),
			h('td', { class: `af-dot af-is-${m.kind(r.frame)}`, title: m.name(r.frame) }, h('i', {}), m.path(r.frame))));

			this.table.replaceChildren(h('table', { 'aria-label': 'functions', tabindex: '0', onkeydown: (e) => this.#table_key(e) },
				h('thead', {}, h('tr', {}, head('self', 'own'), head('total', 'total'), m.has_base && head('change', 'points'), h('th', {}, 'function'))),
				h('tbody', {}, body)),
			rows.length > MAX ? h('p', {}, `and ${count(rows.length - MAX)} more: search for them`) : '', rows.length ? '' : h('p', {}, 'nothing matches'));
			this.table.querySelector('[aria-selected=true]')?.scrollIntoView({ block: 'nearest' });
		}

		#points(row) {
			return 100 * (row.self[0] / (this.model.all[0] || 1) - row.self[1] / (this.model.all[1] || 1));
		}

		#table_key(e) {
			const step = { ArrowDown: 1, ArrowUp: -1 }[e.key];

			if (!step)
				return;
			const rows = [...this.table.querySelectorAll('tbody tr')], i = rows.findIndex((r) => r.getAttribute('aria-selected') === 'true');
			const next = rows[Math.max(0, Math.min(rows.length - 1, i + step))];

			e.preventDefault();
			e.stopPropagation();
			if (next) {
				this.#focus(Number(next.dataset.frame), false);
				this.table.querySelector('table').focus();
			}
		}

		#focus(frame, keep = true) {
			this.set({ view: 'functions', focus: frame, z: [], part: 0 }, keep);
		}

		/* ---- mouse and keys ---- */

		#click(item, e) {
			this.tip.hidden = true;
			if (!item)
				return;
			if (item.thin) {
				this.#zoom(item.part, item.box);
				return;
			}
			if (e.altKey || e.shiftKey) {
				this.#focus(item.box.frame);
				return;
			}
			this.#select(item);
			this.#zoom(item.part, item.box);
		}

		#zoom(part, box) {
			/* What is zoomed already and was moved since comes back. */
			if (part.zoomed === box)
				this.canvas.zoom(part, box);
			this.set({ z: this.model.frames_to(box), part: this.canvas.parts.indexOf(part) });
		}

		#select(item) {
			const box = item.box, m = this.model, at = this.#where(box);

			this.canvas.selected = box;
			this.current.setAttribute('aria-level', box.level + 1);
			this.current.setAttribute('aria-selected', 'true');
			this.current.textContent = box.frame ? [m.name(box.frame), at.kind, at.inlined ? 'inlined' : '', at.file,
				...this.#figures(box).map((r) => r.filter(Boolean).join(' '))].filter(Boolean).join(', ') : `all, ${this.amount(box.weight[0])}`;
			this.canvas.reveal(item);
			this.canvas.draw();
			this.#status();
		}

		#selected() {
			const c = this.canvas;

			return (c.selected && c.item_of(c.selected)) || c.item_of(c.parts[0].zoomed) || c.items[0];
		}

		#move(rows, columns) {
			const c = this.canvas, from = this.#selected();

			if (!c.selected && from) {
				this.#select(from);
				return;
			}
			if (!from)
				return;
			if (columns) {
				const row = c.rows[from.row].filter((i) => !i.thin), next = row[row.indexOf(from) + columns];

				if (next)
					this.#select(next);
				return;
			}
			const shared = (i) => Math.min(i.x1, from.x1) - Math.max(i.x0, from.x0);
			const near = (c.rows[from.row + rows] ?? []).filter((i) => !i.thin && shared(i) > 0);

			if (near.length)
				this.#select(near.reduce((a, b) => (shared(b) > shared(a) ? b : a)));
		}

		#next_match(step) {
			const c = this.canvas, found = c.items.filter((i) => !i.thin && this.matched?.[i.box.frame]);

			if (!found.length)
				return;
			found.sort((a, b) => a.x0 - b.x0 || a.level - b.level);
			const at = found.findIndex((i) => i.box === c.selected);

			this.#select(found[at < 0 ? (step > 0 ? 0 : found.length - 1) : (at + step + found.length) % found.length]);
		}

		#back() {
			const before = this.history.pop();

			if (!before)
				return;
			const s = { ...before };

			this.set(s, false);
		}

		#key(e) {
			if (e.altKey || e.metaKey || e.ctrlKey)
				return;
			const moves = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[e.key];
			const item = () => this.#selected();
			const act = moves ? () => this.#move(...moves) : {
				Enter: () => item() && this.#zoom(item().part, item().box), ' ': () => item() && this.#zoom(item().part, item().box),
				Home: () => this.#select(this.canvas.item_of(this.roots.at(-1)) ?? this.canvas.items[0]), Backspace: () => this.#back(),
				n: () => this.#next_match(1), N: () => this.#next_match(-1), f: () => item()?.box.frame && this.#focus(item().box.frame),
			}[e.key];

			if (act) {
				e.preventDefault();
				act();
			}
		}

		/* Keys that count wherever the focus is, but not in another field, nor of several graphs on a page but in the one in use. */
		#page_key(e) {
			const typing = e.target instanceof Element && e.target.matches('input, textarea, select');
			const inside = this.root.contains(e.target) || this.options.hash;

			if (e.key === 'Escape' && !this.help.hidden) {
				this.#help(false);
				return;
			}
			if (!inside || e.altKey)
				return;
			if ((e.key === '/' && !typing && !e.ctrlKey) || (e.key.toLowerCase() === 'f' && (e.ctrlKey || e.metaKey) && e.target !== this.search)) {
				e.preventDefault();
				this.search.focus();
				this.search.select();
				return;
			}
			if (typing || e.ctrlKey || e.metaKey)
				return;
			const act = {
				i: () => this.set({ icicle: !this.state.icicle }), o: () => this.set({ by_name: !this.state.by_name }),
				1: () => this.views[0].click(), 2: () => this.views[1].click(), 3: () => this.views[2].click(),
				r: () => this.set({ ...DEFAULTS }), u: () => this.only(), '?': () => this.#help(), Escape: () => this.#escape(),
			}[e.key];

			if (act)
				act();
		}

		#escape() {
			this.tip.hidden = true;
			this.canvas.selected = null;
			if (this.state.z.length || !this.reset.disabled) {
				this.canvas.zoom(this.canvas.parts[0], this.canvas.parts[0].root);
				this.set({ z: [], part: 0 });
			} else if (this.state.q) {
				this.set({ q: '' }, false);
			}
			this.canvas.draw();
			this.#controls();
		}

		#search_key(e) {
			if (e.key === 'Escape') {
				e.stopPropagation();
				if (this.state.q)
					this.set({ q: '' }, false);
				else
					this.scroller.focus();
			} else if (e.key === 'Enter') {
				this.#next_match(e.shiftKey ? -1 : 1);
			} else if (e.key === 'ArrowDown') {
				this.scroller.focus();
			}
		}

		/* Where the widest box whose name has this text is on the page: {x, y, width, height, name, weight}; null: it is not drawn. */
		find(text) {
			const found = this.canvas.items.filter((i) => !i.thin && this.model.name(i.box.frame).includes(text));

			if (!found.length)
				return null;
			const item = found.reduce((a, b) => (b.x1 - b.x0 > a.x1 - a.x0 ? b : a));

			this.canvas.reveal(item);
			return { ...this.canvas.rect_of(item), name: this.model.name(item.box.frame), weight: item.box.weight };
		}
	}

	return (element, data, options = {}) => (element.flame = new Flame(element, data, options));
})();
