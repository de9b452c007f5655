// Records over both engines: an outcome becomes a record, the record fills in another form, imports with mistakes, rights, looks, history, the
// ledger. Then the pages in a browser (fa and en, telephone and desk). SHOTS names a folder for pictures, CHROMIUM the browser.
import { readFileSync, writeFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import Ajv2020 from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { serve, call, staff, citizen, test, same, good, end, folder, postgres, root, run, fails, pack, until, flaws, browser as launch } from './kit.mjs';

const A = '/api/v1';
const doc = JSON.parse(readFileSync(join(root, 'assets/openapi.json'), 'utf8'));
const ajv = new Ajv2020({ strict: false, allErrors: true });
addFormats(ajv);
ajv.addSchema({ $id: 'doc', ...doc });
function obeys(pattern, r) {
  const answer = doc.paths[pattern].get.responses[String(r.status)];
  good(answer, `${pattern} answered ${r.status}, which the document does not name: ${r.text}`);
  const type = (r.headers.get('content-type') || '').split(';')[0];
  const check = ajv.getSchema(`doc#/paths/${pattern.replaceAll('/', '~1')}/get/responses/${r.status}/content/${type.replaceAll('/', '~1')}/schema`.replace(/[{}]/g, encodeURIComponent));
  good(check(r.json), `${pattern} ${r.status}: ${ajv.errorsText(check.errors)} ${r.text}`);
  return r;
}
const ID = '0499370899', MOBILE = '09151234567';

async function records(name, where) {
  const s = await serve(where), b = s.base;
  const get = (path, token, lang) => call(b, 'GET', A + path, { token, lang });
  const post = (service, data, token, key) => call(b, 'POST', `${A}/services/${service}/cases`, { token, key, body: { data } });
  const example = (await get('/services/takapo-register')).json.form_schema.examples[0];
  let person, claimed, officer;

  await test(`${name}: a telephone that is on record raises the session; another stays claimed and learns nothing`, async () => {
    person = await citizen(b, ID, MOBILE);
    claimed = await citizen(b, ID, '09150000077');
    same((await get('/me', person)).json.assurance, 'sim_matched');
    same((await get('/me', claimed)).json.assurance, 'claimed');
    const mine = obeys('/api/v1/me/records', await get('/me/records', person));
    good(['persons', 'land-parcels', 'farmers', 'training-certificates'].every((x) => mine.json.items.some((r) => r.registry === x)), mine.json.items.map((r) => r.registry));
    good(mine.json.items.every((r) => r.synthetic), 'the demonstration says that they are made up');
    obeys('/api/v1/me/records', await get('/me/records', claimed));
    same((await get('/me/records', claimed)).status, 403);
    same((await get('/me/records')).status, 401);
    const none = obeys('/api/v1/services/{code}/prefill', await get('/services/takapo-register/prefill', claimed));
    same(none.status, 403);
    same((await get('/services/takapo-register/prefill')).status, 401);
  });
  await test(`${name}: what is known comes with its source, and the use is on record`, async () => {
    const p = obeys('/api/v1/services/{code}/prefill', await get('/services/takapo-register/prefill', person));
    same(p.json.data, { first_name: 'مریم', last_name: 'رضایی' });
    good(p.json.sources.every((x) => x.organisation === 'sabt-ahval' && x.registry === 'persons' && x.correctable === false), p.text);
    const company = await get('/services/takapo-register/prefill?legal_id=10380284790', person);
    same(company.json.data.company_name, 'شبکه گستر نیشابور');
    same(company.json.sources.find((x) => x.field === 'company_name').key, 'legal_id');
    const access = (await get('/me/access', person)).json.items.filter((x) => x.basis === 'prefill');
    good(access.length === 2 && access[0].service === 'takapo-register' && access[1].registries.includes('persons') && access[0].registries.includes('legal-persons') && access[0].tracking === null, JSON.stringify(access));
    const child = await get('/services/child-health/prefill?child_id=0060495219', person);
    good(!('child_born_on' in child.json.data), "another's birth date is not told");
    same((await get(`/services/takapo-register/prefill?national_id=0060495219`, person)).json, { data: {}, sources: [], missing: [] }, 'about somebody else');
  });
  await test(`${name}: an answer unlike what is on record is refused or flagged, as the definition says`, async () => {
    const wrong = await post('takapo-register', { ...example, first_name: 'سارا' }, person, 'w');
    same(wrong.status, 422, wrong.text);
    same(wrong.json.errors.map((e) => [e.field, e.code]), [['first_name', 'differs']]);
    good(wrong.json.errors[0].message.includes('مریم'), wrong.json.errors[0].message);
    const parcel = (await get('/services/building-permit')).json.form_schema.examples[0];
    const flagged = await post('building-permit', { ...parcel, parcel_area: 260 }, person, 'p');
    same(flagged.status, 201, flagged.text);
    const sources = (await get(`/cases/${flagged.json.tracking}/events`, person)).json.items[0].sources;
    same(sources.parcel_area, { known: 210, organisation: 'sabt-asnad', registry: 'land-parcels', same: false });
    same(sources.first_name, { organisation: 'sabt-ahval', registry: 'persons', same: true });
    good(!('sources' in (await get(`/cases/${flagged.json.tracking}/events`)).json.items[0]), 'not for everybody');
    const other = await post('takapo-register', { ...example, national_id: '0060495219', first_name: 'سارا' }, person, 'o');
    same(other.status, 201, 'for somebody else nothing is compared');
    const plain = await post('skill-certificate', { ...(await get('/services/skill-certificate')).json.form_schema.examples[0], first_name: 'سارا', mobile: '09150000077' }, claimed, 'c');
    same(plain.status, 201, 'a claimed session is asked as before');
  });
  let tracking;
  await test(`${name}: an approved request makes a record, once, and the record fills in another form`, async () => {
    const filed = await post('takapo-register', example, person, 'r');
    same(filed.status, 201, filed.text);
    tracking = filed.json.tracking;
    same((await post('takapo-register', example, person, 'r')).json, filed.json, 'the same again');
    officer = await staff(b, 'takapo.officer');
    let v = (await get(`/cases/${tracking}`, officer)).json;
    for (let i = 0; i < 6 && v.result === 'open'; i++) {
      const act = v.actions.find((x) => x.name === 'approve') || v.actions.find((x) => x.name === 'assign') || v.actions[0];
      const r = await call(b, 'POST', `${A}/cases/${tracking}/actions/${act.name}`, { token: officer, body: { expected_version: v.version, comment: 'درست است' } });
      same(r.status, 200, `${act.name}: ${r.text}`);
      v = (await get(`/cases/${tracking}`, officer)).json;
    }
    same(v.result, 'approved');
    const found = await until('the record', async () => { const r = await get(`/registries/it-business/records/${ID}`, officer); return r.status === 200 && r; });
    obeys('/api/v1/registries/{code}/records/{key}', found);
    const record = found.json.items.find((x) => x.history.some((h) => h.tracking === tracking));
    same([record.attributes.name, record.attributes.staff, record.version, record.valid, record.synthetic], [example.business_name, example.staff_count, 1, true, false]);
    same([record.history.length, record.history[0].source, record.history[0].change], [1, 'outcome', 'create']);
    const filled = await get('/services/takapo-support/prefill', person);
    same(filled.json.data.business_name, example.business_name, filled.text);
    same(filled.json.sources.find((x) => x.field === 'business_name').correctable, true);
    await until('its place in the ledger', async () => Number.isInteger((await get(`/registries/it-business/records/${ID}`, officer)).json.items.find((x) => x.ref === record.ref).history[0].leaf_index));
  });
  await test(`${name}: the owner's staff, the operator and auditors read; others are told that there is nothing; looks are recorded`, async () => {
    const stranger = await staff(b, 'samt.officer'), operator = await staff(b, 'operator'), auditor = await staff(b, 'auditor'), helpdesk = await staff(b, 'helpdesk');
    same(obeys('/api/v1/registries', await get('/registries', officer)).json.items.map((x) => x.code), ['it-business']);
    good((await get('/registries', operator)).json.items.length >= 11, 'the operator sees them all');
    obeys('/api/v1/registries/{code}/records/{key}', await get(`/registries/it-business/records/${ID}`, stranger));
    same((await get(`/registries/it-business/records/${ID}`, stranger)).status, 404);
    same((await get(`/registries/persons/records/${ID}`, helpdesk)).status, 404, "another organisation's helpdesk");
    same((await get(`/registries/it-business/records/${ID}`, person)).status, 403, 'not the citizen');
    same((await get(`/registries/no-such/records/${ID}`, auditor)).status, 404);
    same((await get(`/registries/persons/records/1234567890`, auditor)).status, 404);
    const byAuditor = await get(`/registries/persons/records/${encodeURIComponent('۰۴۹۹۳۷۰۸۹۹')}`, auditor);
    same(byAuditor.json.items[0].attributes.first_name, 'مریم', 'typed digits are repaired');
    same((await get('/registries/land-parcels/records/123/45', auditor)).json.items[0].attributes.parcel_area, 210, 'a key with a slash');
    const masked = await get(`/registries/residents/records/${ID}`, helpdesk);
    same(masked.json.right, 'masked');
    good(!masked.text.replaceAll(`"key":"${ID}"`, '').includes(ID) && masked.json.items[0].attributes.since === '•••', masked.text);
    const looks = (await get('/me/access', person)).json.items.filter((x) => x.basis === 'registry');
    good(looks.some((x) => x.organisation === 'takapo' && x.registries[0] === 'it-business') && looks.some((x) => x.registries[0] === 'persons'), JSON.stringify(looks));
    good(!looks.some((x) => x.organisation === 'samt'), 'whoever saw nothing is not on the list');
  });
  await test(`${name}: an import is judged as a whole, repeatable, and seen in the history`, async () => {
    const dir = folder(), file = join(dir, 'f.csv'), at = ['registry', 'farmers', file, '--pack', pack, ...where];
    const line = (id, crop, area, rest = '') => `${id},0916050003164003,${crop},${area}${rest}\n`, head = 'national_id,village,crop,area,valid\n';
    writeFileSync(file, head + line('0060495219', 'wheat', 3, ',') + line('1234567890', 'wheat', 3, ',yes') + line('0643005846', 'bananas', 'x', ',perhaps') + line('۰۰۶۰۴۹۵۲۱۹', 'wheat', 4, ','));
    const bad = fails(['import', ...at]);
    same(bad.status, 1);
    same(bad.err.split('\n').filter((x) => x.startsWith(file)).map((x) => x.slice(file.length + 1).split(':')[0]), ['3', '4', '4', '4', '5'], bad.err);
    same((await get('/registries/farmers/records/0060495219', await staff(b, 'auditor'))).status, 404, 'nothing of it was written');
    writeFileSync(file, head + line('0060495219', 'wheat', 3, ',') + line('0643005846', 'wheat', '2.5', ',yes'));
    good(run('import', ...at, '--dry-run').includes('2 rows: 2 new'), 'a dry run');
    good(run('import', ...at).includes('2 rows: 2 new'), 'an import');
    good(run('import', ...at).includes('2 rows: 0 new, 0 changed, 0 revoked, 2 as they were'), 'again');
    writeFileSync(file, head + line('0060495219', 'wheat', 5, ',') + line('0643005846', 'wheat', '', ',no'));
    good(run('import', ...at).includes('2 rows: 0 new, 1 changed, 1 revoked'), 'changes');
    const auditor = await staff(b, 'auditor');
    const wheat = (await get('/registries/farmers/records/0060495219', auditor)).json.items[0];
    same([wheat.version, wheat.attributes.area, wheat.history.map((h) => h.change), wheat.history[0].changed], [2, 5, ['update', 'create'], ['area']]);
    const gone = (await get('/registries/farmers/records/0643005846', auditor)).json.items.find((x) => x.attributes.crop === 'wheat');
    same([gone.valid, gone.attributes.area, gone.history[0].change], [false, 2.5, 'revoke']);
    const csv = run('export', 'registry', 'farmers', '--pack', pack, ...where), lines = run('export', 'registry', 'farmers', '--pack', pack, ...where, '--format', 'jsonl').trim().split('\n');
    same(csv.split('\r\n')[0], 'national_id,village,crop,area,farmer_code,valid');
    good(csv.includes('0060495219,0916050003164003,wheat,5,,yes\r\n') && lines.length === csv.trim().split('\r\n').length - 1, 'both formats');
    good(lines.map((x) => JSON.parse(x)).some((x) => x.attributes.national_id === '0060495219' && x.version === 2), 'JSON lines');
    writeFileSync(file, csv);
    good(/0 new, 0 changed, 0 revoked/.test(run('import', ...at)), 'what was exported can be imported');
    same(fails(['import', 'registry', 'farmrs', file, '--pack', pack, ...where]).status, 1);
    same(fails(['export', 'farmers', '--pack', pack, ...where]).status, 2);
  });
  await test(`${name}: a registry taken out is one look for everybody in it, with its purpose`, async () => {
    const owner = await staff(b, 'jihad.officer'), other = await staff(b, 'samt.manager'), before = (await get('/me/access', person)).json.items.length;
    const out = (q, token) => get(`/registries/farmers/export?${q}`, token), why = encodeURIComponent('گزارش سالانه');
    same((await out(`why=${why}`)).status, 401);
    same((await out(`why=${why}`, person)).status, 403);
    same((await out(`why=${why}`, other)).status, 404);
    same([(await out('', owner)).json.errors[0].field, (await out('why=x', owner)).status, (await out(`why=${why}&format=xml`, owner)).status, (await out(`why=${why}&since=1405-13-40`, owner)).status], ['why', 422, 422, 422]);
    const lines = (await out(`why=${why}`, owner)).text.trim().split('\n').map((x) => JSON.parse(x)), table = await out(`why=${why}&format=csv&since=1390-01-01`, owner);
    good(lines.some((x) => x.attributes.national_id === ID) && table.headers.get('content-type').startsWith('text/csv') && table.text.includes(`${ID},`), table.text.slice(0, 200));
    const looks = obeys('/api/v1/me/access', await get('/me/access', person)).json.items.filter((x) => x.basis === 'registry_export');
    same(looks.slice(0, 2).map((x) => [x.organisation, x.registries, x.why, x.tracking]), Array(2).fill(['jihad', ['farmers'], 'گزارش سالانه', null]));
    good((await get('/me/access', person)).json.items.length >= before + 2, 'beside the others');
    const future = await out(`why=${why}&since=1500-01-01`, owner);
    same([future.status, future.text, (await get('/me/access', person)).json.items.filter((x) => x.basis === 'registry_export').length], [200, '', looks.length], 'nothing of theirs was in that one');
  });
  await test(`${name}: everything verifies after a stop`, async () => {
    same(await s.stop(), 0, 'a clean stop');
    good(run('ledger', 'verify', ...where).includes('verifies'), 'ledger verify');
  });
}

/* ---- pages ---- */

/* By the keyboard: a click at a place misses when the font arrives between the look and the click. */
const mark = async (box) => { if (!await box.isChecked()) await box.press('Space'); };
const shots = process.env.SHOTS;

async function pages() {
  const s = await serve(['--data', folder()]), b = s.base;
  const browser = await launch();
  const sizes = [{ width: 360, height: 740 }, { width: 1280, height: 900 }];
  async function look(page, name) {
    for (const lang of ['fa', 'en'])
      for (const size of sizes) {
        await page.setViewportSize(size);
        const url = new URL(page.url());
        url.searchParams.set('lang', lang);
        await page.goto(url.href);
        same(await flaws(page), [], `accessibility of ${name} ${lang}`);
        const text = await page.locator('body').innerText();
        good(!/web\.[a-z_]+|registries\.[a-z_]+/.test(text), `${name} has words without a text: ${/web\.[a-z_]+/.exec(text)}`);
        if (shots) {
          mkdirSync(shots, { recursive: true });
          await page.screenshot({ path: join(shots, `${name}-${lang}-${size.width}.png`), fullPage: true });
        }
      }
    await page.goto(page.url().replace(/lang=en/, 'lang=fa'));
  }
  async function as(token) {
    const context = await browser.newContext({ baseURL: b });
    await context.addCookies([{ name: 'session', value: token, url: b, httpOnly: true, sameSite: 'Lax' }]);
    return context.newPage();
  }
  await test('pages: a form is filled in from what offices know, and says so', async () => {
    const page = await as(await citizen(b, ID, MOBILE));
    await page.goto('/services/building-permit/apply');
    for (let i = 0; i < 3 && /eligibility/.test(page.url()); i++) {
      for (const group of await page.$$eval('main fieldset', (all) => all.map((f) => f.querySelector('input').name))) {
        const d = (await call(b, 'GET', `${A}/services/building-permit`)).json.eligibility.find((x) => x.field === group);
        await mark(page.locator(`main [name="${group}"][value="${String(d.exit_when.is !== true)}"]`));
      }
      await page.locator('main form[method=post] button[type=submit]').press('Enter');
    }
    await look(page, 'form-known');
    const text = await page.locator('main').innerText();
    good(text.includes('مریم') && text.includes('رضایی') && text.includes('از: '), text);
    same(await page.locator('main [name=first_name]').count(), 0, 'what may not differ is no box');
    same(await page.locator('main [name=national_id]').inputValue(), '۰۴۹۹۳۷۰۸۹۹', 'one has said who one is');
    const answer = (await call(b, 'GET', `${A}/services/building-permit`)).json.form_schema.examples[0];
    for (let i = 0; i < 30 && !/\/check/.test(page.url()); i++) {
      const before = page.url();
      for (const name of await page.$$eval('main form[method=post] [name]', (all) => [...new Set(all.filter((e) => e.type !== 'hidden').map((e) => e.name))])) {
        const box = page.locator(`main form[method=post] [name="${name}"]`).first();
        if (!(name in answer) || name === 'national_id') continue;
        const kind = await box.evaluate((e) => (e.tagName === 'INPUT' ? e.type : e.tagName.toLowerCase()));
        if (kind === 'radio' || kind === 'checkbox') await mark(page.locator(`main [name="${name}"][value="${answer[name]}"]`));
        else if (kind === 'select') await box.selectOption(String(answer[name]));
        else if (kind !== 'file') await box.fill(String(answer[name]));
      }
      await page.locator('main form[method=post] button[type=submit]:not([name=more])').last().press('Enter');
      if (page.url() === before) throw new Error(`refused: ${await page.locator('main').innerText()}`);
    }
    await look(page, 'check-known');
    const check = await page.locator('main').innerText();
    good(check.includes('از: '), check);
    await page.locator('a[href*="#f-parcel_area"]').press('Enter');
    await look(page, 'form-correctable');
    same(await page.locator('main [name=parcel_area]').inputValue(), '۲۱۰');
    await page.locator('main [name=parcel_area]').fill('260');
    await page.locator('main form[method=post] button[type=submit]:not([name=more])').last().press('Enter');
    await page.waitForURL(/\/check/);
    good((await page.locator('main').innerText()).includes('فرق دارد'), 'the difference is told before sending');
    await look(page, 'check-differs');
    await Promise.all([page.waitForNavigation(), page.locator('main form[method=post] button[type=submit]').press('Enter')]);
    good(/\/cases\/\d{16}\/receipt/.test(page.url()), await page.locator('main').innerText());
    await page.goto(page.url().replace('/receipt', ''));
    await look(page, 'case-sources');
    const sources = await page.locator('.sources').innerText();
    good(sources.includes('از: ') && sources.includes('۲۱۰'), `the history names the sources and the difference: ${sources}`);
    await page.goto('/mine/access');
    await look(page, 'access');
    good((await page.locator('main').innerText()).includes('پر شد'), 'the use is on the list');
    await page.goto('/mine/records');
    await look(page, 'my-records');
    good((await page.locator('article').count()) >= 4, 'records');
  });
  await test('pages: a company is named by its number on the same screen', async () => {
    const page = await as(await citizen(b, '0643005846', '09151234569'));
    const answer = (await call(b, 'GET', `${A}/services/takapo-register`)).json.form_schema.examples[2];
    await page.goto('/services/takapo-register/apply');
    if (/eligibility/.test(page.url())) {
      for (const d of (await call(b, 'GET', `${A}/services/takapo-register`)).json.eligibility)
        await mark(page.locator(`main [name="${d.field}"][value="${String(d.exit_when.is !== true)}"]`));
      await page.locator('main form[method=post] button[type=submit]').press('Enter');
    }
    await mark(page.locator('main [name=kind][value=company]'));
    await page.locator('main form[method=post] button[type=submit]:not([name=more])').last().press('Enter');
    await page.locator('main [name=legal_id]').fill(answer.legal_id);
    await mark(page.locator('main [name=knowledge_based][value=false]'));
    const company = page.url();
    await page.locator('main form[method=post] button[type=submit]:not([name=more])').last().press('Enter');
    good(page.url() !== company, await page.locator('main').innerText());
    await page.goto(company);
    good((await page.locator('main').innerText()).includes('شبکه گستر نیشابور'), 'the name came by the number');
  });
  await test('pages: a claimed session is told why it sees nothing', async () => {
    const page = await as(await citizen(b, ID, '09150000078'));
    await page.goto('/mine/records');
    await look(page, 'my-records-claimed');
    same(await page.locator('article').count(), 0);
    await page.goto('/services/takapo-register/apply');
    good(!(await page.content()).includes('class="from"'), 'asked as before');
  });
  await test('pages: the office finds a record with its history; another office finds no page', async () => {
    const page = await as(await staff(b, 'operator'));
    await page.goto('/desk/registries');
    await look(page, 'registries');
    await page.goto(`/desk/registries/farmers?key=${encodeURIComponent('۰۴۹۹۳۷۰۸۹۹')}`);
    await page.locator('details summary').first().press('Enter');
    await look(page, 'registry');
    good((await page.locator('article').innerText()).includes('زعفران'), 'the crop in words');
    await page.goto('/desk/registries/farmers/export');
    await look(page, 'export');
    await page.fill('#why', 'x');
    await Promise.all([page.waitForNavigation(), page.press('main form button[type=submit]', 'Enter')]);
    same(await page.locator('#why-error').count(), 1, 'a purpose is needed');
    await page.goto('/desk/registries/farmers?key=0060495218');
    good((await page.locator('main').innerText()).includes('پیدا نشد'), 'none such');
    const masked = await as(await staff(b, 'helpdesk'));
    await masked.goto(`/desk/registries/residents?key=${ID}`);
    await look(masked, 'registry-masked');
    good((await masked.locator('article').innerText()).includes('•••'), 'masked');
    const other = await as(await staff(b, 'samt.officer'));
    same((await other.goto('/desk/registries/farmers')).status(), 404);
  });
  await browser.close();
  await test('pages: a clean stop', async () => same(await s.stop(), 0));
}

if (!process.argv.includes('pages')) {
  await records('sqlite', ['--data', folder()]);
  const pg = postgres();
  if (pg) await records('postgres', ['--store', pg.url, '--keys', join(folder(), 'keys')]);
  else console.log('postgres: not installed here');
}
if (!process.argv.includes('records')) await pages();
end();
