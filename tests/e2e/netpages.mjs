// The government network as people and programs see it: pages, map, interface, changes as they happen, who is told, CSV in and out; both engines.
import { createServer } from 'node:http';
import { createHmac } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { serve, call, staff, test, same, good, end, folder, postgres, pack, runs, until, flaws, browser as launch } from './kit.mjs';

const A = '/api/v1';
const page = (b, path, o = {}) => call(b, 'GET', path, { ...o, headers: { Accept: 'text/html', ...o.headers } });
const form = async (b, path, token, fields) => {
  const token_of = /name="form_token" value="([^"]+)"/.exec((await page(b, path.replace(/\/(note|acknowledge|hand|[^/]+\/drop|[^/]+\/end)$/, '').replace(/\/hooks$/, '/contacts'), { headers: { Cookie: `session=${token}` } })).text)?.[1];
  return call(b, 'POST', path, { headers: { Accept: 'text/html', Cookie: `session=${token}`, 'Content-Type': 'application/x-www-form-urlencoded' }, body: new URLSearchParams({ form_token: token_of, ...fields }).toString() });
};

// Something that certainly changes: maintenance of an office begins, or ends.
async function stir(b, operator, office) {
  const there = (at) => new Date(at + 3.5 * 3600e3).toISOString(), from = there(Date.now() - 60e3), to = there(Date.now() + 7200e3);
  const r = await form(b, '/network/maintenance', operator, { office, from_day: from.slice(0, 10), from_hour: from.slice(11, 16), to_day: to.slice(0, 10), to_hour: to.slice(11, 16), reason: 'آزمون' });
  same(r.status, 303, r.text.slice(0, 300));
}

async function network(name, where) {
  const s = await serve(where, { env: { CHAPAR_PROBE_INTERVAL: '10', CHAPAR_ACCEPT_SECONDS: '12' } }), b = s.base;
  const operator = await staff(b, 'operator'), get = async (path, token) => { const r = await call(b, 'GET', A + path, { token }); if (r.status !== 200) throw new Error(`${path}: ${r.status} ${r.text}`); return r.json; };
  const heard = [], hook = createServer((q, a) => { let text = ''; q.on('data', (d) => { text += d; }); q.on('end', () => { heard.push({ text, headers: q.headers }); a.statusCode = heard.length === 1 ? 500 : 204; a.end(); }); });
  await new Promise((done) => hook.listen(0, '127.0.0.1', done));
  let key = '';

  await test(`${name}: somebody and a program are told; the program's key is shown once`, async () => {
    const url = `http://127.0.0.1:${hook.address().port}/network`;
    const made = await form(b, '/network/hooks', operator, { url });
    same(made.status, 200, made.text.slice(0, 500));
    key = /<code dir="ltr">([0-9a-f]{64})<\/code>/.exec(made.text)[1];
    good(!(await page(b, '/network/contacts', { token: operator })).text.includes(key), 'not again');
    same((await form(b, '/network/hooks', operator, { url: 'ftp://x' })).status, 422);
    same((await form(b, '/network/contacts', operator, { name: 'م', to: '09150001122', level: '0' })).status, 422);
    same((await form(b, '/network/contacts', operator, { name: 'مریم رضایی', to: '0915', level: '0' })).status, 422);
    same((await form(b, '/network/contacts', operator, { name: 'مریم رضایی', to: '۰۹۱۵۰۰۰۱۱۲۲', level: '0' })).status, 303);
    same((await form(b, '/network/contacts', operator, { name: 'مریم رضایی', to: '09150001122', level: '0' })).status, 422, 'twice');
    const acts = await call(b, 'GET', `${A}/acts`, { token: operator });
    good(['network_contact_put', 'network_hook_put'].every((x) => acts.text.includes(x)), 'recorded');
  });

  // A link of an office that is not cut, and one that names no office of the network: handed over now, judged below.
  const link = async (measured_as) => {
    const ict = await staff(b, 'ict.officer'), example = (await call(b, 'GET', `${A}/services/network-connection`)).json.form_schema.examples[0];
    const filed = await call(b, 'POST', `${A}/services/network-connection/cases`, { token: operator, key: `link-${measured_as}`, body: { data: example } });
    same(filed.status, 201, filed.text);
    const { tracking } = filed.json;
    for (const [action, data] of [['assign', {}], ['plan_link', { medium: 'radio' }], ['hand_over', { measured_as }]]) {
      const c = await get(`/cases/${tracking}`, ict), r = await call(b, 'POST', `${A}/cases/${tracking}/actions/${action}`, { token: ict, body: { expected_version: c.version, data } });
      same(r.status, 200, `${action}: ${r.text}`);
    }
    return tracking;
  };
  const cuts = (await get('/network/demonstration')).cut, far = [...cuts.filter((x) => x.offices > 1).map((x) => x.office.slice(0, 7)), 'KR-0904', 'KR-0905', 'KR-0906']; // below: their hubs are maintained
  let steady = '', next = ''; // at some hours every county of the first pages is cut
  do {
    const list = await get(`/offices?level=office&limit=200${next && `&after=${next}`}`);
    steady = list.items.map((x) => x.code).find((x) => !far.includes(x.slice(0, 7)) && !cuts.some((c) => c.office === x));
    next = list.next;
  } while (!steady && next);
  await until('its first answer', async () => (await get(`/offices/${steady}`)).state === 'up');
  const links = { good: await link(steady), none: await link('NO-SUCH-OFFICE') };
  await test(`${name}: the demonstration says what it cuts, now and next, and what should be seen`, async () => {
    good(cuts.length >= 4 && cuts.some((x) => x.now) && cuts.some((x) => !x.now), JSON.stringify(cuts));
    good(cuts.every((x, i) => x.from < x.until && x.offices >= 1 && x.seen_within_s > 0 && (!i || cuts[i - 1].from <= x.from)), 'in order');
    const text = (await page(b, '/network', { lang: 'en' })).text;
    const lasting = cuts.filter((x) => Date.parse(x.until) > Date.now() + 60000); // what ends meanwhile has gone from both
    good(text.includes('id="schedule"') && lasting.every((x) => text.includes(`${x.office}"`)), 'all on the first page');
  });
  await test(`${name}: a goal is set with a reason by the operator, seen by everybody, and taken back`, async () => {
    const goal = (body, token = operator) => call(b, 'POST', `${A}/network/goals`, { token, body }), of = (g, code) => g.items.find((x) => x.code === code);
    same((await goal({ level: 'hub', goal: 0.997, reason: 'آزمون هدف' }, await staff(b, 'takapo.manager'))).status, 403);
    for (const wrong of [{ level: 'hub', goal: 0.5, reason: 'آزمون' }, { level: 'nope', goal: 0.99, reason: 'آزمون' }, { level: 'hub', goal: 0.99 }, { goal: 0.99, reason: 'آزمون' }, { level: 'hub', reason: 'آزمون' }, { organisation: 'nope', goal: 0.99, reason: 'آزمون' }])
      same((await goal(wrong)).status, 422, JSON.stringify(wrong));
    const set = await goal({ level: 'hub', goal: 0.997, reason: 'آزمون هدف' });
    same([set.status, of(set.json, 'hub').goal, of(set.json, 'hub').reason, of(set.json, 'hub').by], [200, 0.997, 'آزمون هدف', 'operator'], set.text);
    const seen = await get('/network/goals');
    good(of(seen, 'hub').goal === 0.997 && !('by' in of(seen, 'hub')) && seen.history[0].reason === 'آزمون هدف' && !('by' in seen.history[0]), 'without the name');
    same((await form(b, '/network/goals', operator, { scope: 'hub', goal: '۹۹٫۸', reason: 'دوباره' })).status, 303);
    same(of(await get('/network/goals'), 'hub').goal, 0.998, 'Persian digits');
    const wrong = await form(b, '/network/goals', operator, { scope: 'hub', goal: '۲', reason: 'دوباره' });
    good(wrong.status === 422 && wrong.text.includes('href="#goal"'), `${wrong.status}`);
    same((await form(b, '/network/goals', operator, { scope: 'organisation', organisation: 'ict', goal: '99.2', reason: 'پیمان' })).status, 303);
    good((await page(b, '/network/goals')).text.includes('پیمان'), 'on the page');
    same((await form(b, '/network/goals', operator, { scope: 'hub', back: '1', reason: 'پس گرفتیم' })).status, 303);
    const back = await get('/network/goals');
    same([of(back, 'hub').goal, of(back, 'hub').reason, back.history[0].goal], [0.999, null, null]);
    for (const path of ['/network/offices/KR-0916-0001', '/network/map?place=0916', '/network/offices?organisation=ict']) good(/href="\/network\/goals"/.test((await page(b, path)).text.replace(/<nav[\s\S]*?<\/nav>/g, '')), `its budget on ${path}`);
  });

  // An incident that lasts as long as what follows: of a line that stays cut for five minutes more, with no other cut or maintenance above it.
  const first = await until('an incident of the demonstration that lasts', async () => {
    const now = Date.now(), all = (await get('/network/demonstration')).cut.filter((x) => x.kind === 'cut' && Date.parse(x.from) < now + 300e3), county = (x) => x.office.slice(0, 7);
    const lasting = all.filter((x) => Date.parse(x.until) > now + 300e3 && !['KR-0905', 'KR-0906'].includes(county(x)) && !all.some((y) => y !== x && y.offices > x.offices && county(y) === county(x)));
    return (await get('/network/incidents?open=true')).items.find((x) => x.kind === 'down' && lasting.some((y) => y.office === x.office));
  }, 1000000);
  await test(`${name}: offices are listed, filtered and paged; the map and the summary agree`, async () => {
    const sum = await get('/network/summary'), cut = await get('/offices?state=down&limit=200');
    good(sum.offices > 4000 && Object.values(sum.states).reduce((a, x) => a + x, 0) === sum.offices, JSON.stringify(sum.states));
    good(cut.items.some((x) => x.code === first.office && x.state === 'down' && x.since), 'the office of the incident is down');
    const seen = new Set();
    for (let next = '', n = 0; n < 5; n++) { const p = await get(`/offices?limit=200&place=0916${next ? `&next=${next}` : ''}`); p.items.forEach((x) => { good(!seen.has(x.code) && x.county === '0916', x.code); seen.add(x.code); }); next = p.next; if (!next) break; }
    same(seen.size, (await get('/network/summary?place=0916')).offices);
    const found = (await call(b, 'GET', `${A}/offices?q=${encodeURIComponent('شهرداري')}`, { lang: 'fa' })).json.items;
    good(found.length > 20 && found.every((x) => x.name.includes('شهرداری')), `by words, with Arabic letters: ${JSON.stringify(found).slice(0, 300)}`);
    for (const q of ['state=nope', 'level=nope', 'limit=0', 'setting=x']) same((await call(b, 'GET', `${A}/offices?${q}`)).status, 422, q);
    same((await get('/offices?place=nope')).items, []);
    for (const p of ['/offices/NOPE', '/network/incidents/99999999', '/offices/NOPE/series']) same((await call(b, 'GET', A + p)).status, 404, p);
    const svg = (await page(b, '/network', { lang: 'en' })).text, step = (code) => new RegExp(`class="area(?: step(\\d))?" data-place="${code}"`).exec(svg)?.[1];
    same((svg.match(/data-place=/g) || []).length, 34, 'every county');
    const county = cut.items.find((x) => x.code === first.office).county;
    good(step(county) > 0 && new RegExp(`data-number="${county}">[1-9]`).test(svg), `the county of a fault is coloured and numbered: ${step(county)}`);
    good(svg.includes('OpenStreetMap'), 'whose outlines they are');
    const points = (await call(b, 'GET', '/network/points')).json;
    same(points.points.length, sum.offices);
    same(points.states[points.points.find((x) => x[4] === first.office)[2]], 'down');
  });
  await test(`${name}: everybody sees states; addresses, notes and names are for those whose offices they are`, async () => {
    const bare = await get(`/offices/${first.office}`), whole = await get(`/offices/${first.office}`, operator), other = await get(`/offices/${first.office}`, await staff(b, 'takapo.officer'));
    good(!('address' in bare) && !('address' in other) && whole.address.startsWith('127.'), JSON.stringify([bare.address, whole.address]));
    good(!(await page(b, `/network/offices/${first.office}`)).text.includes(whole.address), 'not on the page');
    const note = 'یادداشت محرمانه ۱۲۳';
    const go = (act, token, body = {}) => call(b, 'POST', `${A}/network/incidents/${first.id}/${act}`, { token, body });
    same((await go('note', undefined, { text: note })).status, 401);
    same((await go('note', await staff(b, 'takapo.manager'), { text: note })).status, 404);
    same((await go('note', operator, {})).status, 422);
    same((await go('note', operator, { text: note })).status, 200);
    const ends = new AbortController(), feed = await fetch(`${b}${A}/network/events`, { signal: ends.signal });
    same((await go('acknowledge', operator)).status, 200);
    let heardOf = '';
    for await (const x of feed.body) { heardOf += Buffer.from(x); if (heardOf.includes('"step":"acknowledged"')) break; }
    ends.abort();
    same((await go('acknowledge', operator)).status, 409, 'once');
    const mine = await get(`/network/incidents/${first.id}`, operator), theirs = await get(`/network/incidents/${first.id}`);
    good(mine.acknowledged_by === 'operator' && JSON.stringify(mine).includes(note), 'the operator reads it');
    good(!('acknowledged_by' in theirs) && theirs.acknowledged_at && !JSON.stringify(theirs).includes(note) && !JSON.stringify(theirs).includes('operator'), JSON.stringify(theirs).slice(0, 600));
    good(!(await page(b, `/network/incidents/${first.id}`)).text.includes(note), 'nor on the page');
  });
  await test(`${name}: who is on duty was told once, and it is written down; the program's message is signed`, async () => {
    await until('the message', async () => (await call(b, 'GET', '/demo/outbox')).json.filter((m) => m.to === '09150001122' && m.text.includes('شبکه دولت')).length >= 1);
    const told = (await get(`/network/incidents/${first.id}`, operator)).told;
    good(told.some((x) => x.who === 'مریم رضایی' && x.channel === 'sms'), JSON.stringify(told));
    await until('the program', () => heard.length > 0);
    const note = await until('the note', () => heard.map((x) => JSON.parse(x.text)).find((x) => x.event === 'noted'));
    good(note.incident === first.id && note.who === 'operator' && note.text && note.at, JSON.stringify(note));
    const { text, headers } = heard[0], [, t, v1] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(headers['chapar-signature']);
    same(v1, createHmac('sha256', key).update(`${t}.${text}`).digest('hex'), 'signature');
    good(JSON.parse(text).id === headers['chapar-event-id'] && ['opened', 'closed', 'escalated', 'noted', 'acknowledged', 'alarm', 'alarm_ended'].includes(JSON.parse(text).event), text);
  });
  await test(`${name}: a fault becomes a case with its clock at the desk of the network, once`, async () => {
    same((await call(b, 'POST', `${A}/network/incidents/${first.id}/hand`, { token: operator, body: {} })).status, 200);
    const tracking = await until('the case', async () => (await get(`/network/incidents/${first.id}`, operator)).case);
    const c = await get(`/cases/${tracking}`, await staff(b, 'ict.officer'));
    same([c.service, c.data.office_code, c.data.incident], ['network-fault', first.office, first.id]);
    good(c.due?.legal, 'its clock runs');
  });
  await test(`${name}: changes are told as they happen, to many, by few threads`, async () => {
    const ends = [], streams = await Promise.all(Array.from({ length: 30 }, async () => { const c = new AbortController(); ends.push(c); return fetch(`${b}${A}/network/events`, { signal: c.signal }); }));
    good(streams.every((r) => r.headers.get('content-type').startsWith('text/event-stream')), 'a stream');
    const change = (r) => new Promise((done, bad) => { let text = ''; (async () => { for await (const x of r.body) { text += Buffer.from(x); const m = /event: change\ndata: (.*)\n\n/.exec(text); if (m) return done(JSON.parse(m[1])); } })().catch(bad); });
    const waiting = Promise.all(streams.map(change));
    await stir(b, operator, 'KR-0905-0001');
    same((await call(b, 'GET', `${A}/network/summary`)).status, 200, 'others are answered meanwhile');
    const told = await waiting.catch((e) => e);
    ends.forEach((c) => c.abort());
    good(Array.isArray(told) && told.every((x) => x.cursor && Array.isArray(x.changes)), String(told).slice(0, 300));
  });
  await test(`${name}: maintenance is planned by those it concerns, and ended`, async () => {
    const hour = new Date(Date.now() + 3600e3 + 3.5 * 3600e3).toISOString(), plan = { office: 'KR-0904-0001', from_day: hour.slice(0, 10), from_hour: hour.slice(11, 16), to_day: new Date(Date.now() + 86400e3).toISOString().slice(0, 10), to_hour: '۲۳:۵۹', reason: 'تعویض دکل' };
    for (const [wrong, field] of [[{ office: 'NOPE' }, 'office'], [{ from_day: 'x' }, 'from_day'], [{ to_hour: '25:00' }, 'to_hour'], [{ reason: '' }, 'reason'], [{ to_day: '1500/01/01' }, 'to_hour']]) {
      const r = await form(b, '/network/maintenance', operator, { ...plan, ...wrong });
      good(r.status === 422 && r.text.includes(`href="#${field}"`), `${field}: ${r.status}`);
    }
    same((await form(b, '/network/maintenance', operator, plan)).status, 303);
    const w = (await get('/network/maintenance')).items.find((x) => x.office === plan.office);
    same([w.office, w.state, w.reason], ['KR-0904-0001', 'planned', 'تعویض دکل']);
    same((await form(b, `/network/maintenance/${w.id}/end`, operator, {})).status, 303);
    same((await get('/network/maintenance')).items.find((x) => x.id === w.id).state, 'over');
  });
  await test(`${name}: a new link is accepted by its first measurements, or held with the reason; the figures stand in the event`, async () => {
    const ict = await staff(b, 'ict.officer'), state = async (t) => (await get(`/cases/${t}`, ict)).state;
    await until('held', async () => await state(links.none) === 'held');
    const of = async (t, action) => (await get(`/cases/${t}/events?limit=200`, ict)).items.find((x) => x.action === action);
    same((await of(links.none, 'hold')).reason?.code ?? (await of(links.none, 'hold')).reason, 'unknown-office');
    await until('accepted', async () => await state(links.good) === 'connected'); // at once, or after it was held for want of a measurement
    const e = await of(links.good, 'accept_measured');
    good(e.data.measured_as === steady && e.data.probes >= 1 && e.data.goal >= 90 && e.data.availability >= e.data.goal && e.role === 'system', JSON.stringify(e));
    good((await page(b, '/network/growth', { headers: { Cookie: `session=${ict}` } })).text.includes('NO-SUCH-OFFICE'), 'what is held stands on the page');
  });
  await test(`${name}: figures for Prometheus and as open data; tables as CSV`, async () => {
    const metrics = (await call(b, 'GET', '/metrics')).text, of = (m, l) => Number(new RegExp(`^${m}\\{${l}\\} ([\\d.e+-]+)$`, 'm').exec(metrics)?.[1]);
    good(of('chapar_network_offices', 'state="up",level="hub"') > 20 && !metrics.includes(first.office), 'sums alone');
    const targets = await get('/network/targets');
    same(targets.length, 34);
    const county = (await get(`/offices/${first.office}`)).county, one = targets.find((x) => x.labels.county === county).labels;
    const text = (await call(b, 'GET', `${one.__metrics_path__}?place=${one.__param_place}`)).text;
    good(new RegExp(`chapar_office_up\\{office="${first.office}",[^}]*\\} [01]`).test(text), 'each office there');
    const open = await until('coverage of today', async () => { const o = await get('/network/indicators'); return o.items.every((x) => x.offices > 0) && o; });
    good(open.items.length === 34 && open.items.every((x) => x.offices > 0 && x.coverage && x.availability && !('office' in x)) && open.licence.includes('creativecommons'), 'open data');
    for (const [file, head] of [['offices.csv', 'code,name,organisation'], ['incidents.csv?open=all', 'id,kind,office'], ['compare.csv?by=county', 'key,name,offices'], ['compare.csv?by=setting', 'key,name,offices'], [`series.csv?office=${first.office}&span=hour`, 'at,until,probes'], ['backlog.csv', 'kind,code,name'], ['maintenance.csv', 'id,office,name'], ['goals.csv', 'scope,code,name'], ['tree.csv', 'code,name,level'], [`members.csv?incident=${first.id}`, 'office,name,state'], ['repeat.csv', 'office,name,incidents'], ['indicators.csv', 'Code,']]) {
      const r = await call(b, 'GET', `/network/tables/${file}`, { lang: 'en' });
      good(r.status === 200 && r.text.replace(/^\uFEFF/, '').startsWith(head), `${file}: ${r.status} ${r.text.slice(0, 80)}`);
      if (!/^(backlog|members|repeat)/.test(file)) good(r.text.trim().split('\r\n').length > 1, `${file} has rows`);
    }
    same((await call(b, 'GET', '/network/tables/nope.csv')).status, 404);
  });
  if (!process.env.CHAPAR_TEST_NO_BROWSER && name === 'sqlite') await browse(b, operator, first);
  hook.close();
  await s.stop();
  return where;
}

// Pages by eye: axe, widths, both languages; the map by its script; the wall renews itself.
async function browse(b, operator, incident) {
  const browser = await launch();
  await test('pages: nothing for axe, nothing sideways, at 360 and 1440 px in both languages', async () => {
    const paths = ['/network', '/network/map', '/network/map?place=0904', '/network/wall', '/network/offices?state=down', `/network/offices/${incident.office}`, '/network/tree?office=KR-0916-0001', '/network/incidents', `/network/incidents/${incident.id}`, '/network/compare?by=county', '/network/goals', '/network/growth', '/network/maintenance', '/network/contacts'];
    const bad = [], waiting = [...paths.entries()].flatMap(([i, path]) => [[path, ['fa', 'en'][i % 2], 360], [path, ['en', 'fa'][i % 2], 1440]]);
    const look = async () => { // a tab of its own for each worker
      const context = await browser.newContext(), tab = await context.newPage();
      for (let one; (one = waiting.pop());) {
        const [path, lang, width] = one;
        await tab.setViewportSize({ width, height: 800 });
        await context.addCookies([{ name: 'lang', value: lang, url: b }, { name: 'session', value: operator, url: b }]);
        await tab.goto(b + path, { waitUntil: 'load' });
        const p = await tab.evaluate(() => ({ key: /\b(web|network|api)\.net?_?\w+/.exec(document.body.innerText)?.[0], dir: document.documentElement.dir }));
        p.sideways = width < 400 && await tab.evaluate(() => [...document.querySelectorAll('main .scroll')].filter((x) => x.querySelector('table') && x.scrollWidth > x.clientWidth + 2).length); // tables are cards there
        if (p.sideways || p.key || p.dir !== (lang === 'fa' ? 'rtl' : 'ltr')) bad.push(`${path} ${width} ${lang}: ${JSON.stringify(p)}`);
        bad.push(...(await flaws(tab)).map((x) => `${path} ${width} ${lang}: ${x}`));
      }
      await context.close();
    };
    await Promise.all([look(), look(), look()]);
    good(!bad.length, bad.join('\n'));
  });
  await test('pages: the map is magnified by its button, and says nothing against the policy', async () => {
    const context = await browser.newContext(), tab = await context.newPage(), said = [];
    tab.on('console', (m) => { if (m.type() === 'error') said.push(m.text()); });
    tab.on('pageerror', (e) => said.push(String(e)));
    await tab.goto(`${b}/network/map?place=0904&lang=en`);
    const before = await tab.locator('svg.map').getAttribute('viewBox');
    await tab.getByRole('button', { name: 'Zoom in' }).press('Enter');
    good(await tab.locator('svg.map').getAttribute('viewBox') !== before, 'the picture moved');
    await tab.locator('svg.map .points a').first().waitFor({ state: 'attached' });
    const list = tab.getByRole('dialog'), many = tab.locator('svg.map .points a[href="#"]'); // offices at one point are named when nothing can be magnified further
    await until('a circle that names its offices', async () => { if (!await list.count() && await many.count()) await many.first().dispatchEvent('click'); return list.count(); });
    const head = await list.getByRole('heading').innerText();
    same(await list.getByRole('link').count(), Number(/^(\d+) offices; the worst is /.exec(head)[1]), head);
    const bad = await flaws(tab);
    same(bad, []);
    await list.getByRole('button', { name: 'Close the list' }).press('Enter');
    same(await list.count(), 0);
    same(said, []);
    await context.close();
  });
  await test('pages: the per cent sign stands behind its number in a line of its own and within one; circles of the map leave one another their numbers', async () => {
    const context = await browser.newContext(), tab = await context.newPage(), wrong = [];
    for (const path of ['/network/map?place=0904&lang=fa', '/network/compare?lang=fa', '/network/goals?lang=fa']) {
      await tab.goto(b + path);
      const seen = await tab.evaluate(() => {
        const walk = document.createTreeWalker(document.querySelector('main'), NodeFilter.SHOW_TEXT), at = (n, i) => { const r = document.createRange(); r.setStart(n, i); r.setEnd(n, i + 1); return r.getBoundingClientRect(); };
        const found = [];
        for (let n; (n = walk.nextNode());) for (const m of n.data.matchAll(/[۰-۹](?=\u200F?٪)/g)) {
          const digit = at(n, m.index), sign = at(n, n.data.indexOf('٪', m.index));
          if (sign.width) found.push([n.data, sign.left < digit.left]);
        }
        return found;
      });
      good(seen.length, `${path}: no share`);
      wrong.push(...seen.filter(([, left]) => !left).map(([text]) => `${path}: ${text}`));
    }
    same(wrong, []);
    await tab.goto(`${b}/network/map?place=0904&lang=fa`);
    await tab.waitForFunction(() => document.querySelector('svg.map .points circle[style]')); // drawn by the script
    const circles = await tab.locator('svg.map .points circle').evaluateAll((all) => all.map((c) => [c.cx.baseVal.value, c.cy.baseVal.value, c.r.baseVal.value]));
    for (const [i, p] of circles.entries()) for (const q of circles.slice(i + 1)) good(Math.hypot(p[0] - q[0], p[1] - q[1]) > p[2] + q[2] - 1, `${p} covers ${q}`);
    await context.close();
  });
  await test('pages: the wall renews itself when something happens', async () => {
    const context = await browser.newContext(), tab = await context.newPage();
    await tab.goto(`${b}/network/wall?lang=en`);
    await tab.evaluate(() => { window.renewed = 0; document.getElementById('live').addEventListener('renewed', () => { window.renewed += 1; }); });
    await stir(b, operator, 'KR-0906-0001');
    await tab.waitForFunction(() => window.renewed > 0);
    await context.close();
  });
  await browser.close();
}

async function commands() {
  const data = folder(), file = join(folder(), 'offices.csv'), s = await serve(['--data', data]);
  await s.stop();
  const at = ['--pack', pack, '--data', data];
  await test('offices go out as CSV, and come in: told before it is done, refused with its line', async () => {
    const out = await runs('export', 'offices', ...at);
    good(out.status === 0 && out.out.split('\r\n').length > 4500, out.err);
    writeFileSync(file, 'code,organisation,place,level,uplinks,name_fa,address\nNEW-1,ict,0916051392,office,KR-0916-0001,دفتر تازه,192.0.2.7\nKR-0904-0001,,,,,,192.0.2.8\n');
    const mixed = await runs('import', 'offices', file, '--dry-run', ...at);
    good(mixed.status === 1 && /offices\.csv:3: /.test(mixed.err), `what the pack says is not emptied: ${mixed.err}`);
    writeFileSync(file, 'code,organisation,place,level,uplinks,name_fa,address\nNEW-1,ict,0916051392,office,KR-0916-0001,دفتر تازه,192.0.2.7\n');
    const dry = await runs('import', 'offices', file, '--dry-run', ...at);
    good(dry.status === 0 && dry.out.includes('+ NEW-1') && dry.out.includes('1 new'), dry.out + dry.err);
    good(!(await runs('export', 'offices', ...at)).out.includes('NEW-1'), 'nothing was written');
    same((await runs('import', 'offices', file, ...at)).status, 0);
    good((await runs('export', 'offices', ...at)).out.includes('NEW-1,ict,0916051392,office,KR-0916-0001,دفتر تازه'), 'it is there');
    writeFileSync(file, 'code,address,interval\nNEW-1,192.0.2.9,120\n');
    const changed = await runs('import', 'offices', file, '--dry-run', ...at);
    good(/~ NEW-1 \(line 2\) address: '192\.0\.2\.7' -> '192\.0\.2\.9'/.test(changed.out), changed.out + changed.err);
    writeFileSync(file, 'code,adress\nNEW-1,192.0.2.9\n');
    const typo = await runs('import', 'offices', file, ...at);
    good(typo.status === 1 && typo.err.includes("did you mean 'address'"), typo.err);
    writeFileSync(file, 'code,address\nNEW-1,example.com\nNEW-1,192.0.2.1\n');
    const wrong = await runs('import', 'offices', file, '--lang', 'fa', ...at);
    good(wrong.status === 1 && /offices\.csv:2: address: .*[آ-ی]/.test(wrong.err) && /offices\.csv:3: /.test(wrong.err), wrong.err);
    writeFileSync(file, 'organisation,level,name,to,lang\n,0,مریم رضایی,۰۹۱۵۰۰۰۱۱۲۲,fa\nict,1,Hossein Ahmadi,net@example.ir,en\n');
    const people = await runs('import', 'contacts', file, '--dry-run', ...at);
    good(people.status === 0 && people.out.includes('2 rows: 2 new'), people.out + people.err);
    good((await runs('import', 'contacts', file, ...at)).out.includes('2 rows: 2 new, 0 as'), 'not written before');
    good((await runs('import', 'contacts', file, ...at)).out.includes('0 new, 2 as'), 'once');
    writeFileSync(file, 'organisation,level,name,to\n,0,مریم رضایی,0915\nnope,1,Hossein Ahmadi,net@example.ir\n,7,Hossein Ahmadi,other@example.ir\n');
    const faulty = await runs('import', 'contacts', file, ...at);
    good(faulty.status === 1 && [2, 3, 4].every((n) => faulty.err.includes(`offices.csv:${n}: `)), faulty.err);
    same((await runs('ledger', 'verify', '--data', data)).status, 0, 'each import is in the ledger');
  });
}

// Both engines, the browser and the commands at once: most of the time each waits for packets.
const pg = postgres();
await Promise.all([network('sqlite', ['--data', folder()]), pg && network('postgresql', ['--store', pg.url]), commands()]);
end();
