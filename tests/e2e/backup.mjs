// Copies: made under load, put back into both engines, refused when damaged or where something is, and the ledger after a restore.
import { chmodSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { gunzipSync, gzipSync } from 'node:zlib';
import { join } from 'node:path';
import { serve, call, staff, test, same, good, end, folder, postgres, run, runs, sleep, load, example, missing, filing, until } from './kit.mjs';
import { checkLog, caseReceipt, checkCheckpoint, logKey, getText } from './ledger.mjs';

const keys_of = (where) => (where[0] === '--data' ? join(where[1], 'keys') : where[3]);
const files = (dir) => (existsSync(dir) ? readdirSync(dir, { recursive: true }).sort() : []);
const keysText = (dir) => files(dir).filter((f) => !f.startsWith('exchange')) /* the gateway's own folder lives */.map((f) => [f, readFileSync(join(dir, f), 'hex')]);

async function refused(where, file, ...words) {
  const r = await runs('restore', ...where, file);
  same(r.status, 1, r.out + r.err);
  good(r.err.includes('not restored: '), r.err);
  for (const w of words) good(w instanceof RegExp ? w.test(r.err) : r.err.includes(w), r.err);
  return r;
}

// What was acknowledged before the copy is there, answers as it did, and its ledger continues the one that was seen.
async function looked(where, seen) {
  const s = await serve(where);
  same(await missing(s.base, seen.acknowledged), [], 'acknowledged before the copy and missing');
  const [key, answer] = [...seen.acknowledged][0];
  same((await call(s.base, 'POST', filing, { key, body: { data: await example(s.base) } })).json, answer, 'the same key gives the same answer');
  same((await call(s.base, 'GET', '/api/v1/desk/cases', { token: seen.session })).status, 401, 'sessions are not copied');
  const fresh = await call(s.base, 'POST', filing, { key: 'after the restore', body: { data: await example(s.base) } });
  same(fresh.status, 201, fresh.text);
  const { receipt } = await caseReceipt(s.base, fresh.json.tracking);
  good(receipt.audit_path, 'the log goes on');
  await checkLog(s.base, { key: seen.key, before: seen.checkpoint });
  good((await caseReceipt(s.base, answer.tracking, { key: seen.key })).proved, 'an old receipt is proved');
  await s.stop();
  good(run('ledger', 'verify', ...where).includes('verifies'), 'ledger verify');
}

async function copies(name, where, places, other) {
  const file = join(folder(), 'copy'), seen = { acknowledged: new Map() }, all = new Map();
  await test(`${name}: a copy is made while cases are filed`, async () => {
    const s = await serve(where), till = { over: false };
    seen.session = await staff(s.base, 'auditor');
    const busy = load(s.base, await example(s.base), all, 'b', till, { workers: 8 });
    await until('cases', () => all.size >= 150);
    seen.key = await logKey(s.base);
    seen.checkpoint = await until('a head of many', async () => checkCheckpoint(await getText(s.base, '/ledger/checkpoint'), seen.key), (c) => c.size >= 100);
    seen.acknowledged = new Map(all);
    const before = all.size, r = await runs('backup', ...where, file);
    same(r.status, 0, r.err);
    good(r.out.includes('holds the keys'), r.out);
    good(all.size > before, 'cases were filed while it was made');
    const after = await call(s.base, 'POST', filing, { key: 'after the copy', body: { data: await example(s.base) } }); // the keys remember a head that the copy does not have
    good((await caseReceipt(s.base, after.json.tracking, { key: seen.key })).proved, 'a head behind the copy');
    till.over = true;
    await busy;
    await s.stop();
    console.log(`  ${seen.acknowledged.size} before, ${all.size} in the end, ${readFileSync(file).length >> 10} KiB`);
  });
  for (const [engine, place] of places)
    await test(`${name}: it is put back into ${engine}, verifies and serves`, async () => {
      const to = place(), r = await runs('restore', ...to, file);
      same(r.status, 0, r.err);
      const leaves = Number(/the ledger verifies: (\d+) leaves/.exec(r.out)[1]);
      good(leaves >= seen.checkpoint.size, `${leaves} leaves of ${seen.checkpoint.size}`);
      good(r.out.includes('the keys came from the copy'), r.out);
      good(!existsSync(join(keys_of(to), 'restoring')), 'nothing is left over');
      await looked(to, seen);
      await refused(to, file, /holds a store already|is not empty/);
    });
  await test(`${name}: a damaged copy is refused with the place of the damage, and leaves nothing`, async () => {
    const whole = readFileSync(file), text = gunzipSync(whole), bad = join(folder(), 'bad');
    const flipped = Buffer.from(whole);
    flipped[flipped.length >> 1] ^= 0x40;
    const row = Buffer.from(text), at = row.indexOf('\nR ', row.length >> 1) + 3;
    row[at] = row[at] === 0x31 ? 0x32 : 0x31; // another letter of a row: the dump's own hash tells
    const wrongs = [['flipped', flipped, /near byte \d+ of \d+ of /], ['cut short', whole.subarray(0, whole.length - 1000), /near byte \d+ of \d+ of /], ['no copy', Buffer.from('hello\n'), 'not a copy made by'],
      ['empty', Buffer.alloc(0), 'not a copy made by'], ['cut text', gzipSync(text.subarray(0, text.length - 200)), 'ends before its last line'], ['changed row', gzipSync(row), /near byte \d+ of \d+ of /],
      ['foreign file', gzipSync(Buffer.from('CHAPAR-BACKUP-1\nF ../../evil 4\nevilD\n')), 'damaged']];
    for (const [what, bytes, words] of wrongs) {
      writeFileSync(bad, bytes);
      for (const [, place] of places) {
        const to = place();
        await refused(to, bad, words).catch((e) => { throw new Error(`${what}: ${e.message}`); });
        same(files(keys_of(to)), [], `${what}: keys`);
        if (to[0] === '--data') same(files(to[1]).filter((f) => f !== 'keys'), [], what);
        if (what === 'flipped' && to[0] === '--store') same((await runs('restore', ...to, file)).status, 0, 'the whole one goes into the same place');
      }
    }
    same((await runs('restore', '--data', folder(), '/nowhere/copy')).err.includes('/nowhere/copy cannot be read'), true);
  });
  await test(`${name}: nothing that is in use is written over, keys least of all`, async () => {
    const before = keysText(keys_of(where)), strange = join(folder(), 'keys');
    await refused(where, file, /holds a store already|is not empty/);
    same(keysText(keys_of(where)), before, 'the keys are as they were');
    mkdirSync(strange);
    writeFileSync(join(strange, 'secret'), Buffer.alloc(32, 7));
    chmodSync(join(strange, 'secret'), 0o600);
    await refused(['--data', folder(), '--keys', strange], file, 'is another key than the copy');
    same(files(strange), ['secret']);
    const full = await runs('backup', ...where, '/nowhere/copy');
    same([full.status, full.err.includes('/nowhere/copy.part cannot be written: No such file')], [1, true], full.err);
  });
  await test(`${name}: a store put back behind the signed head signs nothing until a new log is declared`, async () => {
    // the database is lost, the keys are not: they remember what they signed after the copy
    let to = where;
    if (where[0] === '--data') for (const f of files(where[1]).filter((x) => /\.db/.test(x))) rmSync(join(where[1], f));
    else to = ['--store', other(), '--keys', where[3]];
    const signed = readFileSync(join(keys_of(to), 'ledger.pem.head'), 'utf8');
    const r = await runs('restore', ...to, file);
    same(r.status, 0, r.err);
    good(r.out.includes('the keys were here already'), r.out);
    same(readFileSync(join(keys_of(to), 'ledger.pem.head'), 'utf8'), signed, 'the remembered head stays');
    let s = await serve(to, { env: {} });
    const old = await getText(s.base, '/ledger/checkpoint');
    const c = await call(s.base, 'POST', filing, { key: 'behind', body: { data: await example(s.base) } });
    same(c.status, 201, 'serving goes on');
    await sleep(1500);
    same(await getText(s.base, '/ledger/checkpoint'), old, 'no head is signed');
    await s.stop();
    same((await runs('ledger', 'renew', ...to)).status, 2, 'a reason is needed');
    const renewed = await runs('ledger', 'renew', '--why', 'restored from the copy of Monday', ...to);
    same(renewed.status, 0, renewed.err);
    good(/a new log is begun: \S+\/2\n/.test(renewed.out), renewed.out);
    s = await serve(to);
    const { receipt } = await caseReceipt(s.base, c.json.tracking);
    good(receipt.audit_path, 'the case has its proof');
    const { checkpoint } = await checkLog(s.base);
    good(checkpoint.origin.endsWith('/2'), checkpoint.origin);
    const again = (await call(s.base, 'POST', filing, { key: 'renewed', body: { data: await example(s.base) } })).json;
    good((await caseReceipt(s.base, again.tracking)).proved, 'new cases are proved in it');
    await s.stop();
    good(run('ledger', 'verify', ...to).includes('verifies'), 'ledger verify');
  });
}

const pg = postgres();
const places = [['SQLite', () => ['--data', join(folder(), 'data')]]];
if (pg) places.push(['PostgreSQL', () => ['--store', pg.fresh(), '--keys', join(folder(), 'keys')]]);
await copies('sqlite', ['--data', folder()], places);
if (pg) await copies('postgres', ['--store', pg.url, '--keys', join(folder(), 'keys')], places, pg.fresh);
else console.log('postgres: not installed here');
end();
