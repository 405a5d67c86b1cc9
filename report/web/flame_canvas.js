/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * flame_canvas.js: draws boxes of flame_model.js into a canvas that scrolls, and says which box is where. Knows nothing of tool bars and keys.
 *
 * The canvas has the size of what is seen, however deep the stacks are; a box narrower than MIN pixels is not drawn alone, but a run of such is, so that
 * no time is out of sight. So the work goes with pixels, not with nodes.
 */
'use strict';

globalThis.AscopeFlameCanvas = (() => {
	const ROW = 19, MIN = 0.6, PAD = 4, TWEEN_MS = 180;
	const ease = (t) => 1 - (1 - t) ** 3;

	/* FNV-1a over UTF-16: the same name has the same shade everywhere. */
	function hash(text) {
		let h = 0x811c9dc5;

		for (let i = 0; i < text.length; i++)
			h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
		return (h ^ (h >>> 15)) >>> 0;
	}

	class Theme {
		constructor(element) {
			const style = getComputedStyle(element), value = (name) => style.getPropertyValue(`--af-${name}`).trim();

			this.hsl = (name) => (value(name).match(/[\d.]+/g) ?? [0, 0, 50]).map(Number);
			this.value = value;
			this.font = `12px ${style.fontFamily}`;
			this.is_dark = value('theme') === 'dark';
			this.kinds = new Map();
			this.fills = new Map();
			this.widths = new Map();
		}

		kind(name) {
			if (!this.kinds.has(name))
				this.kinds.set(name, this.hsl(name));
			return this.kinds.get(name);
		}
	}

	return class Canvas {
		/* on: {hover(item, event), click(item, event), change()}; an item is a box, where it is drawn. */
		constructor(scroller, model, on) {
			this.scroller = scroller;
			this.model = model;
			this.on = on;
			this.canvas = document.createElement('canvas');
			this.canvas.setAttribute('aria-hidden', 'true');
			this.spacer = document.createElement('div');
			this.spacer.className = 'af-spacer';
			this.spacer.append(this.canvas);
			scroller.append(this.spacer);
			this.parts = [];
			this.items = [];
			this.rows = [];
			this.n_rows = 1;
			this.look = { channel: 0, by_name: false, diff: false };
			this.matched = null;
			this.hovered = null;
			this.selected = null;
			this.theme = new Theme(scroller);
			this.#listen();
		}

		#listen() {
			this.scroller.addEventListener('scroll', () => { this.#note_bottom(); this.draw(); }, { passive: true });
			new ResizeObserver(() => this.#resized()).observe(this.scroller);
			for (const query of ['(prefers-color-scheme: dark)', `(resolution: ${devicePixelRatio}dppx)`])
				matchMedia(query).addEventListener('change', () => this.restyle());
			addEventListener('beforeprint', () => { this.scroller.closest('.af').classList.add('af-print'); this.restyle(); });
			addEventListener('afterprint', () => { this.scroller.closest('.af').classList.remove('af-print'); this.restyle(); });
			this.canvas.addEventListener('mousemove', (e) => this.#drag(e) || this.hover(this.hit(e), e));
			this.canvas.addEventListener('mouseleave', (e) => this.hover(null, e));
			this.canvas.addEventListener('mousedown', (e) => { this.grabbed = { x: e.clientX, moved: false, part: this.hit(e)?.part }; });
			addEventListener('mouseup', () => setTimeout(() => { this.grabbed = null; }));
			this.canvas.addEventListener('click', (e) => this.grabbed?.moved || this.on.click(this.hit(e), e));
			this.canvas.addEventListener('wheel', (e) => this.#wheel(e), { passive: false });
		}

		#resized() {
			this.layout();
			if (this.parts.length === 2 && this.parts.every((p) => p.zoomed === p.root))
				this.#to_root();
		}

		restyle() {
			this.theme = new Theme(this.scroller);
			this.layout();
		}

		/* parts: [{root, up}]: a tree, and whether it grows upwards. Of two the first grows up from the second's root. */
		show(parts, look) {
			this.parts = parts.map((p) => ({ ...p, view: [0, 1], zoomed: p.root }));
			this.look = look;
			this.hovered = this.selected = null;
			this.full_rows = 0;
			this.layout();
			this.full_rows = this.n_rows;
			this.#to_root();
		}

		/* How far the lowest row is out of sight; what grows upwards keeps its place from there. */
		#note_bottom() {
			this.below = this.scroller.scrollHeight - this.scroller.clientHeight - this.scroller.scrollTop;
		}

		#to_root() {
			this.below = 0;
			if (this.parts.length === 1 && this.parts[0].up)
				this.scroller.scrollTop = this.scroller.scrollHeight;
			else if (this.parts.length === 1)
				this.scroller.scrollTop = 0;
			else
				this.scroller.scrollTop = this.base * ROW - this.scroller.clientHeight / 2;
		}

		/* The boxes of a part are given their places anew, for the look has changed. */
		relook(look) {
			this.look = look;
			this.layout();
		}

		/* ---- where everything is ---- */

		#place(part, box, level) {
			const [v0, v1] = part.view, scale = this.w / (v1 - v0);
			const x0 = (box.x0 - v0) * scale, x1 = (box.x1 - v0) * scale;

			part.depth = Math.max(part.depth, level);
			part.items.push({ part, box, level, x0: Math.max(x0, 0), x1: Math.min(x1, this.w), whole: box.level < part.zoomed.level });
			let thin = null;

			for (const kid of this.model.arrange(box, this.look.channel, this.look.by_name)) {
				const k0 = (kid.x0 - v0) * scale, k1 = (kid.x1 - v0) * scale;

				if (k1 <= 0 || k0 >= this.w || k1 <= k0)
					continue;
				if (k1 - k0 >= MIN) {
					thin = null;
					this.#place(part, kid, level + 1);
				} else if (thin && k0 - thin.x1 < MIN) {
					thin.x1 = k1;
					thin.thin.push(kid);
				} else {
					thin = { part, box, thin: [kid], level: level + 1, x0: k0, x1: k1 };
					part.items.push(thin);
					part.depth = Math.max(part.depth, level + 1);
				}
			}
		}

		#lay(part) {
			part.items = [];
			part.depth = 0;
			if (this.model.width(part.root, this.look.channel) > 0)
				this.#place(part, part.root, 0);
		}

		layout() {
			const scroller = this.scroller, below = this.below;

			this.w = Math.max(1, scroller.clientWidth);
			this.parts.forEach((p) => this.#lay(p));
			const [first, second] = this.parts;

			if (!first)
				return;
			const depth = first.depth + (second ? second.depth : 0);

			this.n_rows = Math.max(depth + 1, second ? 0 : this.full_rows ?? 0);
			this.base = second ? first.depth : first.up ? this.n_rows - 1 : 0;
			this.items = [];
			this.rows = Array.from({ length: this.n_rows }, () => []);
			for (const part of this.parts)
				for (const item of part.items) {
					if (second && part === first && !item.level && !item.thin)
						continue;
					item.row = part.up ? this.base - item.level : this.base + item.level;
					this.items.push(item);
					this.rows[item.row].push(item);
				}
			this.spacer.style.height = `${this.n_rows * ROW + 1}px`;
			scroller.style.setProperty('--af-rows', `${this.n_rows * ROW + 1}px`);
			if (first.up && !second)
				scroller.scrollTop = scroller.scrollHeight - scroller.clientHeight - below;
			this.draw();
			this.on.change();
		}

		/* The item under the pointer, or null. */
		hit(e) {
			const r = this.canvas.getBoundingClientRect();

			return this.item_at(e.clientX - r.left, e.clientY - r.top + this.scroller.scrollTop);
		}

		item_at(x, y) {
			const row = this.rows[Math.floor(y / ROW)] ?? [];
			let lo = 0, hi = row.length;

			while (lo < hi) {
				const mid = (lo + hi) >> 1;

				if (row[mid].x1 <= x)
					lo = mid + 1;
				else
					hi = mid;
			}
			return row[lo] && row[lo].x0 <= x ? row[lo] : null;
		}

		item_of(box) {
			return this.items.find((i) => i.box === box && !i.thin) ?? null;
		}

		/* Where an item is on the page, as far as it is in view. */
		rect_of(item) {
			const r = this.canvas.getBoundingClientRect();

			return { x: r.left + item.x0, y: r.top + item.row * ROW - this.scroller.scrollTop, width: item.x1 - item.x0, height: ROW };
		}

		reveal(item) {
			const y = item.row * ROW, s = this.scroller;

			if (y < s.scrollTop)
				s.scrollTop = y - ROW;
			else if (y + ROW > s.scrollTop + s.clientHeight)
				s.scrollTop = y + 2 * ROW - s.clientHeight;
		}

		/* ---- zoom ---- */

		zoom(part, box, animate = true) {
			for (const p of this.parts) {
				p.zoomed = p === part ? box : p.root;
				p.from = p.view.slice();
				p.to = p === part ? [box.x0, box.x1] : [0, 1];
			}
			cancelAnimationFrame(this.tween);
			if (!animate || matchMedia('(prefers-reduced-motion: reduce)').matches) {
				this.parts.forEach((p) => { p.view = p.to; });
				this.layout();
				this.#make_room(part);
				return;
			}
			const begun = performance.now();
			const step = (now) => {
				const t = Math.min(1, Math.max(0, (now - begun) / TWEEN_MS)), k = ease(t);

				for (const p of this.parts)
					p.view = t < 1 ? [0, 1].map((i) => p.from[i] + (p.to[i] - p.from[i]) * k) : p.to;
				this.layout();
				if (t < 1)
					this.tween = requestAnimationFrame(step);
				else
					this.#make_room(part);
			};

			this.tween = requestAnimationFrame(step);
		}

		/* What stands on the zoomed box shall be seen: up to 3/4 of the height. */
		#make_room(part) {
			const item = this.item_of(part.zoomed), s = this.scroller;

			if (!item || part.zoomed === part.root)
				return;
			const room = Math.min((part.depth - item.level) * ROW, s.clientHeight * 0.75), y = item.row * ROW;
			const to = part.up ? Math.min(s.scrollTop, y - room) : Math.max(s.scrollTop, y + ROW + room - s.clientHeight);

			if (Math.abs(to - s.scrollTop) > 1)
				s.scrollTo({ top: to, behavior: matchMedia('(prefers-reduced-motion: reduce)').matches ? 'instant' : 'smooth' });
		}

		#wheel(e) {
			const item = this.hit(e), part = item?.part ?? this.parts[0];

			if (!part || !(e.ctrlKey || e.metaKey || Math.abs(e.deltaX) > Math.abs(e.deltaY)))
				return;
			e.preventDefault();
			const [v0, v1] = part.view, size = v1 - v0;
			const x = v0 + size * (e.clientX - this.canvas.getBoundingClientRect().left) / this.w;

			if (e.ctrlKey || e.metaKey) {
				const k = Math.exp(Math.max(-60, Math.min(60, e.deltaY)) * 0.006);

				this.#look_at(part, x - (x - v0) * k, x + (v1 - x) * k);
			} else {
				this.#look_at(part, v0 + size * e.deltaX / this.w, v1 + size * e.deltaX / this.w);
			}
		}

		#drag(e) {
			const g = this.grabbed;

			if (!g || !g.part || !(e.buttons & 1) || (!g.moved && Math.abs(e.clientX - g.x) < 4))
				return false;
			const [v0, v1] = g.part.view, by = (g.x - e.clientX) / this.w * (v1 - v0);

			g.moved = true;
			g.x = e.clientX;
			this.#look_at(g.part, v0 + by, v1 + by);
			this.hover(null, e);
			return true;
		}

		#look_at(part, v0, v1) {
			const size = Math.min(1, Math.max(1e-9, v1 - v0));

			v0 = Math.min(1 - size, Math.max(0, v0));
			cancelAnimationFrame(this.tween);
			part.view = part.to = [v0, v0 + size];
			this.layout();
		}

		/* ---- drawing ---- */

		hover(item, event) {
			if (item?.box !== this.hovered?.box || !!item?.thin !== !!this.hovered?.thin) {
				this.hovered = item;
				this.draw();
			}
			this.on.hover(item, event);
		}

		draw() {
			cancelAnimationFrame(this.pending);
			this.pending = requestAnimationFrame(() => this.#draw());
		}

		#fill(box) {
			const t = this.theme, key = this.look.diff ? box : box.frame;
			let fill = t.fills.get(key);

			if (!fill)
				t.fills.set(key, fill = this.look.diff ? this.diff_fill(box) : this.kind_fill(box.frame));
			return fill;
		}

		kind_fill(frame) {
			const m = this.model, t = this.theme, kind = m.kind(frame), h = hash(m.name(frame));
			let [hue, s, l] = t.kind(kind);

			if (kind !== 'synthetic') {
				hue += (h % 17 - 8) * 0.9;
				l += (h >>> 8) % 9 - 4;
			} else {
				l += h % 5 - 2;
			}
			if (m.inlined(frame))
				[s, l] = [s * 0.8, l + (t.is_dark ? -9 : 10)];
			return `hsl(${hue.toFixed(1)} ${s.toFixed(1)}% ${l.toFixed(1)}%)`;
		}

		/* How much the share has changed: -1 gone .. 0 .. 1 new. */
		change(box) {
			const m = this.model, a = m.all[0] ? box.weight[0] / m.all[0] : 0, b = m.all[1] ? box.weight[1] / m.all[1] : 0;

			return a === b ? 0 : (a - b) / Math.max(a, b);
		}

		diff_fill(box) {
			const d = this.change(box), k = Math.abs(d) ** 0.7;
			const same = this.theme.hsl('same'), end = this.theme.hsl(d > 0 ? 'more' : 'less');

			return `hsl(${end[0]} ${(same[1] + (end[1] - same[1]) * k).toFixed(1)}% ${(same[2] + (end[2] - same[2]) * k).toFixed(1)}%)`;
		}

		#width_of(text) {
			let w = this.theme.widths.get(text);

			if (w === undefined)
				this.theme.widths.set(text, w = this.g.measureText(text).width);
			return w;
		}

		#label(frame, room) {
			const m = this.model;

			if (room < 15)
				return '';
			for (const text of [m.path(frame), m.short(frame)])
				if (text.length * 3 < room && this.#width_of(text) <= room)
					return text;
			let text = m.short(frame).slice(0, 400), n = Math.floor(text.length * room / this.#width_of(text));

			for (n = Math.min(n, text.length - 1); n > 1; n--) {
				const cut = text.slice(0, n).replace(/[\ud800-\udbff]$/, '') + '\u2026';

				if (this.g.measureText(cut).width <= room)
					return cut;
			}
			return '';
		}

		#draw_item(item, y) {
			const g = this.g, t = this.theme, room = item.x1 - item.x0;
			const gap = room > 3 ? 1 : room > 1.5 ? 0.5 : 0;

			g.globalAlpha = item.whole ? 0.55 : 1;
			if (item.thin) {
				g.fillStyle = t.value('thin');
				g.fillRect(item.x0, y, Math.max(room - gap, 0.6), ROW - 1);
				return;
			}
			const hit = this.matched?.[item.box.frame];

			if (this.matched && !hit)
				g.globalAlpha *= 0.4;
			g.fillStyle = hit ? t.value('match') : this.#fill(item.box);
			g.fillRect(item.x0, y, room - gap, ROW - 1);
			const text = this.#label(item.box.frame, room - 2 * PAD);

			if (text) {
				g.globalAlpha = this.matched && !hit ? 0.75 : item.whole ? 0.8 : 1;
				g.fillStyle = hit ? t.value('match-text') : t.value('text');
				g.fillText(text, item.x0 + PAD, y + ROW / 2);
			}
		}

		#outline(item, color, top, width) {
			const g = this.g;

			g.globalAlpha = 1;
			g.strokeStyle = color;
			g.lineWidth = width;
			g.strokeRect(item.x0 + width / 2, item.row * ROW - top + width / 2, Math.max(item.x1 - item.x0 - 1 - width, 1), ROW - 1 - width);
		}

		#draw() {
			const s = this.scroller, ratio = devicePixelRatio || 1, w = s.clientWidth, h = s.clientHeight, top = s.scrollTop;

			if (!w || !h)
				return;
			if (this.canvas.width !== Math.round(w * ratio) || this.canvas.height !== Math.round(h * ratio)) {
				this.canvas.width = Math.round(w * ratio);
				this.canvas.height = Math.round(h * ratio);
				this.canvas.style.width = `${w}px`;
				this.canvas.style.height = `${h}px`;
			}
			const g = this.g ??= this.canvas.getContext('2d');

			g.setTransform(ratio, 0, 0, ratio, 0, 0);
			g.clearRect(0, 0, w, h);
			g.textBaseline = 'middle';
			g.font = this.theme.font;
			const last = Math.min(this.rows.length - 1, Math.floor((top + h) / ROW));

			for (let row = Math.max(0, Math.floor(top / ROW)); row <= last; row++)
				for (const item of this.rows[row])
					this.#draw_item(item, row * ROW - top);
			const selected = this.selected && this.item_of(this.selected);

			if (selected)
				this.#outline(selected, this.theme.value('focus'), top, 2);
			if (this.hovered && this.items.includes(this.hovered))
				this.#outline(this.hovered, this.theme.value('text'), top, 1);
		}
	};
})();
