// What goes wrong between gateways, and the error that each must give. Messages are signed here by a few lines of our own (RFC 9421 with node's crypto) with
// the keys of a gateway that has joined, so that each can be wrong in exactly one way.
import { createServer } from 'node:http';
import { createServer as createSecure, request } from 'node:https';
import { connect, createServer as createDeaf } from 'node:net';
import { connect as connectSecure } from 'node:tls';
import { createHash, createPublicKey, randomBytes, randomUUID, sign } from 'node:crypto';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync, statfsSync, utimesSync, writeFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { call, folder, test, same, good, end } from '../e2e/kit.mjs';
import { world, port, until } from '../e2e/gateways.mjs';

const w = await world({ args: ['--exchange-per-address', '60'] }), { instance, gateways, cli, start, stop } = w;
const A = `${instance}/GOV/90000001`, B = `${instance}/GOV/90000002`, C = `${instance}/GOV/90000003`, client = `${B}/asks`, service = `${A}/data/echo`;
let asked = 0;
const system = createServer(async (q, s) => { asked++; const all = []; for await (const d of q) all.push(d); s.end(Buffer.concat(all).length ? Buffer.concat(all) : 'heard'); });
await new Promise((done) => system.listen(0, '127.0.0.1', done));
w.members(A, B, C, `${A}/data`, client, `${C}/other`);

// A small file system for the provider's gateway, where that is permitted.
const disk = folder(), mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64m,mode=700', 'tmpfs', disk]).status === 0;
if (mounted) process.on('exit', () => spawnSync('umount', ['-l', disk]));
await w.take('a', A, mounted ? join(disk, 'a') : undefined);
await w.take('b', B);
await w.take('c', C);
cli('a', 'subsystem', `${A}/data`);
cli('b', 'subsystem', client);
cli('a', 'services', 'add', service, `http://127.0.0.1:${system.address().port}`);
for (const s of [client, `${C}/other`]) cli('a', 'grant', s, service);
const PATIENCE = ['--exchange-timeout-ms', '10000'], LONG = ['--exchange-timeout-ms', '600000']; // with who does not answer; where nothing may end by itself, however slow the machine
await start('a');
await start('b', PATIENCE);

const pem = (name, file) => readFileSync(join(gateways[name].folder, 'keys', file), 'utf8');
const path = `/r1/${service}`;
// One signed message. `late`: seconds off; `after`: what is done to it once it is signed.
function make({ by = 'b', method = 'POST', body = '{"a":1}', late = 0, id = randomUUID(), headers = {}, after = (m) => m, nonce = randomBytes(16).toString('base64url'), from = client, target = path } = {}) {
  const key = pem(by, 'sign.pem'), spki = createPublicKey(key).export({ type: 'spki', format: 'der' }), keyid = createHash('sha256').update(spki).digest('hex');
  const h = { 'x-road-client': from, 'x-road-request-id': randomUUID(), 'x-road-id': id, ...headers, 'content-digest': `sha-512=:${createHash('sha512').update(body).digest('base64')}:` };
  const names = ['@method', '@target-uri', 'content-digest', ...Object.keys(h).filter((x) => x.startsWith('x-road-')).sort()];
  const params = `(${names.map((x) => `"${x}"`).join(' ')});created=${Math.floor(Date.now() / 1000) + late};nonce="${nonce}";keyid="${keyid}";alg="ecdsa-p256-sha256";tag="x-road-1"`;
  const value = (n) => (n === '@method' ? method : n === '@target-uri' ? `https://127.0.0.1:${gateways.a.port}${target}` : h[n]);
  const base = [...names.map((n) => `"${n}": ${value(n)}`), `"@signature-params": ${params}`].join('\n');
  h['signature-input'] = `xr=${params}`;
  h.signature = `xr=:${sign('sha256', Buffer.from(base), { key, dsaEncoding: 'ieee-p1363' }).toString('base64')}:`;
  return after({ method, target, headers: h, body });
}
const send = (m, { as = 'b', bare = false, at = gateways.a.port } = {}) => new Promise((done, bad) => {
  const q = request({ host: '127.0.0.1', port: at, method: m.method, path: m.target, rejectUnauthorized: false, agent: false, headers: { ...m.headers, 'Content-Length': Buffer.byteLength(m.body) },
    ...(bare ? {} : { key: pem(as, 'tls.pem'), cert: certificate(as) }) }, async (r) => { const all = []; for await (const d of r) all.push(d); const text = Buffer.concat(all).toString(); let j = null; try { j = JSON.parse(text); } catch { /* no JSON */ } done({ status: r.statusCode, code: r.headers['x-road-error'], headers: r.headers, text, json: j }); });
  q.on('error', bad);
  q.end(m.body);
});
const certificate = (name) => { for (const f of ['tls.crt', 'tls.cert.pem', 'tls-cert.pem']) { try { return pem(name, f); } catch { /* another name */ } } const all = pem(name, 'tls.pem'); const m = /-----BEGIN CERTIFICATE-----[\s\S]+-----END CERTIFICATE-----/.exec(all); if (!m) throw new Error('no certificate'); return m[0]; };
const refused = async (what, m, code, more = {}) => { const before = asked, r = await send(m, more); same([r.status, r.code], [500, `server.serverproxy.${code}`], `${what}: ${r.text}`); good(r.json.message, what); same(asked, before, `${what}: the provider heard it`); return r; };
await until('the provider\'s gateway knows the others', async () => (await send(make())).status === 200 && (await send(make({ by: 'c', from: `${C}/other` }), { as: 'c' })).status === 200);

await test('a message of an independent signer is taken, and its answer is signed', async () => { const r = await send(make({ body: '{"own":1}' })); same([r.status, r.text], [200, '{"own":1}']); good(/^xr=:/.test(r.headers.signature) && /"x-road-request-hash"/.test(r.headers['signature-input']) && /"signature";req;key="xr"|"signature";key="xr";req/.test(r.headers['signature-input']), r.headers['signature-input']); });
await test('altered: body, header, method, target', async () => {
  await refused('body', make({ after: (m) => ({ ...m, body: '{"a":2}' }) }), 'invalid_signature_value');
  await refused('truncated', make({ after: (m) => ({ ...m, body: '{"a"' }) }), 'invalid_signature_value');
  await refused('user', make({ headers: { 'x-road-userid': 'a' }, after: (m) => ({ ...m, headers: { ...m.headers, 'x-road-userid': 'b' } }) }), 'invalid_signature_value');
  await refused('method', make({ after: (m) => ({ ...m, method: 'PUT' }) }), 'invalid_signature_value');
  await refused('query', make({ after: (m) => ({ ...m, target: `${m.target}?x=1` }) }), 'invalid_signature_value');
  const r = await send(make({ after: (m) => ({ ...m, headers: { ...m.headers, 'x-road-issue': 'added' } }) }));
  good(r.status === 500 && /missing_signature|invalid_signature_value/.test(r.code), `a header that is not covered: ${r.code}`);
});
await test('not signed, or by whom nobody knows', async () => {
  await refused('none', make({ after: (m) => { const h = { ...m.headers }; delete h.signature; delete h['signature-input']; return { ...m, headers: h }; } }), 'missing_signature');
  await refused('nonsense', make({ after: (m) => ({ ...m, headers: { ...m.headers, 'signature-input': 'xr=' } }) }), 'missing_signature');
  await refused('unknown key', make({ after: (m) => ({ ...m, headers: { ...m.headers, 'signature-input': m.headers['signature-input'].replace(/keyid="[0-9a-f]{8}/, 'keyid="00000000') } }) }), 'cert_validation');
});
await test('another\'s: certificate, key, client', async () => {
  await refused('no certificate', make(), 'ssl_authentication_failed', { bare: true });
  await refused('a client of another\'s', make({ by: 'c' }), 'ssl_authentication_failed', { as: 'c' });
  await refused('a key of another\'s', make({ by: 'c' }), 'cert_validation');
});
await test('a clock that is wrong', async () => { for (const late of [-400, 400]) { const r = await refused(`${late} s`, make({ late }), 'invalid_message'); good(/clock/.test(r.json.message), r.json.message); } same((await send(make({ late: -200 }))).status, 200); });
await test('a message that comes again, also across a restart', async () => {
  const m = make({ method: 'GET', body: '' });
  same((await send(m)).status, 200);
  await refused('again', m, 'invalid_message');
  await stop(gateways.a, 'SIGKILL');
  await start('a');
  await refused('after a restart', m, 'invalid_message');
  same((await send(make({ method: 'GET', body: '', late: -20 }))).status, 200, 'a new one that was signed before the restart');
});
await test('reordered: an answer does not fit another request', async () => { // each answer names its own request, under its signature
  const [one, two] = [await send(make()), await send(make())];
  good(one.headers['x-road-request-id'] !== two.headers['x-road-request-id'] && one.headers['x-road-request-hash'] !== two.headers['x-road-request-hash'] && one.headers.signature !== two.headers.signature, 'bound');
});
const ask = (more = {}) => call(gateways.b.base, 'GET', path, { headers: { 'X-Road-Client': client, ...more } });
await test('a gateway that is stopped in its work is waited for no longer than was said', async () => {
  gateways.a.child.kill('SIGSTOP');
  const r = await ask();
  gateways.a.child.kill('SIGCONT');
  same(r.status, 500, r.text); // whether the connection was there already or not
  good(['server.clientproxy.io_error', 'server.clientproxy.network_error'].includes(r.headers.get('x-road-error')), r.text);
  await until('it goes on', async () => (await ask()).status === 200);
});
await test('a key past its end: the other side refuses it and says so', async () => {
  const keyid = JSON.parse(cli('op', 'directory', '--json')).gateways.find((g) => g.id === gateways.c.server).keys.find((k) => k.keyid).keyid;
  const ends = (at) => { // as it stands after the last of a roll-over; what is changed beside it makes the operator publish
    same(spawnSync('python3', ['-c', 'import sqlite3,sys\nwith sqlite3.connect(sys.argv[1],timeout=60) as c: c.execute("UPDATE exchange_gateway_key SET until_at=? WHERE keyid=?",(int(sys.argv[2]),sys.argv[3]))', join(w.op, 'exchange.db'), String(at), keyid], { encoding: 'utf8' }).stderr, '');
    w.members(`${C}/end-${at}`);
  };
  ends(Date.now() - 1000);
  const r = await until('the end', async () => { const x = await send(make({ by: 'c', from: `${C}/other` }), { as: 'c' }); return x.status === 500 ? x : null; });
  same(r.code, 'server.serverproxy.cert_validation', r.text);
  good(/ended at \d{4}-.*renew-keys/.test(r.json.message), r.json.message);
  ends(0);
  await until('it is good again', async () => (await send(make({ by: 'c', from: `${C}/other` }), { as: 'c' })).status === 200);
});
await test('a key before its beginning: what is signed for that time is refused, as its evidence would not be believed', async () => {
  const keyid = JSON.parse(cli('op', 'directory', '--json')).gateways.find((g) => g.id === gateways.c.server).keys.find((k) => k.keyid).keyid;
  const begins = (at) => {
    same(spawnSync('python3', ['-c', 'import sqlite3,sys\nwith sqlite3.connect(sys.argv[1],timeout=60) as c: c.execute("UPDATE exchange_gateway_key SET from_at=? WHERE keyid=?",(int(sys.argv[2]),sys.argv[3]))', join(w.op, 'exchange.db'), String(at), keyid], { encoding: 'utf8' }).stderr, '');
    w.members(`${C}/begin-${at}`);
  };
  begins(Date.now() - 1000);
  const early = () => send(make({ by: 'c', from: `${C}/other`, late: -100 }), { as: 'c' });
  const r = await until('the beginning', async () => { const x = await early(); return x.status === 500 ? x : null; });
  same(r.code, 'server.serverproxy.cert_validation', r.text);
  good(/is good from \d{4}-/.test(r.json.message), r.json.message);
  same((await send(make({ by: 'c', from: `${C}/other` }), { as: 'c' })).status, 200, 'what is signed now');
  begins(Date.now() - 1000000);
  await until('it was good then', async () => (await early()).status === 200);
});
await test('two processes of one gateway: a message id is done once, whichever of them gets it', async () => {
  const first = gateways.a, other = { ...first, port: await port() };
  gateways.a = other; // the same folder on another address
  await start('a');
  gateways.a = first;
  for (let round = 0; round < 4; round++) {
    const id = randomUUID(), before = asked, m = () => make({ id, body: `{"round":${round}}` });
    const all = await Promise.all([0, 1, 2, 3].map((i) => send(m(), { at: i % 2 ? other.port : first.port })));
    same(asked, before + 1, 'the provider heard it');
    good(all.some((r) => r.status === 200), all.map((r) => r.text).join());
    for (const r of all) good(r.status === 200 ? r.text === `{"round":${round}}` : r.code === 'server.serverproxy.io_error', r.text); // being worked on now: to be asked again
    for (const at of [first.port, other.port]) same((await send(m(), { at })).text, `{"round":${round}}`, 'the kept answer');
    same(asked, before + 1, 'and no more');
    const r = await send(make({ id, body: '{"another":1}' }), { at: other.port });
    same(r.code, 'server.serverproxy.invalid_request', r.text);
  }
  for (const [at, then] of [[first.port, other.port], [other.port, first.port]]) { // what only reads is known by its nonce, to both
    const m = make({ method: 'GET', body: '' });
    same((await send(m, { at })).status, 200);
    const r = await refused('sent to the other process', m, 'invalid_message', { at: then });
    good(/here before/.test(r.json.message), r.json.message);
    await refused('and to the first again', m, 'invalid_message', { at });
  }
  for (let round = 0; round < 8; round++) {
    const before = asked, m = make({ method: 'GET', body: '' }), all = await Promise.all([0, 1, 2, 3].map((i) => send(m, { at: i % 2 ? other.port : first.port })));
    good(all.filter((r) => r.status === 200).length <= 1 && asked <= before + 1, `at the same time: ${all.map((r) => r.text).join()}`);
    for (const r of all) good(r.status === 200 || r.code === 'server.serverproxy.invalid_message', r.text);
  }
  const replayed = async (g) => Number(/^chapar_exchange_replayed_total (\d+)$/m.exec((await call(g.base, 'GET', '/metrics')).text)?.[1]);
  good(await replayed(first) >= 2 && await replayed(other) >= 2, 'counted');
  await stop(other);
});
// A provider that counts what it was asked by message id and answers when it may, and the system that is called back.
const did = new Map(), told = new Map(), waiting = [];
let holding = false;
const count = (map, id) => map.set(id, (map.get(id) ?? 0) + 1), release = () => { holding = false; for (const go of waiting.splice(0)) go(); };
const deeds = createServer(async (q, s) => { for await (const d of q) void d; count(did, q.headers['x-road-id']); const go = () => s.end('done'); if (holding) waiting.push(go); else go(); });
const back = createServer(async (q, s) => { for await (const d of q) void d; count(told, q.headers['x-road-id']); s.end(); });
for (const x of [deeds, back]) await new Promise((done) => x.listen(0, '127.0.0.1', done));
const later = (id, { at = gateways.b.base, to = `${A}/data/deeds`, from = client } = {}) => call(at, 'POST', `/r1/${to}`, { body: '{}', headers: { 'X-Road-Client': from, 'X-Road-Id': id, 'Content-Type': 'application/json', 'Chapar-Async': 'yes', ...(from === client ? { 'Chapar-Async-Callback': 'told' } : {}) } });
const state = async (id, base = gateways.b.base) => (await call(base, 'GET', `/exchange/async/${id}`, { headers: { 'X-Road-Client': client } })).status;
await test('two processes of one gateway deliver later: each message once, called back once, also when one is killed at it', async () => {
  w.members(`${A}/more`);
  cli('a', 'subsystem', `${A}/more`);
  for (const s of [`${A}/data/deeds`, `${A}/more/deeds`]) {
    cli('a', 'services', 'add', s, `http://127.0.0.1:${deeds.address().port}`, '--timeout-ms', '600000');
    cli('a', 'grant', client, s);
  }
  cli('b', 'services', 'add', `${client}/told`, `http://127.0.0.1:${back.address().port}`);
  for (const s of ['data', 'more']) await until('the services', async () => (await call(gateways.b.base, 'GET', `/r1/${A}/${s}/deeds`, { headers: { 'X-Road-Client': client } })).status === 200);
  await until('who is called back', async () => (await later(randomUUID())).status === 202);
  await until('it', () => told.size === 1);
  const first = gateways.b, second = { ...first, port: await port() }, as = async (g) => { gateways.b = g; await start('b', LONG); gateways.b = first; };
  await stop(first);
  await as(first);
  const ids = Array.from({ length: 12 }, () => randomUUID()), once = (list) => same(list.map((id) => [did.get(id), told.get(id)]), list.map(() => [1, 1]), 'done and called back');
  holding = true;
  for (const id of ids) same((await later(id)).status, 202);
  await until('two at the provider', () => waiting.length === 2);
  await as(second); // what the first has under way is not the second's
  same((await later(randomUUID(), { at: second.base, to: `${A}/more/deeds` })).status, 202);
  await until('another provider to be asked meanwhile', () => waiting.length === 3);
  same(ids.filter((id) => did.has(id)).length, 2);
  await stop(first, 'SIGKILL');
  release();
  await until('all of them', () => ids.every((id) => told.has(id)));
  await as(first);
  const more = Array.from({ length: 40 }, () => randomUUID());
  for (const [i, id] of more.entries()) same((await later(id, { at: (i % 2 ? first : second).base })).status, 202);
  await until('all', () => more.every((id) => told.has(id)));
  await until('all to be answered', async () => (await Promise.all([...ids, ...more].map((id) => state(id)))).every((x) => x === 200));
  once([...ids, ...more]);
  await stop(second);
});
await test('delivering later: a provider that does not answer delays no other; a subsystem has its share', async () => {
  holding = true;
  const stuck = Array.from({ length: 20 }, () => randomUUID()), other = randomUUID();
  for (const id of stuck) same((await later(id)).status, 202);
  await until('the provider to be stuck', () => stuck.filter((id) => did.has(id)).length === 2);
  same((await later(other, { to: `${C}/none/x` })).status, 202);
  await until('the other to be tried', async () => (await call(gateways.b.base, 'GET', `/exchange/async/${other}`, { headers: { 'X-Road-Client': client } })).json.tries > 0); // nobody is there
  same(stuck.filter((id) => told.has(id)), [], 'the stuck ones are as they were');
  release();
  await until('the stuck ones', () => stuck.every((id) => told.has(id)));
  const fill = (sql) => same(spawnSync('python3', ['-c', 'import sqlite3,sys\nwith sqlite3.connect(sys.argv[1],timeout=60) as c: c.execute(sys.argv[2])', join(gateways.b.folder, 'exchange.db'), sql], { encoding: 'utf8' }).stderr, '');
  const now = Date.now();
  fill(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2500) INSERT INTO exchange_async (client, message_id, file, state, method, target, headers, digest, taken_at, until_at, next_at, tries, status, lane) SELECT '${client}', 'fill-' || i, 'fill-' || i, 'waiting', 'POST', '/r1/x', '[]', x'00', ${now}, ${now + 864e5}, ${now + 864e5}, 0, 0, 'x' FROM n`);
  const full = await later(randomUUID());
  same([full.status, full.headers.get('x-road-error')], [500, 'server.clientproxy.internal_error'], full.text);
  good(full.json.message.includes(`messages of ${client}`) && /its share/.test(full.json.message), full.text);
  w.members(`${B}/beside`);
  cli('b', 'subsystem', `${B}/beside`);
  await until('another subsystem to be taken', async () => (await later(randomUUID(), { from: `${B}/beside` })).status === 202);
  fill(`DELETE FROM exchange_async WHERE message_id LIKE 'fill-%'`);
});
await test('a gateway that ends takes no connection any more, in no place of its, while what came before is answered', async () => {
  const b = gateways.b, refuses = (at) => new Promise((done) => { const c = connect(at, '127.0.0.1'); c.on('connect', () => { c.destroy(); done(false); }); c.on('error', () => done(true)); });
  holding = true;
  const asking = call(b.base, 'POST', `/r1/${A}/data/deeds`, { body: '{}', headers: { 'X-Road-Client': client, 'Content-Type': 'application/json' } });
  await until('the provider to have it', () => waiting.length === 1);
  const over = stop(b);
  for (const at of [b.port, new URL(b.base).port]) await until('nothing to be taken', () => refuses(at));
  release();
  same((await asking).status, 200);
  await over;
  await start('b', LONG);
});
await test('a peer that accepts and never answers has its share of the threads, and calls to others go on; who ends meanwhile cuts them and ends well', async () => {
  const lines = new Set(), open = new Set(), all = [];
  let told = 0, ended = 0;
  const frozen = createSecure({ key: pem('c', 'tls.pem'), cert: certificate('c') }, () => {});
  frozen.on('connection', (s) => { lines.add(s); s.on('error', () => {}); });
  frozen.on('secureConnection', (s) => { s.once('data', (d) => { if (/^GET \/r1\//.test(d)) open.add(s); }); s.on('error', () => {}); s.on('close', () => open.delete(s)); }); // the operator brings its directory too
  await new Promise((done, bad) => { frozen.once('error', bad); frozen.listen(gateways.c.port, '127.0.0.1', done); });
  const begin = () => all.push(call(gateways.b.base, 'GET', `/r1/${C}/other/x`, { headers: { 'X-Road-Client': client } }).then((r) => { if (/its share at this gateway: no more are begun, ask again/.test(r.text)) told++; else ended++; return r; }).catch(() => null)); // null: its gateway ended
  try {
    while (!told) { // one after the other: each is held there, told that there is no more room, or was not let in (by a machine that is slow)
      const held = open.size, before = told + ended;
      begin();
      await until('it to be held or answered', () => open.size > held || told + ended > before);
      good(all.length < 1000, 'nobody is told');
    }
    good(open.size > 64 && open.size <= 128, `${open.size} calls are held`); // half of the threads
    const before = ended;
    same((await ask()).status, 200, 'another gateway is called meanwhile');
    same([ended, open.size > 64], [before, true], 'and they are held all the while');
    await stop(gateways.b);
    for (const r of await Promise.all(all)) if (r) good(r.status === 500 && (/its share/.test(r.text) || ['server.clientproxy.network_error', 'server.clientproxy.io_error'].includes(r.headers.get('x-road-error'))), r.text);
  } finally {
    for (const s of lines) s.destroy();
    await new Promise((done) => frozen.close(done));
  }
  await start('b', PATIENCE);
});
await test('bodies of what is delivered later: those of no message are swept, others stay, and one that is gone is told', async () => {
  const place = join(gateways.b.folder, 'async'), [lost, kept] = [randomUUID(), randomUUID()], hours = Date.now() / 1000 - 7200, name = (n, end) => `${String(n).repeat(32)}.${end}`;
  const of = (id) => spawnSync('python3', ['-c', 'import sqlite3,sys\nwith sqlite3.connect(sys.argv[1],timeout=60) as c: print(c.execute("SELECT file FROM exchange_async WHERE message_id=?",sys.argv[2:]).fetchone()[0])', join(gateways.b.folder, 'exchange.db'), id], { encoding: 'utf8' }).stdout.trim();
  for (const id of [lost, kept]) same((await later(id, { to: `${C}/none/x` })).status, 202);
  const file = `${of(kept)}.request`;
  await stop(gateways.b);
  for (const x of [name(0, 'request'), name(1, 'answer'), name(2, 'request')]) writeFileSync(join(place, x), 'x');
  for (const x of [name(0, 'request'), name(1, 'answer'), file]) utimesSync(join(place, x), hours, hours);
  rmSync(join(place, `${of(lost)}.request`));
  await start('b', PATIENCE);
  await until('the sweep', () => [name(0, 'request'), name(1, 'answer')].every((x) => !existsSync(join(place, x))));
  same([name(2, 'request'), file].map((x) => existsSync(join(place, x))), [true, true], 'what is young, and what a message has');
  const r = await until('what is gone to be told', async () => { const x = await call(gateways.b.base, 'GET', `/exchange/async/${lost}`, { headers: { 'X-Road-Client': client } }); return x.status !== 202 && x; });
  good(r.status === 500 && /kept message cannot be read/.test(r.text), r.text);
  same(await state(kept), 202, 'the other waits on');
  good(/copied/.test(cli('b', 'backup', join(w.dir, 'b.copy'))), 'a copy is made all the same');
});
await test('put back from a copy: what was signed before is not taken', async () => {
  const copy = join(w.dir, 'a.copy'), m = make({ method: 'GET', body: '' }), old = gateways.a.folder;
  cli('a', 'backup', copy);
  same((await send(m)).status, 200);
  await stop(gateways.a);
  gateways.a.folder = join(w.dir, 'a-again');
  cli('a', 'restore', copy);
  await start('a');
  const r = await refused('it is not in the copy\'s log', m, 'invalid_message');
  good(/put back from a copy/.test(r.json.message), r.json.message);
  await until('what is signed now is taken', async () => (await send(make())).status === 200);
  await stop(gateways.a);
  gateways.a.folder = old;
  await start('a');
});
// The head of a request that announces a body, and what is answered before a byte of it is sent; null: it may come. The connection stays: end it with done().
const announced = (m, length, { as = 'b', bare = false, from } = {}) => new Promise((done, bad) => {
  const q = request({ host: '127.0.0.1', port: gateways.a.port, localAddress: from, method: 'POST', path: m.target ?? m, rejectUnauthorized: false, agent: false,
    headers: { ...(m.headers ?? {}), Expect: '100-continue', ...(length ? { 'Content-Length': length } : { 'Transfer-Encoding': 'chunked' }) }, ...(bare ? {} : { key: pem(as, 'tls.pem'), cert: certificate(as) }) },
  async (r) => { const all = []; for await (const d of r) all.push(d); done({ status: r.statusCode, code: r.headers['x-road-error'], again: r.headers['retry-after'], closes: r.headers.connection === 'close', text: Buffer.concat(all).toString() }); q.destroy(); });
  q.on('continue', () => done({ status: 100, q, done: () => q.destroy() }));
  q.on('error', bad);
  q.flushHeaders();
});
await test('a stranger\'s body is not taken: it is told so by the head of its request', async () => {
  for (const length of [4 * 1024 ** 3, 10, 0]) {
    const r = await announced(make(), length, { bare: true });
    same([r.status, r.code, r.closes], [500, 'server.serverproxy.ssl_authentication_failed', true], r.text);
  }
  for (const place of ['/exchange/directory', '/exchange/keys', '/exchange/keys/switch', '/exchange/cosignature']) same((await announced(place, 10000, { bare: true })).status, 403, place);
  const known = await announced(make(), 4 * 1024 ** 2);
  same(known.status, 100, known.text);
  known.done();
});
await test('bodies have so much room together, and none takes it from the others', async () => {
  const MB = 1024 ** 2, figure = async (name) => Number(new RegExp(`^chapar_http_spool_${name} (\\d+)$`, 'm').exec((await call(gateways.a.base, 'GET', '/metrics')).text)?.[1]);
  await stop(gateways.a);
  await start('a', ['--exchange-spool-mb', '8']);
  await until('it knows the others', async () => (await send(make())).status === 200);
  same((await send(make({ body: 'x'.repeat(2 * MB) }))).text.length, 2 * MB, 'a body that fits, and its answer beside it');
  same((await send(make({ body: 'x'.repeat(3 * MB) }))).code, 'server.serverproxy.io_error', 'there is no room for its answer beside it');
  await until('all room again', async () => await figure('bytes') === 0);
  const full = (r) => { same([r.status, Number(r.again) > 0, r.closes], [503, true, true], r.text); good(/به این بزرگی جا نیست/.test(r.text), r.text); };
  full(await announced(make(), 5 * MB)); // more than half
  const one = await announced(make(), 3 * MB);
  same([one.status, await figure('bytes')], [100, 3 * MB]);
  full(await announced(make(), 2 * MB)); // the rest is for others
  const two = await announced(make({ by: 'c', from: `${C}/other` }), 2 * MB, { as: 'c', from: '127.0.0.2' });
  same(two.status, 100, 'another has room');
  full(await announced(make(), MB / 2, { from: '127.0.0.1' }));
  const chunked = make({ body: 'x'.repeat(3 * MB) }), late = await announced(chunked, 0, { from: '127.0.0.3' });
  same(late.status, 100, 'a body that does not say how large it is');
  const answer = new Promise((done) => late.q.on('response', (r) => { done(r.statusCode); r.resume(); }));
  late.q.end(chunked.body);
  same(await answer, 503, 'it is met when it comes');
  for (const x of [one, two]) x.done();
  await until('their room', async () => await figure('bytes') === 0);
  good(await figure('refused_total') >= 4, 'counted');
  same((await send(make({ body: 'x'.repeat(2 * MB) }))).status, 200, 'others go on when it is freed');
  await stop(gateways.a);
  await start('a');
});
await test('one address takes no listener from the others', async () => {
  const silent = ({ port: at, host = '127.0.0.1', tls = false }, from) => new Promise((done) => { // a socket that is let in: it has been answered or has shaken hands; null: closed before that
    const s = tls ? connectSecure({ host, port: at, localAddress: from, rejectUnauthorized: false }) : connect({ host, port: at, localAddress: from }, () => s.write('GET /health HTTP/1.1\r\nHost: a\r\n\r\n'));
    s.once(tls ? 'secureConnect' : 'data', () => done(s));
    s.on('error', () => {});
    s.once('close', () => { held.delete(s); done(null); });
  }), held = new Set(); // those that are open
  await start('c', ['--exchange-per-address', '10']);
  const platform = new URL(w.address);
  for (const place of [{ port: Number(new URL(gateways.c.base).port), most: 10 }, { port: gateways.c.port, tls: true, most: 10 }, { port: Number(platform.port), tls: true, most: 60 }]) {
    held.clear();
    for (let s; (s = await silent(place, '127.0.0.1')) !== null;) { held.add(s); good(held.size <= place.most, `port ${place.port} takes more than it should`); }
    const other = await silent(place, '127.0.0.2');
    good(other !== null, `port ${place.port}: another address is kept out`);
    for (const s of [...held, other]) s.destroy();
    await until('it is let in again', async () => { const s = await silent(place, '127.0.0.1'); s?.destroy(); return s !== null; });
  }
  await stop(gateways.c);
});
await test('a directory that a gateway did not hear of is brought again, not awaited', async () => {
  let heard = 0;
  const deaf = createDeaf((s) => { heard++; s.on('error', () => {}); s.destroy(); });
  await new Promise((done, bad) => { deaf.once('error', bad); deaf.listen(gateways.c.port, '127.0.0.1', done); }); // in c's place, who does not run, so that nothing can be pulled
  cli('op', 'group', 'heard', client);
  await until('it is brought again and again', () => heard >= 5);
  await new Promise((done) => deaf.close(done));
  await start('c');
  const version = (name, ...words) => { const v = JSON.parse(cli(name, ...words, '--json')); return (v.directory || v).version; };
  await until('it has it', async () => version('c', 'status') === version('op', 'directory'));
  await stop(gateways.c);
});
await test('another gateway that brings the directory does not make it the newest', async () => {
  const file = join(gateways.a.folder, 'directory'), body = readFileSync(file, 'utf8'), then = Math.floor(Date.now() / 1000) - 3000;
  const bring = () => send({ method: 'POST', target: '/exchange/directory', headers: { 'Content-Type': 'text/plain; charset=utf-8' }, body }, { as: 'b' });
  await until('its time to stand', async () => { // the operator may confirm it in this very moment
    utimesSync(file, then, then);
    same((await bring()).status, 200);
    return Math.floor(statSync(file).mtimeMs / 1000) === then;
  }, 20000);
});
await test('a false peer with the provider\'s stolen certificate, without its signing key', async () => {
  // The provider's gateway answers at another port now; at its own stands somebody who passes on what is asked, and falsifies what comes back.
  const address = gateways.a.port, hidden = await port();
  await stop(gateways.a);
  gateways.a.port = hidden;
  await start('a');
  gateways.a.port = address;
  let falsify = (x) => x, heard = 0;
  const from = (method, target, headers, body) => new Promise((done, bad) => {
    const q = request({ host: '127.0.0.1', port: hidden, method, path: target, headers, rejectUnauthorized: false, agent: false, key: pem('b', 'tls.pem'), cert: certificate('b') }, async (r) => {
      const all = [];
      for await (const d of r) all.push(d);
      const h = { ...r.headers };
      for (const n of ['connection', 'transfer-encoding', 'content-length', 'keep-alive']) delete h[n];
      done({ status: r.statusCode, headers: h, body: Buffer.concat(all) });
    });
    q.on('error', bad);
    q.end(body);
  });
  const peer = createSecure({ key: pem('a', 'tls.pem'), cert: certificate('a'), requestCert: true, rejectUnauthorized: false, maxHeaderSize: 65536 }, async (q, s) => {
    const all = [];
    for await (const d of q) all.push(d);
    heard++;
    const passed = q.rawHeaders.flatMap((v, i) => (i % 2 || /^(host|connection|content-length|transfer-encoding)$/i.test(v) ? [] : [v, q.rawHeaders[i + 1]])); // in their order: it is hashed
    const x = falsify(await from(q.method, q.url, [...passed, 'Host', q.headers.host, 'Content-Length', String(Buffer.concat(all).length)], Buffer.concat(all)), s);
    if (!x) return;
    s.writeHead(x.status, { 'Content-Length': x.body.length, ...x.headers });
    s.end(x.body);
  });
  peer.on('error', () => {});
  await new Promise((done, bad) => { peer.once('error', bad); peer.listen(address, '127.0.0.1', done); });
  const tell = (body = '{"truth":1}', id = randomUUID()) => call(gateways.b.base, 'POST', path, { headers: { 'X-Road-Client': client, 'X-Road-Id': id }, body });
  await until('what is passed on unchanged is believed', async () => (await tell()).status === 200);
  let kept = null; // a true answer to another request
  falsify = (x) => { kept = x; return x; };
  same((await tell('{"kept":1}')).status, 200);
  const resigned = (x) => { // by a key of the directory that is not the provider's
    const key = pem('b', 'sign.pem'), keyid = createHash('sha256').update(createPublicKey(key).export({ type: 'spki', format: 'der' })).digest('hex');
    return { ...x, headers: { ...x.headers, 'signature-input': x.headers['signature-input'].replace(/keyid="[0-9a-f]+"/, `keyid="${keyid}"`), signature: `xr=:${sign('sha256', Buffer.from('x'), { key, dsaEncoding: 'ieee-p1363' }).toString('base64')}:` } };
  };
  const bare = (x) => { const h = { ...x.headers }; delete h.signature; delete h['signature-input']; return { ...x, headers: h }; };
  const cases = [
    ['another body', (x) => ({ ...x, body: Buffer.from('{"truth":2}') }), ['invalid_signature_value']],
    ['a body that is cut', (x) => ({ ...x, body: x.body.subarray(0, 5) }), ['invalid_signature_value']],
    ['another status', (x) => ({ ...x, status: 201 }), ['invalid_signature_value']],
    ['the signature of another message', (x) => ({ ...x, headers: { ...x.headers, signature: kept.headers.signature, 'signature-input': kept.headers['signature-input'] } }), ['invalid_signature_value']],
    ['the id of another request', (x) => ({ ...x, headers: { ...x.headers, 'x-road-request-id': kept.headers['x-road-request-id'] } }), ['invalid_signature_value']],
    ['the id of another message', (x) => ({ ...x, headers: { ...x.headers, 'x-road-id': kept.headers['x-road-id'] } }), ['invalid_signature_value']],
    ['an answer of before', () => kept, ['invalid_signature_value']],
    ['a header that nobody signed', (x) => ({ ...x, headers: { ...x.headers, 'x-road-more': '1' } }), ['invalid_signature_value', 'missing_signature']],
    ['no signature', bare, ['missing_signature']],
    ['a refusal that nobody signed', (x) => ({ ...bare(x), status: 500, headers: { ...bare(x).headers, 'x-road-error': 'server.serverproxy.access_denied' } }), ['missing_signature']],
    ['the key of somebody else', resigned, ['cert_validation']],
    ['an old signature', (x) => ({ ...x, headers: { ...x.headers, 'signature-input': x.headers['signature-input'].replace(/created=\d+/, 'created=1700000000') } }), ['invalid_message']],
    ['a body without end', (x, s) => { s.writeHead(200, { ...x.headers, 'Content-Length': 64 * 1024 ** 3 }); s.write(Buffer.alloc(1 << 20)); }, ['io_error', 'invalid_response', 'network_error']],
    ['a head without end', (x, s) => { s.socket.on('error', () => {}); s.socket.write(`HTTP/1.1 200 OK\r\n${`X-Filler: ${'x'.repeat(8000)}\r\n`.repeat(400)}\r\n`); }, ['io_error', 'invalid_response', 'network_error']],
  ];
  const told = async () => JSON.parse(cli('b', 'status', '--json')).services.find((x) => x.side === 'consumer' && x.service === service)?.last_error?.code;
  for (const [what, how, codes] of cases) {
    falsify = how;
    const id = randomUUID(), before = heard, r = await tell('{"truth":1}', id), code = r.headers.get('x-road-error');
    good(heard > before, `${what}: the false peer was not asked`);
    good(r.status === 500 && codes.some((c) => code === `server.clientproxy.${c}`), `${what}: ${r.status} ${code} ${r.text}`);
    good(r.json.message.length > 20 && !r.text.includes('truth'), `${what}: ${r.text}`);
    same(await told(), code, `${what}: the figures tell it`);
    const e = await call(gateways.b.base, 'GET', `/evidence/${id}`, { headers: { 'X-Road-Client': client } });
    same(e.json?.messages.map((m) => m.part), e.json?.messages.map(() => 'request'), `${what}: no false answer is kept as evidence`);
  }
  falsify = (x) => x;
  same((await tell()).status, 200, 'a true answer is believed again');
  await new Promise((done) => { peer.close(done); peer.closeAllConnections(); });
  await stop(gateways.a);
  await start('a');
  await until('all as before', async () => (await ask()).status === 200);
});
await test('a key that was revoked is good no longer', async () => {
  const directory = JSON.parse(cli('op', 'directory', '--json')), keyid = directory.gateways.find((g) => g.id === gateways.c.server).keys.find((k) => k.keyid)?.keyid;
  same((await send(make({ by: 'c', from: `${C}/other` }), { as: 'c' })).status, 200);
  cli('op', 'revoke-key', keyid, '--why', 'lost');
  const r = await until('the revocation', async () => { const x = await send(make({ by: 'c', from: `${C}/other` }), { as: 'c' }); return x.status === 500 ? x : null; });
  good(['server.serverproxy.cert_validation', 'server.serverproxy.ssl_authentication_failed'].includes(r.code), r.text);
});
if (!mounted) console.log('SKIPPED: a full disk (a small file system can only be mounted by root)');
else await test('a full disk: nothing is released, and all goes on when there is room', async () => {
  const { bavail, bsize } = statfsSync(disk), ballast = join(disk, 'ballast');
  writeFileSync(ballast, Buffer.alloc(Math.max(0, bavail * bsize - (64 << 10))));
  const put = (id) => call(gateways.b.base, 'PUT', path, { headers: { 'X-Road-Client': client, 'X-Road-Id': id, 'Content-Type': 'text/plain' }, body: 'x'.repeat(60000) });
  let r = null;
  for (let i = 0; i < 2000 && r?.status !== 500; i++) r = await put(randomUUID());
  same([r.status, r.headers.get('x-road-error')], [500, 'server.serverproxy.logging_failed'], r.text);
  const ids = Array.from({ length: 6 }, () => randomUUID()), heardThen = new Set();
  for (const id of ids) { const before = asked, x = await put(id); same([x.status, x.headers.get('x-road-error')], [500, 'server.serverproxy.logging_failed'], x.text); if (asked > before) heardThen.add(id); }
  good(heardThen.size < ids.length, 'the provider heard them all');
  rmSync(ballast);
  await until('it goes on', async () => (await ask()).status === 200);
  for (const id of heardThen) { // there was room for the request alone: it is logged, and its answer was not released
    const e = await call(gateways.a.base, 'GET', `/evidence/${id}`, { headers: { 'X-Road-Client': `${A}/data` } });
    good(e.json?.messages.some((m) => m.part === 'request' && m.side === 'producer'), `the provider heard what was not logged: ${e.text}`);
  }
});
end();
