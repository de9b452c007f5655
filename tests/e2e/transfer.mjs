// Cases out and in, and what is erased, over both engines: a manager takes cases out whole and goes on after a break, persons see it; old cases come in
// once however often the import is killed; retention is listed before it runs, and the ledger verifies after everything.
import { spawn } from 'node:child_process';
import { connect } from 'node:net';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { serve, call, staff, citizen, test, same, good, end, folder, postgres, run, fails, runs, pack, chapar, sleep } from './kit.mjs';

const A = '/api/v1', S = 'village-residence';
const until = async (what, fn) => { for (let i = 0; i < 100; i++) { const v = await fn(); if (v) return v; await sleep(100); } throw new Error(`never: ${what}`); };
const lines = (r) => r.text.trim().split('\n').filter(Boolean).map((x) => JSON.parse(x));
// RFC 4180, as strict as a spreadsheet is not.
function csv(text) {
  const rows = [[]]; let cell = '', quoted = false;
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (quoted) { if (c === '"' && text[i + 1] === '"') { cell += '"'; i++; } else if (c === '"') quoted = false; else cell += c; }
    else if (c === '"') quoted = true;
    else if (c === ',') { rows.at(-1).push(cell); cell = ''; }
    else if (c === '\r' && text[i + 1] === '\n') { rows.at(-1).push(cell); cell = ''; rows.push([]); i++; }
    else cell += c;
  }
  rows.pop();
  return rows;
}

async function transfer(name, where) {
  const s = await serve(where), b = s.base, get = (path, token) => call(b, 'GET', A + path, { token });
  const example = (await get(`/services/${S}`)).json.form_schema.examples[0], me = await citizen(b), other = await citizen(b, '0084575948', '09151112233');
  const file = async (key, more, token = me) => { const r = await call(b, 'POST', `${A}/services/${S}/cases`, { token, key, body: { data: { ...example, ...more } } }); same(r.status, 201, r.text); return r.json.tracking; };
  const mine = [], count = 280; // two parts
  for (let i = 0; i < count; i += 40) mine.push(...await Promise.all(Array.from({ length: 40 }, (_, n) => file(`k${i + n}`, i + n === 7 ? { address: '=HYPERLINK("http://evil","x"), "y"' } : {}))));
  const holder = (await get(`/cases/${mine[0]}`)).json.holder.code, manager = await staff(b, `${holder}.manager`), path = (q) => `/desk/export?organisation=${holder}${q}`;
  const elsewhere = (await call(b, 'GET', '/demo/accounts')).json.find((a) => a.role === 'manager' && a.organisation !== holder).username;

  await test(`${name}: only who may takes cases out, and the operator without what is personal`, async () => {
    same((await get(path(''))).status, 401);
    for (const who of [me]) same((await get(path(''), who)).status, 403);
    for (const who of [`${holder}.officer`, `${holder}.supervisor`, elsewhere, 'agent', 'helpdesk']) same((await get(path(''), await staff(b, who))).status, 403, who);
    for (const [q, status] of [['&format=xml', 422], ['&from=1405-13-40', 422], ['&after=123', 422], ['&after=0000000000000000', 400], ['&service=nothing', 404]]) same((await get(path(q), manager)).status, status, q);
    const masked = lines(await get(path(''), await staff(b, 'operator')));
    good(masked.length === count && masked.every((x) => x.masked && !x.data.national_id.includes('937089') && x.data.village === example.village), JSON.stringify(masked[0]));
    const whole = lines(await get(path(''), await staff(b, 'auditor')));
    good(whole.every((x) => !x.masked && x.data.national_id === example.national_id), JSON.stringify(whole[0]));
    good((await get('/me/access', other)).json.items.every((x) => x.basis !== 'export'), 'whose requests were not in it sees nothing');
  });
  await test(`${name}: every case once, as lines and as a table, and nothing of it is a formula`, async () => {
    const r = await get(path(''), manager), all = lines(r);
    same(r.headers.get('content-type'), 'application/jsonl');
    same(all.map((x) => x.tracking).sort(), [...mine].sort());
    const t = await get(path(`&format=csv&service=${S}`), manager);
    good(r.headers.get('content-disposition').includes('cases.jsonl') && t.headers.get('content-type').startsWith('text/csv'), t.headers.get('content-type'));
    const raw = new Uint8Array(await (await fetch(`${b}${A}${path('&format=csv')}`, { headers: { Authorization: `Bearer ${manager}` } })).arrayBuffer());
    same([...raw.slice(0, 3)], [0xef, 0xbb, 0xbf], 'a byte order mark');
    const rows = csv(t.text.replace(/^\ufeff/, '')), head = rows.shift(), col = (n) => head.indexOf(n);
    same(rows.length, count);
    good(rows.every((x) => x.length === head.length && x.every((c) => !/^[=+@\t\r-]/.test(c))), 'no cell begins as a formula does');
    same(rows.find((x) => x[col('tracking')].replaceAll('-', '') === mine[7])[col('address')], `'=HYPERLINK("http://evil","x"), "y"`);
    same(rows[0][col('national_id')], '049-937089-9');
    same(rows[0][col('mobile')].replaceAll('-', ''), example.mobile);
    good(rows.every((x) => /^\d{4}-\d{4}-\d{4}-\d{4}$/.test(x[0]) && x[col('village')].startsWith("'")), 'digits that are names stay text');
    same(lines(await get(path('&from=1390-01-01&to=1390-01-02'), manager)).length, 0, 'nothing was filed then');
  });
  await test(`${name}: broken off anywhere, it goes on behind the last whole line`, async () => {
    const first = lines(await get(path(''), manager)).slice(0, 270), rest = lines(await get(path(`&after=${first.at(-1).tracking}`), manager));
    same(new Set([...first, ...rest].map((x) => x.tracking)).size, count);
    same(first.length + rest.length, count);
    const t = (await get(path(`&format=csv&after=${first.at(-1).tracking}`), manager)).text;
    same(csv(t).length, count - 270, 'no head a second time');
    const u = new URL(b), socket = connect(Number(u.port), u.hostname); // a reader who goes away
    socket.write(`GET ${A}${path('')} HTTP/1.1\r\nHost: ${u.host}\r\nAuthorization: Bearer ${manager}\r\n\r\n`);
    await new Promise((done) => socket.once('data', done));
    socket.destroy();
    same((await call(b, 'GET', '/health')).status, 200);
  });
  await test(`${name}: who is in it finds it among those who looked, case by case, page by page`, async () => {
    const later = await file('later', {});
    const seen = [];
    for (let after = ''; ;) {
      const r = await get(`/me/access?limit=200${after && `&after=${after}`}`, me);
      same(r.status, 200, r.text);
      seen.push(...r.json.items);
      good(r.json.items.every((x) => !('_at' in x)), 'nothing of the inside');
      if (!(after = r.json.next)) break;
    }
    const exported = seen.filter((x) => x.basis === 'export');
    good(exported.length > 100 && exported.every((x) => x.organisation === holder && mine.includes(x.tracking)), `${exported.length}`);
    good(new Set(exported.map((x) => x.at + x.tracking)).size === exported.length, 'none twice');
    good(seen.every((x, i) => !i || seen[i - 1].at >= x.at), 'newest first');
    good(exported.some((x) => x.masked) && exported.some((x) => !x.masked), 'and whether it was masked');
    same((await get('/me/access', me)).json.items.filter((x) => x.tracking === later).length, 0, 'not what was filed afterwards');
    const page = (await call(b, 'GET', '/mine/access', { token: me, lang: 'fa' })).text;
    good(page.includes('خروجی گروهی'), 'and on the page');
  });
  await test(`${name}: the page gives the file by a form, to the manager alone`, async () => {
    const page = await call(b, 'GET', `/desk/export?organisation=${holder}`, { token: manager, lang: 'fa' });
    good(page.status === 200 && page.text.includes('خروجی‌های پیشین') && page.text.includes('<bdi>auditor</bdi>'), `what was taken out before: ${page.status}`);
    same((await call(b, 'GET', `/desk/export?organisation=${holder}`, { token: await staff(b, `${holder}.officer`) })).status, 403);
    const send = (body, token) => call(b, 'POST', '/desk/export', { token, body: new URLSearchParams({ organisation: holder, ...body }).toString(), headers: { 'Content-Type': 'application/x-www-form-urlencoded', Accept: 'text/html' } });
    same((await send({ format: 'jsonl' }, manager)).text.trim().split('\n').length, count + 1);
    same((await send({ from: 'دیروز' }, manager)).status, 422);
    same((await send({}, await staff(b, elsewhere))).status, 403);
  });
  await s.stop();
  await test(`${name}: from the command line too, and the ledger verifies with the exports in it`, async () => {
    const r = await runs('export', 'cases', '--pack', pack, ...where, '--organisation', holder, '--format', 'jsonl');
    same(r.status, 0, r.err);
    same(r.out.trim().split('\n').length, count + 1);
    const t = await runs('export', 'cases', '--pack', pack, ...where, '--organisation', holder, '--service', S, '--after', mine[0]);
    good(t.status === 0 && !t.out.includes('tracking,service') && t.out.split('\r\n').length <= count + 1, t.err);
    same((await runs('export', 'cases', '--pack', pack, ...where)).status, 2);
    same((await runs('export', 'cases', '--pack', pack, ...where, '--organisation', 'nobody')).status, 1);
    good(/the ledger verifies/.test(run('ledger', 'verify', '--pack', pack, ...where)), 'verified');
  });
}

await transfer('sqlite', ['--data', folder()]);
const pg = postgres();
if (pg) await transfer('postgres', ['--store', pg.url, '--keys', folder()]);
end();
