// Gateways on a network that fails: the directory, the gateway of who asks (a), two of who answers (b, b2) and an information system (p) each in a network
// namespace of its own, on one bridge, with real TLS. Lines are cut in the middle of an answer, lose packets, pass one way only; peers and providers are stuck or
// drip; clocks are wrong; processes are killed. Each must give its one error, both sides' evidence must agree afterwards, what changes something must have been
// done once, and all must go on by itself. Needs root; inside, everything lives in namespaces that end with this process.
import { spawn, spawnSync, execFileSync, fork } from 'node:child_process';
import { createServer } from 'node:http';
import { connect } from 'node:tls';
import { request } from 'node:http';
import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const self = fileURLToPath(import.meta.url), role = process.argv[2];
const WIDE = { op: '10.77.0.1', a: '10.77.0.2', b: '10.77.0.3', b2: '10.77.0.4', p: '10.77.0.5' };
const FAKETIME = ['/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1', '/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1'].find(existsSync);

process.setMaxListeners(40);
if (role === 'provider') provider();
else if (role === 'slow') slow(process.argv[3]);
else if (role === 'inside') await inside();
else outside();

function outside() {
  const no = (why) => { console.log(`not run: gateways on a network that fails: ${why}`); process.exit(0); };
  if (process.getuid() !== 0) no('network namespaces need root');
  const trial = spawnSync('unshare', ['-n', '-m', '-p', '-f', '--mount-proc', '--propagation', 'private', 'sh', '-c', 'mkdir -p /run/netns && mount -t tmpfs tmpfs /run/netns && ip netns add x && ip link add y type bridge && ip link add u type veth peer name v netns x'], { encoding: 'utf8' });
  if (trial.status !== 0) no(`this machine makes no network namespaces with bridges: ${(trial.stderr || trial.error?.message || '').trim()}`);
  // a process namespace, so that whatever happens nothing is left behind
  const child = spawn('unshare', ['-n', '-m', '-p', '-f', '--kill-child', '--mount-proc', '--propagation', 'private', 'sh', '-c', 'mount -t tmpfs tmpfs /run/netns && ip link set lo up && "$0" "$@"', process.execPath, self, 'inside'], { stdio: ['ignore', 'inherit', 'inherit'] });
  for (const s of ['SIGINT', 'SIGTERM']) process.on(s, () => child.kill('SIGKILL'));
  child.on('exit', (code) => process.exit(code ?? 1));
}

// The information system: does as `x-do` says, and tells its parent every message that it heard.
function provider() {
  const held = new Map(), filler = Buffer.alloc(65536, 'x');
  const system = createServer(async (q, s) => {
    const all = [];
    for await (const d of q) all.push(d);
    const id = q.headers['x-road-id'], [what, n] = (q.headers['x-do'] || '').split(' ');
    process.send({ heard: id, method: q.method });
    if (what === 'pause') await new Promise((done) => setTimeout(done, Number(n)));
    if (what === 'hold') await new Promise((done) => held.set(id, done));
    if (what === 'hang') return;
    if (what === 'drip') { s.writeHead(200, { 'Content-Type': 'text/plain', 'Content-Length': 1000000 }); const t = setInterval(() => s.write('.'), 200); s.on('close', () => clearInterval(t)); return; }
    if (what === 'half') { s.writeHead(200, { 'Content-Length': 1000000 }); s.write(filler, () => q.socket.destroy()); return; }
    s.writeHead(200, { 'Content-Type': 'text/plain' });
    if (what === 'large') { for (let left = Number(n); left > 0; left -= filler.length) if (!s.write(filler.subarray(0, Math.min(left, filler.length)))) await new Promise((done) => s.once('drain', done)); s.end(); return; }
    s.end(`did ${Buffer.concat(all)}`);
  });
  process.on('message', (m) => { held.get(m.release)?.(); held.delete(m.release); });
  process.on('disconnect', () => process.exit());
  system.listen(8080, WIDE.p, () => process.send({ ready: true }));
}

// Forty connections of a peer that is known, each of which sends a byte a second.
function slow(keys) {
  let on = 0;
  for (let i = 0; i < 40; i++) {
    const s = connect({ host: WIDE.b, port: 5500, key: readFileSync(join(keys, 'tls.pem')), cert: readFileSync(join(keys, 'tls.crt')), rejectUnauthorized: false }, () => {
      s.write('POST /r1/x HTTP/1.1\r\nContent-Length: 100000\r\n');
      setInterval(() => s.write('x'), 1000);
      if (++on === 40) process.send('all');
    });
    s.on('error', () => process.exit(1));
  }
}

async function inside() {
  const { call, test, same, good, end } = await import('../e2e/kit.mjs');
  const { world, until } = await import('../e2e/gateways.mjs');
  const ip = (...words) => execFileSync('ip', words, { stdio: ['ignore', 'ignore', 'pipe'] });
  const nft = (name, text) => execFileSync('ip', ['netns', 'exec', name, 'nft', '-f', '-'], { input: text, stdio: ['pipe', 'pipe', 'pipe'], encoding: 'utf8' });
  const rules = (input, output) => `table inet f {\n chain i {\n type filter hook input priority 0;\n ${input}\n }\n chain o {\n type filter hook output priority 0;\n ${output}\n }\n}\n`;
  const shown = (name) => execFileSync('ip', ['netns', 'exec', name, 'nft', 'list', 'ruleset'], { encoding: 'utf8' });
  const dropped = (name) => [...shown(name).matchAll(/counter packets (\d+)/g)].reduce((n, m) => n + Number(m[1]), 0);
  const clean = (name) => nft(name, 'flush ruleset');

  // ---- the network: everybody on one bridge; beside it a line from here to each gateway, as from its organisation's own systems ----
  const names = Object.keys(WIDE), own = (name) => `10.78.${names.indexOf(name)}`;
  ip('link', 'add', 'wide', 'type', 'bridge');
  ip('link', 'set', 'wide', 'up');
  for (const n of names) {
    ip('netns', 'add', n);
    ip('link', 'add', `w-${n}`, 'type', 'veth', 'peer', 'name', 'wide', 'netns', n);
    ip('link', 'set', `w-${n}`, 'master', 'wide', 'up');
    ip('link', 'add', `o-${n}`, 'type', 'veth', 'peer', 'name', 'own', 'netns', n);
    ip('addr', 'add', `${own(n)}.1/30`, 'dev', `o-${n}`);
    ip('link', 'set', `o-${n}`, 'up');
    for (const words of [['addr', 'add', `${WIDE[n]}/24`, 'dev', 'wide'], ['addr', 'add', `${own(n)}.2/30`, 'dev', 'own'], ['link', 'set', 'lo', 'up'], ['link', 'set', 'wide', 'up'], ['link', 'set', 'own', 'up']]) ip('-n', n, ...words);
  }
  const within = (n) => ['ip', 'netns', 'exec', n];
  const w = await world({ where: async (n) => ({ host: WIDE[n], systems: `${own(n)}.2`, port: 5500, wrap: within(n) }) });
  const { instance, gateways, cli, start, stop } = w;
  const A = `${instance}/GOV/90000001`, B = `${instance}/GOV/90000002`, client = `${A}/asks`, service = `${B}/data/echo`;

  const heard = new Map(), seen = (id) => heard.get(id) ?? 0;
  const place = (n, ...words) => fork(self, words, { execPath: 'ip', execArgv: ['netns', 'exec', n, process.execPath] }), system = place('p', 'provider');
  const done = async (id) => { await until('the provider to tell of it', () => seen(id) > 0); return seen(id); }; // it tells on a way of its own: after the answer, perhaps
  await new Promise((ready) => system.on('message', (m) => { if (m.ready) ready(); else heard.set(m.heard, seen(m.heard) + 1); }));

  w.members(A, B, client, `${B}/data`);
  await w.take('a', A);
  await w.take('b', B);
  await w.take('b2', B);
  cli('a', 'subsystem', client);
  for (const n of ['b', 'b2']) {
    cli(n, 'subsystem', `${B}/data`);
    cli(n, 'services', 'add', service, `http://${WIDE.p}:8080`);
    cli(n, 'grant', client, service);
  }
  const settings = { a: ['--exchange-timeout-ms', '40000'], b: ['--exchange-timeout-ms', '8000'], b2: ['--exchange-timeout-ms', '8000'] };
  const begin = (n, more = [], how = {}) => start(n, ['--exchange-allow', `${own(n)}.1`, ...settings[n], ...more], how);
  const clock = (seconds) => ({ env: { LD_PRELOAD: FAKETIME, FAKETIME: `${seconds > 0 ? '+' : ''}${seconds}s`, FAKETIME_DONT_FAKE_MONOTONIC: '1' } });
  for (const n of ['a', 'b', 'b2']) await begin(n);

  // ---- a call as an information system of a makes it; every answer that was released is kept ----
  const released = [];
  const at = (n) => ({ 'X-Road-Security-Server': `${B}/${n}` });
  const ask = ({ method = 'GET', id = randomUUID(), doing, headers = {}, body } = {}) => new Promise((done, bad) => {
    const q = request(`${gateways.a.base}/r1/${service}`, { method, agent: false, headers: { 'X-Road-Client': client, 'X-Road-Id': id, ...(doing ? { 'X-Do': doing } : {}), ...(body ? { 'Content-Length': Buffer.byteLength(body) } : {}), ...headers } }, async (r) => {
      const all = [];
      let n = 0;
      for await (const d of r) { n += d.length; if (n < 100000) all.push(d); }
      const text = Buffer.concat(all).toString(), x = { id, status: r.statusCode, code: r.headers['x-road-error'], text, bytes: n };
      if (x.status === 200) released.push(x);
      done(x);
    });
    q.on('error', bad);
    q.end(body);
  });
  const post = (body, more = {}) => ask({ method: 'POST', body, ...more });
  const fault = (r, code, words) => { same([r.status, r.code], [500, code], r.text); if (words) good(words.test(JSON.parse(r.text).message), r.text); return r; };
  const again = (what = 'it goes on by itself') => until(what, async () => (await Promise.all([ask({ headers: at('b') }), ask({ headers: at('b2') })])).every((r) => r.status === 200));
  await again('everybody knows everybody');

  await test('both gateways of the provider answer, and one at a time may be named', async () => {
    for (const n of ['b', 'b2']) same((await post(n, { headers: at(n) })).text, `did ${n}`);
  });

  await test('an information system that is stuck, drips, or breaks off: io_error of the provider\'s gateway, in its time', async () => {
    const all = await Promise.all(['hang', 'drip', 'half'].flatMap((doing) => [ask({ doing, headers: at('b') }), post('x', { doing, headers: at('b2') })]));
    for (const r of all) fault(r, 'server.serverproxy.io_error');
    system.kill('SIGSTOP');
    const r = await ask(); // it accepts, as its machine does, and never answers
    system.kill('SIGCONT');
    fault(r, 'server.serverproxy.io_error');
    await again();
  });

  await test('a peer that sends a byte a second holds up nobody', async () => {
    const slow = place('a', 'slow', join(gateways.a.folder, 'keys'));
    await new Promise((done, bad) => { slow.on('message', done); slow.on('exit', () => bad(new Error('they were not let in'))); });
    for (let i = 0; i < 20; i++) same((await ask({ headers: at('b') })).status, 200);
    slow.removeAllListeners('exit');
    slow.kill('SIGKILL');
  });

  await test('a gateway is killed while the provider works: never "nothing was sent", and done once', async () => {
    const id = randomUUID(), asking = post('killed', { id, doing: 'hold', headers: at('b') });
    await until('the provider to hear it', () => seen(id) > 0);
    await stop(gateways.b, 'SIGKILL');
    fault(await asking, 'server.clientproxy.io_error', /not answered/);
    system.send({ release: id });
    fault(await post('killed', { id }), 'server.clientproxy.network_error'); // to the gateway that had it, not to the other
    same((await ask()).status, 200, 'others go on through the second gateway');
    await begin('b');
    await until('it is back', async () => (await ask({ headers: at('b') })).status === 200);
    fault(await post('killed', { id }), 'server.serverproxy.io_error', /ask the provider/);
    same(await done(id), 1, 'times done');
  });
  await test('an information system that asks again after a good answer is answered by the gateway that did it', async () => {
    const id = randomUUID(), one = await post('twice', { id });
    const more = await Promise.all(Array.from({ length: 6 }, () => post('twice', { id })));
    for (const r of more) same([r.status, r.text], [200, one.text]);
    same(await done(id), 1, 'times done');
  });

  const quota = spawnSync('unshare', ['-n', 'nft', '-f', '-'], { input: rules('', 'tcp sport 5500 quota over 1 mbytes counter drop') }).status === 0;
  if (!quota) console.log('not run: a line cut in the middle of an answer (this kernel\'s nftables has no quota)');
  else await test('a line that is cut in the middle of an answer, and passes one way from then on', async () => {
    await Promise.all(Array.from({ length: 4 }, () => ask({ doing: 'pause 300', headers: at('b') }))); // connections that are there already
    nft('b', rules('', `ip daddr ${WIDE.a} tcp sport 5500 quota over 1 mbytes counter drop`));
    const size = 6 << 20, id = randomUUID(), named = ask({ doing: `large ${size}`, headers: at('b') });
    await until('the cut', () => dropped('b') > 0);
    const sent = post('one way', { id, headers: at('b') }); // arrives there; nothing comes back
    const reading = [ask({ doing: `large ${size}` }), ask({ doing: `large ${size}` }), ask({ doing: `large ${size}` })];
    await until('the provider to hear it', () => seen(id) > 0);
    fault(await named, 'server.clientproxy.io_error');
    for (const r of await Promise.all(reading)) same([r.status, r.bytes], [200, size], r.text.slice(0, 300)); // read by the other gateway, within the same call
    fault(await sent, 'server.clientproxy.io_error', /not answered|timed out|timeout/i);
    clean('b');
    const r = await until('the answer of what was done', async () => { const x = await post('one way', { id }); return x.status === 200 && x; });
    same([r.text, await done(id)], ['did one way', 1]);
    await again();
  });

  const random = spawnSync('unshare', ['-n', 'nft', '-f', '-'], { input: rules('numgen random mod 100 < 5 counter drop', '') }).status === 0;
  if (!random) console.log('not run: lossy lines (this kernel\'s nftables has no numgen)');
  else for (const percent of [5, 20])
    await test(`${percent} of a hundred packets are lost, both ways: each call is answered or says what is known, and nothing is done twice`, async () => {
      for (const n of ['b', 'b2']) nft(n, rules(...['saddr', 'daddr'].map((x) => `ip ${x} ${WIDE.a} numgen random mod 100 < ${percent} counter drop`)));
      const ids = [], posted = [], mayBe = ['server.clientproxy.network_error', 'server.clientproxy.io_error', 'server.serverproxy.io_error']; // the last: "it is being worked on"
      let all = 0;
      await Promise.all(Array.from({ length: 8 }, async (_, k) => {
        for (let i = 0; i < 4 || (dropped('b') + dropped('b2') < 20 && i < 1000); i++) {
          const id = randomUUID(), body = `${percent} ${k} ${i}`;
          ids.push(id);
          if (i % 2 === 0) posted.push(id);
          const r = await until('an answer', async () => { const x = await (i % 2 ? ask({ id }) : post(body, { id })); all++; if (x.status !== 200) good(mayBe.includes(x.code), x.text); return x.status === 200 && x; });
          if (i % 2 === 0) same([r.text, await done(id)], [`did ${body}`, 1], 'times done');
        }
      }));
      console.log(`  ${ids.length} exchanges in ${all} calls, ${dropped('b') + dropped('b2')} packets lost`);
      for (const n of ['b', 'b2']) clean(n);
      await again();
      const last = randomUUID();
      await post('the last', { id: last });
      await done(last); // what it told before has come too
      same(posted.filter((id) => seen(id) !== 1), [], 'times done, when all is over');
    });

  if (!FAKETIME) console.log('not run: wrong clocks (libfaketime is not installed)');
  else await test('a clock that is wrong: the error says by how much, and that the clocks are to be set', async () => {
    await stop(gateways.b2);
    await begin('b2', [], clock(400));
    fault(await ask({ headers: at('b2') }), 'server.clientproxy.invalid_message', /(39|40)\d seconds away.*set the clocks/); // its refusal is as far off as it is
    same((await ask({ headers: at('b') })).status, 200, 'the other is as it was');
    await stop(gateways.b2);
    await begin('b2', [], clock(200)); // within the window
    await until('it within the window', async () => (await ask({ headers: at('b2') })).status === 200);
    await stop(gateways.b2);
    await begin('b2');
    await again();
  });

  await test('cut off from everybody: network_error, then an old directory; back again, all is as before', async () => {
    await stop(gateways.a);
    await begin('a', ['--exchange-grace-s', '12']);
    await again();
    await stop(gateways.a);
    await begin('a', ['--exchange-grace-s', '12']); // without connections
    await until('it to know that its directory is the newest', () => Date.now() - statSync(join(gateways.a.folder, 'directory')).mtimeMs < 2000);
    ip('link', 'set', 'w-a', 'down');
    fault(await ask({ headers: at('b') }), 'server.clientproxy.network_error');
    const r = await until('the end of grace', async () => { const x = await ask({ headers: at('b') }); if (x.code !== 'server.clientproxy.network_error') return x; return null; });
    fault(r, 'server.clientproxy.global_conf_outdated');
    ip('link', 'set', 'w-a', 'up');
    await again();
  });

  await test('both sides\' evidence agrees: nothing was released that was not logged, nothing done that was not logged', async () => {
    const one = released.at(-1).id, shown = (await call(gateways.a.base, 'GET', `/evidence/${one}`, { headers: { 'X-Road-Client': client } })).json;
    same(shown.messages.map((m) => m.part).sort(), ['answer', 'request']);
    for (const n of ['a', 'b', 'b2']) await stop(gateways[n]);
    same(['a', 'b', 'b2'].map((n) => gateways[n].child.exitCode), [0, 0, 0], 'each ended well');
    const logs = {};
    for (const n of ['a', 'b', 'b2']) {
      logs[n] = new Map();
      for (const m of JSON.parse(execFileSync('sqlite3', ['-json', join(gateways[n].folder, 'exchange.db'), 'SELECT message_id AS id, side, part, hex(signature) AS signature FROM exchange_message'], { encoding: 'utf8', maxBuffer: 1 << 26 })))
        logs[n].set(m.id, [...logs[n].get(m.id) ?? [], m]);
    }
    const ids = new Set([...heard.keys(), ...released.map((r) => r.id)]), signatures = (list, side, part) => (list ?? []).filter((m) => m.side === side && m.part === part).map((m) => m.signature);
    good(ids.size > 60, `${ids.size} messages`);
    for (const id of ids) {
      const theirs = [0, 1].map((part) => ['b', 'b2'].flatMap((n) => signatures(logs[n].get(id), 1, part))), ours = [0, 1].map((part) => signatures(logs.a.get(id), 0, part));
      good(theirs[0].every((x) => ours[0].includes(x)), `${id}: a request was taken that its sender did not log`);
      good(ours[1].every((x) => theirs[1].includes(x)), `${id}: an answer was taken that its signer did not log`);
      good(!seen(id) || theirs[0].length > 0, `${id}: the provider heard what was not logged`);
      good(!released.some((r) => r.id === id) || ours[1].length > 0, `${id}: an answer was released that was not logged`);
    }
    console.log(`  ${ids.size} messages compared`);
  });
  system.kill();
  end();
}
