// Every address for everybody: made of the rows that `chapar routes` prints, so that a new row is judged from its first day.
// Who may is judged by the row's permission; whose it is must not be told: what is another's is answered as what is not there.
import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { serve, call, codeTo, staff, citizen, test, same, good, end, folder, run, root } from './kit.mjs';

const rows = run('routes', '--demo').trim().split('\n').map((x) => JSON.parse(x)).map((x) => (x.method === '*' ? { ...x, method: 'POST' } : x)); // every verb: one stands for all
const relayed = /^\/(r1|evidence|exchange\/async)\//; // X-Road's words and statuses: a call without a client is a fault of 500, whoever makes it
const s = await serve(['--data', folder()], { env: { CHAPAR_LOG_LEVEL: 'error' } }), b = s.base;
const actions = ['assign', 'refer', 'transfer', 'inquire', 'reply', 'request_info', 'provide_info', 'suspend', 'resume', 'extend', 'approve', 'reject', 'appeal', 'withdraw', 'reopen', 'nonsense'];
const services = ['village-residence', 'takapo-register'];
const sample = Object.fromEntries(await Promise.all(services.map(async (x) => [x, (await call(b, 'GET', `/api/v1/services/${x}`)).json.form_schema.examples[0]])));

// The cast: one case and one document of the first citizen's, a case with questions to others, and everybody who might look at them.
const owner = await citizen(b);
const file = async (service, token, key) => { const r = await call(b, 'POST', `/api/v1/services/${service}/cases`, { token, key, body: { data: sample[service] } }); same(r.status, 201, r.text); return r.json.tracking; };
const secret = 'کوچه رازآباد'; // an answer that stands nowhere else
sample['village-residence'] = { ...sample['village-residence'], address: secret };
const theirs = await file('village-residence', owner, 'rights');
const upload = async (token) => { const f = new FormData(); f.append('file', new Blob([Buffer.from('%PDF-1.4\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF\n')], { type: 'application/pdf' }), 'a.pdf'); return call(b, 'POST', '/api/v1/documents', { token, body: f }); };
const uploaded = await upload(owner);
same(uploaded.status, 201, uploaded.text);
const paper = uploaded.json.id;
const holder = (await call(b, 'GET', `/api/v1/cases/${theirs}`)).json.holder.code;
const registry = (await call(b, 'GET', '/api/v1/registries', { token: await staff(b, 'operator') })).json.items.find((x) => x.key === 'national_id' || x.code === 'persons');
const accounts = (await call(b, 'GET', '/demo/accounts')).json;
const elsewhere = accounts.find((a) => a.role === 'officer' && a.organisation !== holder && a.organisation !== registry.organisation && !a.organisation.startsWith(holder.slice(0, 4))).organisation;
const cast = { nobody: { kind: 'nobody' }, owner: { kind: 'citizen', token: owner }, stranger: { kind: 'citizen', token: await citizen(b, '0084575948', '09151112233') } };
for (const role of ['officer', 'supervisor', 'manager']) {
  cast[role] = { kind: 'staff', token: await staff(b, `${holder}.${role}`) };
  cast[`${role} elsewhere`] = { kind: 'staff', token: await staff(b, `${elsewhere}.${role}`) };
}
for (const role of ['agent', 'helpdesk', 'operator', 'auditor']) cast[role] = { kind: 'staff', token: await staff(b, role) };
const insiders = new Set(['owner', 'officer', 'supervisor', 'manager', 'auditor', 'helpdesk', 'operator']);
const outsiders = Object.keys(cast).filter((x) => x !== 'nobody' && !insiders.has(x));

// A letter, an absence and a kept search of A's desk.
const made = async (role, path, body) => { const r = await call(b, 'POST', `/api/v1${path}`, { token: cast[role].token, key: path, body }); same(r.status, 201, r.text); return r.json.id; };
const letter = await made('officer', `/cases/${theirs}/letters`, { template: 'answer' });
const day = (n) => new Date(Date.now() + n * 86400e3).toISOString().slice(0, 10);
const absence = await made('manager', '/desk/absences', { organisation: holder, username: `${holder}.officer2`, deputy: `${holder}.supervisor`, from: day(200), until: day(201) });
const search = await made('manager', '/desk/searches', { organisation: holder, name: 'rights', shared: true });
// A service that A's manager wrote.
const yaml = readFileSync(join(root, 'packs/khorasan-razavi/services/takapo-support.yaml'), 'utf8');
const definition = await made('manager', '/definitions', { organisation: holder, text: yaml.replace(/^service: .*/m, 'service: rights-test').replace(/^version: .*/m, 'version: 1')
  .replace(/^valid_from: .*/m, `valid_from: ${day(5)}`).replace(/^owner: .*/m, `owner: ${holder}`).replace(/^ussd: .*/m, 'ussd: "9871"').replace(/^( *identifier: ).*/m, '$1"99999999990"') });
// At the counter of A's office: somebody who came there, and a telephone that was bound there.
const clerk = await staff(b, `${holder}.agent`);
const came = await call(b, 'POST', '/counter', { token: clerk, body: 'national_id=0499370899&mobile=09151234567', headers: { 'Content-Type': 'application/x-www-form-urlencoded' } });
same(came.status, 303, came.text);
const visit = came.headers.get('location').match(/[0-9a-f]{32}/)[0];
const wish = { service: 'village-residence', data: { ...sample['village-residence'], national_id: '0499370899' }, applicant: { mobile: '09151234567' } };
const asked = (await call(b, 'POST', '/api/v1/counter/consents', { token: clerk, body: wish })).json;
const code = await codeTo(b, '09151234567');
const bound = await call(b, 'POST', '/api/v1/services/village-residence/cases', { token: clerk, key: 'bound', body: { data: wish.data, applicant: wish.applicant, consent: { challenge: asked.challenge, code },
  document_seen: { kind: 'identity_card', digits: '4821' }, bind_telephone: true } });
same(bound.status, 201, bound.text);
const telephone = (await call(b, 'GET', '/api/v1/telephones', { token: cast.supervisor.token })).json.items[0].id;
const other = (id) => `${id[0] === '0' ? '1' : '0'}${id.slice(1)}`;

const absent = (tracking) => { // well formed, and nobody's
  for (let n = 1; ; n++) {
    const body = String(BigInt(tracking.slice(0, 15)) + BigInt(n)).padStart(15, '0').slice(-15);
    let sum = 0;
    [...body].reverse().forEach((d, i) => { let x = Number(d) * (i % 2 ? 1 : 2); if (x > 9) x -= 9; sum += x; });
    return body + String((10 - (sum % 10)) % 10);
  }
};
// What stands for {name} in a row's path: `here` is organisation A's (or its citizen's), `none` is as well formed and nobody's. The first entry
// whose path and name fit is taken. `owned`: whose it is must not be told, so that others get for `here` what they get for `none`.
// A NEW PARAMETER NEEDS AN ENTRY HERE: make the thing above, as A's people make it, and name it.
const examples = [
  { name: 'tracking', path: /^(\/api\/v1)?\/cases\//, here: theirs, none: absent(theirs), owned: true },
  { name: 'id', path: /^(\/api\/v1)?\/documents\//, here: paper, none: `${paper[0] === '0' ? '1' : '0'}${paper.slice(1)}`, owned: true },
  { name: 'id', path: /^\/admin\/exchange\/requests\//, here: 'r-0123456789abcdef' },
  { name: 'keyid', path: /^\/admin\/exchange\/keys\//, here: '0'.repeat(64) },
  { name: 'id', path: /\/rights\//, here: 'g-000000000000000000000000' },
  { name: 'provider', path: /\/exchange\//, here: 'sabt-ahval' },
  { name: 'service', path: /\/exchange\//, here: 'person' },
  { name: 'id', path: /\/looks\//, here: '0'.repeat(32) },
  { name: 'id', path: /\/telephones\//, here: telephone, none: other(telephone), owned: true },
  { name: 'visit', path: /^\/counter\//, here: visit, none: other(visit), owned: true },
  { name: 'code', path: /^(\/api\/v1|\/network)\/offices\//, here: 'KR-0916-0001' },
  { name: 'incident', path: /\/network\/incidents\//, here: '999999999' },
  { name: 'act', path: /\/network\/incidents\//, here: 'note' },
  { name: 'prober', path: /^\/(probe|network\/probers)\//, here: 'no-such-prober' },
  { name: 'window', path: /^\/network\/maintenance\//, here: '999999999' },
  { name: 'contact', path: /^\/network\/contacts\//, here: '0'.repeat(32) },
  { name: 'hook', path: /^\/network\/hooks\//, here: '0'.repeat(32) },
  { name: 'file', path: /^\/network\/tables\//, here: 'offices.csv' },
  { name: 'code', path: /^((\/api\/v1|\/managers|\/admin)?\/services|\/counter)\//, here: 'village-residence' },
  { name: 'file', path: /^\/managers\/tables\//, here: 'services.csv' },
  { name: 'table', path: /^\/api\/v1\/statistics\//, here: 'services' },
  { name: 'code', path: /^(\/api\/v1|\/desk)\/registries\//, here: registry.code, none: 'no-such-registry', owned: true },
  { name: 'code', path: /^(\/api\/v1\/certificates|\/verify)\//, here: 'K7QM-2XPD-9T4C' },
  { name: 'key', path: /\/records\//, here: '0499370899', none: '0084575948' },
  { name: 'action', path: /\/actions\//, here: 'assign' },
  { name: 'seq', path: /\/events\//, here: '1' },
  { name: 'screen', path: /\/(services|counter)\//, here: '1' },
  { name: 'calendar', path: /^\/(api\/v1|admin)\/calendars\//, here: 'official' },
  { name: 'id', path: /^\/(admin|api\/v1)\/definitions\//, here: definition, none: other(definition), owned: true },
  { name: 'username', path: /\/staff\//, here: `${holder}.officer`, none: 'no.such', owned: true },
  { name: 'code', path: /\/organisations\//, here: holder, none: 'no-such-organisation', owned: true },
  { name: 'letter', path: /\/letters\//, here: letter, none: other(letter), owned: true },
  { name: 'step', path: /\/letters\//, here: 'sign' },
  { name: 'absence', path: /^(\/api\/v1)?\/desk\/absences?\//, here: absence, none: other(absence), owned: true },
  { name: 'search', path: /^(\/api\/v1)?\/desk\/searches\//, here: search, none: other(search), owned: true },
  { name: 'rest', path: /^\/r1\//, here: 'KHR/GOV/10000001/x/y' },
  { name: 'message', path: /^\/(evidence|exchange\/async)\//, here: 'x' },
  { name: 'path', path: /^\/(assets|ledger\/tile)\//, here: 'x' },
];
const names = (row) => [...row.path.matchAll(/\{(\w+)(?:\.\.\.)?\}/g)].map((m) => m[1]);
const example = (row, name) => examples.find((x) => x.name === name && x.path.test(row.path));
const owned = (row) => names(row).some((n) => example(row, n)?.owned);
const fill = (row, which, more = {}) => row.path.replace(/\{(\w+)(\.\.\.)?\}/g, (_, name) => { const e = example(row, name); return more[name] ?? (which === 'none' ? e?.none : undefined) ?? e?.here ?? 'x'; });
const may = (row, who, name) => ({ all: true, session: who.kind !== 'nobody', citizen: who.kind === 'citizen', staff: who.kind === 'staff', agent: name === 'agent', operator: name === 'operator', manager: /^manager|^operator$/.test(name),
  audit: /^manager|^operator$|^auditor$/.test(name) })[row.permission];
const ask = (row, path, token, more = {}) => call(b, row.method, path, { token, ...(row.method === 'GET' ? {} : { body: row.most_body && row.method === 'POST' ? (more.body ?? (row.cross_site === 'token' ? '' : {})) : undefined }),
  headers: { Accept: 'application/json', ...(row.cross_site === 'token' ? { 'Content-Type': 'application/x-www-form-urlencoded' } : {}) } });
const told = (text) => examples.filter((x) => x.owned).reduce((t, x) => t.replaceAll(x.here, 'T').replaceAll(x.none, 'T'), text);
const plain = (r) => JSON.stringify([r.status, told(r.text.replace(/"instance":"[^"]*"/, ''))
  .replace(/value="[0-9a-f]{32,}"/g, '').replace(/\d{4} \d{4} \d{4} \d{4}/g, 'T').replace(/[۰-۹]{4} [۰-۹]{4} [۰-۹]{4} [۰-۹]{4}/g, 'T')]);
const assured = /^\/(api\/v1\/me|mine)\/records$|\/prefill$/; // what registries hold is shown to whom the telephone is known to belong
// Rows for staff that a handler keeps to some of them: others are told 403. A NEW ROW OF THIS KIND NEEDS AN ENTRY HERE.
const narrower = [
  { path: /^\/api\/v1\/desk\/export$/, who: /^(manager|operator|auditor)/ },
  { path: /^\/desk\/export$/, who: /^manager/ },
];
const kept = (row, name) => narrower.some((x) => x.path.test(row.path) && !x.who.test(name));
const ends = new Set(['DELETE /api/v1/sessions', 'POST /signout']); // would end the session that asks

await test(`${rows.length} rows are well formed`, () => {
  for (const r of rows) {
    good(['all', 'session', 'citizen', 'staff', 'agent', 'operator', 'manager', 'audit'].includes(r.permission) && ['safe', 'token', 'bearer', 'open', 'machine'].includes(r.cross_site) && r.help, JSON.stringify(r));
    good(r.method === 'GET' ? r.most_body === 0 && ['safe', 'machine'].includes(r.cross_site) : r.cross_site !== 'safe', `${r.method} ${r.path}: a write needs a rule`);
    good(r.path.startsWith('/api/') ? r.method === 'GET' || ['bearer', 'open'].includes(r.cross_site) : true, `${r.path}: the interface takes no cookie for a write`);
  }
  good(rows.length > 70, 'all of them');
  const real = run('routes').trim().split('\n').map((x) => JSON.parse(x).path);
  good(!real.some((p) => p.startsWith('/demo')), 'nothing of the demonstration without --demo');
});
await test('every parameter of a path has an example of A\'s', () => {
  for (const row of rows)
    for (const name of names(row)) {
      const e = example(row, name);
      good(e, `${row.method} ${row.path}: nobody has said what stands for {${name}}; add it to \`examples\` in tests/e2e/rights.mjs, with a real one of organisation A's`);
      good(!e.owned || (e.none && e.none !== e.here), `${row.path}: {${name}} is somebody's, so it needs \`none\``);
    }
});
await test('each row by each of the cast: 401 and 403 exactly where the row says, never a failure', async () => {
  for (const row of rows) {
    await Promise.all(Object.entries(cast).map(async ([name, who]) => {
      if (ends.has(`${row.method} ${row.path}`) && who.token) return;
      const r = await ask(row, fill(row, 'none'), who.token), what = `${row.method} ${row.path} by ${name}: ${r.status} ${r.text.slice(0, 200)} (a row for some of the staff alone is named in \`narrower\`)`;
      const token = row.cross_site === 'token' && who.kind === 'nobody'; // a form without its token is refused before anything else
      if (token) good(r.status === 403, what);
      else if (!may(row, who, name)) same(r.status, who.kind === 'nobody' ? 401 : 403, what);
      else if (relayed.test(row.path)) good(r.status === 500 && r.headers.get('x-road-error'), what);
      else good(r.status !== 401 && r.status < 500 && (r.status !== 403 || kept(row, name) || row.cross_site === 'machine' || (assured.test(row.path) && who.kind === 'citizen')), what);
    }));
  }
});
await test('a session by cookie writes nothing without the form token, and nothing at all in the interface', async () => {
  for (const row of rows.filter((x) => x.method !== 'GET' && ['token', 'bearer'].includes(x.cross_site))) {
    const headers = { Cookie: `session=${cast.officer.token}`, 'Content-Type': row.cross_site === 'token' ? 'application/x-www-form-urlencoded' : 'application/json' };
    for (const body of row.cross_site === 'token' ? ['', 'form_token=', `form_token=${'0'.repeat(64)}`] : ['{}']) {
      const r = await call(b, row.method, fill(row, 'here'), { body: row.method === 'POST' ? body : undefined, headers: { Accept: 'application/json', ...headers } });
      if (row.cross_site === 'token') same(r.status, 403, `${row.path} with the cookie alone`);
      else good(row.permission === 'all' ? r.status >= 400 : r.status === 401, `${row.path} by cookie: ${r.status}`);
    }
  }
  same((await call(b, 'GET', '/api/v1/me', { token: cast.officer.token })).status, 200, 'still signed in');
});
await test('browsers of other sites are refused wherever a write needs no bearer token', async () => {
  for (const row of rows.filter((x) => ['open', 'token'].includes(x.cross_site)))
    for (const headers of [{ Origin: 'https://evil.example' }, { 'Sec-Fetch-Site': 'cross-site' }, { 'Sec-Fetch-Site': 'same-site' }]) {
      const status = await new Promise((done, bad) => { // fetch forbids these headers
        const q = request(b + fill(row, 'here'), { method: row.method, headers: { ...headers, 'Content-Length': 0 } }, (r) => { r.resume(); done(r.statusCode); });
        q.on('error', bad);
        q.end();
      });
      same(status, 403, `${row.path} from elsewhere`);
    }
});
await test('no row takes more than it says', async () => {
  for (const row of rows.filter((x) => x.method !== 'GET')) {
    const status = await new Promise((done, bad) => {
      const q = request(b + fill(row, 'here'), { method: row.method, headers: { 'Content-Length': row.most_body + 1, Expect: '100-continue' } }, (r) => { r.resume(); done(r.statusCode); q.destroy(); });
      q.on('continue', () => { done('went on'); q.destroy(); });
      q.on('error', () => {});
      q.flushHeaders();
      setTimeout(() => bad(new Error(`${row.path} did not answer`)), 60000).unref();
    });
    same(status, 413, `${row.method} ${row.path} with ${row.most_body + 1} bytes`);
  }
});
await test('what is another\'s is answered as what is not there: reads', async () => {
  for (const row of rows.filter((x) => x.method === 'GET' && owned(x) && x.permission !== 'all'))
    for (const name of outsiders) {
      const [foreign, none] = [await ask(row, fill(row, 'here'), cast[name].token), await ask(row, fill(row, 'none'), cast[name].token)];
      same(foreign.status, may(row, cast[name], name) ? 404 : 403, `${row.path} by ${name}`);
      same(plain(foreign), plain(none), `${row.path} by ${name}`);
    }
});
await test('what is another\'s is answered as what is not there: every action', async () => {
  const row = rows.find((x) => x.method === 'POST' && x.path === '/api/v1/cases/{tracking}/actions/{action}');
  for (const name of [...outsiders, 'nobody'])
    await Promise.all(actions.map(async (action) => {
      const go = (which) => ask(row, fill(row, which, { action }), cast[name].token, { body: { expected_version: 1, comment: 'x', data: {} } });
      const [foreign, none] = [await go('here'), await go('none')];
      same(foreign.status, name === 'nobody' ? 401 : 404, `${action} by ${name}`);
      same(plain(foreign), plain(none), `${action} by ${name}`);
    }));
});
await test('what is another\'s is answered as what is not there: every other write', async () => {
  const bodies = [{ expected_version: 1, comment: 'x' }, { score: 5 }, { text: 'x' }], form = 'text=x&score=5&comment=x&key=k&expected_version=1';
  for (const row of rows.filter((x) => x.method !== 'GET' && owned(x)))
    for (const name of outsiders)
      for (const body of bodies) {
        const write = (which) => ask(row, fill(row, which), cast[name].token, { body: row.cross_site === 'token' ? form : body });
        const [foreign, none] = [await write('here'), await write('none')];
        good([400, 403, 404, 422].includes(foreign.status), `${row.path} by ${name}: ${foreign.status}`);
        same(plain(foreign), plain(none), `${row.path} by ${name}`);
      }
});
await test('who only reads, reads only; who is not asked to decide does not', async () => {
  const version = async () => (await call(b, 'GET', `/api/v1/cases/${theirs}`, { token: cast.owner.token })).json.version, before = await version();
  for (const name of ['auditor', 'helpdesk', 'operator', 'owner'])
    for (const action of ['assign', 'approve', 'reject', 'transfer', 'extend', 'suspend']) {
      const r = await call(b, 'POST', `/api/v1/cases/${theirs}/actions/${action}`, { token: cast[name].token, body: { expected_version: before, comment: 'x' } });
      good([403, 404, 409].includes(r.status), `${action} by ${name}: ${r.status}`);
    }
  same(await version(), before, 'nothing has happened');
});
await test('everybody\'s view is the same for everybody and holds nothing personal', async () => {
  const personal = ['0499370899', '09151234567', ...Object.values(sample['village-residence']).filter((x) => typeof x === 'string' && x.length > 3 && !/^[a-z0-9_-]+$/.test(x))];
  for (const path of [`/api/v1/cases/${theirs}`, `/api/v1/cases/${theirs}/events`, `/api/v1/cases/${theirs}/receipt`, `/cases/${theirs}`, `/cases/${theirs}/receipt`]) {
    const seen = await Promise.all(['nobody', ...outsiders].map(async (name) => [name, await call(b, 'GET', path, { token: cast[name].token, headers: { Accept: 'application/json' } })]));
    for (const [name, r] of seen) {
      good(!personal.some((x) => r.text.includes(x)), `${path} shows ${name} ${personal.find((x) => r.text.includes(x))}`);
      if (r.json && !path.endsWith('receipt')) same({ ...r.json, etag: 0 }, { ...seen[0][1].json, etag: 0 }, `${path} for ${name}`);
    }
  }
  for (const name of ['owner', 'officer', 'supervisor', 'manager', 'auditor']) good((await call(b, 'GET', `/api/v1/cases/${theirs}`, { token: cast[name].token })).json.data, `${name} sees the answers`);
  const masked = await call(b, 'GET', `/api/v1/cases/${theirs}`, { token: cast.helpdesk.token });
  good(!masked.text.includes('0499370899'), 'the helpdesk sees no identifier');
});
await test('desks and lists hold one\'s own only', async () => {
  for (const name of Object.keys(cast).filter((x) => cast[x].kind === 'staff')) {
    const r = await call(b, 'GET', `/api/v1/desk/cases?organisation=${holder}&limit=200`, { token: cast[name].token });
    if (['officer', 'supervisor', 'manager', 'auditor', 'operator'].includes(name) && r.status === 200) continue;
    good(r.status !== 200 || !r.json.items.some((x) => x.tracking === theirs), `the desk of ${holder} for ${name}: ${r.status}`);
  }
  for (const name of Object.keys(cast).filter((x) => x !== 'owner' && x !== 'nobody')) {
    const r = await call(b, 'GET', '/api/v1/me/cases', { token: cast[name].token });
    good(r.status !== 200 || !r.json.items.some((x) => x.tracking === theirs), `my cases for ${name}`);
  }
});
await test('every row, whatever it is asked about A, gives nothing of A\'s to those of another organisation', async () => {
  const version = async () => (await call(b, 'GET', `/api/v1/cases/${theirs}`, { token: cast.owner.token })).json.version, before = await version();
  const query = new URLSearchParams({ organisation: holder, owner: holder, holder, service: 'village-residence', q: '0499370899', tracking: theirs, state: '', view: 'open' });
  for (const row of rows)
    await Promise.all(outsiders.filter((x) => may(row, cast[x], x) && !ends.has(`${row.method} ${row.path}`)).map(async (name) => {
      for (const body of row.method === 'GET' ? [undefined] : [{ organisation: holder }, { organisation: holder, cases: [{ tracking: theirs, expected_version: 1 }], action: 'assign', comment: 'x', text: 'x' }]) {
        const form = body && row.cross_site === 'token' ? new URLSearchParams({ organisation: holder, case: `${theirs}:1`, action: 'assign', key: 'k', comment: 'x' }).toString() : body;
        const r = await ask(row, `${fill(row, 'here')}?${query}`, cast[name].token, { body: form });
        good(!r.text.includes(secret) && (r.status < 500 || relayed.test(row.path)), `${row.method} ${row.path} shows ${name} (${r.status}): ${r.text.slice(0, 300)}`);
        if (r.json?.items) good(!JSON.stringify(r.json.items).includes(theirs) || r.json.items.every((x) => x.status >= 400), `${row.method} ${row.path} lists ${theirs} to ${name}`);
      }
    }));
  same(await version(), before, 'nobody has moved the case');
});
await test('a session that is over, false or of another kind is told so everywhere', async () => {
  const over = await staff(b, 'auditor');
  same((await call(b, 'DELETE', '/api/v1/sessions', { token: over })).status, 204);
  for (const row of rows.filter((x) => x.method === 'GET' && x.permission !== 'all'))
    for (const h of [`Bearer ${over}`, 'Bearer x', 'Bearer ', 'Basic YTpi']) same((await call(b, 'GET', fill(row, 'here'), { headers: { Accept: 'application/json', Authorization: h } })).status, 401, `${row.path} with ${h.slice(0, 12)}`);
  for (const h of ['00', cast.owner.token]) same((await call(b, 'GET', '/api/v1/me/cases', { token: cast.owner.token, headers: { 'Chapar-Acting-As': h } })).status, 403, 'no mandate is on record');
});
await s.stop();
end();
