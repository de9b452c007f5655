// Kill the process, and PostgreSQL, again and again under load: nothing acknowledged may be missing, and the ledger must verify.
// ROUNDS=200 for long; CHAPAR_TEST_ENGINE=sqlite for one engine alone.
import { join } from 'node:path';
import { serve, call, staff, test, same, good, end, folder, postgres, run, sleep, load, example, missing, filing, until } from './kit.mjs';

const rounds = Number(process.env.ROUNDS || 4);

// An officer takes what was filed, one case after another; the version that was answered is remembered. What was cut off is sent again
// under its key.
async function decide(base, officer, acknowledged, decided, till) {
  while (!till.over) {
    const waiting = [...acknowledged.values()].find((a) => !decided.has(a.tracking));
    if (!waiting) { await sleep(20); continue; }
    try {
      const r = await call(base, 'POST', `/api/v1/cases/${waiting.tracking}/actions/assign`, { token: officer, key: `a-${waiting.tracking}`, body: { expected_version: 1 } });
      if (r.status === 200) decided.set(waiting.tracking, r.json.version);
      else if (r.status !== 503) throw new Error(`${r.status} ${r.text}`);
    } catch (e) {
      if (/^\d{3} /.test(e.message)) throw e;
      await sleep(20);
    }
  }
}

async function undone(base, officer, decided) {
  const gone = [];
  for (const [tracking, version] of decided) {
    const r = await call(base, 'GET', `/api/v1/cases/${tracking}`, { token: officer });
    if (r.status !== 200 || r.json.version < version) gone.push(`${tracking}: ${version}, now ${r.json.version}`);
  }
  return gone;
}

async function killing(name, where, pg) {
  const acknowledged = new Map(), decided = new Map();
  let username;
  await test(`${name}: ${rounds} times kill -9 under load loses nothing acknowledged`, async () => {
    for (let i = 0; i < rounds; i++) {
      const s = await serve(where), till = { over: false }, data = await example(s.base);
      if (!username) {
        const first = (await call(s.base, 'POST', filing, { key: 'first', body: { data } })).json;
        username = `${(await call(s.base, 'GET', `/api/v1/cases/${first.tracking}`)).json.holder.code}.officer`;
      }
      const officer = await staff(s.base, username);
      const busy = Promise.all([load(s.base, data, acknowledged, `r${i}`, till), decide(s.base, officer, acknowledged, decided, till)]);
      const enough = acknowledged.size + 10 + Math.random() * 200, chosen = decided.size + Math.random() * 3;
      await until('work to be under way', () => acknowledged.size >= enough && decided.size > chosen);
      await s.stop('SIGKILL');
      till.over = true;
      await busy;
      if (i % 20 === 19) console.log(`  round ${i + 1}: ${acknowledged.size} acknowledged`);
    }
    const s = await serve(where);
    same(await missing(s.base, acknowledged), [], 'acknowledged and missing');
    same(await undone(s.base, await staff(s.base, username), decided), [], 'decided and undone');
    for (const [key, answer] of [...acknowledged].filter((_, i) => i % 97 === 0))
      same((await call(s.base, 'POST', filing, { key, body: { data: await example(s.base) } })).json, answer, 'the same key gives the same answer after all that');
    await s.stop();
    console.log(`  ${acknowledged.size} acknowledged, ${decided.size} decided`);
    good(acknowledged.size >= 10 * rounds && decided.size >= rounds, 'there was load');
    good(run('ledger', 'verify', ...where).includes('verifies'), 'ledger verify');
  });
  if (!pg) return;
  await test(`${name}: PostgreSQL killed under load: nothing acknowledged is lost, and it goes on by itself`, async () => {
    const s = await serve(where), till = { over: false };
    const busy = load(s.base, await example(s.base), acknowledged, 'pg', till);
    for (let i = 0; i < Math.min(rounds, 10); i++) {
      const so_far = acknowledged.size;
      await until('submissions', () => acknowledged.size > so_far + 10);
      pg.kill();
      same((await call(s.base, 'GET', '/health')).status, 503, 'health says so');
      pg.start();
    }
    const before = acknowledged.size;
    await until('submissions to be taken again', () => acknowledged.size > before);
    till.over = true;
    await busy;
    same(await missing(s.base, acknowledged), [], 'acknowledged and missing');
    await s.stop();
    good(run('ledger', 'verify', ...where).includes('verifies'), 'ledger verify');
  });
}

await killing('sqlite', ['--data', folder()], null);
const pg = postgres({ own: true });
if (pg) await killing('postgres', ['--store', pg.url, '--keys', join(folder(), 'keys')], pg);
else console.log('postgres: not installed here');
end();
