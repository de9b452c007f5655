// Figures for those in charge: counted once whatever happens, seen by whom they concern, on pages, in files, on paper; both engines.
import { readFileSync, writeFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { inflateRawSync } from 'node:zlib';
import { join } from 'node:path';
import { serve, call, staff, citizen, test, same, good, end, folder, postgres, runs, pack, filing, example, until, flaws, browser as launch } from './kit.mjs';

const A = '/api/v1', O = 'ostandari';
const pages = !process.env.CHAPAR_TEST_NO_BROWSER;
// All that this test does, also when a month or a year begins meanwhile.
const gregorian = (days) => new Date(Date.now() + 3.5 * 3600e3 + days * 864e5).toISOString().slice(0, 10), period = `period=${gregorian(-1)}..${gregorian(2)}`;

// Until so many have been counted: after a kill the leaves wait for leases of the dead process to run out.
async function counted(b, token, organisation, ready) {
  return until('the count to reach the end', async () => {
    const r = await call(b, 'GET', `${A}/statistics?organisation=${organisation}&${period}`, { token });
    same(r.status, 200, r.text);
    return r.json.events_left === 0 && await ready(r.json.figures) && r.json.figures;
  });
}

const all = async (b, token, organisation, open) => { // what the desk itself holds
  let n = 0, next = '';
  do {
    const r = await call(b, 'GET', `${A}/desk/cases?organisation=${organisation}&open=${open}&service=village-residence&limit=200${next ? `&after=${next}` : ''}`, { token });
    n += r.json.items.length;
    next = r.json.next;
  } while (next);
  return n;
};

async function decide(b, token, tracking, action, comment = 'x') {
  const see = async () => (await call(b, 'GET', `${A}/cases/${tracking}`, { token })).json;
  for (const name of ['assign', action]) {
    const v = await see(), a = v.actions.find((x) => x.name === name);
    if (!a) return false;
    const body = { expected_version: v.version, comment, data: {} };
    if (a.reasons?.length) body.reason = a.reasons[0].code;
    for (const f of a.fields ?? []) if (f.required) body.data[f.field ?? f.name] = 'نوشته';
    const r = await call(b, 'POST', `${A}/cases/${tracking}/actions/${name}`, { token, body });
    if (r.status !== 200) throw new Error(`${name}: ${r.status} ${r.text}`);
  }
  return true;
}

async function figures(name, where) {
  let s = await serve(where), b = s.base;
  const data = await example(b), t = [];
  const submit = (i) => call(b, 'POST', filing, { key: `m${i}`, body: { data: { ...data, mobile: `0915${String(1000000 + i)}` } } });
  for (let i = 0; i < 24; i++) t.push((await submit(i)).json.tracking);
  const auditor = await staff(b, 'auditor'), office = (await call(b, 'GET', `${A}/cases/${t[0]}`, { token: auditor })).json.holder.code;
  let manager = await staff(b, `${office}.manager`);
  const officer = await staff(b, `${office}.officer`);
  let done = 0;
  await test(`${name}: what is filed and decided is counted`, async () => {
    for (let i = 0; i < 6; i++) done += await decide(b, officer, t[i], i < 4 ? 'approve' : 'reject');
    const f = await counted(b, manager, office, async (x) => x.arrived === 24 && x.open + x.closed === 24 && x.closed === await all(b, manager, office, 0));
    good(f.closed === done || f.closed < done, JSON.stringify(f)); // an approval may wait for a second signature
    const rows = (await call(b, 'GET', `${A}/statistics/officers?organisation=${office}&${period}`, { token: manager })).json.items;
    good(rows.some((x) => x.username === `${office}.officer` && x.decided === done && x.acts >= done), JSON.stringify(rows));
    const why = (await call(b, 'GET', `${A}/statistics/reasons?organisation=${office}&${period}`, { token: manager })).json.items;
    same(why.reduce((n, x) => n + x.count, 0), (await call(b, 'GET', `${A}/statistics/officers?organisation=${office}&${period}`, { token: manager })).json.items.reduce((n, x) => n + x.refused, 0));
  });
  await test(`${name}: killed while it counts, nothing is lost and nothing counts twice`, async () => {
    await Promise.all(Array.from({ length: 40 }, (_, i) => submit(100 + i)));
    await s.stop('SIGKILL');
    s = await serve(where);
    b = s.base;
    manager = await staff(b, `${office}.manager`);
    const f = await counted(b, manager, office, async (x) => x.arrived >= 64 && x.open + x.closed === x.arrived), open = await all(b, manager, office, 1), closed = await all(b, manager, office, 0);
    good(f.arrived >= 64, JSON.stringify(f));
    same([f.arrived, f.open, f.closed], [open + closed, open, closed], 'as the desk says');
  });
  await test(`${name}: counted anew it is the same, and the page of the week is one page`, async () => {
    const tables = async () => {
      const out = [];
      for (const x of ['services', 'places', 'officers', 'reasons', 'channels', 'ages', 'trend']) out.push((await call(b, 'GET', `${A}/statistics/${x}?organisation=${office}&${period}`, { token: manager })).json.items);
      return JSON.stringify(out);
    };
    const before = await tables(), pdf = join(folder(), 'r.pdf');
    const r = await runs('report', '--rebuild', '--pack', pack, ...where, '--organisation', office, '--period', 'week:' + new Date(Date.now() + 3.5 * 3600e3).toISOString().slice(0, 10), '--output', pdf);
    same(r.status, 0, r.err);
    same(await tables(), before);
    good(readFileSync(pdf).subarray(0, 5).toString() === '%PDF-', 'a PDF');
    good(/Pages:\s+1\b/.test(execFileSync('pdfinfo', [pdf], { encoding: 'utf8' })), 'one page');
    same((await runs('report', '--pack', pack, ...where, '--organisation', 'nobody', '--output', pdf)).status, 1);
    same((await runs('report', '--pack', pack, ...where, '--week', 'someday')).status, 2);
  });
  await test(`${name}: everybody sees what is theirs to see`, async () => {
    const get = async (user, path) => call(b, 'GET', path, { token: user, headers: { Accept: 'application/json' } });
    const one = await staff(b, `${office}.officer`), other = await staff(b, 'takapo.manager'), help = await staff(b, 'helpdesk'), operator = await staff(b, 'operator'), person = await citizen(b);
    const own = await get(one, `${A}/statistics/officers?organisation=${office}&${period}`);
    same(own.json.items.map((x) => x.username), [`${office}.officer`], 'an officer: the own row alone');
    for (const path of [`${A}/statistics?organisation=${office}`, `${A}/statistics/services?organisation=${office}`]) same((await get(one, path)).status, 404, path);
    same((await get(one, `/managers?organisation=${office}`)).status, 303, 'led to their own');
    for (const user of [other, help])
      for (const path of [`${A}/statistics?organisation=${office}`, `${A}/statistics/officers?organisation=${office}&${period}`, `/managers?organisation=${office}`, `/managers/tables/officers.csv?organisation=${office}`, '/managers/province'])
        same((await get(user, path)).status, 404, path);
    same((await get(person, `${A}/statistics`)).status, 403);
    same((await get(undefined, `${A}/statistics`)).status, 401);
    const province = (await get(operator, `${A}/statistics/organisations?${period}`)).json.items;
    good(province.find((x) => x.code === office).arrived >= 64, 'the province');
    good(province.every((x) => typeof x.refused !== 'number') && province.every((x) => x.closed === 0 || x.closed === '<5' || x.closed >= 5), 'small counts are not told where organisations are compared');
    const few = (await call(b, 'GET', `${A}/services/road-fault`)).json.form_schema.examples[0];
    for (let i = 0; i < 3; i++) { const r = await call(b, 'POST', `${A}/services/road-fault/cases`, { token: person, key: `few${i}`, body: { data: few } }); same(r.status, 201, r.text); }
    const sum = await until('the count', async () => { const x = (await get(operator, `${A}/statistics?service=road-fault&${period}`)).json; return x.events_left === 0 && x.figures.arrived !== 0 && x; });
    same([sum.figures.arrived, sum.figures.open, sum.figures.closed], ['<5', '<5', 0], 'nor in the sum of one service');
    good((await call(b, 'GET', '/managers/province?service=road-fault', { token: operator, headers: { Accept: 'text/html' } })).status === 200, 'the page');
    for (const bad of ['1405-13', 'x', '1405-02-01..1405-01-01', "1405' OR 1=1"]) same((await get(operator, `${A}/statistics?period=${encodeURIComponent(bad)}`)).status, 422, bad);
    same((await get(operator, `${A}/statistics/nothing`)).status, 404);
  });
  await test(`${name}: files hold text, not formulas`, async () => {
    const at = (file, lang = 'fa') => fetch(`${b}/managers/tables/${file}?organisation=${office}&${period}`, { headers: { Authorization: `Bearer ${manager}`, 'Accept-Language': lang } });
    const csv = Buffer.from(await (await at('officers.csv')).arrayBuffer());
    good(csv.subarray(0, 3).equals(Buffer.from([0xef, 0xbb, 0xbf])) && csv.toString().includes(`${office}.officer`), csv.toString());
    const x = await at('services.xlsx'), zip = Buffer.from(await x.arrayBuffer());
    same(x.headers.get('content-type'), 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet');
    const parts = {};
    for (let i = zip.indexOf('PK\x01\x02'); i >= 0 && zip.readUInt32LE(i) === 0x02014b50;) { // the directory of the archive
      const size = zip.readUInt32LE(i + 20), n = zip.readUInt16LE(i + 28), from = zip.readUInt32LE(i + 42), file = zip.subarray(i + 46, i + 46 + n).toString();
      const head = from + 30 + zip.readUInt16LE(from + 26) + zip.readUInt16LE(from + 28), raw = zip.subarray(head, head + size);
      parts[file] = (zip.readUInt16LE(i + 10) ? inflateRawSync(raw) : raw).toString();
      i += 46 + n + zip.readUInt16LE(i + 30) + zip.readUInt16LE(i + 32);
    }
    good(parts['xl/sharedStrings.xml'].includes('village-residence'), 'the code is a text');
    good(parts['xl/worksheets/sheet1.xml'].includes('rightToLeft="1"') && !parts['xl/worksheets/sheet1.xml'].includes('<f>'), 'right to left, no formula');
    same((await at('nothing.csv')).status, 404);
    same((await at('services.exe')).status, 404);
  });
  if (pages && name === 'sqlite') await look(b, office);
  await s.stop();
}

async function look(b, office) {
  const browser = await launch();
  const accounts = (await call(b, 'GET', '/demo/accounts')).json;
  await test('pages: nothing for axe to find, nothing scrolls sideways, each chart has its table', async () => {
    for (const [user, paths] of [[`${office}.manager`, ['/managers', '/managers/services/village-residence', '/managers/officers', '/managers/fairness', '/managers/costs', '/managers?from=1405/08/01&to=1405/08/10']],
      ['operator', ['/managers/province', '/managers/fairness']], [`${office}.officer`, ['/managers/officers']]]) {
      const page = await (await browser.newContext()).newPage();
      await page.goto(`${b}/staff?lang=fa`);
      await page.fill('[name=username]', user);
      await page.fill('[name=password]', accounts.find((x) => x.username === user).password);
      await Promise.all([page.waitForNavigation(), page.press('main button[type=submit]', 'Enter')]);
      for (const path of paths)
        for (const [lang, width] of [['fa', 360], ['en', 1440]]) {
          await page.setViewportSize({ width, height: 900 });
          const r = await page.goto(`${b}${path}${path.includes('?') ? '&' : '?'}lang=${lang}`), what = `${path} of ${user} in ${lang}`;
          same(r.status(), 200, what);
          same(await flaws(page), [], what);
          good(await page.evaluate(() => [...document.querySelectorAll('svg.chart')].every((x) => x.closest('section').querySelector('table tbody tr'))), `${what}: a chart without its table`);
          if (lang === 'fa') good(!/[0-9]/.test(await page.evaluate(() => [...document.querySelectorAll('.figures dd, td.num, svg.chart text')].map((x) => x.textContent).join(''))), `${what}: Persian digits`);
          if (process.env.SHOTS) writeFileSync(join(process.env.SHOTS, `${path.replace(/\W+/g, '-')}-${user}-${lang}.png`), await page.screenshot({ fullPage: true }));
        }
    }
  });
  await browser.close();
}

await figures('sqlite', ['--data', folder()]);
const pg = postgres();
if (pg) {
  const where = ['--store', pg.url, '--keys', join(folder(), 'keys')];
  await figures('postgresql', where);
}
end();
