// Alarms of goals: people on duty and programs are told once of the beginning and once of the end, and Prometheus sees them; both engines.
import { createServer } from 'node:http';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { serve, call, staff, test, same, good, end, folder, postgres, runs, until } from './kit.mjs';

const A = '/api/v1', whose = 'ict', other = 'abfa';
const varint = (n) => { const out = []; for (let v = BigInt(n); ; v >>= 7n) { out.push(Number(v & 127n) | (v > 127n ? 128 : 0)); if (v <= 127n) return out; } };

async function alarms(name, where, sql) {
  const s = await serve(where), b = s.base, operator = await staff(b, 'operator'), heard = [];
  const hook = createServer((q, a) => { let text = ''; q.on('data', (d) => { text += d; }); q.on('end', () => { heard.push(JSON.parse(text)); a.statusCode = 204; a.end(); }); });
  await new Promise((done) => hook.listen(0, '127.0.0.1', done));
  const form = async (path, fields) => {
    const headers = { Accept: 'text/html', Cookie: `session=${operator}` }, token = /name="form_token" value="([^"]+)"/.exec((await call(b, 'GET', '/network/contacts', { headers })).text)[1];
    return call(b, 'POST', path, { headers: { ...headers, 'Content-Type': 'application/x-www-form-urlencoded' }, body: new URLSearchParams({ form_token: token, ...fields }).toString() });
  };
  const people = { head: '09150002201', manager: '09150002202', stranger: '09150002203', late: '09150002204' };
  for (const [to, organisation, level] of [[people.head, '', '1'], [people.manager, whose, '0'], [people.stranger, other, '0'], [people.late, '', '2']])
    same((await form('/network/contacts', { name: 'مریم رضایی', to, organisation, level })).status, 303);
  same((await form('/network/hooks', { url: `http://127.0.0.1:${hook.address().port}/goals` })).status, 200);
  const goal = async (g) => { const r = await call(b, 'POST', `${A}/network/goals`, { token: operator, body: { organisation: whose, goal: g, reason: 'آزمون' } }); same(r.status, 200, r.text); };
  const mine = async () => (await call(b, 'GET', `${A}/network/goals`)).json.items.find((x) => x.scope === 'organisation' && x.code === whose);
  const metric = async (labels) => { const m = (await call(b, 'GET', '/metrics')).text.split('\n').find((x) => x.startsWith(`chapar_network_goal_${labels} `)); return m ? Number(m.split(' ').pop()) : null; };
  const messages = async (to) => (await call(b, 'GET', '/demo/outbox')).json.filter((m) => m.to === to && m.text.includes('هدف')).map((m) => m.text);

  // An hour of yesterday as the rollup would have left it: every office of the organisation was cut for three minutes of it, in service hours.
  const codes = (await call(b, 'GET', `${A}/offices?organisation=${whose}&limit=200`)).json.items.map((x) => x.code);
  good(codes.length > 0, 'offices');
  const keys = sql('main', `SELECT id FROM network_key WHERE code IN (${codes.map((x) => `'${x}'`).join(',')})`).split('\n').map(Number);
  const bytes = Buffer.from(keys.flatMap((key) => [key, 51, 3420000, 3420000, 180000, 180000, 60, 300, 15, 57, 570000, 40000, 9000, 12000, 64].flatMap(varint))), past = Date.now() - 26 * 3600e3;
  sql('samples', `INSERT INTO network_block (span,start,bytes) VALUES (1,${past - (past + 1800e3) % 3600e3},${sql.blob(bytes.toString('hex'))})`);

  await test(`${name}: an alarm of a goal reaches who is on duty, their head and programs, once; and Prometheus`, async () => {
    await goal(0.99);
    for (const to of [people.head, people.manager]) await until(`a message to ${to}`, async () => (await messages(to)).some((x) => x.includes('تمام شد')));
    const g = await until('since when', async () => { const x = await mine(); return x.alarm_since && x; });
    same(g.alarm, 'spent');
    same([await metric(`alarm{scope="organisation",code="${whose}",alarm="spent"}`), await metric(`alarm{scope="organisation",code="${whose}",alarm="slow"}`), await metric(`ratio{scope="organisation",code="${whose}"}`)], [1, 0, 0.99]);
    good(await metric(`burn{scope="organisation",code="${whose}",window="3d"}`) > 1 && await metric(`budget_left_seconds{scope="organisation",code="${whose}"}`) < 0, 'how fast, what is left');
    const told = await until('the program', () => heard.find((x) => x.event === 'alarm' && x.code === whose));
    good(told.alarm === 'spent' && told.scope === 'organisation' && told.goal === 0.99 && told.budget_left_s < 0 && told.began, JSON.stringify(told));
  });
  await test(`${name}: its end is told to the same, and to nobody else`, async () => {
    await goal(0.9);
    for (const to of [people.head, people.manager]) await until(`the end to ${to}`, async () => (await messages(to)).some((x) => x.includes('پایان')));
    await until('the program', () => heard.some((x) => x.event === 'alarm_ended' && x.code === whose));
    same([(await mine()).alarm, (await mine()).alarm_since, await metric(`alarm{scope="organisation",code="${whose}",alarm="spent"}`)], [null, null, 0]);
    same((await messages(people.manager)).length, 2, 'the beginning and the end');
    same([await messages(people.stranger), await messages(people.late)], [[], []], 'not theirs, and not their turn');
    same(heard.filter((x) => x.code === whose).map((x) => x.event), ['alarm', 'alarm_ended']);
  });
  hook.close();
  await s.stop();
}

const data = folder(), pg = postgres();
const sqlite = (file, text) => execFileSync('sqlite3', ['-cmd', '.timeout 20000', join(data, file === 'main' ? 'chapar.db' : 'network.db'), text], { encoding: 'utf8' }).trim();
sqlite.blob = (hex) => `x'${hex}'`;
const psql = (file, text) => execFileSync('psql', [pg.url, '-qAtc', text], { encoding: 'utf8' }).trim();
psql.blob = (hex) => `'\\x${hex}'::bytea`;
await Promise.all([alarms('sqlite', ['--data', data], sqlite), pg && alarms('postgresql', ['--store', pg.url, '--keys', join(folder(), 'keys')], psql)]);
await test('each step is in the ledger, which agrees', async () => same((await runs('ledger', 'verify', '--data', data)).status, 0));
end();
