// The counter: agents file for people who cannot, by their consent; what the office sees afterwards; telephones bound; unusual looking. Both engines.
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { serve, call, staff, citizen, test, same, good, end, folder, postgres, run, pack, flaws, browser as launch } from './kit.mjs';

const A = '/api/v1', S = 'village-residence';
const ID = '0499370899', MOBILE = '09151110001', OTHER = '0060495219';
const digits = (t) => t.replace(/[۰-۹]/g, (d) => '۰۱۲۳۴۵۶۷۸۹'.indexOf(d));
const paper = () => { const f = new FormData(); f.append('file', new Blob([Buffer.from('%PDF-1.4\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF\n')], { type: 'application/pdf' }), 'slip.pdf'); return f; };

async function counter(name, where) {
  const s = await serve(where), b = s.base;
  const example = (await call(b, 'GET', `${A}/services/${S}`)).json.form_schema.examples[0];
  const agent = await staff(b, 'agent'), helpdesk = await staff(b, 'helpdesk');
  const answers = (more = {}) => { const { mobile, ...rest } = example; return { ...rest, national_id: ID, ...more }; };
  const outbox = async (to) => (await call(b, 'GET', '/demo/outbox')).json.filter((m) => m.to === to);
  const code = async (to) => /(?<![0-9])[0-9]{6}(?![0-9])/.exec(digits((await outbox(to))[0].text))[0];
  const ask = (body, token = agent, o = {}) => call(b, 'POST', `${A}/counter/consents`, { token, body, ...o });
  const file = (key, body, o = {}) => call(b, 'POST', `${A}/services/${S}/cases`, { token: agent, key, body, ...o });
  const see = async (t, token) => (await call(b, 'GET', `${A}/cases/${t}`, { token })).json;
  const faults = (r) => (r.json.errors || []).map((e) => `${e.field} ${e.code}`).join();
  const wrong = (c) => c.slice(0, 5) + ((Number(c[5]) + 1) % 10);
  let filed, bound;

  await test(`${name}: nothing is filed without the person's consent`, async () => {
    const r = await file('none', { data: answers({ mobile: MOBILE }) });
    same([r.status, faults(r)], [422, 'consent required'], r.text);
    const fa = await file('none', { data: answers() }, { lang: 'fa' });
    good(/[آ-ی]/.test(fa.json.errors[0].message), fa.text);
    for (const consent of [{}, { challenge: 'x' }, { kept: true }, { number: '1234567897' }, { slip: 'x', code: '1' }]) {
      const bad = await file('none', { data: answers({ mobile: MOBILE }), consent });
      same(bad.status, 422, JSON.stringify(consent) + bad.text);
    }
    same((await file('none', { data: answers({ mobile: MOBILE }), consent: { slip: '0'.repeat(32) } })).status, 422, 'a document that nobody sent');
    same((await file('none', { data: answers({ mobile: MOBILE }), consent: { number: '1234567897', kept: true } })).status, 422, 'a number that was never printed');
    same(faults(await call(b, 'POST', `${A}/services/${S}/cases`, { token: await citizen(b, ID, MOBILE), key: 'mine', body: { data: answers(), consent: { kept: true } } })), 'consent unknown', 'citizens need none');
  });
  await test(`${name}: a code to the person's telephone says who files what, and is good for exactly that, once`, async () => {
    const data = answers();
    const asked = await ask({ service: S, data, applicant: { mobile: MOBILE } });
    same(asked.status, 202, asked.text);
    const text = (await outbox(MOBILE))[0].text, c = await code(MOBILE), title = (await call(b, 'GET', `${A}/services/${S}`)).json.title.en;
    good(text.includes(title.slice(0, 20)) && !text.includes('http'), text);
    const body = (more) => ({ data, applicant: { mobile: MOBILE }, consent: { challenge: asked.json.challenge, code: c }, ...more });
    same(faults(await file('k1', body({ consent: { challenge: asked.json.challenge, code: wrong(c) } }))), 'consent wrong');
    const changed = await file('k1', body({ data: { ...data, years: (data.years || 0) + 1 } }));
    same(faults(changed), 'consent other', changed.text);
    same(faults(await file('k1', body({ applicant: { mobile: '09151110009' } }))), 'consent other', 'another telephone');
    same(faults(await file('k1', body({ applicant: { national_id: OTHER, mobile: MOBILE } }))), 'applicant other', 'another person');
    const r = await file('k1', body());
    same(r.status, 201, r.text);
    filed = r.json.tracking;
    const again = await file('k1', body());
    same([again.status, again.json.tracking], [201, filed], again.text);
    same(faults(await file('k2', body())), 'consent gone', 'used up');
    good((await outbox(MOBILE)).some((m) => digits(m.text).replaceAll(' ', '').includes(filed)), 'the tracking code goes to the citizen');
  });
  await test(`${name}: an agent files nothing for themself`, async () => {
    const own = '0084575948', sent = (await outbox(MOBILE)).length;
    const office = (await call(b, 'GET', '/demo/accounts')).json.find((a) => a.role === 'agent' && a.username !== 'agent').organisation, clerk = await staff(b, `${office}.agent`);
    const before = await ask({ service: S, data: answers({ national_id: own }), applicant: { mobile: MOBILE } }, clerk);
    same(before.status, 202, before.text);
    const typed = await code(MOBILE), operator = await staff(b, 'operator');
    const known = await call(b, 'POST', `${A}/staff/${office}.agent/changes`, { token: operator, body: { change: 'person', national_id: own } });
    same(known.status, 200, known.text);
    const late = await file('own', { data: answers({ national_id: own }), applicant: { mobile: MOBILE }, consent: { challenge: before.json.challenge, code: typed } }, { token: clerk });
    same([late.status, faults(late)], [422, 'applicant own'], late.text);
    for (const purpose of ['file', 'know']) {
      const r = await ask({ purpose, service: S, ...(purpose === 'file' ? { data: answers({ national_id: own }) } : {}), applicant: { national_id: own, mobile: MOBILE } }, clerk, { lang: 'fa' });
      same([r.status, faults(r)], [422, 'applicant.national_id own'], r.text);
      good(r.text.includes('شمارهٔ ملی خود شماست'), r.text);
    }
    const slip = await call(b, 'POST', `${A}/counter/slips`, { token: clerk, body: { service: S, data: answers({ national_id: own }), applicant: { national_id: own } } });
    same([slip.status, faults(slip)], [422, 'applicant.national_id own'], slip.text);
    same((await outbox(MOBILE)).length, sent + 1, 'no code went out');
    same((await ask({ service: S, data: answers(), applicant: { mobile: '09151110088' } }, clerk)).status, 202, 'for others as before');
  });
  await test(`${name}: five wrong codes end a consent, and many end the agent's for a while`, async () => {
    const data = answers({ years: 3 }), asked = await ask({ service: S, data, applicant: { mobile: '09151110002' } }), c = await code('09151110002');
    const got = [];
    for (let i = 0; i < 6; i++) got.push(faults(await file('w', { data, applicant: { mobile: '09151110002' }, consent: { challenge: asked.json.challenge, code: wrong(c) } })));
    same(got.slice(0, 4).concat(got[5]), ['consent wrong', 'consent wrong', 'consent wrong', 'consent wrong', 'consent spent']);
    same(faults(await file('w', { data, applicant: { mobile: '09151110002' }, consent: { challenge: asked.json.challenge, code: c } })), 'consent spent', 'even the right one');
    const many = [];
    for (let i = 0; i < 6; i++) many.push((await ask({ service: S, data, applicant: { mobile: '09151110003' } })).status);
    same(many, [202, 202, 202, 202, 202, 429], 'to one telephone');
    same([(await ask({ service: S, data })).status, (await ask({ service: 'council-resolution', data: {} })).status, (await ask({ service: S, data: {} })).status, (await ask({ purpose: 'x' })).status], [422, 422, 422, 422]);
    same((await ask({ service: S, data, applicant: { mobile: MOBILE } }, helpdesk)).status, 403, 'the helpdesk files nothing');
  });
  await test(`${name}: the case is the citizen's; the agent only sent it`, async () => {
    const person = await citizen(b, ID, MOBILE), own = await see(filed, person);
    same([own.right, own.submitted_by, own.intake, own.assurance], ['citizen', 'agent', 'counter', 'claimed'], JSON.stringify(own));
    const mine = (await call(b, 'GET', `${A}/me/cases`, { token: person })).json.items;
    good(mine.some((x) => x.tracking === filed), 'in their list');
    same(own.events[0].filed.consent.kind, 'code');
    good(/^[0-9a-f]{64}$/.test(own.events[0].filed.consent.proof), 'with its proof');
    const leaf = (await call(b, 'GET', `${A}/cases/${filed}/events/1/leaf`, { token: person })).json;
    good(leaf.payload.includes('"consent":{"kind":"code"'), 'and in the leaf of the ledger');
  });
  await test(`${name}: the receipt is a sheet of paper too; who filed it stands on it for those who may know`, async () => {
    const sheet = async (token, lang) => {
      const r = await fetch(`${b}/cases/${filed}/receipt/pdf`, { headers: { 'Accept-Language': lang, ...(token ? { Authorization: `Bearer ${token}` } : {}) } }), bytes = Buffer.from(await r.arrayBuffer());
      same([r.status, r.headers.get('content-type'), bytes.subarray(0, 5).toString()], [200, 'application/pdf', '%PDF-'], lang);
      const at = join(folder(), 'receipt.pdf');
      writeFileSync(at, bytes);
      good(/Pages:\s+1\b/.test(execFileSync('pdfinfo', [at], { encoding: 'utf8' })), 'one sheet');
      return execFileSync('pdftotext', ['-layout', at, '-'], { encoding: 'utf8' });
    };
    const code = filed.match(/.{4}/g).join(' '), mine = await sheet(agent, 'en'), anybody = await sheet(null, 'en');
    good(mine.includes(code) && mine.includes('Agent') && mine.includes('agent') && mine.includes('Legal deadline'), mine);
    good(anybody.includes(code) && !/^\s*Agent\b/m.test(anybody), anybody);
    good(!mine.includes(ID) && !mine.includes(MOBILE), 'nothing personal');
    good(digits(await sheet(agent, 'fa')).replace(/\s/g, '').includes(filed), 'in Persian digits');
  });
  await test(`${name}: a signed slip, scanned or kept, is the other way; the citizen hears of it`, async () => {
    const data = answers({ years: 5, mobile: '09151110004' }), slip = await call(b, 'POST', `${A}/counter/slips`, { token: agent, body: { service: S, data } });
    same(slip.status, 201, slip.text);
    good(/^\d{10}$/.test(slip.json.number), slip.text);
    same(faults(await file('s1', { data: { ...data, years: 6 }, consent: { number: slip.json.number, kept: true } })), 'consent other', 'for these answers alone');
    const kept = await file('s1', { data, consent: { number: slip.json.number, kept: true } });
    same(kept.status, 201, kept.text);
    good((await outbox('09151110004')).some((m) => digits(m.text).replaceAll(' ', '').includes(kept.json.tracking) && /filed in your name/.test(m.text)), 'told by telephone');
    same(faults(await file('s2', { data, consent: { number: slip.json.number, kept: true } })), 'consent gone');
    const id = (await call(b, 'POST', `${A}/documents`, { token: agent, body: paper() })).json.id, nobody = answers({ years: 7 });
    const scan = await file('s3', { data: nobody, consent: { slip: id }, document_seen: { kind: 'identity_card', digits: '4821' } });
    same(scan.status, 201, scan.text);
    const officer = await staff(b, `${(await see(scan.json.tracking)).holder.code}.officer`), view = await see(scan.json.tracking, officer);
    same([view.assurance, view.intake, view.events[0].filed.consent, view.events[0].filed.seen], ['counter', 'counter', { document: id, kind: 'slip' }, { digits: '4821', kind: 'identity_card' }]);
    same((await call(b, 'GET', `${A}/documents/${id}`, { token: officer })).status, 200, 'the office reads the scan');
    same((await call(b, 'GET', `${A}/documents/${id}`, { token: agent })).status, 404, 'the agent no longer');
    same((await file('s4', { data: answers({ years: 8 }), consent: { slip: id } })).status, 422, 'a scan belongs to one case');
  });
  await test(`${name}: afterwards the office sees it masked, and more only by a new code`, async () => {
    const view = await see(filed, agent);
    same(view.right, 'counter', JSON.stringify(view));
    good(view.data.national_id.includes('*') && !JSON.stringify(view).includes(ID), 'masked');
    same(view.actions, [], 'nothing to do with it');
    const list = (await call(b, 'GET', `${A}/counter/cases?limit=2`, { token: agent })).json;
    same(list.items.length, 2);
    good(!JSON.stringify(list).includes(ID) && list.items.every((x) => x.applicant.includes('*')), JSON.stringify(list));
    const more = (await call(b, 'GET', `${A}/counter/cases?after=${list.next}`, { token: agent })).json;
    same([more.items.length, more.next], [1, null]);
    same((await call(b, 'GET', `${A}/counter/cases?after=x`, { token: agent })).status, 400);
    const own = await citizen(b, OTHER, '09151110005'), theirs = (await call(b, 'POST', `${A}/services/${S}/cases`, { token: own, key: 'o', body: { data: answers({ national_id: OTHER, mobile: '09151110005' }) } })).json.tracking;
    same((await see(theirs, agent)).right, undefined, 'no other cases');
    for (const [who, token] of [['agent', agent], ['helpdesk', helpdesk]]) {
      const asked = await ask({ purpose: 'see', tracking: theirs }, token), c = await code('09151110005');
      same(asked.status, 202, asked.text);
      same((await call(b, 'POST', `${A}/counter/looks`, { token, body: { tracking: theirs, challenge: asked.json.challenge, code: wrong(c) } })).status, 422);
      same((await call(b, 'POST', `${A}/counter/looks`, { token: token === agent ? helpdesk : agent, body: { tracking: theirs, challenge: asked.json.challenge, code: c } })).status, 422, 'by who asked alone');
      same((await call(b, 'POST', `${A}/counter/looks`, { token, body: { tracking: theirs, challenge: asked.json.challenge, code: c } })).status, 200);
      const full = await see(theirs, token);
      same([full.right, full.data.national_id], ['consent', OTHER], who);
    }
    const looked = (await call(b, 'GET', `${A}/me/access`, { token: own })).json.items.filter((x) => x.tracking === theirs);
    same([...new Set(looked.map((x) => x.basis))], ['consent'], 'and the citizen sees who looked');
    same((await ask({ purpose: 'see', tracking: '1234567890123452' })).status, 404);
    const officer = await staff(b, `${(await see(filed)).holder.code}.officer`);
    same((await ask({ purpose: 'see', tracking: filed }, officer)).status, 403);
  });
  await test(`${name}: an agent never decides, and acts for the citizen only by their code`, async () => {
    const v = (await see(filed, agent)).version, act = (action, key) => call(b, 'POST', `${A}/cases/${filed}/actions/${action}`, { token: agent, key, body: { expected_version: v } });
    same((await act('withdraw', 'x1')).status, 403);
    const asked = await ask({ purpose: 'see', tracking: filed });
    same((await call(b, 'POST', `${A}/counter/looks`, { token: agent, body: { tracking: filed, challenge: asked.json.challenge, code: await code(MOBILE) } })).status, 200);
    good((await see(filed, agent)).actions.every((x) => !['approve', 'reject', 'assign'].includes(x.name)), 'no decisions');
    same((await act('approve', 'x2')).status >= 403, true);
    const r = await act('withdraw', 'x3');
    same(r.status, 200, r.text);
  });
  await test(`${name}: a document seen and a code bind the telephone; the citizen hears of it and can undo it`, async () => {
    const data = answers({ years: 9 }), applicant = { mobile: MOBILE }, asked = await ask({ service: S, data, applicant }), c = await code(MOBILE);
    const consent = { challenge: asked.json.challenge, code: c };
    same(faults(await file('b1', { data, applicant, consent, bind_telephone: true })), 'bind_telephone requires');
    for (const document_seen of [{ kind: 'x', digits: '1234' }, { kind: 'passport' }, { kind: 'passport', digits: '12' }]) same((await file('b1', { data, applicant, consent, document_seen })).status, 422);
    const r = await file('b1', { data, applicant, consent, document_seen: { kind: 'birth_certificate', digits: '۱۲۳۴' }, bind_telephone: true });
    same(r.status, 201, r.text);
    good((await outbox(MOBILE)).some((m) => /was bound to you/.test(m.text)), 'told');
    const person = await citizen(b, ID, MOBILE);
    same((await call(b, 'GET', `${A}/me`, { token: person })).json.assurance, 'counter');
    good((await see(filed, person)).right === 'citizen', 'all of theirs');
    const list = (await call(b, 'GET', `${A}/telephones`, { token: person })).json.items;
    same(list.map((x) => [x.mobile, x.active, x.tracking]), [[MOBILE, true, r.json.tracking]]);
    bound = list[0].id;
    const stranger = await citizen(b, OTHER, '09151110005');
    same((await call(b, 'GET', `${A}/telephones`, { token: stranger })).json.items, []);
    same((await call(b, 'DELETE', `${A}/telephones/${bound}`, { token: stranger })).status, 404);
    same((await call(b, 'DELETE', `${A}/telephones/${bound}`, { token: agent })).status, 404);
    same((await call(b, 'DELETE', `${A}/telephones/${bound}`, { token: person })).status, 204);
    same((await call(b, 'GET', `${A}/me`, { token: person })).json.assurance, 'claimed', 'at once');
    same((await call(b, 'GET', `${A}/me`, { token: await citizen(b, ID, MOBILE) })).json.assurance, 'claimed');
    const events = (await see(r.json.tracking, await citizen(b, ID, MOBILE))).events.map((e) => e.action);
    good(events.includes('unbind'), 'an event of its case');
  });
  await test(`${name}: prefilled by consent, and only where the telephone is known to be theirs`, async () => {
    const applicant = { national_id: ID, mobile: MOBILE }, service = 'birth-certificate';
    same((await call(b, 'POST', `${A}/counter/prefill`, { token: agent, body: { service, applicant } })).status, 422, 'without consent');
  });
  await test(`${name}: offices and figures for those who answer for the agents`, async () => {
    const offices = (await call(b, 'PUT', `${A}/counter/office`, { token: agent, body: { office: 'KR-0916-0001' } }));
    same([offices.status, offices.json.office], [200, 'KR-0916-0001'], offices.text);
    same((await call(b, 'PUT', `${A}/counter/office`, { token: agent, body: { office: 'KR-0916-0002' } })).status, 422, 'of another organisation');
    const data = answers({ years: 11, mobile: '09151110006' }), slip = (await call(b, 'POST', `${A}/counter/slips`, { token: agent, body: { service: S, data } })).json.number;
    same((await file('f1', { data, consent: { number: slip, kept: true } })).status, 201);
    const auditor = await staff(b, 'auditor'), f = (await call(b, 'GET', `${A}/counter/figures?organisation=ostandari`, { token: auditor })).json.items;
    same(f.map((x) => [x.office, x.agent, x.cases, x.code, x.slip, x.kept, x.seen]).sort(), [['KR-0916-0001', 'agent', 1, 0, 0, 1, 0], [null, 'agent', 4, 2, 1, 1, 2]].sort(), JSON.stringify(f));
    good(f.find((x) => x.office === null).refused >= 5, 'wrong codes are counted');
    same((await call(b, 'GET', `${A}/counter/figures`, { token: agent })).status, 404);
  });
  await s.stop();
  good(run('ledger', 'verify', ...where).includes('verifies'), 'the ledger holds');
}

// The pages as an agent uses them, in two languages and two widths, without scripts but for the judge of accessibility.
async function pages(where) {
  const s = await serve(where), b = s.base, browser = await launch();
  const c = await browser.newContext(), p = await c.newPage(), accounts = (await call(b, 'GET', '/demo/accounts')).json;
  const definition = (await call(b, 'GET', `${A}/services/${S}`)).json, example = definition.form_schema.examples[0];
  const look = async (what) => {
    for (const lang of ['fa', 'en'])
      for (const width of [360, 1440]) {
        await c.addCookies([{ name: 'lang', value: lang, url: b }]);
        await p.setViewportSize({ width, height: 900 });
        await p.goto(b + what);
        same(await flaws(p), [], `${what} ${lang} ${width}`);
      }
  };
  const enter = async (username) => {
    await c.clearCookies();
    await p.goto(`${b}/staff`);
    await p.fill('#username', username);
    await p.fill('#password', accounts.find((a) => a.username === username).password);
    await p.press('main button[type=submit]', 'Enter');
  };
  const press = (where) => Promise.all([p.waitForNavigation(), p.locator(where).last().press('Enter')]);
  await test('pages: an agent files for a person, from the counter to the receipt', async () => {
    await enter('agent');
    good(p.url().endsWith('/counter'), p.url());
    await look('/counter');
    await p.fill('#national_id', ID);
    await p.fill('#mobile', '09151110077');
    await p.selectOption('#seen', 'identity_card');
    await press('form[action="/counter"][method=post] button');
    same(await p.locator('#digits-error').count(), 1, 'a document needs its digits');
    await p.fill('#digits', '4821');
    await press('form[action="/counter"][method=post] button');
    const visit = new URL(p.url()).pathname;
    await look(visit);
    await look(`${visit}/mandates`);
    await c.addCookies([{ name: 'lang', value: 'fa', url: b }]);
    await p.goto(`${b}${visit}/${S}/apply`);
    for (let i = 0; i < 12 && !p.url().endsWith('/check'); i++) {
      if (p.url().endsWith('/eligibility')) for (const q of definition.eligibility || []) await p.check(`main [name="${q.field}"][value="${String(q.exit_when?.is !== true)}"]`, { force: true });
      else for (const [k, v] of Object.entries(example)) {
        const box = p.locator(`main form[method=post] [name="${k}"]`).first();
        if (k === 'national_id' || k === 'mobile' || !await box.count()) continue; // the person's own are there
        const kind = await box.evaluate((e) => (e.tagName === 'INPUT' ? e.type : e.tagName.toLowerCase()));
        if (kind === 'radio' || kind === 'checkbox') for (const one of Array.isArray(v) ? v : [String(v)]) await p.locator(`main [name="${k}"][value="${one}"]`).check({ force: true });
        else if (kind === 'select') await box.selectOption(await box.locator(`option[value="${v}"]`).count() ? String(v) : { index: 1 });
        else await box.fill(String(v));
      }
      await Promise.all([p.waitForNavigation(), p.locator('main form[method=post] button[type=submit]').first().press('Enter')]); // the other stays on the page
    }
    good(p.url().endsWith('/check'), p.url() + await p.locator('main').innerText());
    const at = `${visit}/${S}`;
    await look(`${at}/consent`);
    await press(`form[action$="/slip"] button`);
    await look(`${at}/slip`);
    await p.goto(`${b}${at}/consent`);
    await press(`form[action$="/code"] button`);
    await p.fill('#code', '000000');
    await press('form:has(#code) button');
    same(await p.locator('#code-error').count(), 1, 'a wrong code is told');
    const sent = (await call(b, 'GET', '/demo/outbox')).json.find((m) => m.to === '09151110077');
    await p.fill('#code', /(?<![0-9])[0-9]{6}(?![0-9])/.exec(digits(sent.text))[0]);
    await p.locator('[name=bind]').check({ force: true });
    await press('form:has(#code) button');
    good(/\/cases\/\d{16}\/receipt$/.test(p.url()), p.url() + await p.locator('main').innerText());
    const receipt = new URL(p.url()).pathname;
    good((await p.locator('main').innerText()).includes('agent'), 'by whom');
    await look(receipt);
    await look(`${receipt}?paper=roll`);
    await look(receipt.replace('/receipt', ''));
    await look(`/look?case=${receipt.match(/\d{16}/)[0]}`);
  });
  await test('pages: those who answer for agents see counts and the planted snooper; nobody else stands out', async () => {
    await enter('auditor');
    await look('/desk/counter?organisation=ostandari');
    good((await p.locator('table').innerText()).includes('agent'), 'counted');
    await look('/desk/looks?all=1');
    const token = await staff(b, 'auditor'), found = (await call(b, 'GET', `${A}/desk/looks`, { token })).json.items;
    good(found.some((x) => x.who === 'takapo.officer2' && x.kind === 'night' && x.count >= 5), JSON.stringify(found));
    same(found.filter((x) => x.who !== 'takapo.officer2').map((x) => [x.who, x.kind]), [], 'normal ones do not');
    const csv = await call(b, 'GET', '/desk/looks.csv', { token });
    same([csv.status, csv.text.split('\r\n').length], [200, found.length + 2]);
    const boss = await staff(b, 'takapo.supervisor'), mine = (await call(b, 'GET', `${A}/desk/looks?open=true`, { token: boss })).json.items;
    same(mine.length, found.length, 'the supervisor of that desk');
    same((await call(b, 'GET', `${A}/desk/looks`, { token: await staff(b, 'takapo.officer2') })).json.items, [], 'not the one it is about');
    same((await call(b, 'POST', `${A}/desk/looks/${mine[0].id}/acknowledgement`, { token: boss, body: { note: 'x' } })).status, 422);
    const done = await call(b, 'POST', `${A}/desk/looks/${mine[0].id}/acknowledgement`, { token: boss, body: { note: 'asked and warned' } });
    same([done.status, done.json.acknowledged_by], [200, 'takapo.supervisor'], done.text);
    same((await call(b, 'POST', `${A}/desk/looks/${mine[0].id}/acknowledgement`, { token: boss, body: { note: 'once more' } })).status, 409);
  });
  await browser.close();
  await s.stop();
}

const part = process.argv[2]; // "pages", "api", or both
if (part !== 'api') {
  const past = folder();
  run('simulate', '--pack', pack, '--data', past, '--days', '6', '--seed', '7');
  await pages(['--data', past]);
}
if (part !== 'pages') {
  await counter('sqlite', ['--data', folder()]);
  const pg = postgres();
  if (pg) await counter('postgres', ['--store', pg.fresh()]);
}
end();
