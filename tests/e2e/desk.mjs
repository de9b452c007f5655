// The desk: the next case, one action on many, remarks among colleagues, what is kept for a second; both engines.
import { join } from 'node:path';
import { serve, call, staff, citizen, test, same, good, end, folder, postgres, run } from './kit.mjs';

const A = '/api/v1';
async function desk(name, where) {
  const s = await serve(where), b = s.base;
  const example = (await call(b, 'GET', `${A}/services/village-residence`)).json.form_schema.examples[0];
  const file = async (key, token, data = example) => (await call(b, 'POST', `${A}/services/village-residence/cases`, { key, token, body: { data: { ...data, mobile: '09150000051' } } })).json;
  const see = async (t, token) => (await call(b, 'GET', `${A}/cases/${t}`, { token })).json;
  const cases = [];
  for (let i = 0; i < 6; i++) cases.push(await file(`d${i}`));
  const holder = (await see(cases[0].tracking)).holder.code;
  const one = await staff(b, `${holder}.officer`), two = await staff(b, `${holder}.officer2`), boss = await staff(b, `${holder}.supervisor`);

  await test(`${name}: two who ask for the next case get different ones, and go on behind them`, async () => {
    const next = async (token, body = {}) => call(b, 'POST', `${A}/desk/next`, { token, body });
    const [x, y] = await Promise.all([next(one), next(two)]);
    same([x.status, y.status], [200, 200], x.text + y.text);
    good(x.json.tracking !== y.json.tracking, 'not the same one');
    same((await see(x.json.tracking, one)).assignee, `${holder}.officer`);
    same((await next(one)).json.tracking, x.json.tracking, 'it stays the first until it is dealt with');
    const behind = await next(one, { after: x.json.tracking });
    good(![x.json.tracking, y.json.tracking].includes(behind.json.tracking), 'skipped on purpose');
    same((await next(one, { organisation: 'sabt-ahval' })).status, 403);
    same((await next(one, { after: '1234' })).status, 422);
    same((await next(await citizen(b))).status, 403);
    for (let i = 0; i < 8; i++) await next(two, { after: (await next(two)).json.tracking });
    let seen = null, rounds = 0;
    for (let r = await next(one); r.status === 200 && rounds < 20; r = await next(one, { after: seen }), rounds++) seen = r.json.tracking;
    good(rounds < 20, 'the stream ends with 204');
  });
  await test(`${name}: one action on many says what became of each`, async () => {
    const list = [];
    for (const c of cases) list.push({ tracking: c.tracking, expected_version: (await see(c.tracking, boss)).version });
    list[1].expected_version += 7;
    list.push({ tracking: '1234567890123452', expected_version: 1 });
    const body = { action: 'assign', data: { assignee: `${holder}.officer2` }, cases: list };
    const r = await call(b, 'POST', `${A}/desk/actions`, { token: boss, key: 'many', body });
    same(r.status, 200, r.text);
    same(r.json.items.map((x) => x.status), list.map((x, i) => (i === 1 ? 409 : i === list.length - 1 ? 404 : 200)), r.text);
    good(r.json.items[1].message && r.json.items[1].code === 'conflict', 'and why');
    same((await see(cases[0].tracking, boss)).assignee, `${holder}.officer2`);
    const again = await call(b, 'POST', `${A}/desk/actions`, { token: boss, key: 'many', body });
    same(again.json.items.map((x) => x.status), r.json.items.map((x) => x.status), 'the same key again');
    same((await call(b, 'POST', `${A}/desk/actions`, { token: boss, key: 'n', body: { action: 'assign', cases: [] } })).status, 422);
    same((await call(b, 'POST', `${A}/desk/actions`, { token: boss, key: 'n', body: { action: 'assign', cases: [list[0], list[0]] } })).status, 422, 'each once');
    same((await call(b, 'POST', `${A}/desk/actions`, { token: boss, body })).status, 400, 'a key is needed');
    const fa = await call(b, 'POST', `${A}/desk/actions`, { token: boss, key: 'fa', lang: 'fa', body: { action: 'approve', cases: [list[1]] } });
    good(/[آ-ی]/.test(fa.json.items[0].message), fa.text);
  });
  await test(`${name}: remarks are for colleagues alone, once by key, and leaves of the ledger`, async () => {
    const t = cases[2].tracking, person = await citizen(b, example.national_id, '09150000051');
    const put = (token, text, key) => call(b, 'POST', `${A}/cases/${t}/remarks`, { token, key, body: { text } });
    same((await put(one, 'با دهیار تلفنی صحبت شد.', 'r1')).status, 201);
    same((await put(one, 'با دهیار تلفنی صحبت شد.', 'r1')).status, 201);
    same((await put(two, 'سند دوم هم رسید.', 'r1')).status, 201);
    const view = await see(t, boss);
    same(view.remarks.map((x) => [x.who, x.text]), [[`${holder}.officer`, 'با دهیار تلفنی صحبت شد.'], [`${holder}.officer2`, 'سند دوم هم رسید.']]);
    same((await see(t, person)).right, 'citizen');
    good(!('remarks' in (await see(t, person))) && !('remarks' in (await see(t))), 'not for the citizen, not for the street');
    same((await put(person, 'من', 'r2')).status, 403);
    same((await put(await staff(b, 'sabt-ahval.officer'), 'ما', 'r2')).status, 404, "another's case");
    same((await put(one, '', 'r3')).status, 422);
    same((await put(one, 'x'.repeat(5000), 'r3')).status, 422);
  });
  await test(`${name}: who is on the telephone is found by several words at once, and the call is noted once`, async () => {
    const found = async (q, token = one) => (await call(b, 'GET', `${A}/desk/cases?organisation=${holder}&open=true&q=${encodeURIComponent(q)}`, { token })).json.items.map((x) => x.tracking);
    const other = await file('other', undefined, { ...example, last_name: 'صفری', father_name: 'موسی', national_id: '0060495219' });
    same((await found('مریم رضایی حسین کارده')).length, 6, 'given name, last name, father, village');
    same(await found('صفري موسي كارده'), [other.tracking], 'Arabic letters, all of them at once');
    same(await found('صفری حسین'), [], 'all, not any');
    same(await found('مریم صفری موسی کارده 09150000051'), [other.tracking], 'with the telephone');
    same(await found('۰۰۶۰۴۹۵۲۱۹'), [other.tracking]);
    const put = (token, key, body) => call(b, 'POST', `${A}/desk/calls`, { token, key, body });
    const said = { tracking: other.tracking, text: 'پرسید کی آماده می‌شود', caller: 'پسرش', telephone: '۰۹۱۵۱۲۳۴۵۶۷', promise: 'شنبه زنگ می‌زنیم' };
    same((await put(one, 'c1', said)).status, 201);
    same((await put(one, 'c1', said)).status, 201);
    const remarks = (await see(other.tracking, boss)).remarks;
    same(remarks.map((x) => [x.kind, x.who, x.caller, x.promise]), [['call', `${holder}.officer`, 'پسرش', 'شنبه زنگ می‌زنیم']]);
    same((await put(await staff(b, `${holder}.helpdesk`), 'c2', { tracking: other.tracking, text: 'از میز پشتیبانی' })).status, 201, 'the helpdesk notes calls');
    same((await put(await staff(b, 'sabt-ahval.officer'), 'c3', said)).status, 404, "another's case");
    same((await put(await citizen(b), 'c3', said)).status, 403);
    same((await put(one, 'c4', { text: 'نشانی دفتر را پرسید' })).status, 201, 'without a case');
    same((await put(one, 'c4', { text: 'نشانی دفتر را پرسید' })).status, 201);
    same((await put(one, 'c5', { text: '' })).json.errors[0].field, 'text');
    same((await put(one, 'c5', { text: 'x', promise: 'x'.repeat(1001) })).json.errors[0].field, 'promise');
    same((await put(one, 'c5', { text: 'x', organisation: 'sabt-ahval' })).status, 403);
    const list = await call(b, 'GET', `${A}/desk/calls?organisation=${holder}`, { token: two });
    same(list.json.items.map((x) => [x.text, x.who]), [['نشانی دفتر را پرسید', `${holder}.officer`]], list.text);
    same((await call(b, 'GET', `${A}/desk/calls?organisation=${holder}&before=${list.json.items[0].at}`, { token: two })).json.items, []);
    same((await call(b, 'GET', `${A}/desk/calls?organisation=${holder}`, { token: await staff(b, 'takapo.officer') })).status, 403);
    const letter = (body, key = 'l1') => call(b, 'POST', `${A}/cases/${other.tracking}/remarks`, { token: one, key, body });
    same((await letter({ number: '12/345', from: 'بخشداری مرکزی', date: '1405/01/20' })).status, 201);
    same((await letter({ number: '12/345', from: 'بخشداری' }, 'l2')).json.errors[0].field, 'date');
    same((await letter({ number: '12/345', from: 'بخشداری', date: '1450/01/01' }, 'l2')).json.errors[0].field, 'date', 'not after today');
    const kept = (await see(other.tracking, boss)).remarks.find((x) => x.kind === 'incoming');
    same([kept.number, kept.from, kept.date], ['12/345', 'بخشداری مرکزی', '2026-04-09']);
  });
  await test(`${name}: the list tells those who handle cases whose they are, short; nobody else, and it is no look`, async () => {
    const id = '0499370899', person = await citizen(b, id, '09151234567');
    const mine = await file('named', person, { ...example, national_id: id, first_name: 'مریم', last_name: 'رضایی', mobile: '09151234567' });
    good(mine.tracking, JSON.stringify(mine));
    const list = async (token) => (await call(b, 'GET', `${A}/desk/cases?organisation=${holder}&limit=200&q=${mine.tracking}`, { token })).json.items[0];
    for (const token of [one, two, boss]) same((await list(token)).applicant_name, 'م… رضایی');
    for (const who of ['auditor', 'operator']) same([(await list(await staff(b, who))).applicant_name, (await list(await staff(b, who))).new_documents], [undefined, undefined], who);
    const looks = async () => (await call(b, 'GET', `${A}/me/access`, { token: person })).json.items.filter((x) => x.tracking === mine.tracking && x.basis !== 'exchange').length; // what was fetched for the case is not a look at it
    same(await looks(), 0, 'nobody has looked');
    same((await call(b, 'GET', `${A}/me/cases`, { token: person })).json.items[0].applicant_name, undefined);
    await see(mine.tracking, one);
    good((await looks()) > 0, 'opening it is a look');
    const queue = await call(b, 'GET', `${A}/desk/cases?organisation=${holder}&escalated=1&limit=200`, { token: one });
    same([queue.status, queue.json.items.filter((x) => !x.escalated)], [200, []], queue.text);
  });
  await test(`${name}: searches are kept under a name, one's own and the desk's, with their counts`, async () => {
    const list = async (token) => (await call(b, 'GET', `${A}/desk/searches?organisation=${holder}`, { token })).json.items;
    const keep = (token, key, body) => call(b, 'POST', `${A}/desk/searches`, { token, key, body: { organisation: holder, ...body } });
    same((await keep(one, 's1', { name: 'مال من', view: 'mine', service: 'village-residence' })).status, 201);
    same((await keep(one, 's1', { name: 'مال من', view: 'mine', service: 'village-residence' })).status, 201);
    same((await keep(one, 's2', { name: 'برای همه', view: 'free', shared: true })).status, 403, 'for the desk by those in charge');
    const kept = (await keep(boss, 's2', { name: 'بی‌کارشناس‌ها', view: 'free', service: 'village-residence', shared: true })).json;
    for (const [body, field] of [[{ view: 'nope', name: 'x' }, 'view'], [{ view: 'open' }, 'name'], [{ name: 'x', view: 'open', shared: 'yes' }, 'shared'], [{ name: 'x', y: 1 }, 'y']]) same((await keep(one, 's9', body)).json.errors[0].field, field);
    same((await list(one)).map((x) => [x.name, x.shared]), [['بی‌کارشناس‌ها', true], ['مال من', false]]);
    same((await list(two)).map((x) => x.name), ['بی‌کارشناس‌ها'], "another's own is not shown");
    for (const [token, user] of [[one, `${holder}.officer`], [two, `${holder}.officer2`]])
      for (const x of await list(token)) {
        const q = x.view === 'mine' ? `assignee=${user}` : 'assignee=none';
        same(x.count, (await call(b, 'GET', `${A}/desk/cases?organisation=${holder}&open=true&limit=200&service=village-residence&${q}`, { token })).json.items.length, `${x.name} of ${user}`);
      }
    same((await call(b, 'GET', `${A}/desk/searches?organisation=${holder}`, { token: await staff(b, 'takapo.officer') })).status, 403);
    const drop = (token, id) => call(b, 'DELETE', `${A}/desk/searches/${id}?organisation=${holder}`, { token });
    same((await drop(one, kept.id)).status, 404);
    same((await drop(boss, kept.id)).status, 204);
    for (let i = 0; i < 19; i++) same((await keep(one, `m${i}`, { name: `صف ${i}` })).status, 201);
    same((await keep(one, 'm20', { name: 'یکی بیش' })).status, 413);
    for (const x of await list(one)) same((await drop(one, x.id)).status, 204);
    same(await list(one), []);
  });
  await test(`${name}: what everybody sees is kept, yet a change shows at once`, async () => {
    const t = cases[3].tracking;
    for (let i = 0; i < 3; i++) await see(t);
    const before = await see(t), seen = await see(t, two);
    const r = await call(b, 'POST', `${A}/cases/${t}/actions/request_info`, { token: two, body: { expected_version: seen.version, comment: 'قبض' } });
    same(r.status, 200, r.text);
    const after = await see(t);
    good(before.state !== after.state && after.state === r.json.state, `${before.state} → ${after.state}`);
    const tag = await call(b, 'GET', `${A}/cases/${t}`);
    same((await call(b, 'GET', `${A}/cases/${t}`, { headers: { 'If-None-Match': tag.headers.get('etag') } })).status, 304);
  });
  await s.stop();
  await test(`${name}: all of it verifies`, async () => good(run('ledger', 'verify', ...where).includes('verifies'), 'verifies'));
}
await desk('sqlite', ['--data', folder()]);
const pg = postgres();
if (pg) await desk('postgres', ['--store', pg.url, '--keys', join(folder(), 'keys')]);
end();
