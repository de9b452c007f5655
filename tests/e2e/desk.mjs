// The desk: the next case, one action on many, remarks among colleagues, what is kept for a second; both engines.
import { join } from 'node:path';
import { serve, call, staff, citizen, test, same, good, end, folder, postgres, run } from './kit.mjs';

const A = '/api/v1';
async function desk(name, where) {
  const s = await serve(where), b = s.base;
  const example = (await call(b, 'GET', `${A}/services/village-residence`)).json.form_schema.examples[0];
  const file = async (key, token) => (await call(b, 'POST', `${A}/services/village-residence/cases`, { key, token, body: { data: { ...example, mobile: '09150000051' } } })).json;
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
