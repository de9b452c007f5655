// Acting for somebody else: given, accepted, used within its scope, told, taken back; a company and a child by the registers; both engines.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import Ajv2020 from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { serve, call, staff, citizen, test, same, good, end, folder, postgres, root, run, fails, sleep } from './kit.mjs';

const A = '/api/v1';
const doc = JSON.parse(readFileSync(join(root, 'assets/openapi.json'), 'utf8'));
const ajv = new Ajv2020({ strict: false, allErrors: true });
addFormats(ajv);
ajv.addSchema({ $id: 'doc', ...doc });
const check = ajv.getSchema('doc#/paths/~1api~1v1~1me~1mandates/get/responses/200/content/application~1json/schema');
const MARYAM = '0499370899', ALI = '0060495219', ZAHRA = '0643005846', CHILD = '0930123451', COMPANY = '10380284790';
const until = async (what, fn) => { for (let i = 0; i < 100; i++) { const v = await fn(); if (v) return v; await sleep(100); } throw new Error(`never: ${what}`); };
const day = (n) => new Date(Date.now() + n * 86400000).toISOString().slice(0, 10);

const ascii = (t) => t.replace(/[۰-۹]/g, (d) => '۰۱۲۳۴۵۶۷۸۹'.indexOf(d));
const codes = async (b, to) => (await call(b, 'GET', '/demo/outbox')).json.filter((m) => m.to === to);
// The newest code to a telephone that came after `seen` messages.
const code = (b, to, seen) => until(`a code to ${to}`, async () => { const all = await codes(b, to); return all.length > seen && /(?<![0-9])[0-9]{6}(?![0-9])/.exec(ascii(all[0].text))?.[0]; });

class Dial { // Africa's Talking; the last screen in ASCII digits
  constructor(b, phone) { this.b = b; this.phone = phone; this.id = `m${Math.random()}`; this.inputs = []; }
  async send(...inputs) {
    for (const input of inputs.length ? inputs : [undefined]) {
      if (input !== undefined) this.inputs.push(input);
      const r = await call(this.b, 'POST', '/ussd', { headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
        body: new URLSearchParams({ sessionId: this.id, serviceCode: '*4015#', phoneNumber: this.phone, networkCode: '43211', text: this.inputs.join('*') }).toString() });
      same(r.status, 200, r.text);
      const text = r.text.slice(4);
      good(text.length <= (/^[ -~\n]*$/.test(text) ? 182 : 80), `${text.length}: ${text}`);
      this.over = r.text.startsWith('END');
      this.last = ascii(text);
    }
    return this.last;
  }
  // The number of the line that holds these words, turning pages.
  async choose(words) {
    for (let i = 0; i < 30; i++) {
      const line = this.last.split('\n').find((l) => l.includes(words));
      if (line && /^\d+ /.test(line)) return this.send(/^\d+/.exec(line)[0]);
      good(/^99 /m.test(this.last), `no line «${words}» in ${this.last}`);
      await this.send('99');
    }
  }
  // Whatever the form asks, out of these answers.
  async walk(def, data) {
    const fields = [...(def.eligibility || []), ...def.pages.flatMap((p) => p.fields)];
    for (let i = 0; i < 60 && !this.last.includes('1 Submit'); i++) {
      const f = fields.filter((x) => this.last.includes(x.label.en.slice(0, 24))).sort((x, y) => y.label.en.length - x.label.en.length)[0];
      good(f, `${def.code}: which question is this? ${this.last}`);
      const v = data[f.field];
      if ((def.eligibility || []).includes(f)) await this.send(f.exit_when?.is === true ? '2' : '1');
      else if (v === undefined) { good(this.last.includes('0 Skip'), `${f.field}: ${this.last}`); await this.send('0'); }
      else if (f.type === 'yes_no') await this.send(v ? '1' : '2');
      else if (f.type === 'declaration') await this.send('1');
      else if (f.type === 'choice' || f.type === 'choices') {
        const list = f.choices?.map((c) => c.value) || def.form_schema.properties[f.field].enum || def.form_schema.properties[f.field].items?.enum;
        await this.send(String(list.indexOf(Array.isArray(v) ? v[0] : v) + 1));
      } else await this.send(f.type === 'date' ? v.replaceAll('-', '/') : String(v));
    }
    return this.last;
  }
}

// Pages as an agent's browser sends them.
class Pages {
  constructor(b) { this.b = b; this.jar = new Map([['lang', 'en']]); this.token = ''; }
  async ask(path, form) {
    const files = /\/(files\/\d+|submit)$/.test(path), body = form && (files ? new FormData() : new URLSearchParams());
    if (form) for (const [k, v] of Object.entries({ form_token: this.token, ...form })) body.append(k, v);
    const r = await fetch(this.b + path, { method: form ? 'POST' : 'GET', redirect: 'manual', headers: { Cookie: [...this.jar].map(([k, v]) => `${k}=${v}`).join('; ') }, body });
    for (const c of r.headers.getSetCookie()) this.jar.set(c.split('=')[0], c.split(';')[0].slice(c.indexOf('=') + 1));
    this.text = (await r.text()).replaceAll('&#x2F;', '/');
    this.status = r.status;
    this.to = r.headers.get('location');
    this.token = /name="form_token" value="([^"]+)"/.exec(this.text)?.[1] || this.token;
    return r.status;
  }
  async enter(username) {
    const a = (await call(this.b, 'GET', '/demo/accounts')).json.find((x) => x.username === username);
    await this.ask('/staff');
    same(await this.ask(/<form[^>]+action="([^"]*staff[^"]*)"/.exec(this.text)?.[1] || '/staff', { username, password: a.password }), 303, this.text);
  }
  async begin(national_id, mobile) {
    await this.ask('/counter');
    same(await this.ask('/counter', { national_id, mobile }), 303, this.text);
    return this.to;
  }
}

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
  const agent = await staff(b, 'agent'), desk = new Pages(b);
  const seen = async (to) => (await codes(b, to)).length;
  let given, visit;
  await test(`${name}: at the counter a mandate is given by a code to the giver's own telephone, and by nothing else`, async () => {
    const data = { ...offer, scope: 'all', service: undefined }, person = { national_id: MARYAM, mobile: '09151234567' };
    const put = (key, more) => call(b, 'POST', `${A}/services/mandate/cases`, { token: agent, key, body: { data, applicant: person, ...more } });
    const ask = (applicant) => call(b, 'POST', `${A}/counter/consents`, { token: agent, body: { service: 'mandate', data, applicant } });
    const slip = await call(b, 'POST', `${A}/counter/slips`, { token: agent, body: { service: 'mandate', data, applicant: person } });
    same(slip.status, 201, slip.text);
    const signed = await put('c1', { consent: { number: slip.json.number, kept: true } });
    same([signed.status, /telephone/.test(signed.json.detail)], [403, true], signed.text);
    let before = await seen('09150000078');
    const strange = await ask({ national_id: MARYAM, mobile: '09150000078' });
    same(strange.status, 202, strange.text);
    const other = await call(b, 'POST', `${A}/services/mandate/cases`, { token: agent, key: 'c2', body: { data, applicant: { national_id: MARYAM, mobile: '09150000078' }, consent: { challenge: strange.json.challenge, code: await code(b, '09150000078', before) } } });
    same(other.status, 403, 'a telephone that is not on record: ' + other.text);
    before = await seen('09151234567');
    const asked = await ask(person), r = await put('c3', { consent: { challenge: asked.json.challenge, code: await code(b, '09151234567', before) } });
    same(r.status, 201, r.text);
    given = r.json.tracking;
    same((await list(maryam)).given.find((m) => m.tracking === given).status, 'offered');
    same((await act(given, 'accept', ali)).json?.state, 'in_force');
  });
  await test(`${name}: the attorney files at the counter under it, by a code to the attorney's telephone`, async () => {
    await desk.enter('agent');
    visit = await desk.begin(ALI, '09151234568');
    same(await desk.ask(`${visit}/mandates`), 200);
    good(!desk.text.includes(given), 'nothing before the code');
    same(await desk.ask(`${visit}/mandates`, { under: given }), 200, 'asks for the code first');
    let before = await seen('09151234568');
    await desk.ask(`${visit}/mandates`, {});
    const challenge = /name="challenge" value="([^"]+)"/.exec(desk.text)[1], right = await code(b, '09151234568', before);
    same(await desk.ask(`${visit}/mandates`, { challenge, code: right.slice(0, 5) + (Number(right[5]) + 1) % 10 }), 422);
    same(await desk.ask(`${visit}/mandates`, { challenge, code: right }), 303, desk.text);
    await desk.ask(`${visit}/mandates`);
    good(desk.text.includes(given) && desk.text.includes('مریم رضایی'), desk.text);
    same(await desk.ask(`${visit}/mandates`, { under: given }), 303, desk.text);
    await desk.ask(visit);
    good(/acting for مریم رضایی/.test(desk.text.replace(/<[^>]+>/g, '')), desk.text);
    const def = (await get('/services/village-residence')).json, data = { ...def.form_schema.examples[0], mobile: '09151234568' };
    await desk.ask(`${visit}/village-residence/apply`);
    for (let i = 0; i < 12 && !desk.to?.endsWith('/check'); i++) {
      const at = desk.to;
      await desk.ask(at);
      if (desk.to) continue;
      const action = at.endsWith('/eligibility') ? at : / action="(\/counter\/[^"]+\/(?:form|files)\/[^"]+)"/.exec(desk.text)?.[1], given_by = Object.fromEntries(Object.entries(data).map(([k, v]) => [k, String(v)]));
      good(action, `${at}: ${desk.text.match(/<form[^>]*>/g)}`);
      if (i < 4) good(!desk.text.includes('value="0060495219"'), 'the principal is who applies');
      await desk.ask(action, at.endsWith('/eligibility') ? Object.fromEntries((def.eligibility || []).map((q) => [q.field, String(q.exit_when?.is !== true)])) : { ...given_by, national_id: MARYAM });
      good(desk.to, `${at}: ${desk.text.replace(/<[^>]+>/g, ' ').replace(/\s+/g, ' ').slice(0, 1500)}`);
    }
    before = await seen('09151234568');
    await desk.ask(`${visit}/village-residence/consent`);
    same(await desk.ask(`${visit}/village-residence/code`, {}), 303, desk.text);
    await desk.ask(`${visit}/village-residence/consent`);
    same(await desk.ask(`${visit}/village-residence/submit`, { way: 'code', code: await code(b, '09151234568', before) }), 303, desk.text.replace(/<[^>]+>/g, ' ').replace(/\s+/g, ' ').slice(0, 1500));
    const made = /\d{16}/.exec(desk.to)[0], mine = await get(`/cases/${made}`, maryam);
    same([mine.json.right, mine.json.submitted_by, mine.json.events[0].mandate?.tracking, mine.json.data.national_id], ['citizen', 'agent', given, MARYAM], mine.text);
    same('data' in (await get(`/cases/${made}`, ali)).json, false, 'as himself it is another\'s');
    same((await get(`/cases/${made}`, ali, MARYAM)).json.right, 'mandate');
  });
  await test(`${name}: the giver ends it at the counter by a code for that very step`, async () => {
    const at = `${await desk.begin(MARYAM, '09151234567')}/mandates`;
    await desk.ask(at);
    let before = await seen('09151234567');
    await desk.ask(at, {});
    same(await desk.ask(at, { challenge: /name="challenge" value="([^"]+)"/.exec(desk.text)[1], code: await code(b, '09151234567', before) }), 303, desk.text);
    before = await seen('09151234567');
    same(await desk.ask(at, { tracking: given, step: 'revoke' }), 200, desk.text);
    const challenge = /name="challenge" value="([^"]+)"/.exec(desk.text)[1];
    same((await list(maryam)).given.find((m) => m.tracking === given).status, 'in_force', 'not before the code');
    same(await desk.ask(at, { tracking: given, step: 'revoke', challenge, code: await code(b, '09151234567', before) }), 303, desk.text);
    same((await list(maryam)).given.find((m) => m.tracking === given).status, 'ended');
    const last = (await get(`/cases/${given}`, maryam)).json.events.at(-1);
    same([last.action, last.role], ['revoke', 'applicant']);
    same(await desk.ask(at, { tracking: given, step: 'revoke' }), 409);
    await desk.ask(`${visit}/mandates`);
    good(!desk.text.includes(given), 'the attorney has it no more');
  });
  await test(`${name}: by USSD a mandate is given, accepted, used and ended, each by a code to the caller's own telephone`, async () => {
    const english = async (phone) => { const d = new Dial(b, phone); await d.send(); await d.send('5', '2'); return d; };
    const known = async (phone, id) => { const d = await english(phone), before = await seen(phone); await d.send('6', id); await d.send(await code(b, phone, before)); return d; };
    const stranger = await english('09150000079');
    good(/not on record/.test(await stranger.send('6', MARYAM)), stranger.last);
    const her = await english('09151234567'), before = await seen('09151234567');
    await her.send('6', MARYAM);
    const right = await code(b, '09151234567', before);
    good(/Not right/.test(await her.send(right.slice(0, 5) + (Number(right[5]) + 1) % 10)), her.last);
    await her.send(right);
    await her.choose('New mandate');
    await her.choose('Let somebody act');
    await her.walk((await get('/services/mandate')).json, { attorney_id: ALI, attorney_mobile: '09151234568', your_name: 'Maryam', scope: 'all', until: day(30), consent: true });
    const made = /(\d{4} ){3}\d{4}/.exec(await her.send('1'))?.[0].replaceAll(' ', '');
    good(made, her.last);
    same((await list(ali)).received.find((m) => m.tracking === made).status, 'offered');
    const him = await known('09151234568', ALI);
    await him.choose('For Maryam (offered)');
    await him.choose('I accept');
    await him.send('1');
    same((await list(ali)).received.find((m) => m.tracking === made).status, 'in_force', him.last);
    await him.send('0');
    await him.choose('For Maryam');
    await him.choose('Act now');
    good(/^For Maryam/.test(him.last), him.last);
    const fault = (await get('/services/village-residence')).json;
    await him.send('1', '31');
    const confirm = await him.walk(fault, fault.form_schema.examples[0]);
    good(confirm.startsWith('For Maryam'), confirm);
    const filed_by = /(\d{4} ){3}\d{4}/.exec(await him.send('1'))?.[0].replaceAll(' ', '');
    good(filed_by, him.last);
    const mine = await get(`/cases/${filed_by}`, maryam);
    same([mine.json.right, mine.json.submitted_by, mine.json.events[0].mandate?.tracking, mine.json.data.national_id], ['citizen', 'mandate', made, MARYAM], mine.text);
    const again = await known('09151234567', MARYAM);
    await again.choose('Attorney:');
    await again.choose('End the mandate');
    same((await again.send('2')).includes('End the mandate'), true, 'no leads back');
    await again.choose('End the mandate');
    good(/Done/.test(await again.send('1')), again.last);
    same((await list(maryam)).given.find((m) => m.tracking === made).status, 'ended');
    const late = await english('09151234568'); // another session: who they are must be told anew
    good(/national ID/.test(await late.send('6')), late.last);
  });
  await s.stop();
  await test(`${name}: all of it verifies`, async () => good(run('ledger', 'verify', ...where).includes('verifies'), 'verifies'));
}
await mandates('sqlite', ['--data', folder()]);
const pg = postgres();
if (pg) await mandates('postgres', ['--store', pg.url, '--keys', join(folder(), 'keys')]);
end();
