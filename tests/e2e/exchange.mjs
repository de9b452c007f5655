// Messages between organisations: an operator, two gateways of one member and one of another as processes with real TLS, information systems behind
// them. First what X-Road's own proxy tests want of a REST gateway, then what is Chapar's.
import { execFileSync } from 'node:child_process';
import { createServer } from 'node:http';
import { request as secure } from 'node:https';
import { request as plain } from 'node:http';
import { connect as dial } from 'node:tls';
import { createHash, randomUUID } from 'node:crypto';
import { readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test as testing, same, good, end, wrapped } from './kit.mjs';
import { world, port, until } from './gateways.mjs';

const w = await world(), { dir, platform, instance, gateways, cli, start, stop } = w;
const A = `${instance}/GOV/90000001`, B = `${instance}/GOV/90000002`, client = `${B}/asks`, office = w.own.split('/').slice(0, 3).join('/');

// An information system: tells what it heard; keeps count; does as `x-do` says.
const heard = [];
const bodyOf = (q) => new Promise((done) => { const all = []; q.on('data', (d) => all.push(d)); q.on('end', () => done(Buffer.concat(all))); });
const big = Buffer.alloc(64 * 1024, 'x');
const system = createServer(async (q, s) => {
  const body = q.headers['x-do'] === 'count' ? null : await bodyOf(q);
  heard.push({ method: q.method, url: q.url, headers: q.headers, raw: q.rawHeaders, body });
  const [what, n] = (q.headers['x-do'] || '').split(' ');
  if (what === 'status') { s.writeHead(Number(n), { 'Content-Type': 'text/plain', 'X-Road-Error': 'of.the.provider' }); s.end('as told'); return; }
  if (what === 'redirect') { s.writeHead(302, { Location: n }); s.end(); return; }
  if (what === 'hang') return;
  if (what === 'cut') { q.socket.destroy(); return; }
  if (what === 'large') { s.writeHead(200, { 'Content-Type': 'application/octet-stream' }); let left = Number(n); const go = () => { while (left > 0) { const piece = big.subarray(0, Math.min(left, big.length)); left -= piece.length; if (!s.write(piece)) { s.once('drain', go); return; } } s.end(); }; go(); return; }
  if (what === 'count') { let n2 = 0; const h = createHash('sha256'); for await (const d of q) { n2 += d.length; h.update(d); } s.setHeader('Content-Type', 'application/json'); s.end(JSON.stringify({ bytes: n2, sha256: h.digest('hex') })); return; }
  s.writeHead(200, { 'Content-Type': q.headers['content-type'] || 'application/json', 'X-Own': 'kept', 'Set-Cookie': ['a=1', 'b=2'] });
  s.end(q.method === 'HEAD' ? undefined : body.length ? body : '{"value":42}');
});
await new Promise((done) => system.listen(0, '127.0.0.1', done));
const url = `http://127.0.0.1:${system.address().port}/api`;
const description = createServer((q, s) => {
  if (q.url === '/openapi.json') { s.setHeader('Content-Type', 'application/json'); s.end(JSON.stringify({ openapi: '3.0.0', info: { title: 't', version: '1' }, servers: [{ url: 'https://inside.example:8443/v1/cats' }, { url: '/rel' }, { url: 'https://{host}/v1' }], paths: {} })); } else if (q.url === '/openapi.yaml') { s.setHeader('Content-Type', 'application/x-yaml'); s.end('openapi: "3.0.0"\nservers:\n  - url: http://petstore.swagger.io/v1/cats\n  - url: "http://x.example"\npaths: {}\n'); } else { s.writeHead(404); s.end(); }
});
await new Promise((done) => description.listen(0, '127.0.0.1', done));
const described = `http://127.0.0.1:${description.address().port}`;

w.members(A, B, `${A}/data`, client, `${B}/tls`, `${B}/pinned`, `${office}/desk`, `${office}/books`);
for (const [n, m] of [['a', A], ['a2', A], ['b', B]]) (await w.take(n, m)).more = ['--exchange-grace-s', '40']; // pulls the directory every ten seconds
for (const n of ['a', 'a2']) {
  cli(n, 'subsystem', `${A}/data`);
  cli(n, 'services', 'add', `${A}/data/echo`, url);
  cli(n, 'services', 'add', `${A}/data/${'öäå'}`, url);
  cli(n, 'services', 'add', `${A}/data/shut`, url);
  cli(n, 'services', 'add', `${A}/data/cats`, url, '--openapi', `${described}/openapi.json`);
  cli(n, 'services', 'add', `${A}/data/dogs`, url, '--openapi', `${described}/openapi.yaml`);
  cli(n, 'services', 'add', `${A}/data/lost`, url, '--openapi', `${described}/none.json`);
  for (const s of ['echo', 'öäå', 'cats']) cli(n, 'grant', client, `${A}/data/${s}`);
  cli(n, 'grant', client, `${A}/data/shut`, '--method', 'GET', '--path', '/open/*');
  cli(n, 'grant', 'group:offices', `${A}/data/dogs`, '--method', 'GET');
}
cli('b', 'subsystem', client);
gateways.b.more.push('--exchange-timeout-ms', '6000');
await start('a', ['--exchange-timeout-ms', '3000']);
await start('b');

// A call as an information system makes it, byte for byte where it matters.
function ask(method, path, { headers = {}, body, base = gateways.b.base, from = client, tls } = {}) {
  const u = new URL(base);
  return new Promise((done, bad) => {
    const h = { ...(from ? { 'X-Road-Client': from } : {}), ...headers };
    if (body !== undefined) h['Content-Length'] ??= Buffer.byteLength(body);
    const q = (tls ? secure : plain)({ host: u.hostname, port: u.port, method, path, headers: h, ...(tls || {}) }, async (r) => {
      const all = [];
      let n = 0;
      for await (const d of r) { n += d.length; if (n < 1e6) all.push(d); }
      const text = Buffer.concat(all).toString();
      let json = null;
      try { json = JSON.parse(text); } catch { /* not JSON */ }
      done({ status: r.statusCode, headers: r.headers, raw: r.rawHeaders, text, json, bytes: n });
    });
    q.on('error', bad);
    if (body !== undefined) q.write(body);
    q.end();
  });
}
const echo = `/r1/${A}/data/echo`, json = { 'Content-Type': 'application/json' };
const fault = (r, code, status = code.startsWith('server.') ? 500 : 400) => { same([r.status, r.headers['x-road-error'], r.json?.type], [status, code, code], r.text); good(r.json.message && /^[0-9a-f-]{36}$/.test(r.json.detail), r.text); return r; };
const last = () => heard.at(-1);

await until('the provider\'s gateway knows the client\'s', async () => (await ask('GET', echo)).status === 200);

// ---- X-Road's own tests of its REST proxy and of its metadata services: twenty-one behaviours, each in the test named here ----
const upstream = {
  shouldFailIfClientHeaderMissing: 'fails if the client header is missing', shouldFailIfMalformedRequestURI: 'fails if the request URI is malformed', shouldHandleSimplePost: 'a simple POST',
  shouldKeepQueryId: 'keeps the message id', shouldHaveContentLengthHeader: 'tells the provider the content\'s length', requestHashShouldBeUnique: 'the request\'s hash is one of its own, also for one message id',
  shouldHaveOnlyOneDateHeader: 'has only one Date', shouldAcceptPercentEncodedIdentifiers: 'takes percent-encoded identifiers and passes the raw path', shouldAcceptEmptyPath: 'takes an empty path',
  shouldGetLargeBinaryMessage: 'gets a large binary message', shouldNotFollow302Redirects: 'never follows a redirect', shouldNotAllowCallingWSDLServices: 'a service that is not REST cannot be called',
  shouldNotAllowPATCH: 'a right holds for its method', shouldSelectResolvableAddress: 'a gateway whose address nobody knows is passed over', shouldRespectAcceptHeaderInErrorResponse: 'an error is told as Accept wants it',
  'listClients: who there is': 'metadata: who there is', 'listMethods: all services': 'metadata: what may be called, and what it looks like', 'allowedMethods: those with a right': 'metadata: what may be called, and what it looks like',
  'getOpenAPI: servers without their host': 'metadata: what may be called, and what it looks like', 'getOpenAPI: refused for REST': 'metadata: what may be called, and what it looks like',
  'getOpenAPI: a description that cannot be read': 'metadata: what may be called, and what it looks like',
};
const ran = new Set(), test = (name, fn) => testing(name, async () => { await fn(); ran.add(name); });
await test('fails if the client header is missing', async () => fault(await ask('GET', echo, { from: null, headers: json }), 'server.clientproxy.invalid_client_identifier'));
await test('fails if the request URI is malformed', async () => { for (const p of ['/r1/invalid', '/r1/a/b/c/d', '/r1/']) { const r = await ask('GET', p); good(r.status === 500 ? r.headers['x-road-error'] : p === '/r1/' && r.status === 404, `${p}: ${r.status}`); } });
await test('a simple POST', async () => { const r = await ask('POST', echo, { headers: json, body: '{"value" : 42}' }); same([r.status, r.json.value], [200, 42], r.text); });
await test('keeps the message id', async () => { const id = randomUUID(), r = await ask('POST', echo, { headers: { ...json, 'X-Road-Id': id }, body: '{"value" : 42}' }); same([r.status, r.headers['x-road-id'], last().headers['x-road-id']], [200, id, id]); });
await test('tells the provider the content\'s length', async () => { await ask('POST', echo, { headers: json, body: '{"value" : 42}' }); same(last().headers['content-length'], '14'); same(last().headers['transfer-encoding'], undefined); });
await test('the request\'s hash is one of its own, also for one message id', async () => {
  const hash = async () => (await ask('POST', echo, { headers: { ...json, 'X-Road-Id': 'queryid' } })).headers['x-road-request-hash'];
  const [one, two] = [await hash(), await hash()];
  good(one && two && one !== two && Buffer.from(one, 'base64').length === 64, `${one} ${two}`);
});
await test('has only one Date', async () => { const r = await ask('POST', echo, { headers: json, body: '{}' }); same(r.raw.filter((x) => x.toLowerCase() === 'date').length, 1); });
await test('takes percent-encoded identifiers and passes the raw path', async () => { const r = await ask('GET', `/r1/${A}/d%61ta/%C3%B6%C3%A4%C3%A5/path%3B/`); same([r.status, last().url], [200, '/api/path%3B/'], r.text); });
await test('takes an empty path', async () => { await ask('GET', `${echo}/`); same(last().url, '/api/'); await ask('GET', echo); same(last().url, '/api'); await ask('GET', `${echo}/x?a=%20b&c`); same(last().url, '/api/x?a=%20b&c'); await ask('GET', `${echo}//x//y`); same(last().url, '/api//x//y'); });
await test('gets a large binary message', async () => { const n = 13 * 1024 * 1024 + 104729, r = await ask('GET', echo, { headers: { 'X-Do': `large ${n}` } }); same([r.status, r.bytes], [200, n]); });
await test('never follows a redirect', async () => { const to = `/r1/${A}/data/notexists`, r = await ask('GET', echo, { headers: { 'X-Do': `redirect ${to}` } }); same([r.status, r.headers.location], [302, to]); });
await test('a right holds for its method', async () => {
  same((await ask('GET', `/r1/${A}/data/shut/open/1`)).status, 200);
  for (const m of ['PATCH', 'POST', 'DELETE', 'HEAD']) { const r = await ask(m, `/r1/${A}/data/shut/open/1`); same([r.status, r.headers['x-road-error']], [500, 'server.serverproxy.access_denied'], m); }
});
await test('a right holds for its path, whatever is written', async () => {
  const seen = heard.length;
  for (const p of ['/open/1/2', '/open%2F1', '/open/1%2Fsecret', '/open/1%2fsecret', '/OPEN/1', '/secret', '/open', '/open/a%5Cb', '/open/..;/secret', '/open/%252e%252e/secret', '/open/1;/../secret'])
    same((await ask('GET', `/r1/${A}/data/shut${p}`)).status >= 400, true, p);
  for (const p of ['/open/../secret', '/open/%2e%2e/secret', '/open/.%2E/secret', '/open/..%2fsecret']) same((await ask('GET', `/r1/${A}/data/shut${p}`)).status >= 400, true, p);
  same(heard.length, seen, 'the provider heard one of them');
});
await test('a service that is not REST cannot be called', async () => { // as a table of an older make may hold one: no command makes it
  cli('a', 'services', 'add', `${A}/data/wsdl`, url);
  cli('a', 'grant', client, `${A}/data/wsdl`);
  await until('the service', async () => (await ask('GET', `/r1/${A}/data/wsdl`)).status === 200);
  execFileSync('sqlite3', [join(gateways.a.folder, 'exchange.db'), `PRAGMA busy_timeout=5000; UPDATE exchange_service SET kind = 'WSDL' WHERE id = '${A}/data/wsdl'`], { stdio: 'ignore' });
  cli('a', 'services', 'disable', `${A}/data/shut`, '--enable'); // a change, after which the table is read again
  fault(await until('it to be read', async () => { const r = await ask('GET', `/r1/${A}/data/wsdl`); return r.status !== 200 && r; }), 'server.serverproxy.service_type');
  cli('a', 'services', 'remove', `${A}/data/wsdl`);
});
await test('an error is told as Accept wants it', async () => {
  const type = async (accept) => { const r = await ask('GET', `/r1/${A}/data/nope`, { headers: accept ? { Accept: accept } : {} }); same([r.status, r.headers['x-road-error']], [500, 'server.serverproxy.unknown_service'], r.text); if (/xml/.test(r.headers['content-type'])) good(/<error><type>server\.serverproxy\.unknown_service<\/type><message>.*<\/message><detail>/.test(r.text.replace(/>\s+</g, '><')), r.text); return r.headers['content-type'].replace(/; /, ';'); };
  for (const [accept, expected] of [['application/json;charset=utf-8', 'application/json'], ['foobarbaz', 'application/json'], [null, 'application/json'], ['application/xml', 'application/xml;charset=utf-8'], ['text/xml', 'text/xml;charset=utf-8'],
    ['application/xml, text/xml', 'application/xml;charset=utf-8'], ['text/xml, application/xml', 'text/xml;charset=utf-8'], ['text/xml-patch+xml', 'application/json'], ['application/xml; q=0.2', 'application/xml;charset=utf-8'],
    ['text/xml, application/xml, application/json', 'text/xml;charset=utf-8'], ['text/*', 'text/xml;charset=utf-8']]) same(await type(accept), expected, accept);
});

// ---- verbs, headers, answers ----
await test('every verb arrives as it was sent', async () => {
  for (const m of ['DELETE', 'GET', 'HEAD', 'OPTIONS', 'PATCH', 'POST', 'PUT', 'TRACE']) { const r = await ask(m, `${echo}/v`, ['PATCH', 'POST', 'PUT'].includes(m) ? { body: 'x' } : {}); same([r.status, last().method], [200, m], r.text); }
});
await test('headers pass but for those of one connection; those of the gateway are its own', async () => {
  const r = await ask('GET', echo, { headers: { 'X-Own': 'a', 'User-Agent': 'u', TE: 'trailers', 'X-Road-Request-Id': 'forged', 'X-Road-Request-Hash': 'forged', 'X-Road-UserId': 'EE1', 'X-Road-Issue': 'case', 'X-Road-Represented-Party': 'COM/7', Authorization: 'Bearer x', Connection: 'x-hop', 'X-Hop': '1' } });
  const h = last().headers;
  same([h['x-own'], h['user-agent'], h.te, h['x-hop'], h['x-road-userid'], h['x-road-issue'], h['x-road-represented-party'], h.authorization, h['x-road-client'], h.signature, h['content-digest']], ['a', undefined, undefined, undefined, 'EE1', 'case', 'COM/7', 'Bearer x', client, undefined, undefined]);
  good(/^[0-9a-f-]{36}$/.test(h['x-road-request-id']) && h['x-road-id'].startsWith(`${instance}-`), JSON.stringify(h));
  same([r.headers['x-road-client'], r.headers['x-road-service'], r.headers['x-road-request-id'], r.headers['x-road-id'], r.headers['x-own'], r.headers.signature, r.headers['set-cookie'].length], [client, `${A}/data/echo`, h['x-road-request-id'], h['x-road-id'], 'kept', undefined, 2]);
});
await test('the hash can be made by anybody who saw the request', async () => {
  const body = '{"a":1}', r = await ask('POST', `${echo}/h?x=1`, { headers: json, body }), raw = last().raw, lines = [];
  for (let i = 0; i < raw.length; i += 2) if (!/^(host|content-length|connection|user-agent)$/i.test(raw[i])) lines.push(`${raw[i]}:${raw[i + 1]}\r\n`);
  const sha = (...p) => { const h = createHash('sha512'); p.forEach((x) => h.update(x)); return h.digest(); };
  same(r.headers['x-road-request-hash'], sha(sha(`POST\r\n${echo}/h?x=1\r\n${lines.join('')}`), sha(body)).toString('base64'));
});
await test('a provider\'s own error passes, and is not one of a gateway', async () => { const r = await ask('GET', echo, { headers: { 'X-Do': 'status 418' } }); same([r.status, r.text, r.headers['x-road-error']], [418, 'as told', undefined]); });
await test('who is not of this gateway, or of nobody', async () => {
  fault(await ask('GET', echo, { from: `${B}/nobody` }), 'server.clientproxy.unknown_member');
  fault(await ask('GET', echo, { from: `${A}/data` }), 'server.clientproxy.unknown_member');
  fault(await ask('GET', echo, { from: 'x' }), 'server.clientproxy.invalid_client_identifier');
  fault(await ask('GET', `/r1/${instance}/GOV/1/none/x`), 'server.clientproxy.unknown_member');
  fault(await ask('GET', `/r1/${A}/none/x`), 'server.serverproxy.unknown_member');
});
await test('a gateway is forced by name', async () => {
  same((await ask('GET', echo, { headers: { 'X-Road-Security-Server': `${A}/a` } })).status, 200);
  fault(await ask('GET', echo, { headers: { 'X-Road-Security-Server': `${B}/b` } }), 'server.clientproxy.invalid_security_server');
  fault(await ask('GET', echo, { headers: { 'X-Road-Security-Server': 'x' } }), 'server.clientproxy.invalid_security_server');
});
await test('metadata: who there is', async () => {
  const r = await ask('GET', '/listClients', { headers: { Accept: 'application/json' } }), of = (code) => r.json.member.find((x) => x.id.subsystem_code === code);
  same([of('asks').id, of('asks').name, r.json.member.find((x) => x.id.member_code === '90000001' && x.id.object_type === 'MEMBER').id.subsystem_code], [{ member_class: 'GOV', member_code: '90000002', object_type: 'SUBSYSTEM', subsystem_code: 'asks', xroad_instance: instance }, of('asks').name, undefined]);
  const xml = await ask('GET', '/listClients');
  good(/^text\/xml/.test(xml.headers['content-type']) && /<id:subsystemCode>asks<\/id:subsystemCode>/.test(xml.text), xml.text.slice(0, 300));
  same((await ask('GET', '/listClients?xRoadInstance=none', { headers: { Accept: 'application/json' } })).json, { member: [] });
});
await test('metadata: what may be called, and what it looks like', async () => {
  const codes = (r) => r.json.service.map((x) => `${x.service_code} ${x.service_type}`).sort();
  same(codes(await ask('GET', `/r1/${A}/data/listMethods`)), ['cats OPENAPI', 'dogs OPENAPI', 'echo REST', 'lost OPENAPI', 'shut REST', 'öäå REST']);
  same(codes(await ask('GET', `/r1/${A}/data/allowedMethods`)), ['cats OPENAPI', 'echo REST', 'shut REST', 'öäå REST']);
  const cats = await ask('GET', `/r1/${A}/data/getOpenAPI?serviceCode=cats`), dogs = await ask('GET', `/r1/${A}/data/getOpenAPI?serviceCode=dogs`);
  same(cats.json.servers.map((x) => x.url), ['/v1/cats', '/rel', 'https://{host}/v1']);
  good(/url: \/v1\/cats\n/.test(dogs.text) && /url: ""\n/.test(dogs.text), dogs.text);
  for (const [code, text] of [['echo', 'Invalid service type: REST'], ['lost', `Failed reading service description from ${described}/none.json. Status: 404`], ['nope', 'Service not found: ']]) { const r = await ask('GET', `/r1/${A}/data/getOpenAPI?serviceCode=${code}`); fault(r, 'server.serverproxy.internal_error'); good(r.json.message.startsWith(text), r.json.message); }
  fault(await ask('GET', `/r1/${A}/data/getOpenAPI`), 'server.serverproxy.invalid_request');
});
await test('a service under maintenance says so; what a command changes shows at once', async () => {
  cli('a', 'services', 'disable', `${A}/data/echo`, '--notice', 'until ten');
  const r = await until('the notice', async () => { const x = await ask('GET', echo); return x.status === 500 ? x : null; });
  fault(r, 'server.serverproxy.service_disabled');
  good(/is disabled: until ten/.test(r.json.message), r.json.message);
  cli('a', 'services', 'disable', `${A}/data/echo`, '--enable');
  await until('it again', async () => (await ask('GET', echo)).status === 200);
});

await test('a group of the directory: a right to it is a right of its members, as long as they are in it', async () => {
  const dogs = () => ask('GET', `/r1/${A}/data/dogs`), cli2 = (...words) => wrapped([], 'gateway', ...words, '--folder', w.op);
  fault(await dogs(), 'server.serverproxy.access_denied');
  const wrong = await cli2('group', 'offices', `${B}/nobody`);
  good(wrong.status === 1 && /put it there first/.test(wrong.err), wrong.err);
  cli('op', 'group', 'offices', B); // a member stands for all its subsystems
  await until('the group', async () => (await dogs()).status === 200); // pushed at once, or pulled within a minute
  fault(await ask('POST', `/r1/${A}/data/dogs`, { body: 'x' }), 'server.serverproxy.access_denied'); // the right is to GET
  cli('op', 'group', 'offices', B, '--out');
  await until('the group without it', async () => (await dogs()).status === 500);
  fault(await dogs(), 'server.serverproxy.access_denied');
});
await test('chapar gateway test: which side, which check, what to do', async () => {
  const tried = (...words) => wrapped([], 'gateway', 'test', ...words, '--folder', gateways.b.folder), says = (r, side, check, advice) => { same(r.status, 1, r.out + r.err); good(r.out.includes(`refused by ${side}\n`) && r.out.includes(`check   ${check}\n`) && advice.test(r.out), r.out); };
  const good1 = await tried(client, `${A}/data/echo`);
  good(good1.status === 0 && /answered by the provider's information system with 200, \d+ bytes/.test(good1.out), good1.out + good1.err);
  says(await tried(client, `${A}/data/shut`, 'POST', '/x'), 'the provider\'s gateway', 'right to call', /code    server\.serverproxy\.access_denied[^]*advice  Ask the providing organisation/);
  says(await tried(client, `${A}/data/nope`), 'the provider\'s gateway', 'the service', /advice  Compare the service's code with listMethods/);
  says(await tried(`${B}/nobody`, `${A}/data/echo`), 'this gateway', 'member identifier', /code    server\.clientproxy\.unknown_member/);
  says(await tried(client, `${instance}/GOV/1/none/x`), 'this gateway', 'member identifier', /advice  Compare the identifier with the list of members/);
  await stop(gateways.a);
  says(await tried(client, `${A}/data/echo`), 'this gateway', 'reaching the other side', /advice  See to address, network and firewall/);
  await start('a', ['--exchange-timeout-ms', '3000']);
  await until('it is back', async () => (await ask('GET', echo)).status === 200);
  const away = await wrapped([], 'gateway', 'test', client, `${A}/data/echo`, '--folder', gateways.a2.folder);
  good(away.status === 1 && /does not serve: chapar gateway serve/.test(away.err), away.err);
});

// ---- what goes wrong, and what is told ----
await test('a provider that is not there, hangs, or cuts', async () => {
  cli('a', 'services', 'add', `${A}/data/gone`, 'http://127.0.0.1:1/');
  cli('a', 'grant', client, `${A}/data/gone`);
  await until('the service', async () => (await ask('GET', `/r1/${A}/data/gone`)).headers['x-road-error'] === 'server.serverproxy.network_error');
  fault(await ask('GET', `/r1/${A}/data/gone`), 'server.serverproxy.network_error');
  fault(await ask('GET', echo, { headers: { 'X-Do': 'hang' } }), 'server.serverproxy.io_error');
  fault(await ask('GET', echo, { headers: { 'X-Do': 'cut' } }), 'server.serverproxy.io_error');
});
await test('what changes something is done once for one message id', async () => {
  const id = randomUUID(), once = () => ask('POST', `${echo}/once`, { headers: { ...json, 'X-Road-Id': id }, body: '{"n":1}' }), n = () => heard.filter((x) => x.headers['x-road-id'] === id).length;
  const [one, two] = [await once(), await once()];
  same([one.status, two.status, two.text, n()], [200, 200, '{"n":1}', 1]);
  good(one.headers['x-road-request-id'] !== two.headers['x-road-request-id'], 'an answer belongs to its request');
  fault(await ask('POST', `${echo}/once`, { headers: { ...json, 'X-Road-Id': id }, body: '{"n":2}' }), 'server.serverproxy.invalid_request');
});
await test('what was given to the provider and not answered: its outcome is not known, and that is said; what may be repeated is done again', async () => {
  const id = randomUUID(), once = (method, id, doing) => ask(method, `${echo}/unsure`, { headers: { ...json, 'X-Road-Id': id, ...(doing ? { 'X-Do': doing } : {}) }, body: '{"n":1}' }), n = (id) => heard.filter((x) => x.headers['x-road-id'] === id).length;
  fault(await once('POST', id, 'cut'), 'server.serverproxy.io_error');
  for (let i = 0; i < 2; i++) good(/did not answer well: what became of it is not known, ask the provider/.test(fault(await once('POST', id), 'server.serverproxy.io_error').json.message), 'the outcome');
  same(n(id), 1);
  const again = randomUUID();
  fault(await once('PUT', again, 'hang'), 'server.serverproxy.io_error');
  same([(await once('PUT', again)).status, n(again)], [200, 2]);
});
await test('both sides keep the signed messages, and show them to who took part', async () => {
  const id = randomUUID();
  await ask('POST', echo, { headers: { ...json, 'X-Road-Id': id }, body: '{"kept":1}' });
  const r = await ask('GET', `/evidence/${id}`);
  same(r.status, 200, r.text);
  good(JSON.stringify(r.json).includes(id), r.text.slice(0, 200));
  same((await ask('GET', `/evidence/${randomUUID()}`)).status, 404);
});
await test('a second gateway of the provider shares the load and stands in', async () => {
  await start('a2');
  const before = heard.length;
  for (let i = 0; i < 20; i++) same((await ask('GET', `${echo}/shared`)).status, 200);
  same(heard.length, before + 20);
  cli('a', 'maintenance', 'on', '--notice', 'a new disk');
  await until('maintenance', async () => (await ask('GET', echo, { headers: { 'X-Road-Security-Server': gateways.a.server } })).headers['x-road-error'] === 'server.serverproxy.maintenance_mode');
  for (let i = 0; i < 4; i++) same((await ask(i % 2 ? 'GET' : 'POST', `${echo}/instead`, { headers: json, body: i % 2 ? undefined : '{}' })).status, 200, 'the other stands in');
  cli('a', 'maintenance', 'off');
  await stop(gateways.a, 'SIGKILL');
  for (let i = 0; i < 6; i++) same((await ask('GET', `${echo}/standing-in`)).status, 200);
  await stop(gateways.a2);
  fault(await ask('GET', echo), 'server.clientproxy.network_error');
  await start('a', ['--exchange-timeout-ms', '3000']);
  await until('it is back', async () => (await ask('GET', echo)).status === 200);
});
await test('later: taken while the provider is away, delivered when it is back by a gateway that was lost and put back from a copy, fetched by its id', async () => {
  const early = (await ask('POST', `${echo}/later`, { headers: { ...json, 'Chapar-Async': 'yes' }, body: '{"early":1}' })).headers.location, got = async () => { const r = await ask('GET', early); return r.status === 200 && r.text; };
  await until('an answer that is kept', got);
  await stop(gateways.a);
  const id = randomUUID(), later = { ...json, 'X-Road-Id': id, 'Chapar-Async': 'yes', 'X-Road-Security-Server': gateways.a.server };
  const astray = (await ask('POST', `${echo}/later`, { headers: { ...json, 'Chapar-Async': 'yes' }, body: '{"astray":1}' })).headers.location;
  const taken = await ask('POST', `${echo}/later`, { headers: later, body: '{"later":1}' });
  same([taken.status, taken.headers.location], [202, `/exchange/async/${id}`], taken.text);
  same((await ask('POST', `${echo}/later`, { headers: later, body: '{"later":1}' })).status, 202, 'the same again');
  fault(await ask('POST', `${echo}/later`, { headers: later, body: '{"later":2}' }), 'server.clientproxy.invalid_request');
  const waiting = await until('a first try', async () => { const r = await ask('GET', taken.headers.location); return r.json?.tries > 0 ? r : null; });
  same([waiting.status, waiting.json.state], [202, 'waiting']);
  good(/network_error/.test(waiting.json.last_error) && waiting.headers['retry-after'], waiting.text);
  const copy = join(dir, 'b.copy'), g = gateways.b;
  writeFileSync(join(g.folder, 'async', `${'0'.repeat(32)}.request`), 'of nobody'); // no row has it: it is in no copy
  cli('b', 'backup', copy);
  await stop(g, 'SIGKILL');
  rmSync(g.folder, { recursive: true });
  cli('b', 'restore', copy);
  same(readdirSync(join(g.folder, 'async')).length, 4, 'three requests and an answer');
  await start('b');
  same(await got(), '{"early":1}', 'what was answered before the copy');
  await start('a', ['--exchange-timeout-ms', '3000']);
  const done = await until('the answer', async () => { const r = await ask('GET', taken.headers.location); return r.status === 202 ? null : r; });
  same([done.status, done.text, done.headers['x-road-id'], heard.filter((x) => x.headers['x-road-id'] === id).length], [200, '{"later":1}', id, 1]);
  const lost = await until('what may be known to one of two gateways', async () => { const r = await ask('GET', astray); return r.status === 202 ? null : r; });
  good(lost.status === 500 && /ask the provider/.test(lost.json.message) && !heard.some((x) => String(x.body) === '{"astray":1}'), lost.text);
  same((await ask('GET', taken.headers.location, { from: `${B}/other` })).status, 500, 'another\'s');
  const refused = await ask('POST', `/r1/${A}/data/shut/x`, { headers: { 'Chapar-Async': 'yes' }, body: 'x' });
  const told = await until('the refusal', async () => { const r = await ask('GET', refused.headers.location); return r.status === 202 ? null : r; });
  fault(told, 'server.serverproxy.access_denied');
});
await test('later, called back: the answer as it came, the error of what could not be delivered; again until it is taken', async () => {
  const told = [];
  let busy = 1;
  const back = createServer(async (q, s) => { const body = await bodyOf(q); if (busy-- > 0) { s.writeHead(503); s.end(); return; } told.push({ url: q.url, headers: q.headers, body: body.toString() }); s.end(); });
  await new Promise((done) => back.listen(0, '127.0.0.1', done));
  const strange = { ...json, 'Chapar-Async': 'yes', 'Chapar-Async-Callback': 'echo/x' };
  fault(await ask('POST', `${echo}/back`, { headers: strange, body: '{}' }), 'server.clientproxy.invalid_request'); // no service of the client's own
  cli('b', 'services', 'add', `${client}/told`, `http://127.0.0.1:${back.address().port}/in`);
  const headers = { ...json, 'Chapar-Async': 'yes', 'Chapar-Async-Callback': 'told/later?a=1' }, [one, two] = [randomUUID(), randomUUID()];
  await until('the service', async () => (await ask('POST', `${echo}/back`, { headers: { ...headers, 'X-Road-Id': one }, body: '{"back":1}' })).status === 202);
  same((await ask('POST', `/r1/${A}/data/shut/x`, { headers: { ...headers, 'X-Road-Id': two }, body: 'x' })).status, 202);
  await until('both', () => told.some((x) => x.headers['x-road-id'] === one) && told.some((x) => x.headers['x-road-id'] === two));
  const [answer, refusal] = [one, two].map((id) => told.find((x) => x.headers['x-road-id'] === id));
  same([answer.url, answer.body, answer.headers['chapar-async-status'], answer.headers['x-road-error']], ['/in/later?a=1', '{"back":1}', '200', undefined]);
  same([refusal.headers['chapar-async-status'], refusal.headers['x-road-error'], JSON.parse(refusal.body).type], ['500', 'server.serverproxy.access_denied', 'server.serverproxy.access_denied']);
  same(heard.filter((x) => x.headers['x-road-id'] === one).length, 1);
  fault(await ask('GET', `/exchange/async/${two}`), 'server.serverproxy.access_denied'); // it is still there to be fetched
  back.close();
});
await test('the platform\'s own gateway: both sides in one process', async () => {
  for (const s of ['desk', 'books']) cli('op', 'subsystem', `${office}/${s}`);
  cli('op', 'services', 'add', `${office}/books/echo`, url);
  cli('op', 'grant', `${office}/desk`, `${office}/books/echo`);
  const go = () => ask('GET', `/r1/${office}/books/echo/in`, { base: platform.base, from: `${office}/desk` });
  const r = await until('the service', async () => { const x = await go(); return x.status === 200 ? x : null; });
  same([last().url, r.headers['x-road-service']], ['/api/in', `${office}/books/echo`]);
  const far = await ask('GET', `/r1/${office}/books/echo/in`, { base: platform.base, from: `${office}/desk`, headers: { 'X-Forwarded-For': '203.0.113.9' } });
  fault(far, 'server.clientproxy.access_denied');
});
await test('TLS towards information systems: HTTPS, and one\'s own certificate', async () => {
  const g = gateways.b, p = await port(), key = join(dir, 'is.key'), crt = join(dir, 'is.crt');
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', key, '-out', crt, '-subj', '/CN=is', '-days', '2'], { stdio: 'ignore' });
  const der = execFileSync('openssl', ['x509', '-in', crt, '-outform', 'DER']), pin = createHash('sha256').update(der).digest('hex');
  cli('b', 'subsystem', `${B}/tls`, '--tls', 'https');
  cli('b', 'subsystem', `${B}/pinned`, '--tls', 'mutual', '--certificates', pin);
  for (const n of ['a', 'a2']) for (const s of ['tls', 'pinned']) cli(n, 'grant', `${B}/${s}`, `${A}/data/echo`);
  await stop(g);
  g.more = [...g.more, '--exchange-systems-listen', `127.0.0.1:${p}`];
  await start('b');
  const over = (from, more = {}) => ask('GET', echo, { base: `https://127.0.0.1:${p}`, from, tls: { rejectUnauthorized: false, ...more } }), shown = { key: readFileSync(key), cert: readFileSync(crt) };
  fault(await ask('GET', echo, { from: `${B}/tls` }), 'server.clientproxy.ssl_authentication_failed');
  await until('the rights', async () => (await over(`${B}/tls`)).status === 200);
  same((await over(`${B}/pinned`, shown)).status, 200);
  fault(await over(`${B}/pinned`), 'server.clientproxy.ssl_authentication_failed');
  fault(await ask('GET', echo, { from: `${B}/pinned` }), 'server.clientproxy.ssl_authentication_failed');
  // From elsewhere only who shows a certificate that is known, TLS or not.
  const far = (from, more = {}) => ask('GET', echo, { base: `https://127.0.0.1:${p}`, from, headers: { 'X-Forwarded-For': '203.0.113.9' }, tls: { rejectUnauthorized: false, ...more } });
  for (const from of [client, `${B}/tls`]) fault(await far(from), 'server.clientproxy.access_denied');
  same((await over(client)).status, 200, 'from this machine it may');
  same((await far(`${B}/pinned`, shown)).status, 200);
  const announced = (from, more = {}) => new Promise((done, bad) => { // a body that is announced: is it taken?
    const q = secure({ host: '127.0.0.1', port: p, method: 'POST', path: echo, headers: { 'X-Road-Client': from, 'X-Forwarded-For': '203.0.113.9', Expect: '100-continue', 'Content-Length': 1e6 }, rejectUnauthorized: false, agent: false, ...more },
      (r) => { r.resume(); done(r.headers['x-road-error']); q.destroy(); });
    q.on('continue', () => { done('taken'); q.destroy(); });
    q.on('error', bad);
    q.flushHeaders();
  });
  same([await announced(client), await announced(`${B}/pinned`), await announced(`${B}/nobody`), await announced(`${B}/pinned`, shown)],
    ['server.clientproxy.access_denied', 'server.clientproxy.ssl_authentication_failed', 'server.clientproxy.unknown_member', 'taken']);
});
await test('new keys: the listener of information systems shows the new certificate without beginning anew, and no call fails', async () => {
  const g = gateways.b, p = Number(g.more.at(-1).split(':')[1]), shown = () => new Promise((done, bad) => { const s = dial({ host: '127.0.0.1', port: p, rejectUnauthorized: false }, () => { done(s.getPeerCertificate().fingerprint256); s.end(); }); s.on('error', bad); });
  await start('a2'); // whoever was seen lately has to know the new keys before they are used
  const pid = g.child.pid, before = await shown(), calls = { good: 0, bad: [], over: false };
  const traffic = (async () => { while (!calls.over) { const r = await ask('GET', echo, { base: `https://127.0.0.1:${p}`, from: `${B}/tls`, tls: { rejectUnauthorized: false } }); if (r.status === 200) calls.good++; else calls.bad.push(r.text); } })();
  traffic.catch(() => {}); // told below
  cli('b', 'renew-keys');
  const now = await until('the new certificate', async () => { const x = await shown(); return x !== before && x; }).finally(() => { calls.over = calls.good === 0; });
  same(now, execFileSync('openssl', ['x509', '-in', join(g.folder, 'keys', 'tls.crt'), '-fingerprint', '-sha256', '-noout'], { encoding: 'utf8' }).trim().split('=')[1]);
  const then = calls.good;
  await until('calls after it', () => calls.good > then + 2 || calls.bad.length);
  calls.over = true;
  await traffic;
  same([calls.bad, g.child.pid, g.child.exitCode], [[], pid, null]);
});
await test('error codes as before 7.8, where that is set', async () => {
  await stop(gateways.b);
  await start('b', ['--exchange-errors', '7.7']);
  const r = await ask('GET', echo, { from: `${B}/nobody` });
  same([r.status, r.headers['x-road-error'], r.json.type], [500, 'Server.ClientProxy.UnknownMember', 'Server.ClientProxy.UnknownMember']);
  same((await ask('GET', `/r1/${A}/data/shut/x`)).headers['x-road-error'], 'Server.ServerProxy.AccessDenied');
});
await test('figures, causes', async () => {
  const text = await (await fetch(`${gateways.b.base}/metrics`)).text();
  good(/chapar_exchange_messages_total\{side="consumer"/.test(text), text.slice(0, 300));
  same((await (await fetch(`${gateways.b.base}/health`)).json()).status, 'ok');
  for (const n of ['a', 'b']) same(JSON.parse((await wrapped([], 'gateway', 'status', '--json', '--folder', gateways[n].folder)).out).directory.key_helper.restarts, 0, `${n}: its key helper died`);
});
await test('a gateway whose address nobody knows is passed over', async () => {
  await w.take('lost', A, undefined, { host: 'gateway.invalid' });
  await until('it in the directory', async () => JSON.parse(cli('b', 'directory', '--json')).gateways.some((g) => g.id === gateways.lost.server));
  for (let i = 0; i < 4; i++) same((await ask('POST', echo, { headers: json, body: '{"value" : 42}' })).json?.value, 42);
  fault(await ask('GET', echo, { headers: { 'X-Road-Security-Server': gateways.lost.server } }), 'Server.ClientProxy.NetworkError', 500);
});
if (process.env.LONG) await test('a body of 1 GB both ways, in constant memory', async () => {
  const peak = (g) => Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${g.child.pid}/status`, 'utf8'))[1]) / 1024, n = 1024 ** 3;
  await stop(gateways.b);
  await start('b', ['--exchange-timeout-ms', '600000']);
  await stop(gateways.a);
  await start('a', ['--exchange-timeout-ms', '600000']);
  await until('it', async () => (await ask('GET', echo)).status === 200);
  const began = performance.now(), down = await ask('GET', echo, { headers: { 'X-Do': `large ${n}` } }), between = performance.now();
  same([down.status, down.bytes], [200, n], down.text.slice(0, 200));
  const r = await new Promise((done, bad) => {
    const u = new URL(gateways.b.base), q = plain({ host: u.hostname, port: u.port, method: 'PUT', path: echo, headers: { 'X-Road-Client': client, 'X-Do': 'count', 'Content-Length': n } }, async (a) => done(JSON.parse((await bodyOf(a)).toString())));
    q.on('error', bad);
    let left = n;
    const go = () => { while (left > 0) { left -= big.length; if (!q.write(big)) { q.once('drain', go); return; } } q.end(); };
    go();
  });
  same(r.bytes, n);
  const mb = [peak(gateways.a), peak(gateways.b)], seconds = (from, to) => ((to - from) / 1000).toFixed(0);
  console.log(`  answered in ${seconds(began, between)} s, sent in ${seconds(between, performance.now())} s`);
  console.log(`  resident at most: provider's gateway ${mb[0].toFixed(0)} MB, client's ${mb[1].toFixed(0)} MB`);
  good(mb.every((x) => x < 64), `${mb} MB`);
});
await testing('every behaviour of X-Road\'s own tests was seen', () => { same(Object.keys(upstream).length, 21); for (const [name, here] of Object.entries(upstream)) good(ran.has(here), `${name}: ${here}`); });
end();
