/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* flame_page.js: the page of `ascope export --flamegraph` (report/export_flame.c): what it shows, in words, and the graph. */
'use strict';

(() => {
	const about = JSON.parse(document.getElementById('data').textContent), data = about.flame;
	const page = document.getElementById('page');
	const seconds = (ns) => `${(ns / 1e9).toFixed(ns < 1e10 ? 2 : 1)} s`;
	const count = (n) => String(n).replace(/\B(?=(\d{3})+$)/g, ',');
	const element = (tag, text, name) => {
		const e = document.createElement(tag);

		e.textContent = text;
		if (name)
			e.className = name;
		return e;
	};
	const facts = [`${seconds(data.total_ns)} of ${about.weight} in ${seconds(data.hi_ns - data.lo_ns)}${data.lo_ns ? ` from ${seconds(data.lo_ns)} on` : ''}`];

	if (data.samples)
		facts.push(`${count(data.samples)} samples${data.period_ns ? `, one per ${(data.period_ns / 1e6).toFixed(2)} ms of a CPU` : ''}`);
	if (data.base)
		facts.push(`base ${about.base_file}: ${seconds(data.base.total_ns)} in ${seconds(data.base.hi_ns - data.base.lo_ns)}`);
	page.replaceChildren();
	const head = element('header', '', 'page-head');

	head.append(element('h1', about.base_file ? `${about.title}, compared` : about.title), element('span', about.file, 'page-file'),
		element('span', facts.join(' \u00b7 '), 'page-facts'), element('span', about.made_by, 'page-maker'));
	page.append(head);
	globalThis.ascopeFlame(page, data, { weight: about.weight, names: { now: about.file, base: about.base_file } });
	page.classList.add('page-fills');
})();
