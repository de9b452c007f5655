// The ledger from outside, by a verifier that shares nothing with the platform (ledger.mjs), on both engines; time-stamps by openssl.
import { execFileSync, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { serve, call, staff, test, same, good, end, folder, postgres, run, runs, fails, root, load, example, filing, until } from './kit.mjs';
import { checkLog, checkReceipt, caseReceipt, logKey, getText, getJson, stampedText, checkCheckpoint, leafBytes, leafHash, digestOf } from './ledger.mjs';

const tsa = join(root, 'tests/lib/tsa.sh');
const throws = (fn, what) => { try { fn(); } catch { return; } throw new Error(`accepted: ${what}`); };

async function proofs(name, where) {
  const stamps = folder(), url = spawnSync('sh', [tsa, 'start', stamps], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  const stamped = url.status === 0;
  const s = await serve(where, { args: stamped ? ['--tsa-url', url.stdout.trim(), '--tsa-ca', join(stamps, 'ca.pem')] : [] }), b = s.base, key = await logKey(b);
  const acknowledged = new Map(), till = { over: false };
  let before, last;
  await test(`${name}: every promise is signed, every tile and proof leads to the signed head`, async () => {
    const busy = load(b, await example(b), acknowledged, 'p', till, { workers: 8 });
    await until('cases', () => acknowledged.size >= 60);
    before = await until('a head of some', async () => (await checkLog(b, { key })).checkpoint, (c) => c.size > 0);
    await until('more cases', () => acknowledged.size >= 270);
    till.over = true;
    await busy;
    for (const a of acknowledged.values()) checkReceipt({ leaf_hash: a.receipt.leaf_hash, promise: a.receipt.promise }, key);
    last = [...acknowledged.values()].at(-1);
    good((await caseReceipt(b, last.tracking, { key })).proved, 'the last one has its proof');
    const { checkpoint, leaves } = await checkLog(b, { key, before });
    good(checkpoint.size > 256 && before.size < checkpoint.size, 'more than one tile');
    const all = new Set(leaves.map((x) => x.toString('hex')));
    for (const a of acknowledged.values()) good(all.has(a.receipt.leaf_hash), `the leaf of ${a.tracking} is in the tiles`);
  });
  await test(`${name}: the history gives the bytes of its leaves`, async () => {
    const auditor = await staff(b, 'auditor'), holder = (await call(b, 'GET', `/api/v1/cases/${last.tracking}`)).json.holder.code;
    const r = await call(b, 'POST', `/api/v1/cases/${last.tracking}/actions/assign`, { token: await staff(b, `${holder}.officer`), body: { expected_version: 1 } });
    same(r.status, 200, r.text);
    const events = (await call(b, 'GET', `/api/v1/cases/${last.tracking}/events`, { token: auditor })).json.items;
    good(events.length >= 2, 'filed and taken');
    for (const [i, e] of events.entries()) {
      const leaf = (await call(b, 'GET', `/api/v1/cases/${last.tracking}/events/${e.seq}/leaf`, { token: auditor })).json;
      const hash = leafHash(leafBytes(leaf.header, digestOf(leaf.salt, leaf.payload))).toString('hex');
      await until(`event ${e.seq} to be in the log`, async () => (await checkLog(b, { key })).leaves.some((x) => x.toString('hex') === hash));
      if (i === 0) same(hash, last.receipt.leaf_hash, 'the first is what was promised');
    }
  });
  await test(`${name}: what is changed is refused, by the verifier and by chapar ledger check`, async () => {
    const { receipt } = await caseReceipt(b, last.tracking, { key }), file = join(folder(), 'receipt'), keyFile = join(folder(), 'key');
    const flip = (hex) => (hex[0] === '0' ? '1' : '0') + hex.slice(1);
    writeFileSync(keyFile, await getText(b, '/ledger/key'));
    writeFileSync(file, JSON.stringify(receipt));
    good(run('ledger', 'check', file, '--key', keyFile).length > 20, 'the true one is accepted');
    const changed = [['leaf', { ...receipt, leaf_hash: flip(receipt.leaf_hash) }], ['index', { ...receipt, leaf_index: receipt.leaf_index - 1 }], ['size', { ...receipt, tree_size: receipt.tree_size + 1 }],
      ['path', { ...receipt, audit_path: [flip(receipt.audit_path[0]), ...receipt.audit_path.slice(1)] }], ['short path', { ...receipt, audit_path: receipt.audit_path.slice(1) }],
      ['checkpoint', { ...receipt, checkpoint: receipt.checkpoint.replace(/\n(\d+)\n/, (_, n) => `\n${Number(n) + 1}\n`) }],
      ['promise', { ...receipt, promise: { ...receipt.promise, at: receipt.promise.merge_by } }]];
    for (const [what, r] of changed) {
      throws(() => checkReceipt(r, key), what);
      writeFileSync(file, JSON.stringify(r));
      same(fails(['ledger', 'check', file, '--key', keyFile]).status, 1, what);
    }
  });
  await test(`${name}: numbers outside the log are refused`, async () => {
    const { tree_size } = await getJson(b, '/api/v1/ledger/head');
    for (const path of [`/api/v1/ledger/proof?leaf=${tree_size}&tree_size=${tree_size}`, `/api/v1/ledger/proof?leaf=0&tree_size=${tree_size + 100000}`, '/api/v1/ledger/proof?leaf=-1&tree_size=1', `/api/v1/ledger/consistency?first=9&second=8`]) {
      const status = (await call(b, 'GET', path)).status;
      good(status >= 400 && status < 500, `${path}: ${status}`);
    }
    same((await call(b, 'GET', '/ledger/tile/0/999')).status, 404);
  });
  if (stamped)
    await test(`${name}: heads are time-stamped, as openssl sees it`, async () => {
      const receipt = await until('a time-stamp', async () => (await caseReceipt(b, last.tracking, { key })).receipt, (r) => r.timestamp_token);
      const data = join(folder(), 'data'), token = join(folder(), 'token');
      writeFileSync(data, stampedText(checkCheckpoint(receipt.checkpoint, key).note, key));
      writeFileSync(token, Buffer.from(receipt.timestamp_token, 'base64'));
      good(execFileSync('openssl', ['ts', '-verify', '-data', data, '-in', token, '-token_in', '-CAfile', join(stamps, 'ca.pem')], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).includes('OK'), 'openssl ts -verify');
    });
  await test(`${name}: the program of the documentation`, async () => {
    const out = await new Promise((done) => { import('node:child_process').then(({ execFile }) => execFile(process.execPath, [join(root, 'tests/e2e/ledger.mjs'), b, last.tracking], (e, o, x) => done(e ? `failed: ${x}` : o))); });
    good(/its tiles and proofs agree/.test(out) && /as promised at/.test(out), out);
  });
  await s.stop();
  spawnSync('sh', [tsa, 'stop', stamps]);
  await test(`${name}: ledger verify`, async () => {
    const r = await runs('ledger', 'verify', ...where);
    good(r.status === 0 && r.out.includes('verifies'), r.out + r.err);
  });
}
await proofs('sqlite', ['--data', folder()]);
const pg = postgres();
if (pg) await proofs('postgres', ['--store', pg.url, '--keys', join(folder(), 'keys')]);
else console.log('postgres: not installed here');
end();
