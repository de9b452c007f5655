// Documents: a real clamd with one signature of our own, several files, the office's papers, remarks, who may open what; both engines.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { serve, call, staff, citizen, test, same, good, end, folder, postgres, sleep, until } from './kit.mjs';

const A = '/api/v1', children = [];
process.on('exit', () => children.forEach((c) => c.kill('SIGKILL')));
const pdf = (text) => Buffer.from(`%PDF-1.4\n1 0 obj<</T(${text})>>endobj\ntrailer<<>>\n%%EOF\n`);
const bad = pdf('the one file that our test signature names');

// clamd on a socket of the test's own. Its database is one hash; nothing is fetched.
const clamdThere = existsSync('/usr/sbin/clamd');
function scanner(dir) {
  const db = join(dir, 'db'), socket = join(dir, 'clamd.sock');
  mkdirSync(db, { recursive: true });
  writeFileSync(join(db, 'test.hdb'), `${createHash('md5').update(bad).digest('hex')}:${bad.length}:Chapar.Test.Signature\n`);
  writeFileSync(join(dir, 'clamd.conf'), `LocalSocket ${socket}\nDatabaseDirectory ${db}\nForeground yes\nStreamMaxLength 12M\nLogFile ${dir}/clamd.log\nTemporaryDirectory ${dir}\n`);
  let child;
  return {
    address: `unix:${socket}`,
    async start() {
      child = spawn('/usr/sbin/clamd', ['-c', join(dir, 'clamd.conf')], { stdio: 'ignore' });
      children.push(child);
      for (let i = 0; !existsSync(socket); i++) { if (i > 400 || child.exitCode !== null) throw new Error('clamd did not begin'); await sleep(25); }
    },
    stop: () => new Promise((done) => { child.on('exit', done); child.kill('SIGTERM'); }),
  };
}

async function documents(name, where) {
  const scan = clamdThere ? scanner(folder()) : null;
  if (scan) await scan.start();
  const s = await serve(where, { args: scan ? ['--clamd', scan.address] : [] }), b = s.base;
  const me = await citizen(b), stranger = await citizen(b, '0084575948', '09151112233');
  const send = async (token, bytes, file = 'سند.pdf', lang = 'en') => { const f = new FormData(); f.append('file', new Blob([bytes]), file); return call(b, 'POST', `${A}/documents`, { token, body: f, lang }); };
  const put = async (token, text) => { const r = await send(token, pdf(text)); same(r.status, 201, r.text); return r.json.id; };
  const open = (token, id) => call(b, 'GET', `${A}/documents/${id}`, { token });
  const see = async (t, token) => (await call(b, 'GET', `${A}/cases/${t}`, { token })).json;
  const act = (t, token, action, body) => call(b, 'POST', `${A}/cases/${t}/actions/${action}`, { token, body });
  const sample = (await call(b, 'GET', `${A}/services/village-residence`)).json.form_schema.examples[0];
  const filed = await call(b, 'POST', `${A}/services/village-residence/cases`, { token: me, key: 'd1', body: { data: { ...sample, mobile: '09151234567' } } });
  same(filed.status, 201, filed.text);
  const t = filed.json.tracking, holder = (await see(t)).holder.code;
  const officer = await staff(b, `${holder}.officer`), elsewhere = await staff(b, 'takapo.officer').catch(() => null), auditor = await staff(b, 'auditor'), helpdesk = await staff(b, 'helpdesk');

  if (scan) await test(`${name}: clamd looks at every document before it is kept`, async () => {
    same((await send(me, pdf('harmless'))).status, 201);
    const r = await send(me, bad), fa = await send(me, bad, 'a.pdf', 'fa');
    same([r.status, fa.status], [422, 422], r.text);
    good(/harmful/.test(r.json.detail) && /بدافزار/.test(fa.json.detail), r.text + fa.text);
    const big = Buffer.concat([pdf('long'), Buffer.alloc(9 * 1024 * 1024, 7)]);
    same((await send(me, big)).status, 201, 'the largest are looked at whole');
    const m = (await call(b, 'GET', '/metrics')).text;
    good(/verdict="found"\} 2/.test(m) && /chapar_clamd_up 1/.test(m), m.match(/chapar_(documents|clamd).*/g).join('\n'));
  });
  if (scan) await test(`${name}: without an answer of clamd nothing is kept, and health says why; with it, all goes on`, async () => {
    await scan.stop();
    const r = await send(me, pdf('nobody looks')), fa = await send(me, pdf('nobody looks'), 'a.pdf', 'fa');
    same([r.status, fa.status], [503, 503], r.text);
    good(/minutes/.test(r.json.detail) && /دقیقه/.test(fa.json.detail), r.text + fa.text);
    const health = await call(b, 'GET', '/health');
    same([health.status, health.json.causes.map((c) => c.part)], [503, ['clamd']], health.text);
    good(/chapar_clamd_up 0/.test((await call(b, 'GET', '/metrics')).text), 'the metric');
    await scan.start();
    await until('it to go on', async () => (await send(me, pdf('again'))).status, (x) => x === 201);
    same((await call(b, 'GET', '/health')).status, 200);
  });
  await test(`${name}: what a file is, is read in its bytes; it is served to be saved, under its name, and runs nowhere`, async () => {
    const html = Buffer.from('<script>alert(1)</script>');
    for (const [bytes, status] of [[html, 415], [Buffer.concat([Buffer.from('%PDF-'), html]), 415], [Buffer.alloc(0), 422], [Buffer.from([0xff, 0xd8, 0xff, 0x00]), 415], [Buffer.from('\x89PNG\r\n\x1a\n<html>0000000000000000', 'latin1'), 415]])
      same((await send(me, bytes, 'x.pdf')).status, status, bytes.toString('latin1'));
    const r = await send(me, Buffer.concat([pdf('two things at once'), html]), 'x"\r\n.html');
    same(r.status, 201, r.text);
    const got = await open(me, r.json.id);
    same(got.headers.get('content-type'), 'application/pdf');
    same(got.headers.get('x-content-type-options'), 'nosniff');
    good(/^attachment; filename\*=UTF-8''[^;"]*\.html\.pdf$/.test(got.headers.get('content-disposition')), got.headers.get('content-disposition'));
    good(/^sandbox/.test(got.headers.get('content-security-policy')), got.headers.get('content-security-policy'));
    const large = await send(me, Buffer.concat([pdf('x'), Buffer.alloc(10 * 1024 * 1024)]), 'l.pdf');
    same(large.status, 413);
    good(/10 MB/.test(large.json.detail), large.text);
  });
  await test(`${name}: the citizen adds documents while the case is open; the officer's case says so`, async () => {
    const [one, two] = [await put(me, 'one'), await put(me, 'two')], version = (await see(t, me)).version;
    good((await see(t, me)).actions.some((a) => a.name === 'add_documents' && a.fields[0].type === 'document'), 'it is offered');
    const add = (token, documents, v = version, key) => call(b, 'POST', `${A}/cases/${t}/actions/add_documents`, { token, key, body: { expected_version: v, data: { documents } } });
    same((await add(stranger, [one])).status, 404);
    same((await add(me, [])).status, 422);
    same((await add(me, [one, 'x'])).status, 422);
    same((await add(me, Array(11).fill(one))).status, 422);
    same((await open(officer, one)).status, 404, 'refused as a whole');
    const r = await add(me, [one, two], version, 'add');
    same(r.status, 200, r.text);
    same((await add(me, [one, two], version, 'add')).json.version, r.json.version, 'the same key again');
    same((await add(me, [await put(me, 'three')], version)).status, 200, 'whatever has happened meanwhile');
    const view = await see(t, officer), last = view.events.find((e) => e.action === 'add_documents');
    same([view.state, view.new_documents, last.documents], ['submitted', 3, [one, two]]);
    same(view.documents.map((d) => d.name), ['سند.pdf', 'سند.pdf', 'سند.pdf']);
    for (const [token, status] of [[me, 200], [officer, 200], [auditor, 200], [helpdesk, 404], [stranger, 404], [elsewhere, 404]]) if (token) same((await open(token, one)).status, status);
    const marked = async (token) => (await call(b, 'GET', `${A}/desk/cases?q=${t}&organisation=${view.holder.code}`, { token })).json.items[0].new_documents;
    const second = await staff(b, `${view.holder.code}.officer2`);
    same([await marked(officer), await marked(second)], [false, true], 'who has opened the case since has seen them');
    await put(me, 'not sent yet');
    same(await marked(officer), false);
    same((await add(me, [await put(me, 'four')])).status, 200);
    same([await marked(officer), await marked(second)], [true, true]);
    await see(t, officer);
    same([await marked(officer), await marked(second)], [false, true]);
    const looks = (await call(b, 'GET', `${A}/me/access`, { token: me })).json.items.filter((x) => x.tracking === t && x.basis === 'staff');
    good(looks.length >= 2, 'a view of a document is a look at my data');
  });
  await test(`${name}: the office sends papers with an action, and keeps those of remarks to itself`, async () => {
    const assigned = await act(t, officer, 'assign', { expected_version: (await see(t, officer)).version });
    same(assigned.status, 200, assigned.text);
    same(assigned.json.new_documents, 0, 'seen to');
    const [form, plan, note] = [await put(officer, 'form'), await put(officer, 'plan'), await put(officer, 'note')];
    const asked = await act(t, officer, 'request_info', { expected_version: assigned.json.version, reason: 'document-missing', data: { documents: [form, plan] } });
    same(asked.status, 200, asked.text);
    same((await see(t, me)).events.at(-1).documents, [form, plan]);
    same([(await open(me, form)).status, (await open(stranger, form)).status], [200, 404]);
    const remark = await call(b, 'POST', `${A}/cases/${t}/remarks`, { token: officer, key: 'r', body: { text: 'برای همکاران', documents: [note] } });
    same(remark.status, 201, remark.text);
    same((await see(t, officer)).remarks.at(-1).documents, [note]);
    same([(await open(officer, note)).status, (await open(auditor, note)).status, (await open(me, note)).status], [200, 200, 404]);
    good(!JSON.stringify(await see(t, me)).includes(note), 'the citizen does not learn of it');
    same((await call(b, 'POST', `${A}/cases/${t}/remarks`, { token: officer, key: 'r2', body: { text: 'x', documents: [form, await put(me, 'mine')] } })).status, 422, 'another\'s');
    same((await act(t, me, 'add_documents', { expected_version: 1, data: { documents: [await put(me, 'while it waits')] } })).status, 200, 'in a waiting state too');
    same((await see(t, me)).state, 'awaiting_info', 'which does not answer the question');
  });
  await test(`${name}: who is asked opens the documents of the answers it is asked to see, and no other`, async () => {
    const list = (await call(b, 'GET', `${A}/services?limit=200`)).json.items;
    let found = null;
    for (const item of list) {
      const d = (await call(b, 'GET', `${A}/services/${item.code}`)).json, types = Object.fromEntries(d.pages.flatMap((p) => p.fields).map((f) => [f.field, f.type]));
      const q = (d.inquiries || []).find((x) => x.shows.some((n) => types[n] === 'document') && typeof x.to === 'string');
      if (q) found = { d, q, types };
    }
    good(found, 'the pack has such an inquiry');
    const { d, q, types } = found, shown = q.shows.find((n) => types[n] === 'document'), other = Object.keys(types).find((n) => types[n] === 'document' && !q.shows.includes(n));
    const data = { ...d.form_schema.examples[0], [shown]: [await put(me, 'shown')] };
    if (other) data[other] = [await put(me, 'not shown')];
    const f = await call(b, 'POST', `${A}/services/${d.service}/cases`, { token: me, key: 'asked', body: { data } });
    same(f.status, 201, f.text);
    const desk = (await see(f.json.tracking)).holder.code, theirs = await staff(b, `${desk}.officer`), asked = await staff(b, `${q.to}.officer`);
    same((await open(asked, data[shown][0])).status, 404, 'not before it is asked');
    for (let i = 0; i < 5 && !(await see(f.json.tracking, theirs)).children.length; i++) {
      const view = await see(f.json.tracking, theirs), next = view.actions.find((a) => a.name === 'inquire') || view.actions.find((a) => a.name === 'assign');
      const r = await act(f.json.tracking, theirs, next.name, { expected_version: view.version });
      same(r.status, 200, r.text);
      if (next.name === 'inquire') await until('the inquiry', () => see(f.json.tracking, theirs), (v) => v.children.some((c) => c.inquiry === q.inquiry));
    }
    same((await open(asked, data[shown][0])).status, 200);
    if (other) same((await open(asked, data[other][0])).status, 404, 'the other one');
    const extra = await put(me, 'added later');
    same((await act(f.json.tracking, me, 'add_documents', { expected_version: 1, data: { documents: [extra] } })).status, 200);
    same((await open(asked, extra)).status, 404, 'what is no answer');
    good((await call(b, 'GET', `${A}/me/access`, { token: me })).json.items.some((x) => x.basis === 'inquired' && x.organisation === q.to), 'and the citizen sees that they looked');
    // Their answer brings papers of its own: for them and for the office that asked, nobody else.
    const child = (await see(f.json.tracking, theirs)).children.find((c) => c.inquiry === q.inquiry).tracking, theirPaper = await put(asked, 'answer'), version = (await see(child, asked)).version;
    const reply = (documents, key) => call(b, 'POST', `${A}/cases/${child}/actions/reply`, { token: asked, key, body: { expected_version: version, data: { answer: 'agree', documents } } });
    const form = (await call(b, 'GET', `/cases/${child}/actions/reply`, { token: asked, headers: { Accept: 'text/html' } })).text;
    good(form.includes('type="file"') && form.includes('Only the office that asked'), 'on the page too');
    same((await reply([])).status, 422);
    const wrong = await reply([extra]);
    same([wrong.status, wrong.json.errors[0].field], [422, 'documents'], wrong.text);
    const answered = await reply([theirPaper], 'answer');
    same(answered.status, 200, answered.text);
    same((await reply([theirPaper], 'answer')).json.version, answered.json.version, 'the same key again');
    const seen = await until('the answer', () => see(f.json.tracking, theirs), (v) => v.events.some((e) => e.action === 'inquiry_reply' && e.documents)), its = seen.events.find((e) => e.action === 'inquiry_reply' && e.documents);
    same([its?.documents, seen.documents.some((x) => x.id === theirPaper)], [[theirPaper], true], JSON.stringify(seen.events));
    for (const [who, token, status] of [['the office', theirs, 200], ['who answered', asked, 200], ['the auditor', auditor, 200], ['the citizen', me, 404], ['a stranger', stranger, 404], ['another office', elsewhere, 404]])
      if (token) same((await open(token, theirPaper)).status, status, who);
    const own = await see(f.json.tracking, me);
    good(!JSON.stringify(own).includes(theirPaper), 'nor named to the citizen');
    same((await see(child, asked)).documents.map((x) => x.id), [theirPaper]);
  });
  await test(`${name}: on the pages: several at once and one by one, taken away again, kept when something else is wrong`, async () => {
    const cookie = `session=${me}`, path = `/cases/${t}/actions/provide_info`;
    const page = async (url, form) => {
      const r = await fetch(b + url, { method: form ? 'POST' : 'GET', body: form, headers: { Cookie: cookie, Accept: 'text/html', 'Accept-Language': 'fa' }, redirect: 'manual' });
      return { status: r.status, to: r.headers.get('location'), html: await r.text() };
    };
    const hidden = (html, n) => [...html.matchAll(new RegExp(`name="${n}" value="([^"]*)"`, 'g'))].map((m) => m[1]);
    const fill = (html, values, files = []) => {
      const f = new FormData();
      for (const n of ['form_token', 'key', 'expected_version']) f.append(n, hidden(html, n)[0]);
      for (const v of hidden(html, 'keep\\.attachment')) f.append('keep.attachment', v);
      for (const [n, v] of values) f.append(n, v);
      for (const [n, x] of files) f.append('attachment', new Blob([pdf(x)]), n);
      return f;
    };
    let p = await page(path);
    p = await page(path, fill(p.html, [['more', '1']], [['الف.pdf', 'a'], ['ب.pdf', 'b']]));
    same([p.status, hidden(p.html, 'keep\\.attachment').length], [200, 2], p.html.slice(0, 300));
    p = await page(path, fill(p.html, [['more', '1'], ['remove.attachment', hidden(p.html, 'keep\\.attachment')[0].slice(0, 32)]], [['پ.pdf', 'c']]));
    same(hidden(p.html, 'keep\\.attachment').map((x) => x.slice(33)), ['ب.pdf', 'پ.pdf']);
    p = await page(path, fill(p.html, []));
    same([p.status, hidden(p.html, 'keep\\.attachment').length], [422, 2], 'an answer is missing; the files stay');
    p = await page(path, fill(p.html, [['answer', 'بفرمایید']]));
    same([p.status, p.to], [303, `/cases/${t}?done=1`], p.html.slice(0, 500));
    const event = (await see(t, me)).events.at(-1);
    same([event.action, event.data.attachment.length], ['provide_info', 2]);
    good((await page(`/cases/${t}`)).html.includes('پ.pdf'), 'under their names');
    const stolen = fill((await page(`/cases/${t}/actions/add_documents`)).html, []);
    stolen.append('keep.documents', `${event.data.attachment[0]} x`);
    same((await fetch(`${b}/cases/${t}/actions/add_documents`, { method: 'POST', body: stolen, headers: { Cookie: `session=${stranger}` }, redirect: 'manual' })).status, 403, 'another\'s form');
  });
  await test(`${name}: a question that takes one kind takes no other, and a closed case no more documents`, async () => {
    const png = Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n\0\0\0\rIHDR', 'latin1'), Buffer.alloc(64)]);
    const up = await send(me, png, 'a.png');
    same([up.status, up.json.media_type], [201, 'image/png'], up.text);
    const w = await act(t, me, 'withdraw', { expected_version: (await see(t, me)).version });
    same(w.status, 200, w.text);
    good(!w.json.actions.some((a) => a.name === 'add_documents'), 'not offered');
    same((await act(t, me, 'add_documents', { expected_version: w.json.version, data: { documents: [up.json.id] } })).status, 409);
  });
  await s.stop();
  if (scan) await scan.stop();
}
if (!clamdThere) console.log('clamd is not installed: nothing is scanned');
await documents('sqlite', ['--data', folder()]);
const pg = postgres();
if (pg) await documents('postgres', ['--store', pg.url, '--keys', folder()]);
end();
