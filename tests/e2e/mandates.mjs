// Acting for somebody else: given, accepted, used within its scope, told, taken back; a company and a child by the registers; both engines.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import Ajv2020 from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { serve, call, staff, citizen, test, same, good, end, folder, postgres, root, run, fails, sleep, until } from './kit.mjs';

const A = '/api/v1';
const doc = JSON.parse(readFileSync(join(root, 'assets/openapi.json'), 'utf8'));
const ajv = new Ajv2020({ strict: false, allErrors: true });
addFormats(ajv);
ajv.addSchema({ $id: 'doc', ...doc });
const check = ajv.getSchema('doc#/paths/~1api~1v1~1me~1mandates/get/responses/200/content/application~1json/schema');
const MARYAM = '0499370899', ALI = '0060495219', ZAHRA = '0643005846', CHILD = '0930123451', COMPANY = '10380284790';
const day = (n) => new Date(Date.now() + n * 86400000).toISOString().slice(0, 10);

async function mandates(name, where) {
  const s = await serve(where), b = s.base;
  const get = (path, token, as, lang) => call(b, 'GET', A + path, { token, lang, headers: as ? { 'Chapar-Acting-As': as } : {} });
  const file = (service, data, token, as, key) => call(b, 'POST', `${A}/services/${service}/cases`, { token, key: key || `k${Math.random()}`, body: { data }, headers: as ? { 'Chapar-Acting-As': as } : {} });
  const act = async (t, action, token, body = {}, as) => call(b, 'POST', `${A}/cases/${t}/actions/${action}`, { token, headers: as ? { 'Chapar-Acting-As': as } : {},
    body: { expected_version: (await get(`/cases/${t}`, token, as)).json.version ?? 1, ...body } });
  const list = async (token, as) => { const r = await get('/me/mandates', token, as); same(r.status, 200, r.text); good(check(r.json), ajv.errorsText(check.errors)); return r.json; };
  const told = async (mobile, words) => until(words, async () => (await call(b, 'GET', '/demo/outbox')).json.find((m) => m.to === mobile && m.text.includes(words)));
  const example = async (code) => (await get(`/services/${code}`)).json.form_schema.examples[0];
  const maryam = await citizen(b, MARYAM, '09151234567'), ali = await citizen(b, ALI, '09151234568'), zahra = await citizen(b, ZAHRA, '09151234569');
  const offer = { attorney_id: ALI, attorney_mobile: '09151234568', your_name: 'مریم رضایی', scope: 'service', service: 'farm-subsidy', until: day(30), consent: true };
  const farm = { ...await example('farm-subsidy'), national_id: MARYAM };
  let mandate, filed, own;

  await test(`${name}: a mandate is offered, accepted by the attorney alone, and both are told`, async () => {
    same((await file('mandate', { ...offer, attorney_id: MARYAM }, maryam)).json.errors[0].field, 'attorney_id', 'nobody is their own attorney');
    const claimed = await citizen(b, MARYAM, '09150000078');
    same((await file('mandate', offer, claimed)).status, 403, 'a telephone that is not on record');
    same((await file('mandate', offer, null)).status, 401);
    const r = await file('mandate', offer, maryam);
    same(r.status, 201, r.text);
    mandate = r.json.tracking;
    await told('09151234568', 'named you as attorney');
    same((await get('/me/cases', ali, MARYAM)).status, 403, 'not in force yet');
    same((await act(mandate, 'accept', maryam)).status, 403, 'the principal does not accept');
    same((await act(mandate, 'accept', zahra)).status, 404, 'nor anybody else');
    const offered = await list(ali);
    same(offered.received.map((m) => [m.tracking, m.status, m.principal.national_id, m.scope.kind, m.scope.code]), [[mandate, 'offered', MARYAM, 'service', 'farm-subsidy']]);
    same((await act(mandate, 'accept', ali)).json?.state, 'in_force');
    await told('09151234567', 'Your attorney accepted');
    same((await list(maryam)).given[0].status, 'in_force');
    same((await get('/me/mandates', null)).status, 401);
  });
  await test(`${name}: the attorney files for the principal, and the case is the principal's`, async () => {
    own = (await file('village-residence', { ...await example('village-residence'), national_id: MARYAM }, maryam)).json.tracking;
    same((await file('farm-subsidy', { ...farm, national_id: ZAHRA }, ali, MARYAM)).json.errors?.[0].code, 'principal', 'about somebody else');
    same((await file('village-residence', { ...await example('village-residence'), national_id: MARYAM }, ali, MARYAM)).status, 403, 'outside the scope');
    same((await file('mandate', { ...offer, attorney_id: ZAHRA }, ali, MARYAM)).status, 403, 'nor given on');
    const r = await file('farm-subsidy', farm, ali, MARYAM, 'once');
    same(r.status, 201, r.text);
    filed = r.json.tracking;
    same((await file('farm-subsidy', farm, ali, MARYAM, 'once')).json.tracking, filed, 'told again');
    same((await file('farm-subsidy', farm, maryam)).status, 409, 'one open request counts for the principal');
    const mine = await get(`/cases/${filed}`, maryam);
    same([mine.json.right, mine.json.submitted_by, mine.json.events[0].role], ['citizen', 'mandate', 'attorney']);
    same(mine.json.events[0].mandate.tracking, mandate);
    good(mine.json.events[0].mandate.attorney !== ALI && mine.json.events[0].mandate.attorney.endsWith(ALI.slice(-2)), mine.json.events[0].mandate.attorney);
    const his = await get(`/cases/${filed}`, ali, MARYAM);
    same([his.json.right, 'data' in his.json], ['mandate', true]);
    same('data' in (await get(`/cases/${filed}`, ali)).json, false, 'as himself it is another\'s');
    same('data' in (await get(`/cases/${own}`, ali, MARYAM)).json, false, 'what the scope does not cover stays everybody\'s view');
    same((await get('/me/cases', ali, MARYAM)).json.items.map((c) => c.tracking), [filed]);
    same((await get('/me/cases', ali)).json.items.some((c) => c.tracking === filed), false);
    same((await get('/me/access', ali, MARYAM)).status, 403);
    same((await get('/me/records', ali, MARYAM)).status, 403);
    same((await get('/me', ali, MARYAM)).json.acting_as, MARYAM);
  });
  await test(`${name}: the principal sees that the attorney looked, and form data taken for her`, async () => {
    const p = await get(`/services/farm-subsidy/prefill?national_id=${MARYAM}`, ali, MARYAM);
    same(p.status, 200, p.text);
    const looks = (await get('/me/access', maryam)).json.items;
    good(looks.some((l) => l.basis === 'mandate' && l.mandate === mandate && l.tracking === filed), JSON.stringify(looks));
    if (p.json.sources.length) good(looks.some((l) => l.basis === 'prefill' && l.mandate === mandate), JSON.stringify(looks));
  });
  await test(`${name}: the attorney answers the office and withdraws; who did it is in the history`, async () => {
    const holder = (await get(`/cases/${filed}`)).json.holder.code, officer = await staff(b, `${holder}.officer`);
    if ((await get(`/cases/${filed}`, officer)).json.actions.some((a) => a.name === 'assign')) await act(filed, 'assign', officer);
    same((await act(filed, 'request_info', officer, { reason: 'explain' })).status, 200);
    same((await act(filed, 'provide_info', ali, { data: { answer: 'سند پیوست شد.' } })).status, 404, 'not as himself');
    const r = await act(filed, 'provide_info', ali, { data: { answer: 'سند پیوست شد.' } }, MARYAM);
    same(r.status, 200, r.text);
    good(r.json.events.at(-1).mandate.tracking === mandate, JSON.stringify(r.json.events.at(-1)));
    const seen = (await get(`/cases/${filed}`, officer)).json;
    same(seen.events.at(-1).mandate.attorney, r.json.events.at(-1).mandate.attorney, 'masked for the office too');
  });
  await test(`${name}: taken back, it ends at once`, async () => {
    same((await act(mandate, 'revoke', zahra)).status, 404);
    same((await act(mandate, 'revoke', maryam)).json?.state, 'ended');
    same((await get('/me/cases', ali, MARYAM)).status, 403);
    same((await act(filed, 'withdraw', ali, {}, MARYAM)).status, 403);
    same('data' in (await get(`/cases/${filed}`, ali)).json, false, 'what he filed is hers');
    same((await list(ali)).received[0].status, 'ended');
    await told('09151234568', 'can no longer act');
    const fa = await get('/me/cases', ali, MARYAM, 'fa');
    good(/نمایندگی/.test(fa.json.detail), fa.text);
  });
  await test(`${name}: the registered manager acts for the company and gives it on; nobody else`, async () => {
    const data = { legal_id: COMPANY, company_name: 'شبکه گستر نیشابور' };
    const r = await file('mandate-company', data, zahra), wrong = await file('mandate-company', data, ali);
    same([r.status, wrong.status], [201, 201], r.text + wrong.text);
    await until('proved by the register', async () => (await get(`/cases/${r.json.tracking}`)).json.state === 'in_force');
    same((await get('/me', zahra, COMPANY)).json.acting_as, COMPANY);
    await sleep(600);
    same((await get(`/cases/${wrong.json.tracking}`)).json.state, 'submitted', 'an officer decides about a stranger');
    same((await get('/me', ali, COMPANY)).status, 403);
    const on = await file('mandate', { ...offer, your_name: 'شبکه گستر', scope: 'all', service: undefined }, zahra, COMPANY);
    same(on.status, 201, on.text);
    same((await act(on.json.tracking, 'accept', ali)).status, 200);
    same((await get('/me', ali, COMPANY)).json.acting_as, COMPANY);
    const form = (await get('/services/takapo-register')).json.form_schema.examples.find((e) => e.legal_id === COMPANY);
    same((await file('takapo-register', { ...form, national_id: MARYAM }, ali, COMPANY)).json.errors?.[0].code, 'principal', 'in a third name');
    const firm = await file('takapo-register', { ...form, national_id: ALI }, ali, COMPANY);
    same(firm.status, 201, firm.text);
    same((await get(`/cases/${firm.json.tracking}`, zahra, COMPANY)).json.right, 'mandate', 'the company has it');
    same((await act(on.json.tracking, 'revoke', zahra, {}, COMPANY)).json?.state, 'ended', 'the manager takes it back for the company');
    same((await get('/me', ali, COMPANY)).status, 403);
    same((await get(`/cases/${firm.json.tracking}`, zahra, COMPANY)).json.right, 'mandate', 'and keeps it');
  });
  await test(`${name}: a mother acts for her child by the register; a guardian after an officer`, async () => {
    const data = { child_id: CHILD, child_name: 'پارسا', relation: 'mother', until: day(3000) };
    const r = await file('mandate-child', data, zahra), g = await file('mandate-child', { ...data, relation: 'guardian' }, ali);
    await until('proved', async () => (await get(`/cases/${r.json.tracking}`)).json.state === 'in_force');
    same((await get('/me', zahra, CHILD)).json.acting_as, CHILD);
    same((await get('/me', ali, CHILD)).status, 403);
    same((await act(g.json.tracking, 'approve', await staff(b, 'sabt-ahval.officer'))).json?.state, 'in_force');
    same((await get('/me', ali, CHILD)).json.acting_as, CHILD);
  });
  await test(`${name}: nobody decides a case of their own, nor of one they hold a mandate for`, async () => {
    const t = (await file('village-residence', { ...await example('village-residence'), national_id: MARYAM }, maryam)).json.tracking, holder = (await get(`/cases/${t}`)).json.holder.code;
    const add = (username, id) => fails(['staff', 'add', '--username', username, '--organisation', holder, '--role', 'officer', '--national-id', id, ...where], 'a-long-password-1\n').status;
    same([add('she', MARYAM), add('he', ALI), add('x', '1234567890')], [0, 0, 1]);
    const enter = async (username) => (await call(b, 'POST', `${A}/sessions`, { body: { username, password: 'a-long-password-1' } })).json.access_token;
    const she = await enter('she'), he = await enter('he');
    if ((await get(`/cases/${t}`, he)).json.state === 'submitted') await act(t, 'assign', he);
    const no = await act(t, 'approve', she);
    same([no.status, /own|mandate/.test(no.json.detail)], [403, true], no.text);
    const again = (await file('mandate', { ...offer, scope: 'all', service: undefined }, maryam)).json.tracking;
    same((await act(again, 'accept', ali)).status, 200);
    same((await act(t, 'approve', he)).status, 403, 'her attorney');
    same((await act(again, 'revoke', maryam)).status, 200);
    same((await act(t, 'approve', he)).status, 200, 'no longer');
  });
  await s.stop();
  await test(`${name}: all of it verifies`, async () => good(run('ledger', 'verify', ...where).includes('verifies'), 'verifies'));
}
await mandates('sqlite', ['--data', folder()]);
const pg = postgres();
if (pg) await mandates('postgres', ['--store', pg.url, '--keys', join(folder(), 'keys')]);
end();
