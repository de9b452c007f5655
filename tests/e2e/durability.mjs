// Kill the process, and PostgreSQL, again and again under load: nothing acknowledged may be missing, and the ledger must verify.
import { join } from 'node:path';
import { serve, call, test, same, good, end, folder, postgres, run, sleep } from './kit.mjs';

const rounds = Number(process.env.ROUNDS || 4);
const A = '/api/v1/services/village-residence/cases';

// Submit until the server dies; remember every acknowledgement.
async function load(base, example, acknowledged, prefix, until) {
  let n = 0;
  const worker = async () => {
    while (!until.over) {
      const key = `${prefix}-${n++}`;
      try {
        const r = await call(base, 'POST', A, { key, body: { data: example } });
        if (r.status === 201) acknowledged.set(key, r.json);
        else if (r.status !== 503) throw new Error(`${r.status} ${r.text}`);
        else await sleep(20);
      } catch (e) {
        if (/^\d{3} /.test(e.message)) throw e;
        await sleep(20); // the connection was cut: outcome unknown
      }
    }
  };
  await Promise.all(Array.from({ length: 16 }, worker));
}

async function missing(base, acknowledged) {
  const gone = [];
  const all = [...acknowledged.values()];
  for (let i = 0; i < all.length; i += 32)
    await Promise.all(all.slice(i, i + 32).map(async (a) => { if ((await call(base, 'GET', `/api/v1/cases/${a.tracking}`)).status !== 200) gone.push(a.tracking); }));
  return gone;
}

async function killing(name, where, pg) {
  const acknowledged = new Map();
  await test(`${name}: ${rounds} times kill -9 under load loses nothing acknowledged`, async () => {
    for (let i = 0; i < rounds; i++) {
      const s = await serve(where), until = { over: false };
      const example = (await call(s.base, 'GET', '/api/v1/services/village-residence')).json.form_schema.examples[0];
      const busy = load(s.base, example, acknowledged, `r${i}`, until);
      await sleep(300 + Math.random() * 700);
      await s.stop('SIGKILL');
      until.over = true;
      await busy;
    }
    const s = await serve(where);
    same(await missing(s.base, acknowledged), [], 'acknowledged and missing');
    const [key, answer] = [...acknowledged][0];
    const example = (await call(s.base, 'GET', '/api/v1/services/village-residence')).json.form_schema.examples[0];
    const again = await call(s.base, 'POST', A, { key, body: { data: example } });
    same(again.json, answer, 'the same key gives the same answer after all that');
    await s.stop();
    console.log(`  ${acknowledged.size} acknowledged`);
    good(acknowledged.size > 50, 'there was load');
    good(run('ledger', 'verify', ...where).includes('verifies'), 'ledger verify');
  });
  if (!pg) return;
  await test(`${name}: PostgreSQL killed under load: nothing acknowledged is lost, and it goes on by itself`, async () => {
    const s = await serve(where), until = { over: false };
    const example = (await call(s.base, 'GET', '/api/v1/services/village-residence')).json.form_schema.examples[0];
    const busy = load(s.base, example, acknowledged, 'pg', until);
    for (let i = 0; i < Math.min(rounds, 3); i++) {
      await sleep(500);
      pg.kill();
      same((await call(s.base, 'GET', '/health')).status, 503, 'health says so');
      pg.start();
    }
    await sleep(1500);
    const before = acknowledged.size;
    await sleep(1500);
    until.over = true;
    await busy;
    good(acknowledged.size > before, 'submissions are taken again');
    same(await missing(s.base, acknowledged), [], 'acknowledged and missing');
    await s.stop();
    good(run('ledger', 'verify', ...where).includes('verifies'), 'ledger verify');
  });
}

const data = folder();
await killing('sqlite', ['--data', data], null);
await test('sqlite: a copy made while serving is restored and verifies; a damaged one is refused', async () => {
  const { readFileSync, writeFileSync } = await import('node:fs');
  const s = await serve(['--data', data]);
  const file = join(folder(), 'copy');
  run('backup', '--data', data, file);
  await s.stop();
  const place = join(folder(), 'back');
  good(run('restore', '--data', place, file).includes('verifies'), 'restored and verified');
  const bytes = readFileSync(file);
  bytes[bytes.length >> 1] ^= 0x40;
  writeFileSync(file, bytes);
  let refused = false;
  try { run('restore', '--data', join(folder(), 'bad'), file); } catch (e) { refused = e.status === 1; }
  good(refused, 'a damaged copy is refused');
});
const pg = postgres();
if (pg) await killing('postgres', ['--store', pg.url, '--keys', join(folder(), 'keys')], pg);
else console.log('postgres: not installed here');
end();
