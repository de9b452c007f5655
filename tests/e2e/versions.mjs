// A case keeps the text that it began under, whatever becomes of the folder: versions that go, texts that change, packs written back.
import { cpSync, readFileSync, writeFileSync, rmSync, readdirSync } from 'node:fs';
import { execFileSync, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { serve, call, test, same, good, end, folder, postgres, run, fails, root, chapar, until } from './kit.mjs';

const A = '/api/v1', mini = join(root, 'tests/packs/mini');
// Packs: a copy of the little province, changed here and there.
function pack(...changes) {
  const dir = join(folder(), 'pack');
  cpSync(mini, dir, { recursive: true });
  for (const change of changes) change(dir);
  return dir;
}
const edit = (file, ...pairs) => (dir) => {
  let text = readFileSync(join(dir, file), 'utf8');
  for (const [from, to] of pairs) { good(text.includes(from), `${file} has ${from}`); text = text.replaceAll(from, to); }
  writeFileSync(join(dir, file), text);
};
const asks = edit('services/join.yaml', ['        - {action: withdraw, title: {fa: انصراف, en: Withdraw}, roles: [applicant], to: withdrawn}\n',
  '        - {action: withdraw, title: {fa: انصراف, en: Withdraw}, roles: [applicant], to: withdrawn}\n        - {action: inquire, title: {fa: استعلام, en: Inquire}, roles: [officer]}\n']);
const renamed = edit('services/join.yaml', ['en: Membership}', 'en: Belonging}']);
// Version 2 in place of version 1: other titles, another question, another state; another directory and other choices around it.
const second = (dir) => {
  renamed(dir);
  edit('services/join.yaml', ['version: 1\nvalid_from: 2026-03-21', `version: 2\nvalid_from: ${new Date(Date.now() - 86400000).toISOString().slice(0, 10)}`],
    ['state: submitted', 'state: received'], ['start: submitted', 'start: received'], ['en: Submitted}', 'en: Received}'], ['{{name}} is a member', '{{name}} belongs'],
    ['      - {field: area,', '      - {field: floor, type: integer, label: {fa: طبقه, en: Floor}, min: 0, max: 50}\n      - {field: area,'],
    ['area: 12.5,', 'area: 12.5, floor: 3,'], ['opening: today+30,', 'opening: today+30, floor: 1,'])(dir);
  cpSync(join(dir, 'services/join.yaml'), join(dir, 'services/join-v2.yaml'));
  rmSync(join(dir, 'services/join.yaml'));
  for (const gone of ['fault', 'fault-v2']) rmSync(join(dir, `services/${gone}.yaml`)); // a service that is no longer offered
  edit('lists/colour.csv', ['green,سبز,Green,Sabz', 'green,سبز,Emerald,Sabz'])(dir);
  edit('places.csv', ['Lower,', 'Nether,'])(dir);
  edit('organisations.csv', ['centre,agency,', 'archive,agency,,99,GOV,90,بایگانی,Archive,,\ncentre,agency,'])(dir); // every number moves
};
const nid = (n) => { const d = String(n).padStart(9, '0'); const r = [...d].reduce((s, c, i) => s + c * (10 - i), 0) % 11; return d + (r < 2 ? r : 11 - r); };
const answers = (n, more = {}) => ({ national_id: nid(n), birth_date: '1970-05-05', mobile: `0915${String(n).slice(-7)}`, kind: 'company', legal_id: '10380284790', staff: 8, insured: true,
  name: `Rayan ${n}`, colours: ['green', 'blue'], area: 12.5, capital: 2000000000, county: '9902', sponsor: 'crew', accuracy: true, ...more });
const file = async (b, n, more) => call(b, 'POST', `${A}/services/join/cases`, { key: `k${n}`, body: { data: answers(n, more) } });
const see = async (b, t, token, lang) => (await call(b, 'GET', `${A}/cases/${t}`, { token, lang })).json;
const act = (b, t, action, token, body) => call(b, 'POST', `${A}/cases/${t}/actions/${action}`, { token, body });
const signin = async (b, username) => (await call(b, 'POST', `${A}/sessions`, { body: { username, password: 'a-long-password-14' } })).json.access_token;
const equal = (a, b) => execFileSync('diff', ['-r', a, b], { encoding: 'utf8' });
const row = (v, name) => v.answers.find((x) => x.name === name).text;

async function real(name, where) {
  const first = pack(asks), changed = pack(asks, renamed), later = pack(asks, second), other = pack(asks, edit('services/fault.yaml', ['Report a road fault', 'Report a bad road']));
  let open, done, road, s = await serve(where, { demo: false, from: first });
  for (const [u, o, r] of [['o1', 'centre', 'officer'], ['o2', 'centre', 'officer'], ['r1', 'records', 'officer'], ['l1', 'lower', 'officer']])
    execFileSync(chapar, ['staff', 'add', '--username', u, '--organisation', o, '--role', r, '--pack', first, ...where], { input: 'a-long-password-14\n', stdio: ['pipe', 'pipe', 'pipe'] });
  await test(`${name}: two requests begin under version 1, one is approved`, async () => {
    const r = await file(s.base, 100000001), q = await file(s.base, 100000002);
    same([r.status, q.status], [201, 201], r.text + q.text);
    open = r.json.tracking;
    done = q.json.tracking;
    const o1 = await signin(s.base, 'o1'), v = await see(s.base, open, o1);
    same([v.service_version, v.service_title, v.state_title, v.definition.length], [1, 'Membership', 'Submitted', 32]);
    same((await act(s.base, done, 'approve', o1, { expected_version: 1 })).status, 200);
  });
  await s.stop();

  await test(`${name}: a changed text under the same version is refused, with its place`, async () => {
    const r = fails(['serve', '--pack', changed, ...where, '--listen', '127.0.0.1:0']);
    same(r.status, 1);
    good(/^services\/join\.yaml:2: service 'join' version 1 was changed after 2 requests had begun under it: give the changed text version 2 with its own valid_from/m.test(r.err), r.err);
    same(run('export', 'packs', ...where).trim().split('\n').length, 2, 'what was refused is not recorded');
  });
  await test(`${name}: a version without requests may change`, async () => {
    s = await serve(where, { demo: false, from: other });
    same((await call(s.base, 'GET', `${A}/services/fault`)).json.title.en, 'Report a bad road');
    const token = await signin(s.base, 'o1');
    road = (await call(s.base, 'POST', `${A}/services/fault/cases`, { key: 'road', token, body: { data: { place: '9901012001000001', depth: 12 } } })).json;
    good(road.tracking, JSON.stringify(road));
    await s.stop();
  });

  s = await serve(where, { demo: false, from: later });
  const b = s.base, o1 = await signin(b, 'o1'), o2 = await signin(b, 'o2'), r1 = await signin(b, 'r1'), l1 = await signin(b, 'l1');
  await test(`${name}: new requests begin under version 2`, async () => {
    same((await call(b, 'GET', `${A}/services/join`)).json.version, 2);
    const no = await file(b, 100000003);
    same([no.status, no.json.errors.map((e) => e.field)], [422, ['floor']], no.text);
    const r = await file(b, 100000003, { floor: 4 });
    same(r.status, 201, r.text);
    const v = await see(b, r.json.tracking, o1);
    same([v.service_version, v.service_title, v.state_title, row(v, 'colours')], [2, 'Belonging', 'Received', 'Emerald, Blue']);
    good(row(v, 'county').includes('Nether'), row(v, 'county'));
  });
  await test(`${name}: the old request is shown as it was written`, async () => {
    const v = await see(b, open, o1), all = await see(b, open), fa = await see(b, open, o1, 'fa');
    same([v.service_version, v.service_title, v.state_title, row(v, 'colours')], [1, 'Membership', 'Submitted', 'Green, Blue']);
    good(row(v, 'county').includes('Lower'), row(v, 'county'));
    same([all.service_version, all.service_title, all.state_title, all.definition], [1, 'Membership', 'Submitted', v.definition]);
    same([fa.state_title, v.plain], ['رسید', 'An officer is looking at it.']);
    good(v.actions.some((x) => x.name === 'approve') && v.actions.find((x) => x.name === 'reject').reasons.length === 1, 'what may be done stands in the old text');
    const list = (await call(b, 'GET', `${A}/desk/cases?organisation=centre`, { token: o1 })).json.items;
    same(list.find((x) => x.tracking === open).state_title, 'Submitted');
    const found = (await call(b, 'GET', `${A}/desk/cases?organisation=centre&q=${nid(100000001)}`, { token: o1 })).json.items;
    same(found.map((x) => x.service_title), ['Membership']);
    const page = await call(b, 'GET', `/cases/${open}`), desk = await call(b, 'GET', `/cases/${open}`, { headers: { Cookie: `session=${o1}` } });
    good(page.status === 200 && page.text.includes('Membership') && page.text.includes('Submitted') && page.text.includes('An officer is looking at it.'), 'the page for everybody');
    good(desk.status === 200 && desk.text.replaceAll('&#x2F;', '/').includes(`/cases/${open}/actions/approve`) && desk.text.includes('Green, Blue'), 'the page for the desk');
    same((await call(b, 'GET', `/cases/${open}/actions/reject`, { headers: { Cookie: `session=${o1}` } })).status, 200);
    const paper = await call(b, 'GET', `/cases/${done}/certificate`, { headers: { Cookie: `session=${o1}` } });
    good(paper.status === 200 && paper.text.includes('Rayan 100000002 is a member.'), `the certificate of then: ${paper.status}`);
  });
  await test(`${name}: so is a request for a service that is no longer offered`, async () => {
    const v = await see(b, road.tracking), page = await call(b, 'GET', `/cases/${road.tracking}`);
    same([v.service_title, v.state_title, v.holder.code], ['Report a bad road', 'Reported', 'crew']);
    good(page.status === 200 && page.text.includes('Report a bad road') && !page.text.replaceAll('&#x2F;', '/').includes('/services/fault'), 'its page, without a way to a service that is gone');
  });
  await test(`${name}: keys and reservations of then count now`, async () => {
    same((await file(b, 100000001, { floor: 1 })).json.code, 'idempotency_key_reused');
    const same_body = await file(b, 100000001); // no longer an answer to this form, but it was answered
    same([same_body.status, same_body.json.tracking], [201, open], same_body.text);
    same((await file(b, 100000077)).status, 422, 'a free key is judged by the form of now');
    const again = await call(b, 'POST', `${A}/services/join/cases`, { key: 'anew', body: { data: answers(100000001, { floor: 1 }) } });
    same(again.status, 409, 'one open request for each person, whatever its version');
  });
  await test(`${name}: it asks those whom its own text names, and is finished under it`, async () => {
    let r = await act(b, open, 'inquire', o1, { expected_version: 1 });
    same(r.status, 200, r.text);
    const v = await until('two inquiries', () => see(b, open, o1), (x) => x.children.length === 2);
    same(v.children.map((x) => [x.inquiry, x.holder]).sort(), [['known', 'records'], ['local', 'lower']]);
    for (const [child, token] of [['known', r1], ['local', l1]].map(([n, t]) => [v.children.find((x) => x.inquiry === n).tracking, t])) {
      const seen = await see(b, child, token);
      same([seen.right, seen.service_version], ['inquired', 1]);
      same((await act(b, child, 'reply', token, { expected_version: seen.version, data: { answer: 'agree' } })).status, 200);
    }
    const now = await until('both answers', () => see(b, open, o1), (x) => x.version >= 4);
    r = await act(b, open, 'approve', o2, { expected_version: now.version });
    same([r.status, r.json.state, r.json.result], [200, 'approved', 'approved'], r.text);
    const events = (await call(b, 'GET', `${A}/cases/${open}/events`, { token: o1 })).json.items;
    same([events[0].state_title, events.at(-1).title], ['Submitted', 'Approve']);
  });

  if (name === 'postgres') await test(`${name}: a node with an older folder says so, and reads what began elsewhere`, async () => {
    const node = await serve(where, { demo: false, from: other, heard: true });
    const r = await file(b, 100000004, { floor: 2 }), v = await see(node.base, r.json.tracking, await signin(node.base, 'o1'));
    same([v.service_version, v.service_title, v.state_title], [2, 'Belonging', 'Received']);
    good(/is this an older one/.test(node.said), node.said);
    const old = await file(node.base, 100000005);
    same((await see(b, old.json.tracking, o1)).service_version, 1);
    await node.stop();
  });
  await s.stop();

  await test(`${name}: packs are listed and written back byte for byte`, async () => {
    const list = run('export', 'packs', ...where).trim().split('\n').map((x) => x.split(','));
    same(list[0], ['hash', 'code', 'first_served', 'last_served', 'cases', 'open']);
    same(list.length, 4);
    const more = name === 'postgres' ? 1 : 0;
    same(list.slice(1).map((x) => x.slice(4).map(Number)), [[2 + more, more], [3 + more, 1 + more], [1 + more, 1 + more]]);
    const to = join(folder(), 'newest'), old = join(folder(), 'old');
    const last = name === 'postgres' ? other : later;
    good(run('export', 'pack', to, ...where).includes(name === 'postgres' ? list[2][0] : list[3][0]), 'the one served last');
    equal(to, last);
    run('export', 'pack', old, '--hash', list[1][0].slice(0, 12), ...where);
    equal(old, first);
    run('check', old);
    same(fails(['export', 'pack', old, ...where]).status, 1, 'a folder with something in it');
    same(fails(['export', 'pack', join(folder(), 'x'), '--hash', 'ffffffffffffffff', ...where]).status, 1);
    same(fails(['export', 'pack', join(folder(), 'x'), '--hash', '../x', ...where]).status, 2);
    same(fails(['export']).status, 2);
    same(spawnSync(chapar, ['export', '--help']).status, 0);
    same(fails(['export', 'packs', '--data', join(folder(), 'none')]).status, 1);
  });
  await test(`${name}: a copy carries them`, async () => {
    const copy = join(folder(), 'copy'), keys = join(folder(), 'keys');
    const back = name === 'postgres' ? ['--store', pg.fresh(), '--keys', keys] : ['--data', join(folder(), 'back')];
    run('backup', ...where, copy);
    run('restore', ...back, copy);
    same(run('export', 'packs', ...back), run('export', 'packs', ...where));
    const again = await serve(back, { demo: false, from: later });
    same((await see(again.base, open)).service_title, 'Membership');
    await again.stop();
  });
  await test(`${name}: all of it verifies`, async () => good(run('ledger', 'verify', ...where).includes('verifies'), 'verifies'));
}

async function demonstration(name, where) {
  const first = pack(asks), changed = pack(asks, renamed);
  let s = await serve(where, { from: first });
  const early = (await file(s.base, 200000001)).json.tracking;
  await s.stop();
  await test(`${name}: a demonstration warns of a changed text; earlier requests keep theirs, new ones have the new`, async () => {
    s = await serve(where, { from: changed, heard: true });
    const late = (await file(s.base, 200000002)).json.tracking;
    good(/^services\/join\.yaml:2: warning: service 'join' version 1 was changed after 1 request had begun/m.test(s.said), s.said);
    same([(await see(s.base, early)).service_title, (await see(s.base, late)).service_title], ['Membership', 'Belonging']);
    const officer = (await call(s.base, 'POST', `${A}/sessions`, { body: { username: 'centre.officer', password: (await call(s.base, 'GET', '/demo/accounts')).json[0].password } })).json.access_token;
    same((await act(s.base, early, 'inquire', officer, { expected_version: 1 })).status, 200);
    const v = await until('inquiries', () => see(s.base, early, officer), (x) => x.children.length === 2);
    same((await see(s.base, v.children[0].tracking)).service_title, 'Membership', 'an inquiry has the text of the case that asks');
    await s.stop();
    s = await serve(where, { from: changed, heard: true });
    good(!/was changed after/.test(s.said), 'told once');
    same([(await see(s.base, early)).service_title, (await see(s.base, late)).service_title], ['Membership', 'Belonging']);
    await s.stop();
  });
}

await test('a service that is still to come is shown, and not yet accepted', async () => {
  const day = new Date(Date.now() + 40 * 86400000).toISOString().slice(0, 10);
  const s = await serve(['--data', folder()], { from: pack(edit('services/fault.yaml', ['valid_from: 1405-01-01', `valid_from: ${day}`])) }), b = s.base;
  const item = (await call(b, 'GET', `${A}/services`)).json.items.find((x) => x.code === 'fault'), one = await call(b, 'GET', `${A}/services/fault`);
  same([item.valid_from, item.channels, one.json.version, one.json.valid_from], [day, [], 1, day]);
  good(one.headers.get('etag').includes('coming'), 'its tag changes with the day');
  const no = await call(b, 'POST', `${A}/services/fault/cases`, { key: 'soon', body: { data: one.json.form_schema.examples[0] } });
  same(no.status, 403);
  good(/^This service is accepted from /.test(no.json.detail), no.text);
  const page = await call(b, 'GET', '/services/fault'), list = await call(b, 'GET', '/services');
  good(page.status === 200 && page.text.includes('Accepted from') && !page.text.includes('/services/fault/apply'), 'its page');
  good(list.text.includes('Accepted from'), 'the catalogue');
  const apply = await call(b, 'GET', '/services/fault/apply');
  same([apply.status, apply.headers.get('location')], [303, '/services/fault']);
  await s.stop();
});
const pg = postgres(), temporary = folder();
process.env.TMPDIR = temporary;
await real('sqlite', ['--data', folder()]);
await demonstration('sqlite', ['--data', folder()]);
if (pg) {
  await real('postgres', ['--store', pg.url, '--keys', join(folder(), 'keys')]);
  await demonstration('postgres', ['--store', pg.fresh(), '--keys', join(folder(), 'keys')]);
}
await test('nothing is left among the temporary files', async () => same(readdirSync(temporary).filter((x) => x.startsWith('chapar-pack-')), []));
end();
