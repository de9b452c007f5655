// A disk that fills up under load: clear refusals, nothing acknowledged lost, reading goes on, and it recovers by itself when there is space.
import { spawnSync } from 'node:child_process';
import { readdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { serve, call, citizen, test, same, good, end, folder, run, runs, sleep, load, example, missing, filing, until } from './kit.mjs';

const disk = folder(), mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=96m,mode=700', 'tmpfs', disk]).status === 0;
if (!mounted) {
  console.log('skipped: a small file system can only be mounted by root');
  end();
}
process.on('exit', () => spawnSync('umount', ['-l', disk]));

const data = join(disk, 'data'), ballast = join(disk, 'ballast'), acknowledged = new Map(), refused = [];
await (await serve(['--data', data])).stop(); // what a demonstration begins with takes more
const { bavail, bsize } = statfsSync(disk);
writeFileSync(ballast, Buffer.alloc(bavail * bsize - (12 << 20)));
const s = await serve(['--data', data], { env: { CHAPAR_LOG_LEVEL: 'error' } }), b = s.base, form = await example(b);

await test('a full disk: submissions are refused with 503 and words, what was acknowledged can be read', async () => {
  const till = { over: false };
  const busy = load(b, form, acknowledged, 'full', till, { refused: (r) => refused.push(r) });
  await until('refusals', () => refused.length >= 60);
  const before = acknowledged.size;
  await sleep(1000);
  till.over = true;
  await busy;
  console.log(`  ${before} acknowledged before it was full, ${refused.length} refusals`);
  good(before > 50 && refused.length >= 60, 'the disk filled up');
  for (const r of refused) {
    same([r.status, r.headers.get('content-type'), r.json.code], [503, 'application/problem+json', 'unavailable'], r.text);
    good(r.json.detail.length > 10 && !/sqlite|disk I\/O|SQL/i.test(r.text), `words for people: ${r.text}`);
  }
  same(await missing(b, acknowledged), [], 'acknowledged and missing');
  same((await call(b, 'GET', '/')).status, 200, 'pages are shown');
  const health = await call(b, 'GET', '/health');
  good([200, 503].includes(health.status), health.text);
  console.log(`  health: ${health.status} ${health.text}`);
});
await test('while it is full, a copy elsewhere can be made, and one on the full disk leaves nothing', async () => {
  const elsewhere = join(folder(), 'copy'), here = join(disk, 'copy');
  const r = await runs('backup', '--data', data, elsewhere);
  const bad = await runs('backup', '--data', data, here);
  good(bad.status === 1 || bad.status === 0, bad.err);
  if (bad.status === 1) same(readdirSync(disk).filter((x) => x.startsWith('copy')), [], 'no half of a copy');
  else rmSync(here);
  console.log(`  backup elsewhere: ${r.status} ${r.err.trim().split('\n').at(-1)}; on the disk: ${bad.status} ${bad.err.trim().split('\n').at(-1)}`);
  same(r.status, 0, r.err);
});
await test('space again: it takes submissions again by itself, and nothing acknowledged is lost', async () => {
  rmSync(ballast);
  const freed = Date.now(), before = acknowledged.size, till = { over: false };
  const busy = load(b, form, acknowledged, 'freed', till, { workers: 4 });
  await until('submissions to be taken', () => acknowledged.size >= before + 20);
  till.over = true;
  await busy;
  good(acknowledged.size >= before + 20, 'submissions are taken');
  console.log(`  after ${Date.now() - freed} ms`);
  same(await missing(b, acknowledged), [], 'acknowledged and missing');
  for (const [key, answer] of [...acknowledged].filter((_, i) => i % 199 === 0)) same((await call(b, 'POST', filing, { key, body: { data: form } })).json, answer, 'the same key, the same answer');
  good(await citizen(b), 'a citizen can sign in');
  await until('health', async () => (await call(b, 'GET', '/health')).status === 200);
  same(await s.stop(), 0, 'it stops in good order');
  good(run('ledger', 'verify', '--data', data).includes('verifies'), 'ledger verify');
});
end();
