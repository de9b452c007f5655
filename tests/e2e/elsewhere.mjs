// Asked once only, where another organisation's gateway has the data: platform → its gateway → the tax department's gateway → its information system, and back
// into a citizen's form. Then that gateway refuses, is slow, is dead: the form says whom it asked and goes on.
import { createServer } from 'node:http';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { call, citizen, folder, pack, postgres, test, same, good, end, browser as launch } from './kit.mjs';
import { world, until } from './gateways.mjs';

const A = '/api/v1', MARYAM = '0499370899', MOBILE = '09151234567', CODE = '411398765432';
const from = join(folder(), 'pack');
cpSync(pack, from, { recursive: true });
const settings = readFileSync(join(from, 'pack.yaml'), 'utf8').replace('{provider: maliat, service: tax-status, ', '{provider: maliat, service: tax-status, key: national_id, ');
good(settings.includes('tax-status, key: national_id'), 'the pack was changed');
writeFileSync(join(from, 'pack.yaml'), settings);

// The information system of the tax department: whom it heard, and whether it holds its answers back.
const heard = [], held = [];
let slow = false;
const system = createServer((q, s) => {
  const url = new URL(q.url, 'http://system');
  heard.push({ path: url.pathname, key: url.searchParams.get('key'), client: q.headers['x-road-client'], issue: q.headers['x-road-issue'] });
  const answer = () => { s.setHeader('Content-Type', 'application/json'); s.end(JSON.stringify({ items: [{ ref: 'r1', version: 1, valid: true, since: '2026-01-01T00:00:00Z', attributes: { economic_code: CODE } }] })); };
  if (slow) held.push(answer);
  else answer();
});
await new Promise((done) => system.listen(0, '127.0.0.1', done));

const browser = await launch();
// pages: with a browser, on one engine, as what a page is made of is the same.
async function ask(engine, { store = null, pages = false } = {}) {
  heard.length = held.length = 0;
  const w = await world({ demo: true, from, store }), { instance, gateways, cli, start, stop } = w, b = w.platform.base;
  const tax = `${instance}/GOV/10000017`, service = `${tax}/registries/tax-status`;
  w.members(`${tax}/registries`);
  await w.take('tax', tax);
  const client = JSON.parse(cli('op', 'directory', '--json')).members.flatMap((m) => m.subsystems || []).map((x) => x.id ?? x).find((x) => x.endsWith('/takapo-register'));
  cli('tax', 'subsystem', `${tax}/registries`);
  cli('tax', 'services', 'add', service, `http://127.0.0.1:${system.address().port}/tax`);
  const grant = () => cli('tax', 'grant', client, service, '--method', 'GET');
  grant();
  await start('tax');
  const person = await citizen(b, MARYAM, MOBILE);
  const form = async () => (await call(b, 'GET', `${A}/services/takapo-register/prefill?legal_id=10380284790`, { token: person })).json;
  const missing = (p) => p.missing.map((x) => [x.field, x.organisation, x.why]);

  // The page of the form where the tax department is asked: its text, and what stands in the field.
  async function page(lang) {
    const context = await browser.newContext({ baseURL: b, viewport: { width: 360, height: 740 } });
    await context.addCookies([{ name: 'session', value: person, url: b }, { name: 'lang', value: lang, url: b }]);
    const p = await context.newPage();
    await p.goto(`/services/takapo-register/apply?lang=${lang}`);
    for (let i = 0; i < 6 && !(await p.locator('main [name="economic_code"]').count()); i++) {
      for (const [name, value] of [['in_province', 'true'], ['is_it_work', 'true'], ['kind', 'company']]) {
        const box = p.locator(`main [name="${name}"][value="${value}"]`);
        if (await box.count()) await box.check({ force: true });
      }
      const id = p.locator('main input[name="national_id"]');
      if (await id.count() && !(await id.inputValue())) await id.fill(MARYAM);
      await p.locator('main form[method=post] button[type=submit]:not([name=more])').last().press('Enter');
      await p.waitForLoadState();
    }
    const field = p.locator('main [name="economic_code"]');
    const seen = { text: await p.locator('main').innerText(), value: await field.count() ? await field.inputValue() : null };
    await p.goto('/mine/drafts'); // the next one begins anew
    await Promise.all([p.waitForNavigation(), p.locator('form[action$="/takapo-register/drop"]').evaluate((f) => f.requestSubmit())]);
    await context.close();
    return seen;
  }

  await test(`${engine}: what the other organisation knows comes through its gateway, and is named`, async () => {
    const p = await until('the other gateway', form, (x) => x.data.economic_code !== undefined);
    same([p.data.economic_code, p.data.first_name, p.data.company_name], [CODE, 'مریم', 'شبکه گستر نیشابور']);
    good(p.sources.some((x) => x.organisation === 'maliat'), JSON.stringify(p.sources));
    same(missing(p), []);
    same(heard.at(-1), { path: '/tax/records', key: MARYAM, client, issue: 'form takapo-register' });
    const looks = (await call(b, 'GET', `${A}/me/access`, { token: person })).json.items;
    good(looks.some((x) => x.basis === 'prefill' && x.service === 'takapo-register' && x.registries.includes('tax-status')), JSON.stringify(looks));
  });
  if (pages) await test(`${engine}: the citizen sees who was asked, in the form`, async () => {
    const seen = await page('fa');
    same(seen.value, CODE, seen.text);
    good(/اداره کل امور مالیاتی/.test(seen.text), seen.text);
    good(/Department of Taxation/.test((await page('en')).text), 'in English too');
  });
  await test(`${engine}: refused: the form says so, the others answer, and it comes again with the right`, async () => {
    const id = JSON.parse(cli('tax', 'grants', '--json')).find((g) => g.subject === client).id;
    cli('tax', 'revoke', id, '--why', 'reviewed');
    const p = await until('the refusal', form, (x) => x.missing.length > 0);
    same(missing(p), [['economic_code', 'maliat', 'refused']]);
    same(p.data.company_name, 'شبکه گستر نیشابور');
    const seen = pages && await page('en');
    if (pages) same(seen.value, '', seen.text);
    if (pages) good(/Department of Taxation[^\n]*does not give this/.test(seen.text), seen.text);
    grant();
    await until('it comes again', form, (x) => x.data.economic_code === CODE);
  });
  await test(`${engine}: slow: the form does not wait for it`, async () => {
    slow = true;
    const p = await form();
    same(missing(p), [['economic_code', 'maliat', 'unreachable']]);
    same(p.data.company_name, 'شبکه گستر نیشابور');
    slow = false;
    held.forEach((answer) => answer());
    await until('it comes again', form, (x) => x.data.economic_code === CODE);
  });
  await test(`${engine}: dead: the form says so and can be filled in by hand`, async () => {
    await stop(gateways.tax, 'SIGKILL');
    same(missing(await form()), [['economic_code', 'maliat', 'unreachable']]);
    const seen = pages && await page('en');
    if (pages) same(seen.value, '', seen.text);
    if (pages) good(/Department of Taxation[^\n]*cannot be reached now/.test(seen.text), seen.text);
    const sample = (await call(b, 'GET', `${A}/services/takapo-register`)).json.form_schema.examples[0];
    const filed = await call(b, 'POST', `${A}/services/takapo-register/cases`, { token: person, key: `elsewhere-${engine}`, body: { data: { ...sample, national_id: MARYAM, first_name: 'مریم', last_name: 'رضایی', kind: 'company', legal_id: '10380284790', company_name: 'شبکه گستر نیشابور', knowledge_based: false, economic_code: '411300001111' } } });
    same(filed.status, 201, filed.text);
    await start('tax');
    await until('it comes again', form, (x) => x.data.economic_code === CODE);
  });
  await test(`${engine}: a clean stop`, async () => { await stop(gateways.tax); same(await w.platform.stop(), 0); });
}
await ask('sqlite', { pages: true });
await browser.close();
const pg = postgres();
if (pg) await ask('postgres', { store: pg.url });
else console.log('postgres: not installed here');
end();
