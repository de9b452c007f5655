// The exchange over years: the log of messages goes into archives and stays evidence, a process that is killed loses nothing, a full disk is told;
// what the log keeps of a service; what a file that is no bundle is told.
import { spawn, spawnSync, execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync, readdirSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { chapar, root, folder, serve, call, run, runs, fails, test, same, good, end, sleep, until } from './kit.mjs';

const dir = folder(), data = ['--data', join(dir, 'data')], gateway = join(dir, 'data', 'exchange'), archives = join(gateway, 'archive');
const short = ['--exchange-window-s', '1']; // what may come again within the window stays in the log: three windows
let platform = await serve(data, { args: short });
const way = (await call(platform.base, 'GET', '/demo/exchange')).json[0];
let asked = 0;
const ask = async (n) => {
  const ids = [];
  for (let i = 0; i < n; i++) {
    const id = `keeping-${++asked}`, r = await call(platform.base, way.method, `/r1/${way.service}${way.path}`, { headers: { 'X-Road-Client': way.client, 'X-Road-Id': id, 'X-Road-Issue': '1234567890123456' } });
    same(r.status, 200, r.text);
    ids.push(id);
  }
  return ids;
};
const bundle = (id) => execFileSync(chapar, ['evidence', 'export', id, '--gateway', gateway], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], maxBuffer: 1 << 28 });
const verify = (text) => { const file = join(dir, 'bundle.json'); writeFileSync(file, text); return runs('evidence', 'verify', file); };
const whole = async (id) => {
  const text = bundle(id), r = await verify(text), parts = JSON.parse(text).messages.map((m) => `${m.side} ${m.part}`).sort();
  same(parts, ['consumer answer', 'consumer request', 'producer answer', 'producer request'], id);
  same(r.status, 0, `${id}: ${r.err}`);
  return text;
};
const archive = (...more) => runs('gateway', 'archive', '--folder', gateway, '--json', ...short, ...more);
const archived = () => JSON.parse(run('gateway', 'archives', '--folder', gateway, '--json'));
const oldest = async () => JSON.parse((await runs('gateway', 'status', '--json', '--folder', gateway)).out).log.oldest;
const everything = () => until('the log to be empty', async () => { const r = await archive('--older-than', '0'); same(r.status, 0, r.err); return await oldest() === null; });
// Rights of the pack are told to the gateway in its first rounds.
await until('the right to count', async () => (await call(platform.base, way.method, `/r1/${way.service}${way.path}`, { headers: { 'X-Road-Client': way.client, 'X-Road-Issue': '1234567890123456' } })).status === 200);
let ids = await ask(12);

await test('what is old goes into an archive, out of the log, and stays evidence', async () => {
  same((await runs('gateway', 'archive', '--folder', gateway)).status, 2, 'what is old is to be said');
  same((await archive('--older-than', 'never')).status, 1);
  const before = JSON.parse(await whole(ids[0])).messages;
  await everything();
  for (const id of [ids[0], ids[5], ids[11]]) await whole(id);
  const after = JSON.parse(bundle(ids[0])).messages;
  same(after.map((m) => [m.base, m.receipt.leaf_hash, m.content]), before.map((m) => [m.base, m.receipt.leaf_hash, m.content]), 'the same messages');
  same((await runs('evidence', 'export', 'keeping-none', '--gateway', gateway)).status, 1);
  same((await call(platform.base, 'GET', `/evidence/${encodeURIComponent(ids[1])}`, { headers: { 'X-Road-Client': way.client } })).json?.messages.length, 4, 'who took part asks the gateway itself');
  const part = async (query) => call(platform.base, 'GET', `/evidence/${encodeURIComponent(ids[1])}${query}`, { headers: { 'X-Road-Client': way.client } });
  same([(await part('?from=2020-01-01T00:00:00Z&until=2099-01-01T00:00:00Z')).json?.messages.length, (await part('?until=2020-01-01T00:00:00Z')).status], [4, 404], 'of a time');
  same((await part('?from=yesterday')).text.includes('from and until are moments'), true, 'what is no time is told');
  same([(await runs('evidence', 'export', ids[1], '--gateway', gateway, '--from', '2020-01-01T00:00:00Z')).status, (await runs('evidence', 'export', ids[1], '--gateway', gateway, '--until', '2020-01-01T00:00:00Z')).status],
    [0, 1]);
});

await test('an archive by itself: judged whole, a message out of it, and by openssl and a shell alone', async () => {
  // A run takes what is old enough at its moment, so an exchange may lie in two archives: more are made until one holds an exchange whole.
  const count = (file, id) => spawnSync('sh', ['-c', 'zcat "$1" | grep -cF "\\"message_id\\":\\"$2\\""', 'sh', file, id], { encoding: 'utf8' }).stdout.trim();
  const [file, id] = await until('an archive with a whole exchange', async () => {
    for (const a of archived()) for (const i of ids) if (count(join(archives, a.name), i) === '4') return [join(archives, a.name), i];
    ids = [...ids, ...await ask(3)];
    await everything();
  });
  const r = await runs('evidence', 'verify', file);
  good(r.status === 0 && /each is what was signed/.test(r.out), r.out + r.err);
  const out = run('evidence', 'export', id, '--archive', file);
  same((await verify(out)).status, 0);
  const text = readFileSync(join(root, 'docs/developer/evidence.md'), 'utf8'), script = join(dir, 'check.sh');
  writeFileSync(script, /```sh\n(#!\/bin\/bash[\s\S]*?)\n```/.exec(text)[1]);
  const check = (json) => { writeFileSync(join(dir, 'one.json'), json); return spawnSync('bash', [script, join(dir, 'one.json')], { encoding: 'utf8' }); };
  // The script judges one side's two messages: those of who asked.
  const side = (json) => { const o = JSON.parse(json); o.messages = o.messages.filter((m) => m.side === 'consumer'); return JSON.stringify(o, null, 1) + '\n'; };
  good(/everything is true/.test(check(side(out)).stdout), check(side(out)).stdout);
  const recipe = /```sh\n(zcat[\s\S]*?)\n```/.exec(text)[1]; // a bundle out of an archive without any program of ours
  if (spawnSync('jq', ['--version']).status === 0) {
    const made = spawnSync('bash', ['-c', recipe], { encoding: 'utf8', env: { ...process.env, FILE: file, ID: id }, maxBuffer: 1 << 28 });
    same(made.status, 0, made.stderr);
    same((await verify(made.stdout)).status, 0, 'the bundle that jq made');
    good(/everything is true/.test(check(side(made.stdout)).stdout), 'the script');
  }
  const bad = readFileSync(file);
  bad[bad.length >> 1] ^= 1;
  writeFileSync(join(dir, 'bad'), bad);
  same((await runs('evidence', 'verify', join(dir, 'bad'))).status, 1, 'changed');
  writeFileSync(join(dir, 'bad'), readFileSync(file).subarray(0, bad.length - 9));
  const cut = await runs('evidence', 'verify', join(dir, 'bad'));
  good(cut.status === 1 && /cut off/.test(cut.err), cut.err);
});

await test('killed at any moment, again and again: nothing is lost, nothing counts twice', async () => {
  const more = await ask(20);
  ids = [...ids, ...more];
  await sleep(3100); // they are old enough for every run below
  for (let i = 0; i < 8; i++) {
    const child = spawn(chapar, ['gateway', 'archive', '--folder', gateway, '--older-than', '0', ...short], { stdio: 'ignore' });
    const over = new Promise((done) => child.on('exit', done));
    await Promise.race([over, sleep(i * 25)]);
    child.kill('SIGKILL');
    await over;
    await whole(more[(i * 7) % more.length]);
  }
  await everything();
  same(readdirSync(archives).filter((f) => !f.endsWith('.jsonl.gz')), [], 'nothing half is left');
  const seen = new Map();
  for (const f of readdirSync(archives))
    for (const line of execFileSync('zcat', [join(archives, f)], { encoding: 'utf8', maxBuffer: 1 << 28 }).split('\n').filter((l) => l.startsWith('{"message_id":"keeping-')))
      { const leaf = /"leaf_hash":"([0-9a-f]{64})"/.exec(line)[1]; seen.set(leaf, (seen.get(leaf) ?? 0) + 1); }
  same([seen.size, [...seen.values()].filter((n) => n > 1).length], [4 * ids.length, 0], 'every message once');
  for (const id of more) await whole(id);
});

await test('the ledger goes on over what was taken out: a copy is put back only when every leaf and head verifies', async () => {
  const copy = join(dir, 'gateway.copy');
  same((await runs('gateway', 'backup', copy, '--folder', gateway)).status, 0);
  const r = await runs('gateway', 'restore', copy, '--folder', join(dir, 'again'));
  same(r.status, 0, r.out + r.err);
  const asked = await runs('evidence', 'export', ids[0], '--gateway', join(dir, 'again'));
  good(asked.status === 1 && /put the file back/.test(asked.err), asked.err);
  const found = await runs('evidence', 'export', ids[0], '--gateway', join(dir, 'again'), '--exchange-archive', archives);
  same((await verify(found.out)).status, 0, 'archives are found where the setting says');
});

await test('what the log keeps of a service: digests alone, and bodies again', async () => {
  const service = way.service;
  same((await runs('gateway', 'services', 'set', service, '--folder', gateway)).status, 2);
  run('gateway', 'services', 'set', service, '--digest-only', '--folder', gateway);
  const listed = () => JSON.parse(run('gateway', 'services', 'list', '--folder', gateway, '--json'));
  good(new RegExp(`${service}.*log: digests`).test(run('gateway', 'services', 'list', '--folder', gateway)), 'listed');
  const kept = async () => { const [id] = await ask(1), text = await whole(id), o = JSON.parse(text); return [o.messages.filter((m) => m.part === 'answer').every((m) => m.content === undefined), text]; };
  const [, text] = await until('digests alone', async () => { const k = await kept(); return k[0] && k; });
  good(/kept by digest only/.test((await verify(text)).out), 'it is told');
  run('gateway', 'services', 'set', service, '--bodies', '--folder', gateway);
  await until('bodies again', async () => !(await kept())[0]);
  run('gateway', 'services', 'add', `${service.split('/').slice(0, 4).join('/')}/own`, 'http://127.0.0.1:9/x', '--digest-only', '--folder', gateway);
  good(listed().some((s) => s.id.endsWith('/own') && s.log === 'digest'), 'services add --digest-only');
});

await test('what is no bundle is told so, in words', async () => {
  const cases = [['', /empty/], ['\x89PNG\r\n', /not? (bundle|JSON)|is no bundle/], [bundle(ids[0]).slice(0, 4000), /cut off/], [`${bundle(ids[0]).slice(0, 200)}}`, /cut off|damaged/], ['{}', /not of the type/], ['{"a":1,}', /damaged/]];
  for (const [text, words] of cases) {
    const r = await verify(text);
    good(r.status === 1 && words.test(r.err) && !/token/.test(r.err), `${JSON.stringify(text.slice(0, 20))}: ${r.err}`);
  }
  mkdirSync(join(dir, 'a-folder'));
  const r = await runs('evidence', 'verify', join(dir, 'a-folder'));
  good(r.status === 1 && /is not a file/.test(r.err), r.err);
  const large = join(dir, 'large');
  spawnSync('truncate', ['-s', '300M', large]);
  const big = await runs('evidence', 'verify', large);
  good(big.status === 1 && /too large to be a bundle/.test(big.err), big.err);
});

await test('a disk for archives that is full: a sentence, nothing half, nothing gone; status and health say so', async () => {
  const small = join(dir, 'small');
  mkdirSync(small);
  const words = (await runs('gateway', 'status', '--folder', gateway)).out;
  good(/^log +[0-9.]+ MB of messages/m.test(words) && /^archives +[0-9]+ files/m.test(words), words);
  if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=8k,mode=700', 'tmpfs', small]).status !== 0) return console.log('  a small file system can only be mounted by root');
  try {
    const [last] = await ask(4), before = archived().length;
    await until('the messages to be old enough', async () => { // nothing is due before: then the run says so and ends well
      const r = await archive('--older-than', '0', '--exchange-archive', small);
      return r.status === 1 && /cannot be written: No space left/.test(r.err) && /stays in the log/.test(r.err);
    });
    same([readdirSync(small), archived().length], [[], before]);
    good(await oldest() !== null, 'what was not archived is in the log');
    await whole(last);
    await platform.stop();
    platform = await serve(data, { args: [...short, '--exchange-archive', small] });
    const health = await call(platform.base, 'GET', '/health');
    good(/disk of the archives/.test(health.text), health.text);
  } finally { await platform.stop(); spawnSync('umount', ['-l', small]); }
});
await platform.stop();
end();
