// What a hostile and exact outsider asks of the public contract, over both engines: every answer against the interface's document, every
// refusal against one form, every hash computed again. Rows first, code after.
import { readFileSync, readdirSync, writeFileSync, existsSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import Ajv2020 from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { serve, call as plain, staff, citizen, test, same, good, end, folder, postgres, root, pack, run, fails, until } from './kit.mjs';
import { logKey, checkLog, checkReceipt, leafHash, leafBytes, digestOf, tilePath } from './ledger.mjs';

const A = '/api/v1', S = `${A}/services`, K = `${S}/village-residence/cases`;
const doc = JSON.parse(readFileSync(join(root, 'assets/openapi.json'), 'utf8'));
const ajv = new Ajv2020({ strict: false, allErrors: true });
addFormats(ajv);
ajv.addSchema({ $id: 'doc', ...doc });
const patterns = Object.keys(doc.paths).map((p) => [p, new RegExp(`^${p.replace(/\{path\}/, '.+').replace(/\{[^}]+\}/g, '[^/]+').replaceAll('.', '\\.').replaceAll('\\.+', '.+')}$`)]);
const many = (problems) => good(!problems.length, problems.join('\n    '));
const PERSIAN = /[آ-ی]/;
let base = '', unique = 0, problems = [];
const key = () => `c-${++unique}`;

// ---- every answer is held against the document ----

function times(v, at = '') { // RFC 3339 in UTC wherever a time is told
  if (typeof v === 'string' && /^\d{4}-\d\d-\d\dT/.test(v)) return /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/.test(v) ? [] : [`${at}: ${v}`];
  return v && typeof v === 'object' ? Object.entries(v).flatMap(([k, x]) => times(x, `${at}.${k}`)) : [];
}
function judge(method, path, r, lang) {
  const bare = path.split('?')[0], type = (r.headers.get('content-type') || '').split(';')[0], say = (what) => problems.push(`${method} ${path} ${r.status}: ${what}`);
  if (r.status >= 500) say(r.text);
  if (r.status >= 400) {
    if (type !== 'application/problem+json') return say(`is ${type}`);
    for (const m of ['type', 'title', 'status', 'detail', 'code', 'instance']) if (r.json[m] === undefined) say(`a problem without ${m}`);
    if (r.json.status !== r.status) say('its status is another');
    for (const e of r.json.errors || []) if (!e.field || !e.code || !e.message) say(`an error without member: ${JSON.stringify(e)}`);
    if (lang && [r.json.title, r.json.detail, ...(r.json.errors || []).map((e) => e.message)].some((t) => PERSIAN.test(t) !== (lang === 'fa'))) say(`not in ${lang}: ${r.text}`);
    if (lang && r.headers.get('content-language') !== lang) say(`Content-Language ${r.headers.get('content-language')}`);
  }
  for (const t of times(r.json)) say(`not a time in UTC ${t}`);
  const found = patterns.find(([, x]) => x.test(bare)), op = found && doc.paths[found[0]][method.toLowerCase()];
  if (!op) return;
  const status = op.responses[r.status] ? r.status : 'default', answer = op.responses[status];
  if (r.status < 400 && !op.responses[r.status]) say('is not in the document');
  if (!answer.content || !r.json) return;
  if (!answer.content[type]) return say(`${type} is not in the document`);
  const esc = (x) => encodeURIComponent(x.replaceAll('~', '~0').replaceAll('/', '~1'));
  const check = ajv.getSchema(`doc#/paths/${esc(found[0])}/${method.toLowerCase()}/responses/${status}/content/${esc(type)}/schema`);
  if (!check) return say(`no schema of ${found[0]} ${status}`);
  if (!check(r.json)) say(ajv.errorsText(check.errors));
}
async function call(method, path, o = {}) {
  const r = await plain(base, method, path, o);
  judge(method, path, r, o.lang === 'fa' ? 'fa' : o.lang === undefined || o.lang === 'en' ? 'en' : '');
  return r;
}
// rows: [what, method, path, options, status, field or code of the fault]
async function table(rows) {
  for (const [what, method, path, o, status, fault] of rows) {
    const r = await call(method, path, o || {});
    if (r.status !== status) problems.push(`${what}: ${r.status} instead of ${status}: ${r.text.slice(0, 300)}`);
    else if (fault && r.json.code !== fault && !(r.json.errors || []).some((e) => e.field === fault)) problems.push(`${what}: no fault at ${fault}: ${r.text.slice(0, 300)}`);
  }
}
const part = (title, fn) => test(title, async () => { problems = []; await fn(); many(problems); });
const raw = (...parts) => Uint8Array.from(Buffer.concat(parts.map((p) => Buffer.from(p))));
const holds = (o, members) => members.filter((m) => !(m in o)).map((m) => `${m} is missing`);

async function contract(name, where) {
  const s = await serve(where);
  base = s.base;
  const svc = (await call('GET', `${S}/village-residence`)).json, example = svc.form_schema.examples[0];
  const post = (data, o = {}) => call('POST', K, { key: key(), body: { data: { ...example, ...data } }, ...o });
  const person = await citizen(base, '0499370899', '09150007001'), other = await citizen(base, '0060495219', '09150007002');
  const first = await post({ mobile: '09150007001' }, { token: person, key: 'first' });
  const P = `${A}/cases/${first.json.tracking}`, holder = (await call('GET', P)).json.holder.code;
  const who = { officer: `${holder}.officer`, second: `${holder}.officer2`, supervisor: `${holder}.supervisor`, manager: `${holder}.manager`, helpdesk: `${holder}.helpdesk`,
    stranger: 'takapo.officer', operator: 'operator', auditor: 'auditor', agent: 'agent' }, t = {};
  for (const k in who) t[k] = await staff(base, who[k]);

  await part(`${name}: the document and the routes are the same`, async () => {
    const rows = new Set();
    /* What a gateway by itself tells (gateway_serve.c) stands in the operator's guide. */
    for (const dir of ['src/channels/api', 'src/channels/ussd', 'src/app'])
      for (const f of readdirSync(join(root, dir)).filter((x) => x.endsWith('.c') && x !== 'gateway_serve.c'))
        for (const [, m, p] of readFileSync(join(root, dir, f), 'utf8').matchAll(/\{"(GET|POST|PUT|DELETE)", "([^"]+)"/g)) if (!p.startsWith('/demo/')) rows.add(`${m} ${p.replace('...', '')}`);
    const told = Object.entries(doc.paths).flatMap(([p, v]) => Object.keys(v).map((m) => `${m.toUpperCase()} ${p}`));
    same(told.filter((x) => !rows.has(x)), [], 'documented, not there');
    same([...rows].filter((x) => !told.includes(x)), [], 'there, not documented');
    for (const x of told) {
      const [m, p] = x.split(' '), r = await plain(base, m, p.replace(/\{[^}]+\}/g, '1'), { body: m === 'POST' ? {} : undefined });
      good(r.status !== 405 && r.status < 500, `${x} answers ${r.status}`);
    }
  });

  await part(`${name}: signing in`, async () => {
    const otp = (body, o = {}) => ['otp', 'POST', `${A}/otp`, { body, ...o }], ses = (body, o = {}) => ['session', 'POST', `${A}/sessions`, { body, ...o }];
    const id = '0499370899', mobile = '09150007003';
    await table([
      [...otp({ national_id: id, mobile }), 202], [...otp({ national_id: '۰۴۹۹۳۷۰۸۹۹', mobile: '+98 915 000 7003' }), 202],
      [...otp({ national_id: '0499370898', mobile }, { lang: 'fa' }), 422, 'national_id'], [...otp({ national_id: id, mobile: '0915' }, { lang: 'fa' }), 422, 'mobile'],
      [...otp({ mobile }), 422, 'national_id'], [...otp({ national_id: 499370899, mobile }), 422, 'national_id'], [...otp([]), 422], [...otp('{'), 400], [...otp({ national_id: id, mobile: '0'.repeat(5000) }), 413],
      [...otp('x', { headers: { 'Content-Type': 'text/plain' } }), 415],
      [...ses({}), 422, 'challenge'], [...ses([1]), 422], [...ses({ challenge: 'x' }), 422, 'code'], [...ses({ challenge: 'x', code: '1' }, { lang: 'fa' }), 401], [...ses({ challenge: 1, code: 2 }), 422, 'challenge'],
      [...ses({ username: 'operator' }), 422, 'password'], [...ses({ username: 'operator', password: 'nope' }, { lang: 'fa' }), 401], [...ses({ username: 'no.such', password: 'nope' }), 401], [...ses({ username: 'operator', password: 5 }), 422, 'password'],
      ['nobody', 'GET', `${A}/me`, {}, 401], ['a stale token', 'GET', `${A}/me`, { token: 'x'.repeat(43) }, 401], ['another scheme', 'GET', `${A}/me`, { headers: { Authorization: 'Basic eDp5' } }, 401],
      ['no mandate', 'GET', `${A}/me/cases`, { token: person, headers: { 'Chapar-Acting-As': '14001234567' } }, 403],
    ]);
    const known = await call('POST', `${A}/otp`, { body: { national_id: id, mobile } }), unknown = await call('POST', `${A}/otp`, { body: { national_id: '0060495219', mobile: '09391234567' } });
    same(Object.keys(known.json), Object.keys(unknown.json), 'the same answer whoever asks');
    same(known.json.expires_in, unknown.json.expires_in);
    const tries = [];
    for (let i = 0; i < 7; i++) tries.push((await call('POST', `${A}/sessions`, { body: { challenge: unknown.json.challenge, code: '00000x' } })).status);
    same(tries, [401, 401, 401, 401, 401, 429, 429], 'five tries a challenge');
    const locked = [];
    for (let i = 0; i < 7; i++) locked.push((await call('POST', `${A}/sessions`, { body: { username: `${holder}.officer2`, password: `wrong ${i}` } })).status);
    good(locked[0] === 401 && locked[6] === 429, `an account is locked: ${locked}`);
    const once = await citizen(base, id, '09150007004');
    const lower = await call('GET', `${A}/me`, { headers: { Authorization: `bearer ${once}` } });
    same([lower.status, lower.json.assurance], [200, 'claimed']);
    same((await call('DELETE', `${A}/sessions`, { token: once })).status, 204);
    same((await call('GET', `${A}/me`, { token: once })).status, 401, 'ended');
    const session = await call('POST', `${A}/sessions`, { body: { username: 'operator', password: (await call('GET', '/demo/accounts')).json.find((a) => a.username === 'operator').password } });
    many(holds(session.json, ['access_token', 'token_type', 'expires_in']));
    same([session.status, session.json.token_type], [201, 'Bearer']);
  });

  await part(`${name}: services are listed by page and filter, defined with valid examples`, async () => {
    const all = (await call('GET', `${S}?limit=200`)).json.items, seen = [];
    for (let next = null, n = 0; n < 30; n++) {
      const page = (await call('GET', `${S}?limit=7${next ? `&${n % 2 ? 'after' : 'next'}=${encodeURIComponent(next)}` : ''}`)).json;
      seen.push(...page.items.map((x) => x.code));
      if (!(next = page.next)) break;
    }
    same(seen, all.map((x) => x.code), 'pages make the whole');
    for (const x of all) many([...holds(x, ['code', 'version', 'title', 'organisation', 'channels']), ...holds(x.title, ['fa', 'en'])]);
    for (const [q, fits] of [['channel=ussd', (x) => x.channels.includes('ussd')], [`organisation=${all[0].organisation}`, (x) => x.organisation === all[0].organisation]]) {
      const got = (await call('GET', `${S}?limit=200&${q}`)).json.items;
      same(got.map((x) => x.code), all.filter(fits).map((x) => x.code), q);
    }
    good((await call('GET', `${S}?life_event=documents&limit=200`)).json.items.some((x) => x.code === 'village-residence'), 'by life event');
    good((await call('GET', `${S}?q=${encodeURIComponent('گواهي سكونت')}`)).json.items.some((x) => x.code === 'village-residence'), 'by words, with Arabic letters');
    for (const q of ['channel=nope', 'organisation=nope', 'life_event=nope', 'q=zzzzzz', 'after=zzz']) same((await call('GET', `${S}?${q}`)).json, { items: [], next: null }, q);
    await table(['0', '201', 'x', '-1', '1.5', ''].map((n) => [`limit=${n}`, 'GET', `${S}?limit=${n}`, { lang: 'fa' }, 422, 'limit']).concat([
      ['not UTF-8', 'GET', `${S}?q=%ff`, {}, 400], ['none such', 'GET', `${S}/nope`, { lang: 'fa' }, 404], ['another method', 'PUT', S, {}, 405], ['no address', 'GET', `${A}/nope`, { lang: 'fa' }, 404]]));
    for (const x of all) {
      const d = (await call('GET', `${S}/${x.code}`)).json, valid = new Ajv2020({ strict: false, validateFormats: false }).compile(d.form_schema);
      good(d.form_schema.$schema?.includes('2020-12') && d.form_schema.examples.length, `${x.code}: a schema of 2020-12 with examples`);
      for (const e of d.form_schema.examples) {
        good(valid(e), `${x.code}: an example does not satisfy its schema`);
        const r = await call('POST', `${S}/${x.code}/cases`, { key: key(), body: { data: e } });
        good(r.status === 201 || r.status === 401, `${x.code}: its example is answered ${r.status} ${r.text}`);
      }
    }
  });

  await part(`${name}: a submission's answer, and its repetition byte for byte`, async () => {
    const r = await post({}, { key: 'bytes' }), again = await post({}, { key: 'bytes' });
    same([r.status, r.headers.get('location')], [201, `${A}/cases/${r.json.tracking}`]);
    many([...holds(r.json, ['tracking', 'state', 'version', 'submitted_at', 'due', 'receipt']), ...holds(r.json.due, ['norm', 'legal']),
      ...holds(r.json.receipt, ['leaf_hash', 'promise']), ...holds(r.json.receipt.promise, ['at', 'merge_by', 'key_id', 'signature'])]);
    const digits = [...r.json.tracking].map(Number), sum = digits.reverse().reduce((n, d, i) => n + (i % 2 ? (d * 2 > 9 ? d * 2 - 9 : d * 2) : d), 0);
    good(/^\d{16}$/.test(r.json.tracking) && sum % 10 === 0, 'sixteen digits, the last by Luhn');
    same([again.status, again.text, again.headers.get('location')], [201, r.text, r.headers.get('location')], 'the same bytes');
    same((await call('POST', K, { key: 'bytes', body: ` { "data" :${JSON.stringify(example, null, 2)} } ` })).text, r.text, 'spaces do not matter');
    const crowd = await Promise.all(Array.from({ length: 12 }, () => post({}, { key: 'crowd' })));
    same(new Set(crowd.map((x) => x.text)).size, 1, 'twelve at once make one');
    const officer = t.officer, p = `${A}/cases/${r.json.tracking}`;
    same((await call('POST', `${p}/actions/assign`, { token: officer, body: { expected_version: 1 } })).status, 200);
    same((await post({}, { key: 'bytes' })).text, r.text, 'also after the case has moved on');
    const file = join(folder(), 'r.json'), keyFile = join(folder(), 'key');
    writeFileSync(file, JSON.stringify(r.json.receipt));
    writeFileSync(keyFile, (await call('GET', '/ledger/key')).text);
    for (const words of [[], ['--key', keyFile]]) good(run('ledger', 'check', file, ...words).includes('promised'), 'the answer\'s receipt is checked offline');
    writeFileSync(file, JSON.stringify({ ...r.json.receipt, leaf_hash: r.json.receipt.leaf_hash.replace(/^./, (x) => (x === '0' ? '1' : '0')) }));
    same(fails(['ledger', 'check', file]).status, 1, 'not with another hash');
  });

  await part(`${name}: bad input is refused in the caller's language, at its field`, async () => {
    const d = (o, status, field, lang) => ['answers', 'POST', K, { key: key(), lang, body: { data: { ...example, ...o } } }, status, field];
    const b = (what, body, status, fault, o = {}) => [what, 'POST', K, { key: key(), body, ...o }, status, fault];
    const without = (m) => { const c = { ...example }; delete c[m]; return c; };
    await table([
      ['no key', 'POST', K, { lang: 'fa', body: { data: example } }, 400], ['a long key', 'POST', K, { key: 'x'.repeat(201), body: { data: example } }, 400],
      ['a key of 200', 'POST', K, { key: `${name}`.padEnd(200, 'x'), body: { data: example } }, 201],
      ['the key of another body', 'POST', K, { key: 'bytes', lang: 'fa', body: { data: { ...example, years: 44 } } }, 422, 'idempotency_key_reused'],
      ['the key of another body that is not valid either', 'POST', K, { key: 'bytes', lang: 'fa', body: { data: {} } }, 422, 'idempotency_key_reused'],
      ['no such service', 'POST', `${S}/nope/cases`, { key: key(), body: { data: {} } }, 404],
      b('nothing', '', 400), b('cut', '{"data":', 400), b('trailing', `${JSON.stringify({ data: example })}x`, 400), b('twice', '{"data":{},"data":{}}', 400), b('NaN', '{"data":NaN}', 400),
      b('deep', `{"data":{"x":${'['.repeat(64)}${']'.repeat(64)}}}`, 400), b('very deep', '['.repeat(100000), 400), b('half a pair', '{"data":{"first_name":"\\ud800"}}', 400), b('NUL', '{"data":{"first_name":"a\\u0000b"}}', 400),
      b('not UTF-8', raw('{"data":{"first_name":"', [0xff, 0xfe], '"}}'), 400), b('overlong UTF-8', raw('{"data":{"first_name":"', [0xc0, 0xaf], '"}}'), 400), b('too big a number', '{"data":{"years":1e999}}', 400),
      b('null', 'null', 422, 'data'), b('a list', '[]', 422, 'data'), b('a text', '"x"', 422, 'data'), b('no data', {}, 422, 'data'), b('data a list', { data: [] }, 422, 'data'), b('data null', { data: null }, 422, 'data'),
      b('one member more', { data: example, more: 1 }, 422, 'more'), b('empty data', { data: {} }, 422, 'national_id', { lang: 'fa' }), b('another type', 'a=b', 415, null, { headers: { 'Content-Type': 'application/x-www-form-urlencoded' } }),
      b('another charset', '{}', 415, null, { headers: { 'Content-Type': 'application/json; charset=iso-8859-1' } }), b('huge', 'x'.repeat(400 * 1024), 413),
      ...['national_id', 'county', 'village', 'years', 'house', 'purpose', 'accuracy'].map((m) => ['missing', 'POST', K, { key: key(), lang: 'fa', body: { data: without(m) } }, 422, m]),
      d({ national_id: 499370899 }, 422, 'national_id'), d({ national_id: '0499370898' }, 422, 'national_id', 'fa'), d({ national_id: null }, 422, 'national_id'), d({ mobile: '12' }, 422, 'mobile', 'fa'),
      d({ first_name: 'ا'.repeat(5000) }, 422, 'first_name', 'fa'), d({ first_name: {} }, 422, 'first_name'), d({ years: -1 }, 422, 'years', 'fa'), d({ years: 1.5 }, 422, 'years'), d({ years: 1e15 }, 422, 'years'),
      d({ since: '2026-02-30' }, 422, 'since', 'fa'), d({ since: '1404-12-30' }, 422, 'since'), d({ since: '2150-01-01' }, 422, 'since'), d({ since: 20200101 }, 422, 'since'), d({ village: 'nope' }, 422, 'village', 'fa'), d({ purpose: 'nope' }, 422, 'purpose'),
      d({ accuracy: false }, 422, 'accuracy', 'fa'), d({ what: 1 }, 422, 'what', 'fa'), d({ __proto: 1 }, 422, '__proto'), d({ bill: ['0123456789abcdef0123456789abcdef'] }, 422, 'bill', 'fa'), d({ bill: 'x' }, 422, 'bill'),
    ]);
    for (const [given, kept] of [['علی\u202Eرضا', 'علیرضا'], ['\u2066علی\u2069', 'علی'], ['  علي ', 'علی']]) {
      const r = await post({ first_name: given, mobile: '09150007001' }, { token: person });
      same((await call('GET', `${A}/cases/${r.json.tracking}`, { token: person })).json.data.first_name, kept, 'marks of direction and Arabic letters are repaired');
    }
  });

  await part(`${name}: who sees what of a case`, async () => {
    const personal = Object.values(example).filter((v) => typeof v === 'string' && v.length > 5 && ![example.village].includes(v)).concat('09150007001');
    for (const token of [undefined, other, t.stranger, t.operator]) {
      for (const path of [P, `${P}/events`, `${P}/receipt`]) {
        const r = await call('GET', path, { token });
        same(r.status, 200, path);
        many(personal.filter((x) => r.text.includes(x)).map((x) => `${path} tells ${x}`));
      }
      const r = await call('GET', P, { token });
      many(holds(r.json, ['tracking', 'service', 'organisation', 'state', 'state_title', 'submitted_at', 'due']));
      good(!('data' in r.json) && !('events' in r.json), 'neither data nor events');
    }
    for (const [right, token] of [['citizen', person], ['staff', t.officer], ['auditor', t.auditor], ['helpdesk', t.helpdesk]]) {
      const r = (await call('GET', P, { token })).json;
      same(r.right, right);
      good(r.events.length === 1 && r.events[0].action === 'submit' && r.version === 1, `${right}: events and version`);
      same(r.data.national_id === example.national_id, right !== 'helpdesk', `${right}: the identifier`);
      many(holds(r, ['applicant', 'beneficiary', 'submitted_by', 'intake', 'assurance', 'owner', 'provider', 'letter_no', 'letter_date', 'actions']));
      same([r.submitted_by, r.intake], ['self', 'api']);
    }
    await table([['none such', 'GET', `${A}/cases/1234567890123452`, { lang: 'fa' }, 404], ['no code', 'GET', `${A}/cases/x`, {}, 404], ['one digit wrong', 'GET', `${A}/cases/${first.json.tracking.slice(0, 15)}${(+first.json.tracking[15] + 1) % 10}`, {}, 404],
      ['a leaf is not for nobody', 'GET', `${P}/events/1/leaf`, {}, 401], ['nor for others', 'GET', `${P}/events/1/leaf`, { token: other }, 404], ['none such', 'GET', `${P}/events/99/leaf`, { token: person }, 404],
      ['events by page', 'GET', `${P}/events?limit=0`, {}, 422, 'limit'], ['a false mark', 'GET', `${P}/events?after=x`, {}, 400]]);
    const access = async () => (await call('GET', `${A}/me/access?limit=200`, { token: person })).json.items;
    const before = (await access()).length;
    for (const path of [P, `${P}/events`, `${P}/events/1/leaf`]) await call('GET', path, { token: t.officer });
    const after = await access();
    same(after.length, before + 3, 'each look of the office is on record');
    many(holds(after[0], ['at', 'organisation', 'basis', 'tracking']));
    same([after[0].organisation, after[0].tracking, after[0].basis], [holder, first.json.tracking, 'staff']);
    same((await call('GET', P, { token: person })).json.version, 1, 'looks do not count');
    const pages = [];
    for (let next = '', n = 0; n < 50 && next !== null; n++) {
      const page = (await call('GET', `${A}/me/access?limit=2${next && `&after=${next}`}`, { token: person })).json;
      pages.push(...page.items.map((x) => x.at));
      next = page.next;
    }
    same(pages, after.map((x) => x.at), 'looks by page');
  });

  await part(`${name}: actions`, async () => {
    let v = 1, state;
    const act = async (token, action, body, o = {}) => {
      const r = await call('POST', `${P}/actions/${action}`, { token, body: { expected_version: v, ...body }, ...o });
      if (r.status === 200) { v = r.json.version ?? v; state = r.json.state; }
      return r;
    };
    const row = (what, token, action, body, status, fault, o = {}) => [what, 'POST', `${P}/actions/${action}`, { token, body, ...o }, status, fault];
    await table([
      row('nobody', undefined, 'assign', { expected_version: 1 }, 401), row('a stranger', t.stranger, 'assign', { expected_version: 1 }, 404, null, { lang: 'fa' }), row('another citizen', other, 'withdraw', { expected_version: 1 }, 404),
      row('the citizen', person, 'approve', { expected_version: 1 }, 403, null, { lang: 'fa' }), row('the auditor', t.auditor, 'approve', { expected_version: 1 }, 403), row('the operator', t.operator, 'approve', { expected_version: 1 }, 403), row('for the citizen', t.officer, 'withdraw', { expected_version: 1 }, 403),
      row('no version', t.officer, 'assign', {}, 422, 'expected_version'), row('a version as text', t.officer, 'assign', { expected_version: '1' }, 422, 'expected_version'), row('a later version', t.officer, 'assign', { expected_version: 9 }, 409, null, { lang: 'fa' }),
      row('no such action', t.officer, 'nonsense', { expected_version: 1 }, 409, null, { lang: 'fa' }), row('not in this state', t.officer, 'resume', { expected_version: 1 }, 409), row('an unknown member', t.officer, 'assign', { expected_version: 1, x: 1 }, 422, 'x'),
      row('a comment of another type', t.officer, 'assign', { expected_version: 1, comment: 5 }, 422, 'comment'), row('data of another type', t.officer, 'assign', { expected_version: 1, data: [] }, 422, 'data'), row('unknown data', t.officer, 'assign', { expected_version: 1, data: { x: 1 } }, 422, 'x', { lang: 'fa' }),
      row('a colleague that is none', t.officer, 'assign', { expected_version: 1, data: { assignee: 'takapo.officer' } }, 422, 'assignee', { lang: 'fa' }), row('too long a comment', t.officer, 'reject', { expected_version: 1, comment: 'x'.repeat(4001) }, 422, 'comment', { lang: 'fa' }),
      row('no reason', t.officer, 'reject', { expected_version: 1 }, 422, 'comment', { lang: 'fa' }), row('a reason of no list', t.officer, 'reject', { expected_version: 1, reason: 'x' }, 422, 'reason'), row('a long key', t.officer, 'assign', { expected_version: 1 }, 400, null, { key: 'x'.repeat(201) }),
      row('not JSON', t.officer, 'assign', '{', 400), ['no case', 'POST', `${A}/cases/1234567890123452/actions/assign`, { token: t.officer, body: { expected_version: 1 } }, 404],
    ]);
    const assigned = await act(t.officer, 'assign', { data: { assignee: `${holder}.supervisor` } }, { key: 'a1' });
    same([assigned.status, assigned.json.assignee, assigned.json.version], [200, `${holder}.supervisor`, 2], 'assigned to a colleague');
    const again = await call('POST', `${P}/actions/assign`, { token: t.officer, key: 'a1', body: { expected_version: 1, data: { assignee: `${holder}.supervisor` } } });
    same([again.status, again.json.version, again.json.state], [200, 2, assigned.json.state], 'the same key, the same case');
    await table([row('the key of another action', t.officer, 'approve', { expected_version: 2 }, 422, 'idempotency_key_reused', { key: 'a1' }), row('it has moved on', t.officer, 'approve', { expected_version: 1 }, 409)]);
    const legal = (await call('GET', P)).json.due.legal;
    same((await act(t.officer, 'extend', { reason: 'complex' })).status, 403, 'an officer does not extend');
    same((await act(t.supervisor, 'extend', { reason: 'complex' })).status, 200);
    good((await call('GET', P)).json.due.legal > legal, 'later by the extension');
    same((await act(t.supervisor, 'extend', { reason: 'complex' }, { lang: 'fa' })).status, 409, 'once');
    same((await act(t.officer, 'suspend', { reason: 'site-visit' })).json?.clock?.stopped, true);
    same((await act(t.officer, 'resume', {})).json?.clock?.stopped, false);
    same((await act(t.officer, 'refer', { comment: 'واحد فنی' })).status, 200);
    same((await act(t.officer, 'request_info', { reason: 'explain' })).status, 200);
    same((await act(person, 'provide_info', { data: {} }, { lang: 'fa' })).json.errors[0].field, 'answer');
    same((await act(person, 'provide_info', { data: { answer: 'پاسخ من این است.' } })).status, 200);
    same((await call('POST', `${P}/rating`, { token: person, lang: 'fa', body: { score: 5 } })).status, 409, 'not before the decision');
    same((await act(t.officer, 'reject', { reason: 'seasonal', comment: 'شش ماه نبوده است' })).json?.result, 'rejected');
    const rate = (what, body, status, field, token = person, lang) => [what, 'POST', `${P}/rating`, { token, body, lang }, status, field];
    await table([rate('zero', { score: 0 }, 422, 'score', person, 'fa'), rate('six', { score: 6 }, 422, 'score'), rate('half', { score: 4.5 }, 422, 'score'), rate('text', { score: '5' }, 422, 'score'), rate('none', {}, 422, 'score'), rate('2^40+1', { score: 2 ** 40 + 1 }, 422, 'score'),
      rate('a comment of another type', { score: 5, comment: 5 }, 422, 'comment'), rate('a long one', { score: 5, comment: 'x'.repeat(2001) }, 422, 'comment', person, 'fa'), rate('answers of another type', { score: 5, answers: 'x' }, 422, 'answers'), rate('unknown', { score: 5, x: 1 }, 422, 'x'),
      rate('another', { score: 5 }, 404, null, other), rate('an officer', { score: 5 }, 403, null, t.officer), rate('nobody', { score: 5 }, 401, null, null), rate('an item that the survey does not have', { score: 4, answers: { pace: 5 } }, 422, 'answers.pace', person, 'fa'), rate('six of five', { score: 5, answers: { time: 6 } }, 422, 'answers.time'), rate('yes or no', { score: 5, answers: { no_visit: 1 } }, 422, 'answers.no_visit'), rate('good', { score: 4, answers: { time: 5, no_visit: true }, comment: 'خوب' }, 201), rate('twice', { score: 4 }, 409, null, person, 'fa')]);
    v = (await call('GET', P, { token: person })).json.version;
    same((await act(person, 'appeal', { data: { grounds: 'من ساکن دائمی این روستا هستم.' } })).status, 200);
    same((await act(t.officer, 'approve', {})).status, 403, 'nobody decides an appeal against their own decision');
    same((await act(t.manager, 'approve', {})).json?.result, 'approved');
    same((await act(t.manager, 'reopen', { comment: 'خطا در ثبت' })).json?.result, 'open');
    const moved = { comment: 'در صلاحیت ثبت احوال', data: { to: 'sabt-ahval' } }, body = { expected_version: v, ...moved };
    same((await act(t.officer, 'transfer', { comment: 'x', data: { to: 'nowhere' } }, { lang: 'fa' })).json.errors[0].field, 'to');
    same((await act(t.officer, 'transfer', moved, { key: 'move' })).json?.organisation, 'sabt-ahval');
    same((await call('POST', `${P}/actions/transfer`, { token: t.officer, key: 'move', body })).status, 200, 'told again though the case has left the desk');
    same((await call('POST', `${P}/actions/assign`, { token: t.officer, body: { expected_version: v } })).status, 404, 'it is another\'s now');
    const events = (await call('GET', `${P}/events`, { token: person })).json.items;
    same(events.map((e) => e.action), ['submit', 'assign', 'extend', 'suspend', 'resume', 'refer', 'request_info', 'provide_info', 'reject', 'rate', 'appeal', 'approve', 'reopen', 'transfer']);
    same(events.map((e) => e.seq), events.map((_, i) => i + 1));
    const pages = [];
    for (let next = '', n = 0; n < 20 && next !== null; n++) {
      const page = (await call('GET', `${P}/events?limit=4${next && `&after=${next}`}`, { token: person })).json;
      pages.push(...page.items);
      next = page.next;
    }
    same(pages.map((e) => e.seq), events.map((e) => e.seq), 'history by page');
    same((await call('GET', P, { token: person })).json.events.length, events.length, 'and whole in the case');
    good(state !== undefined, 'states are told');
  });

  await part(`${name}: many at once`, async () => {
    const c = (await post({ mobile: '09150007001' }, { token: person })).json.tracking, p = `${A}/cases/${c}`, crowd = (n, fn) => Promise.all(Array.from({ length: n }, fn));
    const kept = await crowd(8, () => call('POST', `${p}/actions/assign`, { token: t.officer, key: 'crowd', body: { expected_version: 1 } }));
    same(kept.map((r) => [r.status, r.json.version]), kept.map(() => [200, 2]), 'one key, one assignment');
    const raced = await crowd(8, () => call('POST', `${p}/actions/reject`, { token: t.officer, body: { expected_version: 2, reason: 'seasonal' } }));
    same(raced.map((r) => r.status).sort(), [200, ...Array(7).fill(409)], 'one decides');
    const rated = await crowd(6, () => call('POST', `${p}/rating`, { token: person, body: { score: 3 } }));
    same(rated.map((r) => r.status).sort(), [201, ...Array(5).fill(409)], 'one rating');
    same((await call('GET', `${p}/events`)).json.items.map((e) => e.action), ['submit', 'assign', 'reject', 'rate']);
    const loan = (await call('GET', `${S}/retirement-loan`)).json.form_schema.examples[0], file = (lang) => call('POST', `${S}/retirement-loan/cases`, { key: key(), lang, body: { data: { ...loan, national_id: '1234567891' } } });
    same((await crowd(5, () => file())).map((r) => r.status).sort(), [201, 409, 409, 409, 409], 'one open request of a person');
    good(/باز/.test((await file('fa')).json.detail), 'and it is said why');
  });

  await part(`${name}: the desk`, async () => {
    const D = `${A}/desk/cases`, token = t.officer;
    const list = async (q) => { // all pages
      const out = [];
      for (let next = null, n = 0; n < 60; n++) {
        const r = await call('GET', `${D}?limit=9&${q}${next ? `&after=${encodeURIComponent(next)}` : ''}`, { token });
        same(r.status, 200, q);
        out.push(...r.json.items);
        if (!(next = r.json.next)) return out;
      }
      throw new Error(`${q}: pages without end`);
    };
    await Promise.all(Array.from({ length: 10 }, () => post({})));
    const mine = await post({}), p = `${A}/cases/${mine.json.tracking}`;
    await call('POST', `${p}/actions/assign`, { token, body: { expected_version: 1 } });
    const all = await list('');
    same(new Set(all.map((x) => x.tracking)).size, all.length, 'nothing twice');
    good(all.length > 9, 'more than a page');
    const cut = (x) => x.map((y) => y.tracking).sort();
    for (const [q, fits] of [['state=submitted', (x) => x.state === 'submitted'], ['assignee=me', (x) => x.assignee === who.officer], [`assignee=${who.officer}`, (x) => x.assignee === who.officer], ['assignee=none', (x) => !x.assignee], ['overdue=true', (x) => x.overdue],
      ['overdue=0', (x) => !x.overdue], ['service=village-residence', (x) => x.service === 'village-residence'], ['service=nope', () => false], ['state=nope', () => false], ['open=1', (x) => x.result === 'open'], ['open=0', (x) => x.result !== 'open'],
      ['state=submitted&assignee=none&overdue=false', (x) => x.state === 'submitted' && !x.assignee && !x.overdue]]) same(cut(await list(q)), cut(all.filter(fits)), q);
    const found = await list(`q=${example.national_id}`);
    good(found.length > 9 && found.every((x) => all.some((y) => y.tracking === x.tracking)), 'by identifier');
    for (const [q, fits] of [['assignee=me', (x) => x.assignee === who.officer], ['overdue=1', (x) => x.overdue], ['state=submitted', (x) => x.state === 'submitted'], ['open=0', (x) => x.result !== 'open'], ['service=nope', () => false]])
      same(cut(await list(`q=${example.national_id}&${q}`)), cut(found.filter(fits)), `q and ${q}`);
    same(cut(await list(`q=${mine.json.tracking}`)), [mine.json.tracking], 'by code, once');
    same(await list(`q=${mine.json.tracking}&state=submitted`), [], 'by code and state');
    const one = await call('GET', `${D}?limit=1&q=${mine.json.tracking}`, { token });
    same([one.json.items.length, one.json.next], [1, null], 'its only page');
    await table([['nobody', 'GET', D, {}, 401], ['a citizen', 'GET', D, { token: person }, 403], ['another desk', 'GET', `${D}?organisation=sabt-ahval`, { token, lang: 'fa' }, 403], ['a false mark', 'GET', `${D}?after=x`, { token, lang: 'fa' }, 400],
      ['a flag that is none', 'GET', `${D}?overdue=maybe`, { token, lang: 'fa' }, 422, 'overdue'], ['limit', 'GET', `${D}?limit=201`, { token }, 422, 'limit'], ['the operator', 'GET', `${D}?organisation=${holder}`, { token: t.operator }, 200],
      ['mine, by a false mark', 'GET', `${A}/me/cases?after=x`, { token: person }, 400], ['mine, nobody', 'GET', `${A}/me/cases`, {}, 401], ['looks, nobody', 'GET', `${A}/me/access`, {}, 401], ['looks, the office', 'GET', `${A}/me/access`, { token }, 403]]);
    const own = (await call('GET', `${A}/me/cases`, { token: person })).json.items;
    good(own.some((x) => x.tracking === first.json.tracking) && !own.some((x) => x.tracking === mine.json.tracking), 'one\'s own and no others');
  });

  await part(`${name}: documents`, async () => {
    const send = (bytes, token, file = 'x.pdf') => { const f = new FormData(); f.append('file', new Blob([bytes]), file); return call('POST', `${A}/documents`, { token, body: f }); };
    const pdf = Buffer.from('%PDF-1.4 something'), d = await send(pdf, person);
    same([d.status, d.json.sha256, d.json.size, d.json.media_type], [201, createHash('sha256').update(pdf).digest('hex'), pdf.length, 'application/pdf']);
    const sees = async () => { const out = []; for (const token of [person, t.officer, t.auditor, other, t.stranger, t.operator, undefined]) out.push((await call('GET', `${A}/documents/${d.json.id}`, { token })).status); return out; };
    same(await sees(), [200, 404, 404, 404, 404, 404, 401], 'before it belongs to a case');
    same((await send(pdf)).status, 401);
    same((await send(Buffer.from('MZ…'), person)).status, 415);
    same((await send(Buffer.concat([pdf, Buffer.alloc(10 * 1024 * 1024)]), person)).status, 413);
    same((await send(Buffer.alloc(13 * 1024 * 1024), person)).status, 413);
    await table([['JSON', 'POST', `${A}/documents`, { token: person, body: {} }, 415], ['no boundary', 'POST', `${A}/documents`, { token: person, body: 'x', headers: { 'Content-Type': 'multipart/form-data' } }, 400], ['none such', 'GET', `${A}/documents/x`, { token: person, lang: 'fa' }, 404]]);
    const filed = await post({ mobile: '09150007001', bill: [d.json.id] }, { token: person });
    same(filed.status, 201, filed.text);
    const looks = async () => (await call('GET', `${A}/me/access?limit=200`, { token: person })).json.items.length, before = await looks();
    same(await sees(), [200, 200, 200, 404, 404, 404, 401], 'its citizen, its desk, the auditor');
    same(await looks(), before + 2, 'and their looks are on record');
    for (const o of [{ token: person }, { token: other }, {}]) same((await post({ bill: [d.json.id] }, o)).json.errors?.[0].field, 'bill', 'not twice, not another\'s');
  });

  await part(`${name}: the ledger, with node's hashes`, async () => {
    const k = await logKey(base);
    const receipt = await until('its place', async () => (await call('GET', `${P}/receipt`)).json, (r) => r.audit_path);
    same(checkReceipt(receipt, k).proved, true);
    same(receipt.leaf_hash, first.json.receipt.leaf_hash, 'what was promised');
    same(receipt.promise, first.json.receipt.promise);
    for (const e of (await call('GET', `${P}/events`, { token: person })).json.items) { // every event's leaf, from its parts
      const leaf = (await call('GET', `${P}/events/${e.seq}/leaf`, { token: person })).json;
      same(leafHash(leafBytes(leaf.header, digestOf(leaf.salt, leaf.payload))).toString('hex'), e.leaf_hash, `event ${e.seq}`);
      good(!personal(leaf.header), 'a header holds nothing personal');
    }
    await checkLog(base, { key: k });
    const head = (await call('GET', `${A}/ledger/head`)).json, n = head.tree_size;
    many(holds(head, ['tree_size', 'root_hash', 'timestamp', 'checkpoint']));
    const L = `${A}/ledger`;
    await table([['outside', 'GET', `${L}/proof?leaf=${n}&tree_size=${n}`, { lang: 'fa' }, 422, 'leaf'], ['a tree to come', 'GET', `${L}/proof?leaf=0&tree_size=${n + 1e6}`, {}, 422, 'tree_size'], ['no leaf', 'GET', `${L}/proof?tree_size=1`, {}, 422, 'leaf'],
      ['a text', 'GET', `${L}/proof?leaf=x&tree_size=1`, { lang: 'fa' }, 422, 'leaf'], ['backwards', 'GET', `${L}/consistency?first=3&second=2`, {}, 422, 'first'], ['to come', 'GET', `${L}/consistency?first=1&second=${n + 1e6}`, {}, 422, 'second'],
      ['a witness is staff', 'POST', `${L}/cosignatures`, { body: {} }, 401], ['not a note', 'POST', `${L}/cosignatures`, { token: t.operator, lang: 'fa', body: { witness: 'x', note: 'y' } }, 422],
      ...['0/0', '00/000', '64/000', '-1/000', '0/x000/000', '0/000.p/0', '0/000.p/01', '0/000.p/256', '0/999', 'entries/000', '0/000/'].map((x) => [x, 'GET', `/ledger/tile/${x}`, {}, 404])]);
    const width = n % 256 || 256, last = Math.floor((n - 1) / 256), tile = await fetch(base + tilePath(0, last, width));
    same([tile.status, (await tile.arrayBuffer()).byteLength, tile.headers.get('content-type')], [200, 32 * width, 'application/octet-stream'], 'the last partial tile');
    good(/immutable/.test(tile.headers.get('cache-control')), 'tiles may be kept');
  });

  await part(`${name}: languages, machines, the demonstration`, async () => {
    for (const [lang, want] of [['fa', 'fa'], ['en', 'en'], ['en-GB,en;q=0.9', 'en'], ['fa;q=0.5,en', 'en'], ['fr', 'fa'], ['', 'fa'], ['xx;;q=,,', 'fa']]) {
      const r = await plain(base, 'GET', `${A}/nope`, { lang });
      same([r.headers.get('content-language'), PERSIAN.test(r.json.title)], [want, want === 'fa'], lang);
    }
    const health = await call('GET', '/health'), metrics = await call('GET', '/metrics'), cat = await call('GET', '/catalog.jsonld');
    same([health.status, health.json.causes], [200, []]);
    good(metrics.headers.get('content-type').startsWith('text/plain; version=0.0.4'), 'the content type of Prometheus');
    for (const line of metrics.text.trim().split('\n')) good(/^(# (HELP|TYPE) \S+ .+|[a-z_:][a-z0-9_:]*(\{[^}]*\}|\{.*\}) -?[0-9.e+-]+|[a-z_:][a-z0-9_:]* -?[0-9.e+-]+)$/i.test(line), `a line that is no metric: ${line}`);
    const graph = cat.json['@graph'], ids = new Map(graph.map((x) => [x['@id'], x])), links = (v) => v && typeof v === 'object' ? (Object.keys(v).join() === '@id' ? [v['@id']] : Object.values(v).flatMap(links)) : [];
    same(cat.headers.get('content-type'), 'application/ld+json');
    same(ids.size, graph.length, 'one node an @id');
    many(graph.flatMap((x) => links(x)).filter((x) => !ids.has(x)).map((x) => `${x} is not in the graph`));
    const demanded = { 'cpsv:PublicService': ['dct:identifier', 'dct:title', 'dct:description', 'cv:hasCompetentAuthority'], 'cv:PublicOrganisation': ['skos:prefLabel', 'dct:spatial'], 'cv:Channel': ['dct:identifier'], 'cv:LifeEvent': ['dct:identifier', 'dct:title'] };
    for (const x of graph) for (const type of [x['@type']].flat()) many(holds(x, demanded[type] || []).map((m) => `${x['@id']} ${m}`));
    same(graph.filter((x) => x['@type'] === 'cpsv:PublicService').length, (await call('GET', `${S}?limit=200`)).json.items.length, 'every service');
    for (const a of (await call('GET', '/demo/accounts')).json) many(holds(a, ['username', 'password', 'organisation', 'role']));
    const box = (await call('GET', '/demo/outbox')).json;
    for (const m of box) many(holds(m, ['to', 'channel', 'text', 'at']));
    same(box.map((m) => m.at), box.map((m) => m.at).sort().reverse(), 'newest first');
    const C = `${A}/calendars/official/closures`, title = { fa: 'برف', en: 'Snow' }, closure = (what, body, status, field, token = t.operator) => [what, 'POST', C, { token, lang: 'fa', body }, status, field];
    await table([closure('an officer', { date: '2027-01-12', title }, 403, null, t.officer), closure('no date', { title }, 422, 'date'), closure('an impossible date', { date: '2027-02-30', title }, 422, 'date'), closure('long ago', { date: '2020-01-01', title }, 422, 'date'),
      closure('no title', { date: '2027-01-12' }, 422, 'title'), closure('closed as a text', { date: '2027-01-12', title, closed: 'no' }, 422, 'closed'), ['no such calendar', 'GET', `${A}/calendars/nope`, { lang: 'fa' }, 404]]);
  });

  await part(`${name}: telephones`, async () => {
    const ussd = async (fields) => { const r = await fetch(`${base}/ussd`, { method: 'POST', body: new URLSearchParams(fields) }); return { status: r.status, type: r.headers.get('content-type'), text: await r.text() }; };
    const gsm = /^[@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ^{}\\[~\]|€ÆæßÉ !"#¤%&'()*+,\-./0-9:;<=>?¡A-ZÄÖÑÜ§¿a-zäöñüà]*$/;
    const walk = async (session, text, depth) => { // every menu from here, three levels down
      const r = await ussd({ sessionId: session, serviceCode: '*4015#', phoneNumber: '+989150007009', networkCode: '43211', text });
      same([r.status, r.type.split(';')[0]], [200, 'text/plain']);
      good(/^(CON|END) /.test(r.text), `neither CON nor END: ${r.text}`);
      const screen = r.text.slice(4);
      good([...screen].length <= (gsm.test(screen) ? 182 : 80), `${[...screen].length} characters: ${screen}`);
      good(!/https?:|www\./.test(screen), 'no link');
      if (r.text.startsWith('CON') && depth) for (const [, d] of screen.matchAll(/^([0-9۰-۹]+)[.\-: ]/gm)) await walk(`${session}-${d}`, text ? `${text}*${d}` : d, depth - 1);
    };
    await walk('walk', '', 2);
    for (const bad of [{}, { sessionId: 's', phoneNumber: 'x', text: '' }, { phoneNumber: '09150007009' }]) same((await ussd(bad)).status, 422);
    same((await ussd({ sessionId: 's', phoneNumber: '09150007009', text: '9'.repeat(3000) })).status, 413);
    const kannel = await fetch(`${base}/ussd/kannel?msisdn=09150007009&to=4015&text=${first.json.tracking}`);
    same(kannel.status, 200);
    const said = await kannel.text();
    good(/^[02]$/.test(kannel.headers.get('x-kannel-coding')) && said.length > 5 && !/https?:/.test(said), `a code is answered with its state: ${said}`);
    const begun = await fetch(`${base}/ussd/kannel?msisdn=09150007009&text=*4015%23&op=%01&its=%00%02`);
    good(begun.status === 200 && /ussd_service_op/.test(begun.headers.get('x-kannel-meta-data')), 'the dialogue\'s TLV goes back');
  });

  await s.stop();
  if (name === 'sqlite') {
    await test('without --demo the demonstration\'s addresses do not exist', async () => {
      const real = await serve(['--data', folder()], { demo: false });
      for (const path of ['/demo/accounts', '/demo/outbox', '/demo/exchange']) same((await plain(real.base, 'GET', path)).status, 404, path);
      const head = await plain(real.base, 'GET', `${A}/ledger/head`);
      const { tree_size: size, root_hash: root } = head.json;
      /* that the pack's rights came into force is a leaf, which has its place soon */
      good(head.status === 200 && (size === 0) === (root === createHash('sha256').digest('hex')) && size <= 1, `a young ledger has a head: ${size} ${root}`);
      await real.stop();
    });
  }
  await test(`${name}: all of it verifies`, async () => good(run('ledger', 'verify', ...where).includes('verifies'), 'verifies'));
}
const personal = (text) => /0499370899|09150007001|مریم/.test(text);

// ---- commands ----

async function commands() {
  const data = folder(), fresh = () => join(folder(), 'new'), P = ['--pack', pack];
  const rows = [ // status, words
    [2, []], [0, ['--help']], [0, ['help', 'date']], [2, ['nonsense']], [2, ['nonsense', '--help']], [0, ['--version']],
    ...['check', 'serve', 'staff', 'ledger', 'backup', 'restore', 'simulate', 'date', 'settings', 'version'].map((c) => [0, [c, '--help']]),
    [0, ['check', pack]], [2, ['check']], [1, ['check', '/nonexistent']], [2, ['check', pack, 'more']], [2, ['check', pack, '--nope']],
    [2, ['serve']], [2, ['serve', ...P]], [2, ['serve', '--data', fresh()]], [2, ['serve', ...P, '--data', data, '--store', 'postgresql://x/y']], [2, ['serve', ...P, '--data', data, '--listen', '127.0.0.1:99999']],
    [2, ['serve', ...P, '--data', data, '--listen', '0.0.0.0:1', '--demo']], [2, ['serve', ...P, '--data', data, '--threads', '-1']], [2, ['serve', ...P, '--data', data, '--log-level', 'loud']], [2, ['serve', ...P, '--data', data, 'more']], [1, ['serve', '--pack', '/nonexistent', '--data', data]],
    [2, ['staff', 'add']], [2, ['staff', 'add', '--username', 'a', '--organisation', 'b', '--role', 'king', '--data', data]], [2, ['ledger']], [2, ['ledger', 'verify']], [1, ['ledger', 'verify', '--data', fresh()]], [1, ['ledger', 'check', '/nonexistent']],
    [2, ['backup', '--data', data]], [1, ['backup', '--data', fresh(), join(data, 'copy')]], [2, ['restore']], [1, ['restore', '--data', fresh(), '/nonexistent']], [2, ['simulate', ...P, '--data', data, '--days', 'x', '--seed', '1']],
    [2, ['simulate', '--data', data, '--days', '2', '--seed', '1']], [0, ['settings']], [2, ['settings', 'more']], [2, ['settings', '--threads', 'many']],
    ...['2026-02-30', '1404-12-30', '1405-13-01', '0000-00-00', 'x', ''].map((d) => [1, ['date', d, ...P]]), [2, ['date', ...P]], [2, ['date', '2026-11-26']], [2, ['date', '2026-11-26', '--from', 'hijri', ...P]], [1, ['date', '2026-11-26', '--from', 'jalali', ...P]],
  ];
  await test('commands end with 0, 1 or 2', async () => many(rows.flatMap(([want, words]) => { const r = fails(words, ''); return r.status === want ? [] : [`chapar ${words.join(' ')}: ${r.status} instead of ${want} ${r.err ?? ''}`]; })));
  await test('dates in three calendars', async () => {
    const want = { gregorian: '2026-11-27', jalali: '1405-09-06', hijri: '1448-06-17', iso_weekday: 5, working_day: false };
    for (const words of [['2026-11-27'], ['1405-09-06'], ['۱۴۰۵/۰۹/۰۶'], ['1405-9-6', '--from', 'jalali'], ['2026-11-27', '--from=gregorian']]) {
      const out = run('date', ...words, ...P);
      same([JSON.parse(out), out.trim().split('\n').length], [want, 1], words.join(' '));
    }
  });
  await test('a copy comes back; a damaged one leaves nothing', async () => {
    run('simulate', ...P, '--data', data, '--days', '2', '--seed', '5');
    const copy = join(folder(), 'copy'), to = fresh();
    run('backup', '--data', data, copy);
    run('restore', '--data', to, copy);
    good(run('ledger', 'verify', '--data', to).includes('verifies'), 'verifies');
    same(fails(['restore', '--data', to, copy]).status, 1, 'not over a store');
    const bytes = readFileSync(copy), cut = `${copy}.cut`, place = fresh();
    writeFileSync(cut, bytes.subarray(0, Math.floor(bytes.length * 0.6)));
    same(fails(['restore', '--data', place, cut]).status, 1, 'a cut one is refused');
    good(!existsSync(join(place, 'chapar.db')), 'and nothing is left');
    run('restore', '--data', place, copy);
  });
  await test('staff by command', async () => {
    const at = fresh(), add = ['staff', 'add', '--organisation', 'ostandari', '--role', 'operator', '--data', at, ...P];
    same([fails([...add, '--username', 'ali'], 'a good password\n').status, fails([...add, '--username', 'ali2'], 'short\n').status, fails([...add, '--username', 'a b'], 'a good password\n').status, fails([...add, '--username', 'ali3'], '').status], [0, 1, 1, 2]);
    const s = await serve(['--data', at], { demo: false });
    same((await plain(s.base, 'POST', `${A}/sessions`, { body: { username: 'ali', password: 'a good password' } })).status, 201);
    await s.stop();
  });
}

await commands();
await contract('sqlite', ['--data', folder()]);
const pg = postgres();
if (pg) await contract('postgres', ['--store', pg.url, '--keys', join(folder(), 'keys')]);
else console.log('postgres: not installed here');
end();
