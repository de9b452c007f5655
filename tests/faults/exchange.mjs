// What goes wrong between gateways, and the error that each must give. Messages are signed here by a few lines of our own (RFC 9421 with node's crypto) with
// the keys of a gateway that has joined, so that each can be wrong in exactly one way.
import { createServer } from 'node:http';
import { request } from 'node:https';
import { createHash, createPublicKey, randomBytes, randomUUID, sign } from 'node:crypto';
import { spawnSync } from 'node:child_process';
import { readFileSync, statfsSync, writeFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { call, folder, test, same, good, end } from '../e2e/kit.mjs';
import { world, until } from '../e2e/gateways.mjs';

const w = await world(), { instance, gateways, cli, start, stop } = w;
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
await start('a');
await start('b', ['--exchange-timeout-ms', '5000']);

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
const send = (m, { as = 'b', bare = false } = {}) => new Promise((done, bad) => {
  const q = request({ host: '127.0.0.1', port: gateways.a.port, method: m.method, path: m.target, rejectUnauthorized: false, agent: false, headers: { ...m.headers, 'Content-Length': Buffer.byteLength(m.body) },
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
await test('a key that was revoked is good no longer', async () => {
  const directory = JSON.parse(cli('op', 'directory', '--json')), keyid = directory.gateways.find((g) => g.id === gateways.c.server).keys.find((k) => k.keyid)?.keyid;
  same((await send(make({ by: 'c', from: `${C}/other` }), { as: 'c' })).status, 200);
  cli('op', 'revoke-key', keyid, '--why', 'lost');
  const r = await until('the revocation', async () => { const x = await send(make({ by: 'c', from: `${C}/other` }), { as: 'c' }); return x.status === 500 ? x : null; }, 60000);
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
