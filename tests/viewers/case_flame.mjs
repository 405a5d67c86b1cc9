// SPDX-License-Identifier: MIT OR Apache-2.0
// case_flame.mjs: `export --flamegraph` in Chromium: its totals are SQL's, it is searched, zoomed and read, and hostile names are inert in it.
import { execFileSync } from 'node:child_process';
import { copyFileSync, readFileSync } from 'node:fs';
import { ascope, sql, test, check, equal, finish, DEMO } from './viewer.mjs';

const flame = (page, fn, arg) => page.evaluate(`((f, arg) => (${fn})(f, arg))(document.querySelector('#page').flame, ${JSON.stringify(arg ?? null)})`);
const find = (page, name) => flame(page, '(f, name) => f.find(name)', name);
const make = (t, name, ...args) => {
	ascope('export', '--flamegraph', '--force', '-o', t.file(name), ...args);
	return t.file(name);
};

await test('the total is that of SQL, in the tree, its callers and its functions', async (t) => {
	const page = await t.open(make(t, 'flame.html', DEMO));
	const [{ n }] = sql('SELECT count(*) AS n FROM sample');

	equal(await flame(page, '(f) => f.model.all[2]'), n, 'samples');
	equal(await flame(page, '(f) => f.model.callers().weight[2]'), n, 'samples by callers');
	equal(await flame(page, '(f) => f.model.functions().reduce((sum, r) => sum + r.self[2], 0)'), n, 'samples of functions');
	check((await page.textContent('.page-facts')).includes(`${n} samples`), 'the head says how many samples');
	await page.keyboard.press('u');
	equal(await flame(page, '(f) => f.model.tree().weight[2]'), n, 'samples when kinds are folded');
});

await test('a search is typed, a frame clicked, and both stand in the address', async (t) => {
	const page = await t.open(t.file('flame.html'));

	await page.keyboard.press('/');
	await page.keyboard.type('hash_password');
	await page.waitForFunction("document.querySelector('.af-matches').textContent");
	const box = await find(page, 'orders::login::hash_password');
	const share = await flame(page, '(f, ns) => 100 * ns / f.model.all[0]', box.weight[0]);
	check((await page.textContent('.af-matches')).startsWith(`${share.toFixed(1)}%`), 'the matched share is said');
	await t.shot(page, 'flame-search');
	await page.mouse.click(box.x + box.width / 2, box.y + 8);
	const zoomed = await find(page, 'orders::login::hash_password');
	check(zoomed.width > box.width && zoomed.width > 1500, `clicked, it is ${zoomed.width} wide`);
	check(await find(page, 'tokio::runtime'), 'what is below it stays');
	check(/z=.*q=hash_password/.test(page.url()), page.url());
	const again = await t.open(t.file('flame.html'), { hash: new URL(page.url()).hash });
	equal((await find(again, 'orders::login::hash_password')).width, zoomed.width, 'width by the address');
	await page.keyboard.press('Enter');
	await page.keyboard.press('f');
	check((await page.textContent('.af-status')).includes('orders::login::hash_password'), 'callers and callees of it');
});

for (const [width, dark] of [[800, false], [800, true], [1600, false], [1600, true]])
	await test(`${width} px, ${dark ? 'dark' : 'light'}: nothing reaches over the side`, async (t) => {
		const page = await t.open(t.file('flame.html'), { width, dark });

		for (const view of ['flame', 'callers', 'functions']) {
			await page.click(`[data-view=${view}]`);
			await t.shot(page, `flame-${view}-${width}-${dark ? 'dark' : 'light'}`);
			check(await page.evaluate('document.documentElement.scrollWidth <= innerWidth'), `${view} is wider than the page`);
		}
	});

await test('compared with itself nothing has changed', async (t) => {
	const page = await t.open(make(t, 'flame-diff.html', '--wall', '--diff', DEMO, DEMO));

	equal(await flame(page, '(f) => f.model.all[0] === f.model.all[1] && f.model.functions().every((r) => r.self[0] === r.self[1])'), true, 'equal weights');
	await t.shot(page, 'flame-diff');
});

await test('a hostile name of a capture is text, and nothing else', async (t) => {
	const name = `<img src=x onerror=alert(2)><!--<script>alert(1)"'&lt;\u202e\u2028\u001b.ascope`;

	copyFileSync(DEMO, t.file(name));
	const file = make(t, 'hostile.html', '--no-cache', t.file(name)), text = readFileSync(file, 'utf8');
	equal(text.match(/<(script|img)/g).length, 5, 'scripts, the data among them');
	check(!/[\u0000-\u0008\u000b-\u001f\u202a-\u202e\u2066-\u2069\u2028\u2029]/.test(text), 'no control characters');
	const page = await t.open(file);
	check((await page.textContent('.page-file')).startsWith('<img src=x onerror=alert(2)><!--<script>alert(1)"\'&lt;\ufffd\ufffd\ufffd'), 'the name is there as text');
	await t.shot(page, 'flame-hostile');
	equal(await page.evaluate('document.querySelectorAll("img, script:not([type])").length'), 4, 'elements that the name could have made');
});

// The names are changed in the database that stands beside the capture; `cp -p`, or it would be made anew.
const SPOIL = `
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
def hostile(i):
    return b'\\xff</script><script>alert(1)</script><!--<img src=x onerror=alert(2)>&lt;\\xe2\\x80\\xae\\xe2\\x80\\xa8\\x1b[31m"\\x27 %d' % i
for table, columns in (('symbol', ('function', 'file')), ('module', ('path',)), ('thread', ('name',)), ('process', ('name', 'exe')), ('task_type', ('name',))):
    for column in columns:
        n = [0]
        def name():
            n[0] += 1
            return hostile(n[0])
        db.create_function('hostile', 0, name)
        db.execute('UPDATE %s SET %s = CAST(hostile() AS TEXT)' % (table, column))
db.commit()
`;

await test('names of functions, files, modules, threads, processes and tasks that a stranger chose are text', async (t) => {
	const capture = t.file('flame-spoiled.ascope');

	execFileSync('cp', ['-p', DEMO, capture]);
	execFileSync('cp', ['-p', `${DEMO}.db`, `${capture}.db`]);
	execFileSync('python3', ['-c', SPOIL, `${capture}.db`]);
	for (const by of ['thread', 'task']) {
		const file = make(t, `spoiled-${by}.html`, '--wall', '--by', by, capture), text = readFileSync(file, 'utf8');
		equal(text.match(/<(script|img)/g).length, 5, 'scripts, the data among them');
		check(!/[\u0000-\u0008\u000b-\u001f\u202a-\u202e\u2066-\u2069\u2028\u2029]/.test(text), 'no control characters');
		const page = await t.open(file);
		const { frames, strings } = await page.evaluate('JSON.parse(document.getElementById("data").textContent).flame');
		const hostile = (column) => new Set(frames[column].filter((i) => strings[i].includes('</script><script>alert(1)</script><!--<img src=x onerror=alert(2)>'))).size;
		for (const column of ['name', 'file', 'module'])
			check(hostile(column) > (column === 'module' ? 1 : 10), `${hostile(column)} hostile texts of column ${column}`);
		for (const view of ['flame', 'callers', 'functions']) {
			await page.click(`[data-view=${view}]`);
			await page.mouse.move(800, 500);
			await page.mouse.click(800, 500);
		}
		await t.shot(page, `flame-spoiled-${by}`);
		equal(await page.evaluate('document.querySelectorAll("img, script:not([type])").length'), 4, 'elements that names could have made');
		check((await page.evaluate('document.body.innerText')).includes('<img src=x onerror=alert(2)>'), 'a name is to be read');
	}
});

await finish();
