// Cases out and in, and what is erased, over both engines: a manager takes cases out whole and goes on after a break, persons see it; old cases come in
// once however often the import is killed; retention is listed before it runs, and the ledger verifies after everything.
import { spawn } from 'node:child_process';
import { connect } from 'node:net';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { serve, call, staff, citizen, test, same, good, end, folder, postgres, run, fails, runs, pack, chapar, sleep, until } from './kit.mjs';

const A = '/api/v1', S = 'village-residence';
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
    same((await get('/me/access', me)).json.items.filter((x) => x.tracking === later && x.basis === 'export').length, 0, 'not what was filed afterwards');
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

// Old cases from a file, killed again and again; then what is over is erased, and every proof stays.
async function before(name, where) {
  const s = await serve(where), b = s.base, example = (await call(b, 'GET', `${A}/services/${S}`)).json.form_schema.examples[0];
  const holder = await (async () => { const r = await call(b, 'POST', `${A}/services/${S}/cases`, { token: await citizen(b), key: 'first', body: { data: example } }); return (await call(b, 'GET', `${A}/cases/${r.json.tracking}`)).json.holder.code; })();
  const messages = async () => (await call(b, 'GET', '/demo/outbox')).json.length, told = await messages();
  const file = join(folder(), 'old.csv'), fields = Object.keys(example).filter((k) => !['accuracy', 'since'].includes(k)), cell = (x) => (/[",\n]/.test(x) ? `"${String(x).replaceAll('"', '""')}"` : x);
  const row = (n, more = {}) => { const r = { number: `D-${1000 + n}`, submitted_at: '1404/03/02', state: n % 3 ? 'approved' : n % 2 ? 'rejected' : 'submitted', comment: 'از دفتر اندیکاتور', letter_no: `${n}/الف`, ...more }; r.closed_at ??= r.state === 'submitted' ? '' : '1404/04/10'; return [r.number, r.submitted_at, r.state, r.closed_at, r.comment, r.letter_no, ...fields.map((f) => cell(example[f]))].join(','); };
  const write = (rows) => writeFileSync(file, `\ufeff${['number', 'submitted_at', 'state', 'closed_at', 'comment', 'letter_no', ...fields].join(',')}\r\n${rows.join('\r\n')}\r\n`);
  const bring = (...more) => runs('import', 'cases', file, '--service', S, '--pack', pack, ...where, ...more), count = 150, rows = Array.from({ length: count }, (_, n) => row(n));
  const all = async () => Number(/chapar_cases\{state="all"\} (\d+)/.exec((await call(b, 'GET', '/metrics')).text)[1]);
  const find = async (q) => (await call(b, 'GET', `${A}/desk/cases?organisation=${holder}&q=${encodeURIComponent(q)}`, { token: await staff(b, `${holder}.manager`) })).json.items;

  await test(`${name}: every mistake of a file is told with its line, and nothing is written`, async () => {
    write([row(1), row(2, { submitted_at: 'دیروز' }), row(3, { state: 'nowhere' }), row(1), row(5, { state: 'approved', closed_at: '' }), row(6, { state: 'submitted', closed_at: '1404/05/01' }), row(7, { closed_at: '1403/01/01' }), row(8).replace(example.national_id, '0499370898')]);
    const r = await bring('--lang', 'fa');
    same(r.status, 1, r.err);
    same([...r.err.matchAll(/old\.csv:(\d+): /g)].map((m) => Number(m[1])), [3, 4, 5, 6, 7, 8, 9], r.err);
    good(/[آ-ی]/.test(r.err) && r.out.includes('7 mistakes'), r.out);
    write([row(1).replace('D-1001', 'D-1')].map((x) => x));
    good((await bring('--dry-run')).out.startsWith('dry run, nothing was written: 1 cases'), 'a dry run');
    same((await find('D-1')).length, 0);
  });
  await test(`${name}: killed at any point and run again, each case is there once`, async () => {
    write(rows);
    const rounds = Number(process.env.ROUNDS || 3);
    for (let i = 0; i < rounds; i++) {
      const child = spawn(chapar, ['import', 'cases', file, '--service', S, '--pack', pack, ...where], { stdio: 'ignore' });
      await sleep(150 + Math.random() * 600);
      child.kill('SIGKILL');
      await new Promise((done) => child.exitCode !== null || child.signalCode !== null ? done() : child.on('exit', done));
    }
    const r = await bring(), m = /(\d+) cases: (\d+) new, (\d+) as they were, 0 mistakes/.exec(r.out);
    good(r.status === 0 && m && Number(m[2]) + Number(m[3]) === count, `${r.out} ${r.err}`);
    good(/: 0 new, 150 as they were/.test((await bring()).out), 'and again');
    write([row(4, { comment: 'دیگر' })]);
    const other = await bring();
    good(other.status === 1 && /imported before with other contents/.test(other.err), other.err);
    same(await messages(), told, 'nobody was told');
  });
  await test(`${name}: what was brought says so: paper, its number, its state, its day, an event of its own`, async () => {
    const [open] = await find('D-1000'), [closed] = await find('D-1001');
    good(open && closed && open.state === 'submitted' && closed.state === 'approved', JSON.stringify([open, closed]));
    good(open.submitted_at.startsWith('2025-05-23') && open.overdue === false, `its clock begins now: ${JSON.stringify(open)}`);
    const v = (await call(b, 'GET', `${A}/cases/${closed.tracking}`, { token: await staff(b, `${holder}.manager`) })).json;
    same([v.intake, v.submitted_by, v.letter_no, v.events.map((e) => e.action)], ['paper', 'import', '1/الف', ['submit', 'import']]);
    good(v.events[1].comment === 'از دفتر اندیکاتور' && v.events[1].at > '2026', JSON.stringify(v.events[1]));
  });
  await s.stop();
  await test(`${name}: what is over by the definition is listed, then erased once, and every proof verifies`, async () => {
    write(Array.from({ length: 90 }, (_, n) => row(n, { number: `O-${n}`, state: n % 2 ? 'approved' : 'rejected', submitted_at: '1389/03/02', closed_at: '1389/04/10' })));
    same((await bring()).status, 0);
    const list = run('retention', '--dry-run', '--pack', pack, ...where), due = list.split('\n').filter((x) => x.startsWith(S)).reduce((n, x) => n + Number(x.split(',')[4]), 0);
    good(due === 90 && list.includes(`dry run: ${due} cases`), list);
    same((await runs('retention', '--until', '2040-01-01', '--pack', pack, ...where)).status, 2, 'nothing before its time');
    const child = spawn(chapar, ['retention', '--pack', pack, ...where], { stdio: 'ignore' });
    await sleep(120 + Math.random() * 300);
    child.kill('SIGKILL');
    await new Promise((done) => child.exitCode !== null || child.signalCode !== null ? done() : child.on('exit', done));
    const out = run('retention', '--pack', pack, ...where);
    good(Number(/(\d+) cases erased/.exec(out)[1]) <= due, out);
    good(run('retention', '--dry-run', '--pack', pack, ...where).includes('dry run: 0 cases'), 'nothing is left');
    good(/the ledger verifies/.test(run('ledger', 'verify', '--pack', pack, ...where)), 'verified');
    const rest = (await runs('export', 'cases', '--pack', pack, ...where, '--organisation', holder, '--format', 'jsonl')).out.trim().split('\n').map((x) => JSON.parse(x));
    same(rest.filter((x) => x.data === null).length, due, 'their answers are gone, they are not');
  });
  await test(`${name}: a record is erased by its office's order, with the reason in the ledger`, async () => {
    const erase = (...more) => runs('erase', 'record', 'persons', '0499370899', '--pack', pack, ...where, ...more);
    same((await erase()).status, 2, 'not without a reason');
    const done = await erase('--why', 'court order 12');
    good(done.status === 0 && done.out.includes('erased'), done.err);
    same((await erase('--why', 'again')).status, 1);
    good(/the ledger verifies/.test(run('ledger', 'verify', '--pack', pack, ...where)), 'verified');
  });
}

await before('sqlite', ['--data', folder()]);
await transfer('sqlite', ['--data', folder()]);
const pg = postgres();
if (pg) {
  await transfer('postgres', ['--store', pg.url, '--keys', folder()]);
  await before('postgres', ['--store', pg.fresh(), '--keys', folder()]);
}
end();
