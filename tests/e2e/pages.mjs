// Every page for everybody: addresses are those of `chapar routes` and of the links on the pages, so that a new page is looked at from its first day.
// On each, in both languages: language and direction are right, no key stands where a word should, one title, one first heading, it is light.
// In a browser, every page that is the first of its row or holds an element that no page before it held in that place: nothing scrolls sideways at
// three widths, axe finds nothing; on the first of each row in the other language too, and the keyboard reaches everything and shows where it is.
// ALL=1 (`./test --long`) looks at every page in every language and width. CHROMIUM names the browser, ONLY=/path a part of the pages.
import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { join } from 'node:path';
import { serve, call, staff, citizen, test, same, good, end, folder, run, root, until, flaws, browser as launch } from './kit.mjs';

const all = Boolean(process.env.ALL), only = process.env.ONLY, LANES = 2, MOST_OF_A_ROW = all ? 6 : 2;
const widths = [360, 768, 1440], langs = ['fa', 'en'];
const rows = run('routes', '--demo').trim().split('\n').map((x) => JSON.parse(x)).filter((r) => r.method === 'GET');
const shape = rows.map((r) => [r.path, new RegExp(`^${r.path.replace(/\{\w+\.\.\.\}/g, '.+').replace(/\{\w+\}/g, '[^/]+')}$`)]).sort((a, b) => a[0].split('{').length - b[0].split('{').length);
const rowOf = (path) => shape.find(([, re]) => re.test(path))?.[0];

// What there is to see: cases in several states, one decided, one that waits for its citizen, one that another desk was asked about.
const s = await serve(['--data', folder()], { env: { CHAPAR_LOG_LEVEL: 'error' } }), b = s.base, A = '/api/v1';
const me = await citizen(b), sample = (await call(b, 'GET', `${A}/services/village-residence`)).json.form_schema.examples[0];
const file = async (key) => (await call(b, 'POST', `${A}/services/village-residence/cases`, { token: me, key, body: { data: sample } })).json.tracking;
const cases = [];
for (let i = 0; i < 4; i++) cases.push(await file(`p${i}`));
const holder = (await call(b, 'GET', `${A}/cases/${cases[0]}`)).json.holder.code, token = {};
for (const role of ['officer', 'manager']) token[role] = await staff(b, `${holder}.${role}`);
for (const role of ['agent', 'operator', 'auditor']) token[role] = await staff(b, role);
token.citizen = me;
const act = async (tracking, action, more = {}, as = 'officer') => { const v = (await call(b, 'GET', `${A}/cases/${tracking}`, { token: token[as] })).json; return call(b, 'POST', `${A}/cases/${tracking}/actions/${action}`, { token: token[as], key: `${action}${tracking}`, body: { expected_version: v.version, comment: 'متن', ...more } }); };
await act(cases[0], 'assign');
same((await act(cases[1], 'approve')).status, 200);
await act(cases[2], 'request_info');
await act(cases[3], 'reject', { reason: ((await call(b, 'GET', `${A}/cases/${cases[3]}`, { token: token.officer })).json.actions || []).find((x) => x.name === 'reject')?.reasons?.[0]?.code });
await call(b, 'POST', `${A}/cases/${cases[0]}/remarks`, { token: token.officer, key: 'r', body: { text: 'یادداشت' } });

// What has an address of its own that no list leads everybody to: a letter, a certificate's code, a definition that waits, the code of a person at the counter.
const letter = (await call(b, 'POST', `${A}/cases/${cases[0]}/letters`, { token: token.officer, key: 'letter', body: { template: 'answer' } })).json.id;
good(letter, 'a letter');
const paper = await until('a certificate', async () => (await call(b, 'GET', `${A}/cases/${cases[1]}/certificates`, { token: me })).json?.items?.[0]?.code);
const yaml = readFileSync(join(root, 'packs/khorasan-razavi/services/takapo-support.yaml'), 'utf8').replace(/^version: .*/m, 'version: 2').replace(/^valid_from: .*/m, `valid_from: ${new Date(Date.now() + 5 * 86400000).toISOString().slice(0, 10)}`);
token.author = await staff(b, 'takapo.manager');
const definition = (await call(b, 'POST', `${A}/definitions`, { token: token.author, body: { organisation: 'takapo', text: yaml } })).json.id;
good(definition, 'a definition');
const linkless = [`/cases/${cases[0]}/letters/new`, `/cases/${cases[0]}/letters/${letter}`, `/desk/letters/${letter}`, `/verify/${paper}`, `/verify/${paper.slice(0, -1)}${paper.endsWith('2') ? '3' : '2'}`, `/admin/definitions/${definition}`];

const roles = { nobody: null, citizen: token.citizen, officer: token.officer, manager: token.manager, agent: token.agent, operator: token.operator, auditor: token.auditor };
const page = (path) => !/^\/(api|assets|ledger\/(key|tile|checkpoint)|health|metrics|catalog\.jsonld|demo|favicon|sw\.js|manifest|robots|ussd)/.test(path);
const seeds = [...rows.filter((r) => !r.path.includes('{') && page(r.path)).map((r) => r.path), ...cases.flatMap((c) => [`/cases/${c}`, `/cases/${c}/receipt`]), '/services/village-residence', '/services/village-residence/form/1', '/services/village-residence/form/2', '/services/village-residence/check', '/services/village-residence/not-eligible', `/cases/${cases[0]}/actions/approve`, `/cases/${cases[0]}/actions/assign`, `/cases/${cases[1]}/certificate`, '/desk/registries/persons', '/desk?view=closed', '/desk?q=zzzz', '/no-such-page', ...linkless];

// ---- finding them: a plain client follows the links of each role ----

const visitor = {}; // the cookie of an unfinished form
async function look(role, path, lang) {
  const r = await fetch(b + path, { redirect: 'manual', headers: { Accept: 'text/html', 'Accept-Language': lang, Cookie: `lang=${lang}${roles[role] ? `; session=${roles[role]}` : ''}${visitor[role] ? `; visitor=${visitor[role]}` : ''}` } });
  const made = /(?:^|, )visitor=([^;]+)/.exec(r.headers.get('set-cookie') || '');
  if (made) visitor[role] = made[1];
  return { status: r.status, type: r.headers.get('content-type') || '', text: await r.text(), to: r.headers.get('location') };
}
const plain = (x) => x.replace(/&#x([0-9A-F]+);/gi, (_, n) => String.fromCharCode(parseInt(n, 16))).replaceAll('&amp;', '&');
const bare = (html) => (/<main[^]*<\/main>/.exec(html)?.[0] || html).replace(/<input[^>]*type="hidden"[^>]*>/g, '').replace(/[0-9۰-۹a-f-]{8,}/g, '#');
const found = new Map(); // role and row -> addresses
const seen = new Set(), todo = [], visits = [];

// What a page is made of, words apart: each element with its classes and the names of its attributes, and what it stands in.
const met = new Set(), VOID = /^(area|base|br|col|embed|hr|img|input|link|meta|source|track|wbr)$/;
function shapes(html) {
  const open = ['page'], all = [];
  for (const [, end, tag, attributes] of html.replace(/<!--[^]*?-->|<(script|style)\b[^]*?<\/\1>/g, '').matchAll(/<(\/?)([a-z][a-z0-9]*)((?:"[^"]*"|[^">])*)>/gi)) {
    if (end) { const at = open.findLastIndex((x) => x.split('.')[0] === tag); if (at > 0) open.length = at; continue; }
    const names = [...attributes.matchAll(/\s([a-z][a-z-]*)(?:="([^"]*)")?/g)], of = (n) => names.find((x) => x[1] === n)?.[2] || '';
    const me = `${tag}.${of('class').split(/\s+/).sort().join('.')}`;
    all.push(`${open.at(-1)} > ${me}[${names.map((x) => x[1]).sort()}]${of('role')}${of('type')}`);
    if (!VOID.test(tag) && !attributes.endsWith('/')) open.push(me);
  }
  return all;
}
async function crawl(role) {
  const queue = seeds.map((x) => x), known = new Set(queue), kept = {};
  while (queue.length) {
    const path = queue.shift(), row = rowOf(path.split('?')[0]) || 'nothing';
    if (path !== '/no-such-page' && row === 'nothing') { todo.push(`${role} is led to ${path}, where nothing is`); continue; }
    if ((kept[row] = (kept[row] || 0) + 1) > MOST_OF_A_ROW + (row === '/cases/{tracking}' ? 3 : 0)) continue;
    const r = await look(role, path, 'fa');
    if (r.status >= 500) todo.push(`${path} for ${role}: ${r.status}`);
    if (r.to) { const to = r.to.replace(/^http:\/\/[^/]+/, ''); if (to.startsWith('/') && page(to) && !known.has(to)) { known.add(to); queue.push(to); } }
    if (!r.type.includes('text/html')) continue;
    for (const [, href] of r.text.matchAll(/href="([^"]*)"/g)) {
      const to = plain(href).split('#')[0].replace(/[?&]lang=(fa|en)/, '');
      if (to.startsWith('/') && page(to) && !known.has(to)) { known.add(to); queue.push(to); }
    }
    const what = r.status >= 400 ? r.status : `${row} ${bare(r.text)}`;
    if (seen.has(what) || (only && !path.startsWith(only))) continue; // another role's page, to the letter
    seen.add(what);
    const news = shapes(r.text).filter((x) => !met.has(x));
    news.forEach((x) => met.add(x));
    visits.push({ role, path, row, first: !found.has(row), news: news.length, html: r.text });
    found.set(row, path);
  }
}

// ---- looking at them ----

const KEY = /(?:^|[\s>(«"])((?:web|api|case|cases|catalog|error|registries|record|network|notify|ussd|identity|admin|transfer|counter|stats|mandate|certificate|document|desk|answer)\.[a-z][a-z0-9_.]{2,})/;
// What the bytes tell, in both languages.
async function read(v, lang) {
  const html = lang === 'fa' ? v.html : (await look(v.role, v.path, lang)).text, bad = [], root = /<html[^>]*>/.exec(html)?.[0] || '';
  const text = html.replace(/<!--[^]*?-->|<(script|style)\b[^]*?<\/\1>/g, '').replace(/<[a-z/](?:"[^"]*"|[^">])*>/gi, ' '), key = KEY.exec(text);
  if (!root.includes(`lang="${lang}"`) || !root.includes(`dir="${lang === 'fa' ? 'rtl' : 'ltr'}"`)) bad.push(root || 'no <html>');
  if (key) bad.push(`shows the key ${key[1]}`);
  if (!/<title>\s*\S/.test(html) || [...html.matchAll(/<h1\b/g)].length !== 1) bad.push('not one title and one first heading');
  return bad.map((x) => `${v.path} for ${v.role}, ${lang}: ${x}`);
}

// sound: with axe, and by the keyboard on the first of a row.
async function check(tab, v, width, lang, sound) {
  const where = `${v.path} for ${v.role}, ${width} px, ${lang}`, bad = [];
  await tab.setViewportSize({ width, height: 800 });
  await tab.context().clearCookies();
  await tab.context().addCookies([{ name: 'lang', value: lang, url: b }, ...(roles[v.role] ? [{ name: 'session', value: roles[v.role], url: b }] : []), ...(visitor[v.role] ? [{ name: 'visitor', value: visitor[v.role], url: b }] : [])]);
  await tab.goto(b + v.path, { waitUntil: 'load' });
  const page = await tab.evaluate(() => ({ lang: document.documentElement.lang, dir: document.documentElement.dir, text: document.body.innerText, title: document.title, h1: document.querySelectorAll('h1').length }));
  if (page.lang !== lang || page.dir !== (lang === 'fa' ? 'rtl' : 'ltr')) bad.push(`lang ${page.lang}, dir ${page.dir}`);
  for (const w of [...widths.filter((x) => x !== width), width]) { // the last is the one that it is judged at
    await tab.setViewportSize({ width: w, height: 800 });
    const wide = await tab.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    if (wide > 1) bad.push(`scrolls sideways by ${wide} at ${w} px`);
  }
  const key = KEY.exec(page.text) || KEY.exec(` ${page.title}`);
  if (key) bad.push(`shows the key ${key[1]}`);
  if (!page.title || page.h1 !== 1) bad.push(`title "${page.title}", ${page.h1} first headings`);
  if (!sound) return bad.map((x) => `${where}: ${x}`);
  bad.push(...await flaws(tab));
  if (v.first) bad.push(...await keyboard(tab));
  return bad.map((x) => `${where}: ${x}`);
}

// Tab from the beginning to the end: everything that can be acted on is met, and each shows that it is.
async function keyboard(tab) {
  const wanted = await tab.evaluate(() => {
    document.activeElement?.blur?.();
    window.scrollTo(0, 0);
    const shown = (e) => e.checkVisibility({ checkOpacity: false, checkVisibilityCSS: true }) && !e.disabled && !e.closest('[inert]');
    const list = [...document.querySelectorAll('a[href],button,input:not([type=hidden]),select,textarea,summary,[tabindex="0"]')].filter(shown), groups = new Set();
    const each = list.filter((e) => { if (e.type !== 'radio') return true; const g = `${e.form?.action}|${e.name}`; return !groups.has(g) && groups.add(g); });
    each.forEach((e, i) => e.setAttribute('data-tab', i));
    window.passed = [];
    document.addEventListener('keydown', (k) => { // where Tab leaves from, and how that looks
      const e = document.activeElement;
      if (k.key !== 'Tab') return;
      if (!e || e === document.body) { window.passed.push(null); return; }
      const mark = (x) => { const c = getComputedStyle(x); return (c.outlineStyle !== 'none' && parseFloat(c.outlineWidth) > 0) || c.boxShadow !== 'none'; };
      const group = e.type === 'radio' ? [...document.querySelectorAll(`input[type=radio][name="${e.name}"][data-tab]`)][0] : e;
      const label = e.labels?.[0]; // a box that is drawn by its label
      window.passed.push({ n: group?.getAttribute('data-tab') ?? null, shown: mark(e) || (label && (mark(label) || getComputedStyle(label, '::before').boxShadow !== 'none' || getComputedStyle(label, '::before').outlineStyle !== 'none')) || Boolean(e.nextElementSibling && mark(e.nextElementSibling)), what: `${e.tagName.toLowerCase()} ${(e.innerText || e.name || '').slice(0, 40)}` });
    }, true);
    return each.map((e) => `${e.tagName.toLowerCase()} ${(e.innerText || e.name || e.href?.baseVal || e.href || '').slice(0, 40)}`);
  });
  const met = new Set(), bad = [];
  let rounds = 0; // a page may begin in its midst
  for (let i = 0; i < wanted.length * 3 + 10 && met.size < wanted.length && rounds < 2;) {
    for (let n = 0; n < 20; n++, i++) await tab.keyboard.press('Tab');
    for (const at of await tab.evaluate(() => window.passed.splice(0))) {
      if (!at) { if (met.size) rounds++; }
      else if (at.n !== null && !met.has(at.n)) { met.add(at.n); if (!at.shown) bad.push(`the focus on "${at.what}" is not seen`); }
    }
  }
  wanted.forEach((x, i) => { if (!met.has(String(i))) bad.push(`Tab does not reach "${x}"`); });
  return bad.slice(0, 5);
}

await test('the pages of every role are found by their rows and links, and none fails', async () => {
  for (const role of Object.keys(roles)) await crawl(role);
  good(!todo.length, todo.slice(0, 20).join('\n'));
  if (only) return;
  good(visits.length > 40, `only ${visits.length} pages`);
  const missed = rows.filter((r) => page(r.path) && !found.has(r.path) && !r.path.endsWith('/file') && !/\{(id|username)\}/.test(r.path)).map((r) => r.path);
  for (const row of ['/cases/{tracking}/letters/{letter}', '/cases/{tracking}/letters/new', '/verify/{code}', '/admin/definitions/{id}']) good(found.has(row), `${row} is not looked at`);
  console.log(`  ${visits.length} pages of ${found.size} rows${missed.length ? `; not met: ${missed.join(' ')}` : ''}`);
});
await test('what a first visit takes from the net is below 50 KB, and no page is heavier', async () => {
  const home = (await look('nobody', '/', 'fa')).text, size = (x) => gzipSync(x).length;
  const parts = [...home.matchAll(/<(?:link[^>]*rel="(?:stylesheet|preload)"|script)[^>]*?(?:href|src)="([^"]+)"/g)].map((m) => plain(m[1]));
  const assets = (await Promise.all([...new Set(parts)].filter((x) => !/woff/.test(x)).map(async (x) => size(Buffer.from(await (await fetch(b + x)).arrayBuffer()))))).reduce((a, x) => a + x, 0);
  for (const v of visits) { const n = size((await look(v.role, v.path, 'fa')).text) + assets; good(n < 50 * 1024, `${v.path} for ${v.role}: ${n} bytes with style and script`); }
});
await test('each page in both languages: words for keys, a title, a first heading', async () => {
  const faults = [];
  for (const v of visits) for (const lang of langs) faults.push(...await read(v, lang));
  good(!faults.length, `${faults.length} faults:\n${faults.slice(0, 60).join('\n')}`);
});
await test('each page in a browser', async () => {
  const browser = await launch(), faults = [];
  const jobs = visits.filter((v) => all || only || v.first || v.news).flatMap((v, i) => {
    if (all) return widths.flatMap((w) => langs.map((l, n) => ({ v: { ...v, first: v.first && w === widths[0] && n === 0 }, w, l, sound: true })));
    const l = langs[i % 2], w = widths[i % 3];
    return [{ v, w, l, sound: true }, ...(v.first ? [{ v, w, l: langs[1 - i % 2], sound: false }] : [])];
  });
  console.log(`  ${jobs.filter((x) => x.sound).length} with axe, ${jobs.length} in all`);
  await Promise.all(Array.from({ length: LANES }, async () => {
    const context = await browser.newContext(), tab = await context.newPage();
    await tab.addInitScript(() => { delete window.EventSource; }); // what renews itself meanwhile has a test of its own
    tab.on('dialog', (d) => d.dismiss());
    for (let j; (j = jobs.pop());) {
      try { faults.push(...await check(tab, j.v, j.w, j.l, j.sound)); } catch (e) { faults.push(`${j.v.path} for ${j.v.role}: ${String(e).split('\n')[0]}`); }
    }
    await context.close();
  }));
  await browser.close();
  good(!faults.length, `${faults.length} faults:\n${faults.slice(0, 60).join('\n')}`);
});
await s.stop();
end();
