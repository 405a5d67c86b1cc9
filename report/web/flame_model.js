/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * flame_model.js: the tree of report/flame_data.h and what can be asked of it: the tree from the root, callers of what took time, callers and callees
 * of one function, a table of functions, and how much a search matches. No DOM.
 *
 *	const model = new AscopeFlameModel(data);
 *
 * Boxes are what a view draws: merged nodes of the tree. Their children are made when they are asked for, so a tree of any size costs only what is
 * looked at. A weight is [ns, base ns, samples, base samples]. Kinds of frames may be folded: they are taken out, and their weight stays with the frame
 * above them, so that every sum is the same as before.
 *
 * Invariant: the weights of a box are its own (self) and those of its children; the root's are the profile's totals.
 */
'use strict';

globalThis.AscopeFlameModel = (() => {
	const CHANNELS = ['self_ns', 'base_ns', 'self_samples', 'base_samples'];

	class Box {
		constructor(frame, parent, up) {
			this.frame = frame;
			this.parent = parent;
			this.level = parent ? parent.level + 1 : 0;
			this.up = up; /* its children are callers */
			this.at = []; /* nodes of the tree that it is made of */
			this.from = up ? [] : null; /* callers: the nodes whose weight it is */
			this.weight = [0, 0, 0, 0];
			this.self = null; /* known with the children */
			this.kids = null;
			this.x0 = 0; /* where it lies, of 0..1 */
			this.x1 = 1;
			this.arranged = null; /* what for */
		}
	}

	class Model {
		constructor(data) {
			const nodes = data.nodes, n = nodes.frame.length;

			this.data = data;
			this.n = n;
			this.frame = Uint32Array.from(nodes.frame);
			this.depth = Uint32Array.from(nodes.depth);
			this.parent = new Int32Array(n);
			this.end = new Int32Array(n); /* the first node behind its subtree */
			this.has_base = !!data.base;
			this.self = CHANNELS.map((c) => Float64Array.from(nodes[c] ?? new Float64Array(n)));
			/* Samples without a period have no time: then they are what is weighed. */
			this.has_time = data.total_ns > 0 || !data.samples;
			if (!this.has_time) {
				this.self[0] = this.self[2];
				this.self[1] = this.self[3];
			}
			this.total = this.self.map((c) => c.slice());
			this.#link();
			this.all = this.total.map((c) => c[0] ?? 0);
			this.has_samples = this.all[2] + this.all[3] > 0;
			/* The base's weights are compared as shares. */
			this.scale = this.all[0] && this.all[1] ? this.all[0] / this.all[1] : 1;
			this.n_frames = data.frames.name.length;
			this.folded = new Set();
			this.frame_folded = new Uint8Array(this.n_frames);
		}

		#link() {
			const path = [];

			for (let i = 0; i < this.n; i++) {
				path[this.depth[i]] = i;
				this.parent[i] = this.depth[i] ? path[this.depth[i] - 1] : -1;
				this.end[i] = i + 1;
			}
			for (let i = this.n - 1; i > 0; i--) {
				const p = this.parent[i];

				if (this.end[i] > this.end[p])
					this.end[p] = this.end[i];
				for (const c of this.total)
					c[p] += c[i];
			}
		}

		/* ---- frames ---- */

		#text(column, frame) {
			return this.data.strings[this.data.frames[column][frame]];
		}
		name(frame) {
			return this.#text('name', frame) || '[no name]';
		}
		path(frame) {
			return this.#text('path', frame) || this.name(frame);
		}
		short(frame) {
			return this.#text('short', frame) || this.name(frame);
		}
		file(frame) {
			return this.#text('file', frame);
		}
		module(frame) {
			return this.#text('module', frame);
		}
		kind(frame) {
			return this.data.kinds[this.data.frames.kind[frame]];
		}
		inlined(frame) {
			return !!this.data.frames.inlined[frame];
		}

		/* "120", "120-148", "" of the nodes that a box is made of. */
		lines(box) {
			let lo = Infinity, hi = 0;

			for (const i of box.at) {
				const line = this.data.nodes.line[i];

				if (line) {
					lo = Math.min(lo, line);
					hi = Math.max(hi, line + this.data.nodes.lines[i]);
				}
			}
			return hi ? (lo === hi ? `${lo}` : `${lo}\u2013${hi}`) : '';
		}

		/* What is folded: names of kinds, and "inlined". Boxes made before are void. */
		fold(names) {
			this.folded = new Set(names);
			for (let f = 1; f < this.n_frames; f++)
				this.frame_folded[f] = this.folded.has(this.kind(f)) || (this.folded.has('inlined') && this.inlined(f));
		}

		/* ---- boxes ---- */

		#add(box, i, from, weights) {
			box.at.push(i);
			if (box.up)
				box.from.push(from);
			for (let c = 0; c < 4; c++)
				box.weight[c] += weights[c][from];
		}

		/* The tree from its root. */
		tree() {
			const root = new Box(0, null, false);

			if (this.n)
				this.#add(root, 0, 0, this.total);
			return root;
		}

		/* The functions that took time themselves; their children are their callers. */
		callers() {
			const root = new Box(0, null, true), groups = new Map();

			root.self = [0, 0, 0, 0];
			root.weights = this.self;
			for (let i = 0; i < this.n; i++) {
				if (!this.self.some((c) => c[i]))
					continue;
				const at = this.#visible(i);

				for (let c = 0; c < 4; c++) {
					root.weight[c] += this.self[c][i];
					if (at <= 0)
						root.self[c] += this.self[c][i];
				}
				if (at > 0)
					this.#add(this.#group(groups, this.frame[at], root), at, i, this.self);
			}
			root.kids = [...groups.values()];
			return root;
		}

		/* One function in all its places: its callees, or its callers (up). Calls of itself are inside of it. */
		of(frame, up) {
			const root = new Box(frame, null, up);

			root.weights = this.total;
			for (let i = 0; i < this.n;) {
				if (this.frame[i] !== frame) {
					i++;
					continue;
				}
				this.#add(root, i, i, this.total);
				i = this.end[i];
			}
			return root;
		}

		/* The node itself, or the nearest above it that is not folded; 0: the root. */
		#visible(i) {
			while (i > 0 && this.frame_folded[this.frame[i]])
				i = this.parent[i];
			return i;
		}

		#group(groups, frame, parent) {
			let box = groups.get(frame);

			if (!box) {
				box = new Box(frame, parent, parent.up);
				box.weights = parent.weights;
				groups.set(frame, box);
			}
			return box;
		}

		#kids_down(box, groups) {
			const take = (i) => {
				for (let c = 0; c < 4; c++)
					box.self[c] += this.self[c][i];
				for (let k = i + 1; k < this.end[i]; k = this.end[k])
					if (this.frame_folded[this.frame[k]])
						take(k);
					else
						this.#add(this.#group(groups, this.frame[k], box), k, k, this.total);
			};

			box.at.forEach(take);
		}

		#kids_up(box, groups) {
			for (let k = 0; k < box.at.length; k++) {
				const at = this.#visible(this.parent[box.at[k]]), from = box.from[k];

				if (at > 0)
					this.#add(this.#group(groups, this.frame[at], box), at, from, box.weights);
				else
					for (let c = 0; c < 4; c++)
						box.self[c] += box.weights[c][from];
			}
		}

		kids(box) {
			if (!box.kids) {
				const groups = new Map();

				box.self = [0, 0, 0, 0];
				if (box.up)
					this.#kids_up(box, groups);
				else
					this.#kids_down(box, groups);
				box.kids = [...groups.values()];
			}
			return box.kids;
		}

		/* What is spent in the box and in none of its children. */
		self_of(box) {
			this.kids(box);
			return box.self;
		}

		/* The width of a box: channel 0 or 1. */
		width(box, channel) {
			return box.weight[channel];
		}

		/* Gives the children their order and their place: channel 0 or 1 is drawn, the heaviest first, or by name. */
		arrange(box, channel, by_name) {
			const kids = this.kids(box), what = `${channel}${by_name}`;

			if (box.arranged === what && box.laid0 === box.x0 && box.laid1 === box.x1)
				return kids;
			if (box.arranged !== what) {
				const name = (a, b) => {
					const p = this.path(a.frame), q = this.path(b.frame);

					return p < q ? -1 : p > q ? 1 : a.frame - b.frame;
				};

				kids.sort(by_name ? name : (a, b) => b.weight[channel] - a.weight[channel] || name(a, b));
			}
			let x = box.x0;
			const per = box.weight[channel] ? (box.x1 - box.x0) / box.weight[channel] : 0;

			for (const k of kids) {
				k.x0 = x;
				x += k.weight[channel] * per;
				k.x1 = x;
			}
			box.arranged = what;
			box.laid0 = box.x0;
			box.laid1 = box.x1;
			return kids;
		}

		/* The box that a path of frames leads to, as far as it goes. */
		find(root, frames) {
			let box = root;

			for (const f of frames) {
				const next = this.kids(box).find((k) => k.frame === f);

				if (!next)
					break;
				box = next;
			}
			return box;
		}

		frames_to(box) {
			const frames = [];

			for (; box.parent; box = box.parent)
				frames.unshift(box.frame);
			return frames;
		}

		/* ---- search ---- */

		/* One byte a frame: does it match? null: no search. Text in slashes is a regular expression; throws when it is none. */
		match(query) {
			if (!query)
				return null;
			const regexp = /^\/(.+)\/(i?)$/.exec(query), matched = new Uint8Array(this.n_frames);
			const lower = query.toLowerCase();
			const fits = regexp ? ((r) => (s) => r.test(s))(new RegExp(regexp[1], regexp[2])) : (s) => s.toLowerCase().includes(lower);

			for (let f = 1; f < this.n_frames; f++)
				matched[f] = !this.frame_folded[f] && (fits(this.name(f)) || fits(this.file(f))) ? 1 : 0;
			return matched;
		}

		/* The weight of what matches and all inside of it, each once, within these nodes. */
		matched_weight(matched, nodes) {
			const weight = [0, 0, 0, 0];

			for (const root of nodes) {
				for (let i = root; i < this.end[root];) {
					if (!matched[this.frame[i]]) {
						i++;
						continue;
					}
					for (let c = 0; c < 4; c++)
						weight[c] += this.total[c][i];
					i = this.end[i];
				}
			}
			return weight;
		}

		/* ---- functions ---- */

		/* [{frame, self, total}], those that are not folded. A function that calls itself counts once. */
		functions() {
			const rows = new Map(), open = new Uint32Array(this.n_frames), path = [];
			const row = (frame) => {
				let r = rows.get(frame);

				if (!r)
					rows.set(frame, r = { frame, self: [0, 0, 0, 0], total: [0, 0, 0, 0] });
				return r;
			};

			for (let i = 1; i < this.n; i++) {
				while (path.length >= this.depth[i])
					open[path.pop()]--;
				const f = this.frame[i];

				if (!this.frame_folded[f] && !open[f])
					for (let c = 0; c < 4; c++)
						row(f).total[c] += this.total[c][i];
				path.push(f);
				open[f]++;
				const at = this.#visible(i);

				if (at > 0 && this.self.some((c) => c[i]))
					for (let c = 0; c < 4; c++)
						row(this.frame[at]).self[c] += this.self[c][i];
			}
			return [...rows.values()];
		}

		/* Own weight of each kind, whatever is folded: Map name -> weight; "inlined" beside them. */
		kinds() {
			const kinds = new Map();
			const add = (name, i) => {
				if (!kinds.has(name))
					kinds.set(name, [0, 0, 0, 0]);
				for (let c = 0; c < 4; c++)
					kinds.get(name)[c] += this.self[c][i];
			};

			for (let i = 1; i < this.n; i++) {
				add(this.kind(this.frame[i]), i);
				if (this.inlined(this.frame[i]))
					add('inlined', i);
			}
			return kinds;
		}
	}

	return Model;
})();
