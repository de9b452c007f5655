// Asked once only: forms filled in by exchange from several providers, what the citizen sees of it, a right taken back, a provider behind another gateway that is away,
// a request for data that is granted, used and ends. Then the pages in a browser. SHOTS names a folder for pictures, CHROMIUM the browser.
import { readFileSync, writeFileSync, cpSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import Ajv2020 from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { serve, call, staff, citizen, test, same, good, end, folder, postgres, run, until, pack, flaws, browser as launch } from './kit.mjs';

const A = '/api/v1', MARYAM = '0499370899', MOBILE = '09151234567';
const r1 = (b, client, service, path, headers = {}) => call(b, 'GET', `/r1/${service}${path}`, { headers: { 'X-Road-Client': client, ...headers } });
const PERSON = 'KHR/GOV/10000015/registries/person', PARCEL = 'KHR/GOV/10000016/registries/land-parcel', JIHAD = 'KHR/GOV/10000010/systems';

async function once(name, where) {
  // A pack in which a provider stands behind a gateway of its own, which nobody has set up: it cannot be reached.
  const from = join(folder(), 'pack');
  cpSync(pack, from, { recursive: true });
  const settings = readFileSync(join(from, 'pack.yaml'), 'utf8').replace('{provider: maliat, service: tax-status, ', '{provider: maliat, service: tax-status, key: national_id, ');
  good(settings.includes('key: national_id'), 'the pack was changed');
  writeFileSync(join(from, 'pack.yaml'), settings);
  const s = await serve(where, { from }), b = s.base;
  const get = (path, token, lang) => call(b, 'GET', A + path, { token, lang });
  const post = (path, body, token, key) => call(b, 'POST', A + path, { token, key, body });
  const person = await citizen(b, MARYAM, MOBILE), provider = await staff(b, 'sabt-ahval.manager');
  const services = (await get('/exchange/services')).json.items;
  const personRight = async (form) => (await get('/exchange/grants?all=true', provider)).json.items.find((x) => x.subsystem === form);
  const form = '/services/farm-subsidy/prefill?parcel_number=' + encodeURIComponent('123/45');

  await test(`${name}: what is published is described by itself`, async () => {
    good(services.length >= 14 && services.filter((x) => x.state === 'here').length >= 9, JSON.stringify(services.map((x) => [x.service, x.state])));
    const ajv = new Ajv2020({ strict: false, formats: { 'ir-national-id': true, 'ir-legal-id': true, 'ir-mobile': true, 'ir-postal-code': true, 'chapar-place': true, 'chapar-place-county': true } });
    addFormats(ajv);
    for (const x of services.filter((y) => y.state === 'here')) {
      const doc = await get(`/exchange/services/${x.provider}/${x.service}/openapi`);
      same([doc.status, doc.json.openapi], [200, '3.1.0']);
      const record = doc.json.components.schemas.record;
      same(Object.keys(record.properties.attributes.properties).sort(), x.attributes.map((a) => a.name).sort());
      const valid = ajv.compile(record);
      for (const [k, v] of Object.entries(record.properties.attributes.properties))
        good(valid({ ref: '0'.repeat(32), version: 1, valid: true, since: '2026-01-01T00:00:00Z', attributes: { [k]: v.examples[0] } }), `${x.service}.${k}: ${ajv.errorsText(valid.errors)}`);
    }
    const through = await r1(b, 'KHR/GOV/10000011/business-licence', 'KHR/GOV/10000015/registries/getOpenAPI', '?serviceCode=person');
    same([through.status, through.json?.openapi], [200, '3.1.0'], through.text);
  });

  await test(`${name}: a form comes from four providers at once, each named`, async () => {
    const p = await get(form, person);
    same(p.status, 200, p.text);
    same(p.json.data, { first_name: 'مریم', last_name: 'رضایی', farmer_code: 'KH-204917', skill_title: 'نصب پنل خورشیدی', parcel_area: 210 });
    same([...new Set(p.json.sources.map((x) => x.organisation))].sort(), ['fanni', 'jihad', 'sabt-ahval', 'sabt-asnad']);
    same(p.json.missing, []);
  });
  await test(`${name}: the person sees who asked, whom, what for and under which right; each is durable before the form is filled`, async () => {
    const looks = (await get('/me/access', person)).json.items.filter((x) => x.basis === 'exchange');
    const one = looks.find((x) => x.data_service === 'person');
    same([one.organisation, one.provider, one.matter], ['jihad', 'sabt-ahval', 'form farm-subsidy'], JSON.stringify(looks));
    same(one.right, (await personRight('farm-subsidy')).grant);
    same([...new Set(looks.map((x) => x.data_service))].sort(), ['farmer', 'person', 'training-certificate'], 'a parcel found by its number tells nothing of a person');
  });
  await test(`${name}: at the submission it is compared again, through the exchange`, async () => {
    const example = (await get('/services/takapo-register')).json.form_schema.examples[0];
    const wrong = await post('/services/takapo-register/cases', { data: { ...example, first_name: 'سارا' } }, person, 'w');
    same([wrong.status, wrong.json.errors?.[0]?.code], [422, 'differs'], wrong.text);
    const parcel = (await get('/services/building-permit')).json.form_schema.examples[0];
    const flagged = await post('/services/building-permit/cases', { data: { ...parcel, parcel_area: 260 } }, person, 'p');
    same(flagged.status, 201, flagged.text);
    const sources = (await get(`/cases/${flagged.json.tracking}/events`, person)).json.items[0].sources;
    same(sources.parcel_area, { known: 210, organisation: 'sabt-asnad', registry: 'land-parcels', same: false });
    good((await get('/me/access', person)).json.items.some((x) => x.basis === 'exchange' && x.matter === flagged.json.tracking), 'it was asked for the case');
  });
  await test(`${name}: a provider that cannot be reached is told, the others answer, and nothing hangs`, async () => {
    const p = await get('/services/takapo-register/prefill?legal_id=10380284790', person);
    same([p.json.data.first_name, p.json.data.company_name], ['مریم', 'شبکه گستر نیشابور'], p.text);
    same(p.json.missing.map((x) => [x.field, x.organisation, x.why]), [['economic_code', 'maliat', 'unreachable']]);
  });
  await test(`${name}: calls of the demonstration work as they are written`, async () => {
    const calls = (await call(b, 'GET', '/demo/exchange')).json;
    good(calls.length >= 2, JSON.stringify(calls));
    for (const c of calls) {
      const r = await call(b, c.method, `/r1/${c.service}${c.path}`, { headers: { 'X-Road-Client': c.client } });
      good(r.status === 200 && r.json.items.length >= 1 && !r.headers.get('x-road-error'), `${JSON.stringify(c)}: ${r.status} ${r.text}`);
    }
  });
  await test(`${name}: data of persons need a case, and give what the right names`, async () => {
    const client = 'KHR/GOV/10000011/business-licence';
    const none = await r1(b, client, PERSON, `/records?key=${MARYAM}`);
    same([none.status, none.json.code, none.headers.get('content-type'), none.headers.get('x-road-error')], [403, 'no_issue', 'application/problem+json', null], none.text);
    const known = await r1(b, client, PERSON, `/records?key=${MARYAM}`, { 'X-Road-Issue': 'our case 17' });
    same(Object.keys(known.json.items[0].attributes).sort(), ['first_name', 'last_name'], 'not the birth date, which this form does not ask');
    const whole = await r1(b, client, PERSON, `/records/${known.json.items[0].ref}`, { 'X-Road-Issue': 'our case 17' });
    same([whole.json.history[0].change, whole.json.version], ['create', 1]);
    const look = (await get('/me/access', person)).json.items.find((x) => x.matter === 'our case 17');
    same([look.organisation, look.provider], ['samt', 'sabt-ahval']);
    const stranger = await r1(b, JIHAD, PERSON, `/records?key=${MARYAM}`, { 'X-Road-Issue': 'x' });
    good(stranger.status === 500 && /access_denied|unknown_member/.test(stranger.headers.get('x-road-error')), stranger.text);
  });

  await test(`${name}: a right that the provider took back: the field is asked by hand; given again it comes again`, async () => {
    const right = await personRight('farm-subsidy');
    same((await post(`/exchange/rights/${right.id}`, { action: 'revoke', why: 'x' }, provider)).status, 422);
    same((await post(`/exchange/rights/${right.id}`, { action: 'revoke', why: 'not ours' }, await staff(b, 'jihad.manager'))).status, 403);
    same((await post(`/exchange/rights/${right.id}`, { action: 'revoke', why: 'not ours' }, await staff(b, 'abfa.manager'))).status, 404);
    const gone = await post(`/exchange/rights/${right.id}`, { action: 'revoke', why: 'این خدمت نام را لازم ندارد' }, provider);
    same([gone.status, gone.json.state], [200, 'revoked'], gone.text);
    const p = await until('the gateway knows', async () => { const x = await get(form, person); return x.json.missing.length && x; });
    same(p.json.missing.map((x) => [x.field, x.why]), [['first_name', 'refused'], ['last_name', 'refused']]);
    same(p.json.data.farmer_code, 'KH-204917', 'the others answer as before');
    same((await post(`/exchange/rights/${right.id}`, { action: 'restore', why: 'needed after all' }, provider)).json.state, 'valid');
    await until('it comes again', async () => (await get(form, person)).json.data.first_name === 'مریم');
    const acts = (await call(b, 'GET', '/admin/acts?organisation=sabt-ahval', { token: provider, headers: { Accept: 'text/html' } })).text;
    good(acts.includes('این خدمت نام را لازم ندارد'), 'it is an act of the register');
  });

  await test(`${name}: a request for data: silence is seen; granted, it is a right with an end; used, it is counted`, async () => {
    const asker = await staff(b, 'jihad.manager'), ict = await staff(b, 'ict.manager'), before = await r1(b, JIHAD, PARCEL, '/records?key=87', { 'X-Road-Issue': 'farm 9' });
    good(before.status === 500, before.text);
    const example = (await get('/services/data-request')).json.form_schema.examples[0];
    const filed = await post('/services/data-request/cases', { data: example }, asker, 'd');
    same(filed.status, 201, filed.text);
    const tracking = filed.json.tracking, step = async (action, extra = {}) => {
      const v = (await get(`/cases/${tracking}`, ict)).json;
      const r = await post(`/cases/${tracking}/actions/${action}`, { expected_version: v.version, comment: 'بررسی شد', ...extra }, ict);
      same(r.status, 200, `${action}: ${r.text}`);
    };
    const names = async () => (await get(`/cases/${tracking}`, ict)).json.actions.map((x) => x.name);
    await step('assign');
    if ((await names()).includes('inquire')) await step('inquire');
    const open = await until('the silent ones', async () => { const x = (await get('/exchange/requests', provider)).json.items.find((y) => y.tracking === tracking); return x?.waiting.length >= 2 && x; });
    same([open.asker, open.service, open.waiting.some((x) => x.organisation === 'sabt-asnad')], ['jihad', 'land-parcel', true], JSON.stringify(open));
    const children = (await get(`/cases/${tracking}`, ict)).json.children;
    good(children.length >= 2, JSON.stringify(children));
    for (const child of children) {
      const who = await staff(b, `${child.holder}.officer`);
      const v = (await get(`/cases/${child.tracking}`, who)).json;
      const r = await post(`/cases/${child.tracking}/actions/reply`, { expected_version: v.version, data: { answer: 'agree' } }, who);
      same(r.status, 200, r.text);
    }
    await until('the decision', async () => (await names()).includes('approve'));
    await step('approve');
    const right = await until('the right', async () => (await get('/exchange/grants?side=asker', asker)).json.items.find((x) => x.subject === tracking));
    same([right.state, right.subsystem, right.attributes.map((x) => x.name).sort()], ['valid', 'systems', ['parcel_area', 'parcel_owner']]);
    good(new Date(right.until) > new Date(Date.now() + 300 * 864e5), right.until);
    const used = await until('it is used', async () => { const x = await r1(b, JIHAD, PARCEL, '/records?key=87', { 'X-Road-Issue': 'farm 9' }); return x.status === 200 && x; });
    same(used.json.items[0].attributes, { parcel_owner: 'علی کاردان', parcel_area: 95.5 });
    const looks = (await get('/me/access', await citizen(b, '0060495219', '09151234568'))).json.items.find((x) => x.matter === 'farm 9');
    same([looks.organisation, looks.provider, looks.right], ['jihad', 'sabt-asnad', right.grant], 'the owner whose name was given sees it');
    const owner = await staff(b, 'sabt-asnad.manager');
    await until('the provider sees it used', async () => {
      const page = (await call(b, 'GET', '/desk/exchange?lang=en', { token: owner, headers: { Accept: 'text/html' } })).text;
      good(page.includes(tracking.replace(/(....)(?=.)/g, '$1 ')), page);
      return /Last asked:/.test(page.slice(page.indexOf(`id="right-${right.id}"`)).split('</li>')[0]);
    });
    await post(`/exchange/rights/${right.id}`, { action: 'revoke', why: 'the term is over' }, await staff(b, 'sabt-asnad.manager'));
    await until('it has ended', async () => { const x = await r1(b, JIHAD, PARCEL, '/records?key=87', { 'X-Road-Issue': 'farm 9' }); return x.status === 500 && /access_denied/.test(x.headers.get('x-road-error')); });
  });
  await test(`${name}: everything verifies after a stop`, async () => {
    same(await s.stop(), 0, 'a clean stop');
    good(run('ledger', 'verify', ...where).includes('verifies'), 'ledger verify');
  });
}

/* ---- pages ---- */

const shots = process.env.SHOTS;

async function pages() {
  const s = await serve(['--data', folder()]), b = s.base;
  const browser = await launch();
  const as = async (token) => {
    const c = await browser.newContext({ baseURL: b, viewport: { width: 360, height: 740 } });
    if (token) await c.addCookies([{ name: 'session', value: token, url: b }]);
    return c.newPage();
  };
  async function look(page, path, name) {
    for (const lang of ['fa', 'en'])
      for (const width of [360, 1440]) {
        await page.setViewportSize({ width, height: 900 });
        await page.goto(`${path}${path.includes('?') ? '&' : '?'}lang=${lang}`);
        same(await flaws(page), [], `accessibility of ${name} ${lang}`);
        const text = await page.locator('body').innerText();
        good(!/web\.[a-z_]+|exchange\.[a-z_]+/.test(text.replace(/exchange\.(directory|log|keys|timestamps)/g, '')), `${name} has words without a text: ${/(web|exchange)\.[a-z_]+/.exec(text)}`);
        if (shots) { mkdirSync(shots, { recursive: true }); await page.screenshot({ path: join(shots, `${name}-${lang}-${width}.png`), fullPage: true }); }
      }
  }
  await test('pages: the catalogue, a service, the provider\'s page, the operator\'s, requests', async () => {
    const nobody = await as(null), manager = await as(await staff(b, 'sabt-ahval.manager')), operator = await as(await staff(b, 'operator'));
    await call(b, 'GET', A + '/services/farm-subsidy/prefill', { token: await citizen(b, MARYAM, MOBILE) });
    await look(nobody, '/exchange', 'catalogue');
    await look(nobody, '/exchange/sabt-ahval/person', 'data-service');
    await look(nobody, '/organisations/sabt-ahval', 'organisation');
    await look(manager, '/desk/exchange', 'rights');
    await look(manager, '/desk/exchange/requests', 'requests');
    await look(operator, '/desk/exchange/live?still=1', 'live');
    good(/اشخاص حقیقی|Natural persons/.test(await operator.locator('main').innerText()), 'the live page names what was asked');
  });
  await test('pages: a manager takes a right back, and the citizen\'s form says why it asks', async () => {
    const manager = await as(await staff(b, 'sabt-ahval.manager'));
    await manager.goto('/desk/exchange?lang=fa');
    const item = manager.locator('li', { hasText: 'حمایت از کشاورز' }).first();
    await item.locator('summary').focus();
    await manager.keyboard.press('Enter');
    await item.locator('button[value=revoke]').press('Enter');
    good((await manager.locator('main').innerText()).includes('دلیل را در ۳ تا ۵۰۰ نویسه'), 'without a reason it is not done');
    const again = manager.locator('li', { hasText: 'حمایت از کشاورز' }).first();
    await again.locator('input[name=why]').fill('بازبینی سالانه');
    await again.locator('button[value=revoke]').press('Enter');
    good((await manager.locator('main').innerText()).includes('بازبینی سالانه'), 'the reason stands there');
    const token = await citizen(b, MARYAM, MOBILE);
    await until('the gateway knows', async () => (await call(b, 'GET', A + '/services/farm-subsidy/prefill', { token })).json.missing.length);
    const form = await as(token);
    await form.goto('/services/farm-subsidy/apply?lang=fa');
    for (let i = 0; i < 6 && !/این داده را به این خدمت نمی‌دهد|does not give this/.test(await form.locator('main').innerText()); i++) {
      for (const q of (await call(b, 'GET', `${A}/services/farm-subsidy`)).json.eligibility ?? []) {
        const box = form.locator(`main [name="${q.field}"][value="${String(q.exit_when.is !== true)}"]`);
        if (await box.count() && !(await box.isChecked())) await box.press('Space');
      }
      await form.locator('main form[method=post] button[type=submit]:not([name=more])').last().press('Enter');
    }
    const text = await form.locator('main').innerText();
    good(/این داده را به این خدمت نمی‌دهد|does not give this/.test(text) && /از: |From: /.test(text), text);
    await look(form, form.url().slice(b.length), 'form');
    await look(form, '/mine/access', 'access');
    good((await form.locator('main').innerText()).includes('data exchange'), 'the looks are told in words');
  });
  await browser.close();
  await test('pages: a clean stop', async () => same(await s.stop(), 0));
}

if (!process.argv.includes('pages')) {
  await once('sqlite', ['--data', folder()]);
  const pg = postgres();
  if (pg) await once('postgres', ['--store', pg.url, '--keys', join(folder(), 'keys')]);
  else console.log('postgres: not installed here');
}
if (!process.argv.includes('once')) await pages();
end();
