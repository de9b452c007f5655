// The public contract over both engines: services, submission, repetition, actions, rights, ledger, and that answers obey the OpenAPI text.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Ajv2020 from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { serve, call, staff, citizen, test, same, good, end, folder, postgres, root, run, fails, until } from './kit.mjs';

const doc = JSON.parse(readFileSync(join(root, 'assets/openapi.json'), 'utf8'));
const ajv = new Ajv2020({ strict: false, allErrors: true });
addFormats(ajv);
ajv.addSchema({ $id: 'doc', ...doc });
const seen = new Set();
function obeys(method, pattern, r) { // the answer against the document
  const op = doc.paths[pattern]?.[method.toLowerCase()];
  good(op, `${method} ${pattern} is not in the document`);
  const answer = op.responses[String(r.status)];
  good(answer, `${method} ${pattern} answered ${r.status}, which the document does not name: ${r.text}`);
  const type = (r.headers.get('content-type') || '').split(';')[0];
  if (answer.content && r.text) {
    good(answer.content[type], `${method} ${pattern} ${r.status} answered ${type}`);
    if (r.json) {
      const at = `doc#/paths/${pattern.replaceAll('~', '~0').replaceAll('/', '~1')}/${method.toLowerCase()}/responses/${r.status}/content/${type.replaceAll('/', '~1')}/schema`;
      const check = ajv.getSchema(at.replace(/[{}]/g, encodeURIComponent));
      good(check, `no schema at ${at}`);
      good(check(r.json), `${method} ${pattern} ${r.status}: ${ajv.errorsText(check.errors)}`);
    }
  }
  seen.add(`${method} ${pattern}`);
  return r;
}
const A = '/api/v1';

async function contract(name, where) {
  const s = await serve(where);
  const b = s.base;
  let svc, example, first, officer;
  await test(`${name}: services are listed, found by words, and defined`, async () => {
    const list = obeys('GET', `${A}/services`, await call(b, 'GET', `${A}/services?limit=200`));
    good(list.json.items.length >= 15, 'fifteen services and more');
    const page = obeys('GET', `${A}/services`, await call(b, 'GET', `${A}/services?limit=2`));
    same(page.json.items.length, 2);
    const next = await call(b, 'GET', `${A}/services?limit=2&after=${page.json.next}`);
    good(next.json.items[0].code > page.json.items[1].code, 'pages follow each other');
    const found = await call(b, 'GET', `${A}/services?q=${encodeURIComponent('گواهي سكونت')}`);
    good(found.json.items.some((x) => x.code === 'village-residence'), 'Arabic letters find Persian words');
    for (const item of list.json.items) {
      const one = obeys('GET', `${A}/services/{code}`, await call(b, 'GET', `${A}/services/${item.code}`));
      good(one.json.form_schema.examples.length >= 1, `${item.code} has an example`);
      good(new Ajv2020({ strict: false, validateFormats: false }).compile(one.json.form_schema)(one.json.form_schema.examples[0]), `${item.code}: its example satisfies its schema`);
    }
    svc = (await call(b, 'GET', `${A}/services/village-residence`)).json;
    example = svc.form_schema.examples[0];
    obeys('GET', `${A}/services/{code}`, await call(b, 'GET', `${A}/services/no-such`));
  });
  await test(`${name}: a request is filed once, however often it is sent`, async () => {
    const post = (key, data) => call(b, 'POST', `${A}/services/village-residence/cases`, { body: { data }, key });
    first = obeys('POST', `${A}/services/{code}/cases`, await post('k1', example));
    same(first.status, 201);
    same(first.headers.get('location'), `${A}/cases/${first.json.tracking}`);
    const again = await post('k1', example);
    same(again.json, first.json, 'the same answer');
    const many = await Promise.all(Array.from({ length: 20 }, () => post('k2', example)));
    same(new Set(many.map((m) => m.json.tracking)).size, 1, 'twenty at once make one');
    const other = obeys('POST', `${A}/services/{code}/cases`, await post('k1', { ...example, years: (example.years || 1) + 1 }));
    same(other.status, 422);
    same(other.json.code, 'idempotency_key_reused');
    same((await call(b, 'POST', `${A}/services/village-residence/cases`, { body: { data: example } })).status, 400);
  });
  await test(`${name}: bad input gets a clear message in the person's language`, async () => {
    const post = (body, extra = {}) => call(b, 'POST', `${A}/services/village-residence/cases`, { key: 'bad', body, ...extra });
    const bad = obeys('POST', `${A}/services/{code}/cases`, await post({ data: { ...example, national_id: '1234567890', what: 1 } }, { lang: 'fa' }));
    same(bad.status, 422);
    good(bad.json.errors.some((e) => e.field === 'national_id' && /[آ-ی]/.test(e.message)), 'a Persian sentence at the field');
    good(bad.json.errors.some((e) => e.field === 'what' && e.code === 'unknown'), 'unknown fields are told');
    same((await post('{"data":')).status, 400);
    same((await post(`{"data":${'['.repeat(200)}${']'.repeat(200)}}`)).status, 400);
    same((await post('{"data":{"national_id":"\xff"}}', { body: Uint8Array.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]) })).status, 400);
    same((await post({ data: example, more: 1 })).status, 422);
    same((await post('x'.repeat(300 * 1024))).status, 413);
    same((await post(JSON.stringify({ data: example }), { headers: { 'Content-Type': 'text/plain' } })).status, 415);
    const bidi = await post({ data: { ...example, address: 'a\u202Eb' } });
    good([201, 422].includes(bidi.status), 'direction marks are refused or repaired');
    same((await call(b, 'GET', `${A}/nothing`)).status, 404);
    same((await call(b, 'PUT', `${A}/services`)).status, 405);
  });
  await test(`${name}: everybody's view holds nothing personal; strangers' codes answer alike`, async () => {
    const r = obeys('GET', `${A}/cases/{tracking}`, await call(b, 'GET', `${A}/cases/${first.json.tracking}`));
    good(!r.text.includes(example.national_id) && !('data' in r.json), 'no data');
    const grouped = await call(b, 'GET', `${A}/cases/${first.json.tracking.replace(/(....)/g, '$1-').slice(0, -1)}`);
    same(grouped.status, 200, 'groups are repaired');
    same((await call(b, 'GET', `${A}/cases/${first.json.tracking}`, { headers: { 'If-None-Match': r.headers.get('etag') } })).status, 304);
    const a = obeys('GET', `${A}/cases/{tracking}`, await call(b, 'GET', `${A}/cases/1234567890123452`)), c = await call(b, 'GET', `${A}/cases/x`);
    same([a.status, c.status], [404, 404]);
  });
  await test(`${name}: the receipt proves itself, and is false when one byte changes`, async () => {
    const r = await until('the proof', async () => obeys('GET', `${A}/cases/{tracking}/receipt`, await call(b, 'GET', `${A}/cases/${first.json.tracking}/receipt`)), (x) => x.json.audit_path);
    const file = join(folder(), 'receipt.json'), keyFile = join(folder(), 'key');
    writeFileSync(file, r.text);
    writeFileSync(keyFile, (await call(b, 'GET', '/ledger/key')).text);
    good(run('ledger', 'check', file, '--key', keyFile).length > 20, 'chapar ledger check');
    writeFileSync(file, r.text.replace(/"leaf_hash":\s*"(.)/, (m, c) => m.slice(0, -1) + (c === 'a' ? 'b' : 'a')));
    same(fails(['ledger', 'check', file, '--key', keyFile]).status, 1);
    const head = obeys('GET', `${A}/ledger/head`, await call(b, 'GET', `${A}/ledger/head`));
    const proof = obeys('GET', `${A}/ledger/proof`, await call(b, 'GET', `${A}/ledger/proof?leaf=${r.json.leaf_index}&tree_size=${head.json.tree_size}`));
    same(proof.json.leaf_hash, r.json.leaf_hash);
    obeys('GET', `${A}/ledger/consistency`, await call(b, 'GET', `${A}/ledger/consistency?first=1&second=${head.json.tree_size}`));
    obeys('GET', `${A}/ledger/proof`, await call(b, 'GET', `${A}/ledger/proof?leaf=99999999&tree_size=1`));
  });
  await test(`${name}: officers act; others are refused; who comes second is told`, async () => {
    const c = (await call(b, 'GET', `${A}/cases/${first.json.tracking}`)).json;
    officer = await staff(b, `${c.holder.code}.officer`);
    const stranger = await staff(b, 'takapo.officer'), person = await citizen(b);
    const act = (token, action, body, key) => call(b, 'POST', `${A}/cases/${first.json.tracking}/actions/${action}`, { token, body, key });
    same((await act(undefined, 'assign', { expected_version: 1 })).status, 401);
    const hidden = obeys('POST', `${A}/cases/{tracking}/actions/{action}`, await act(stranger, 'assign', { expected_version: 1 }));
    same(hidden.status, 404, 'another desk');
    const full = obeys('GET', `${A}/cases/{tracking}`, await call(b, 'GET', `${A}/cases/${first.json.tracking}`, { token: officer }));
    same(full.json.data.national_id, example.national_id);
    const desk = obeys('GET', `${A}/desk/cases`, await call(b, 'GET', `${A}/desk/cases?q=${example.national_id}`, { token: officer }));
    good(desk.json.items.some((x) => x.tracking === first.json.tracking), 'found on the desk by identifier');
    const done = obeys('POST', `${A}/cases/{tracking}/actions/{action}`, await act(officer, 'assign', { expected_version: 1 }, 'a1'));
    same(done.status, 200, done.text);
    same((await act(officer, 'assign', { expected_version: 1 }, 'a1')).json.version, done.json.version, 'the same key, the same case');
    same((await act(officer, 'approve', { expected_version: 1 })).status, 409, 'it has moved on');
    same((await act(officer, 'reject', { expected_version: done.json.version })).status, 422, 'no rejection without a reason');
    const two = await Promise.all([0, 1, 2, 3].map(() => act(officer, 'reject', { expected_version: done.json.version, comment: 'مدارک نمی‌خواند' })));
    same(two.map((x) => x.status).sort(), [200, 409, 409, 409], 'one wins, the others are told');
    const events = obeys('GET', `${A}/cases/{tracking}/events`, await call(b, 'GET', `${A}/cases/${first.json.tracking}/events`, { token: officer }));
    same(events.json.items.map((e) => e.action), ['submit', 'assign', 'reject']);
    const leaf = obeys('GET', `${A}/cases/{tracking}/events/{seq}/leaf`, await call(b, 'GET', `${A}/cases/${first.json.tracking}/events/1/leaf`, { token: officer }));
    good(leaf.json.payload.includes(example.national_id), 'the leaf can be reproduced');
    const mine = obeys('GET', `${A}/me/access`, await call(b, 'GET', `${A}/me/access`, { token: person }));
    good(Array.isArray(mine.json.items), 'looks are listed');
  });
  await test(`${name}: a citizen sees what the pair filed, appeals, and rates`, async () => {
    const person = await citizen(b, example.national_id, '09150000001');
    const filed = await call(b, 'POST', `${A}/services/village-residence/cases`, { token: person, key: 'mine', body: { data: { ...example, mobile: '09150000001' } } });
    same(filed.status, 201, filed.text);
    const mine = obeys('GET', `${A}/me/cases`, await call(b, 'GET', `${A}/me/cases`, { token: person }));
    same(mine.json.items.map((x) => x.tracking), [filed.json.tracking], 'only what this pair filed');
    const t = `${A}/cases/${filed.json.tracking}`;
    same((await call(b, 'GET', t, { token: person })).json.right, 'citizen');
    same((await call(b, 'POST', `${t}/actions/approve`, { token: person, body: { expected_version: 1 } })).status, 403, 'not the citizen');
    let r = await call(b, 'POST', `${t}/actions/assign`, { token: officer, body: { expected_version: 1 } });
    r = await call(b, 'POST', `${t}/actions/reject`, { token: officer, body: { expected_version: r.json.version, comment: 'سکونت فصلی' } });
    same(r.status, 200, r.text);
    const rated = obeys('POST', `${A}/cases/{tracking}/rating`, await call(b, 'POST', `${t}/rating`, { token: person, body: { score: 4 } }));
    same(rated.status, 201, rated.text);
    same((await call(b, 'POST', `${t}/rating`, { token: person, body: { score: 4 } })).status, 409, 'once');
    r = await call(b, 'GET', t, { token: person });
    const appealed = await call(b, 'POST', `${t}/actions/appeal`, { token: person, body: { expected_version: r.json.version, comment: 'خواهش می‌کنم دوباره ببینید', data: { grounds: 'سکونت من دائمی است و شورا گواهی کرده است.' } } });
    same(appealed.status, 200, appealed.text);
    const back = await call(b, 'GET', t, { token: officer });
    good(!back.json.actions.some((x) => x.name === 'approve'), 'the first decider does not decide the appeal');
    const box = (await call(b, 'GET', '/demo/outbox')).json;
    good(box.some((m) => m.to === '09150000001'), 'a notice went out');
    good(box.every((m) => !/https?:/.test(m.text)), 'no message carries a link');
  });
  await test(`${name}: a holiday declared late moves open deadlines`, async () => {
    const filed = await call(b, 'POST', `${A}/services/village-residence/cases`, { key: 'holiday', body: { data: example } });
    const operator = await staff(b, 'operator');
    same((await call(b, 'POST', `${A}/calendars/official/closures`, { token: officer, body: { date: filed.json.due.legal, title: { fa: 'x', en: 'x' } } })).status, 403);
    const r = obeys('POST', `${A}/calendars/{calendar}/closures`, await call(b, 'POST', `${A}/calendars/official/closures`, { token: operator, body: { date: filed.json.due.legal, title: { fa: 'برف سنگین', en: 'Heavy snow' } } }));
    same(r.status, 201, r.text);
    const after = await call(b, 'GET', `${A}/cases/${filed.json.tracking}`);
    good(after.json.due.legal > filed.json.due.legal, `${after.json.due.legal} is later than ${filed.json.due.legal}`);
    obeys('GET', `${A}/calendars/{calendar}`, await call(b, 'GET', `${A}/calendars/official`));
  });
  await test(`${name}: documents are kept for those with a right`, async () => {
    const person = await citizen(b), other = await citizen(b, '0060495219', '09150000009');
    const form = new FormData();
    form.append('file', new Blob([Buffer.from('%PDF-1.4 test')]), 'x.pdf');
    const d = obeys('POST', `${A}/documents`, await call(b, 'POST', `${A}/documents`, { token: person, body: form }));
    same(d.status, 201, d.text);
    same((await call(b, 'GET', `${A}/documents/${d.json.id}`, { token: person })).status, 200);
    same((await call(b, 'GET', `${A}/documents/${d.json.id}`, { token: other })).status, 404);
  });
  await test(`${name}: machines are answered`, async () => {
    obeys('GET', '/health', await call(b, 'GET', '/health'));
    good((await call(b, 'GET', '/metrics')).text.includes('chapar_http_requests_total'), 'metrics');
    const cat = obeys('GET', '/catalog.jsonld', await call(b, 'GET', '/catalog.jsonld'));
    good(cat.json['@graph'].length > 20, 'catalogue');
    obeys('GET', '/ledger/checkpoint', await call(b, 'GET', '/ledger/checkpoint'));
    obeys('GET', `${A}/openapi.json`, await call(b, 'GET', `${A}/openapi.json`));
  });
  await test(`${name}: everything verifies after a stop`, async () => {
    same(await s.stop(), 0, 'a clean stop');
    good(run('ledger', 'verify', ...where).includes('verifies'), 'ledger verify');
  });
}

await contract('sqlite', ['--data', folder()]);
const pg = postgres();
if (pg) await contract('postgres', ['--store', pg.url, '--keys', join(folder(), 'keys')]);
else console.log('postgres: not installed here');
end();
