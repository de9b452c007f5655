// A prober at a county hub, as those who run it use it: invited on the operator's page, joined with its code, measuring for a platform that is cut off, comes back,
// and takes the right away; its reports played again, altered, unsigned and from somebody else. And the helper process of either, killed.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createPrivateKey, generateKeyPairSync, sign } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { call, chapar, fails, folder, pack, postgres, run, runs, serve } from './kit.mjs';

const sleep = (ms) => new Promise((good) => setTimeout(good, ms));
async function until(what, test, seconds = 60) {
  for (const end = Date.now() + seconds * 1000; ;) {
    const v = await test();
    if (v) return v;
    assert.ok(Date.now() < end, `in time: ${what}`);
    await sleep(50);
  }
}

// Between hub and centre, so that the line between them can be cut, and what goes over it can be kept.
async function line(target) {
  const kept = [];
  let cut = false;
  const server = createServer((q, a) => {
    const parts = [];
    q.on('data', (d) => parts.push(d)).on('end', async () => {
      const body = Buffer.concat(parts);
      if (cut) return q.socket.destroy();
      kept.push({ path: q.url, body, signature: q.headers['chapar-signature'] });
      try {
        const r = await fetch(line.target + q.url, { method: 'POST', headers: { 'Content-Type': 'application/json', 'Chapar-Signature': q.headers['chapar-signature'] }, body });
        a.writeHead(r.status, { 'Content-Type': r.headers.get('content-type') }).end(Buffer.from(await r.arrayBuffer()));
      } catch { q.socket.destroy(); }
    });
  });
  line.target = target;
  await new Promise((good) => server.listen(0, '127.0.0.1', good));
  return { url: `http://127.0.0.1:${server.address().port}`, kept, cut: (v) => { cut = v; }, close: () => { server.closeAllConnections(); server.close(); } };
}

// Its own sessions: pages of the operator.
async function browser(base, username) {
  let jar = '';
  const go = async (method, path, form) => {
    const r = await fetch(base + path, { method, redirect: 'manual', headers: { 'Accept-Language': 'en', Cookie: jar, Accept: 'text/html' },
      body: form ? new URLSearchParams(form) : undefined });
    for (const c of r.headers.getSetCookie()) jar = [...jar.split('; ').filter((x) => x && x.split('=')[0] !== c.split('=')[0]), c.split(';')[0]].join('; ');
    return { status: r.status, text: await r.text(), location: r.headers.get('location') };
  };
  const token = (text) => /name="form_token" value="([^"]+)"/.exec(text)?.[1];
  const accounts = (await call(base, 'GET', '/demo/accounts')).json;
  const r = await go('POST', '/staff', { username, password: accounts.find((x) => x.username === username).password, totp: '' });
  assert.equal(r.status, 303, r.text.slice(0, 300));
  return { go, token, post: async (page, path, form) => go('POST', path, { ...form, form_token: token((await go('GET', page)).text) }) };
}

const children = (pid) => readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(/\s+/).filter(Boolean).map(Number);
const named = (pid) => { try { return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')[0]; } catch { return ''; } };
const keeper = (pid) => children(pid).find((k) => named(k) === 'chapar-prober');
const worker = (pid) => { const k = keeper(pid); return k && children(k)[0]; };
const status = (pid, name) => new RegExp(`^${name}:\\s*(\\S+)`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1];

function hub(dir) {
  const child = spawn(chapar, ['probe', 'serve', '--folder', dir], { stdio: ['ignore', 'ignore', process.env.CHAPAR_TEST_QUIET ? 'ignore' : 'inherit'] });
  process.on('exit', () => child.kill('SIGKILL'));
  return { child, end: (signal = 'SIGTERM') => new Promise((good) => { child.on('exit', good); child.kill(signal); }) };
}

// The capability and the sockets are where they belong, and nowhere else.
function alone(pid) {
  const w = worker(pid), raw = 1n << 13n;
  for (const set of ['CapPrm', 'CapEff', 'CapAmb', 'CapBnd']) assert.equal(BigInt(`0x${status(pid, set)}`) & raw, 0n, `${set} of the one that serves`);
  assert.equal(BigInt(`0x${status(keeper(pid), 'CapPrm')}`) & ~raw, 0n, 'the one that keeps has this capability at most');
  for (const set of ['CapPrm', 'CapEff', 'CapInh', 'CapAmb']) assert.equal(BigInt(`0x${status(w, set)}`), 0n, `${set} of the one that works`);
  assert.equal(status(w, 'Seccomp'), '2');
  assert.equal(status(w, 'NoNewPrivs'), '1');
}

async function whole(where, engine) {
  const dir = folder(), key = join(dir, 'hub'), offices = ['KR-0916-0001', 'KR-0904-0001'];
  let s = await serve(where, { args: ['--probe-interval', '1'] });
  const port = Number(new URL(s.base).port), office = async (code) => (await call(s.base, 'GET', `/api/v1/offices/${code}`)).json;
  const demo = await office(offices[0]);
  assert.ok(demo && demo.code === offices[0], JSON.stringify(demo).slice(0, 200));
  const operator = await browser(s.base, 'operator'), wire = await line(s.base);

  // 1: invited on the page, with a reason; joined with the code, which is good once
  let page = await operator.post('/network/probers', '/network/probers', { name: 'Hub 1', reason: 'no' });
  assert.equal(page.status, 422);
  page = await operator.post('/network/probers', '/network/probers', { name: 'hub-1', reason: 'the county behind the mountains' });
  const code = /hub-1\.[\w-]{22}/.exec(page.text)[0];
  assert.equal((await operator.go('GET', '/network/probers')).text.includes(code), false, 'shown once');
  run('probe', 'init', '--folder', key);
  assert.equal(statSync(join(key, 'prober.pem')).mode & 0o777, 0o600);
  assert.equal(fails(['probe', 'serve', '--folder', key]).status, 1);
  let r = await runs('probe', 'join', '--folder', key, '--centre', wire.url, '--code', `hub-1.${'A'.repeat(22)}`);
  assert.equal(r.status, 1);
  assert.match(r.err, /not valid/);
  r = await runs('probe', 'join', '--folder', key, '--centre', wire.url, '--code', code);
  assert.equal(r.status, 0, r.err);
  assert.equal((await runs('probe', 'join', '--folder', key, '--centre', wire.url, '--code', code)).status, 1);

  // 2: it has offices in the plan and measures them for the centre
  const csv = join(dir, 'plan.csv');
  writeFileSync(csv, `code,prober\n${offices.map((o) => `${o},hub-1`).join('\n')}\n`);
  run('import', 'offices', csv, '--pack', pack, ...where);
  let h = hub(key);
  await until('the office is measured from the hub', async () => (await office(offices[0])).state === 'up');
  await until('the page tells of it', async () => /hub-1[\s\S]*Works/.test((await operator.go('GET', '/network/probers')).text));
  alone(s.child.pid);
  alone(h.child.pid);

  // 3: its helper is killed, and the platform's: another one works, nobody is called down
  for (const pid of [h.child.pid, s.child.pid]) {
    const before = worker(pid);
    process.kill(before, 'SIGKILL');
    await until('another helper works', () => { const w = worker(pid); return w && w !== before; });
  }
  const probed = (await office(offices[0])).probed;
  await until('it measures on', async () => (await office(offices[0])).probed !== probed);
  assert.equal((await office(offices[0])).state, 'up');

  // 4: what came already, was altered, is not signed or comes from somebody else is refused, each with its reason
  const last = await until('a report with measurements', () => wire.kept.filter((k) => k.path === '/probe/hub-1' && JSON.parse(k.body).samples.length).at(-1));
  const post = (body, signature, name = 'hub-1') => call(s.base, 'POST', `/probe/${name}`, { body: body.toString(), headers: signature ? { 'Chapar-Signature': signature } : {} });
  r = await post(last.body, last.signature);
  assert.equal(r.status, 409, r.text);
  assert.match(r.json.detail, /came already/);
  const altered = Buffer.from(last.body.toString().replace('"lost"', '"lost" ').replace('hub-1', 'hub-2'));
  for (const [body, signature, name] of [[altered, last.signature, 'hub-1'], [last.body, undefined, 'hub-1'], [last.body, last.signature, 'hub-2']]) {
    r = await post(body, signature, name);
    assert.equal(r.status, 404, r.text);
    assert.match(r.json.detail, /not signed by a prober that was admitted/);
  }
  const said = (text, by) => sign(null, Buffer.from(`chapar-report-v1\n${text}`), by).toString('base64');
  const fresh = JSON.stringify({ ...JSON.parse(last.body), report: JSON.parse(last.body).report + 1e9, now: Date.now() });
  assert.equal((await post(fresh, said(fresh, generateKeyPairSync('ed25519').privateKey))).status, 404, "another's key");
  const own = createPrivateKey(readFileSync(join(key, 'prober.pem')));
  const wrong = JSON.stringify({ ...JSON.parse(fresh), now: Date.now() - 3600000 });
  r = await post(wrong, said(wrong, own));
  assert.equal(r.status, 422);
  assert.match(r.json.detail, /clock differs/);

  // 5: the line is cut: the centre says why it does not know; then what was measured meanwhile comes and takes that place
  wire.cut(true);
  const up = (await office(offices[0])).since, told = wire.kept.length;
  const away = await until('unknown, with the cause named', async () => { const o = await office(offices[0]); return o.state === 'unknown' && o; });
  assert.equal(away.prober_away, true);
  assert.match((await operator.go('GET', `/network/offices/${offices[0]}`)).text, /measured by the prober “hub-1”/);
  const incidents = (await call(s.base, 'GET', '/api/v1/network/incidents?kind=prober')).json.items;
  assert.ok(incidents.some((i) => i.open), JSON.stringify(incidents).slice(0, 300));
  await until('it keeps what it cannot tell', () => readdirSync(key).filter((f) => f.startsWith('q-')).length >= 1);
  await h.end('SIGKILL'); // and is killed meanwhile
  h = hub(key);
  await until('it measures without the centre', () => readdirSync(key).filter((f) => f.startsWith('q-')).length >= 2);
  assert.match(fails(['probe', 'status', '--folder', key]).out, /waiting: \d+ files/);
  wire.cut(false);
  await until('up again', async () => (await office(offices[0])).state === 'up');
  await until('all of it was told', () => readdirSync(key).filter((f) => f.startsWith('q-')).length <= 1 && wire.kept.length > told);
  assert.equal((await office(offices[0])).since, up, 'as if it had never been unknown');

  // 6: the platform stops and comes back
  await s.stop();
  s = await serve(where, { args: ['--probe-interval', '1'], port });
  const later = (await office(offices[0])).probed;
  await until('measured on', async () => { const o = await office(offices[0]); return o.state === 'up' && o.probed !== later; });

  // 7: its right is taken away
  const again = await browser(s.base, 'operator');
  page = await again.post('/network/probers', '/network/probers/hub-1/revoke', { reason: 'the hub is given up' });
  assert.equal(page.status, 303);
  await until('unknown', async () => (await office(offices[0])).state === 'unknown');
  const late = JSON.stringify({ ...JSON.parse(fresh), report: JSON.parse(fresh).report + 1, now: Date.now() });
  r = await post(late, said(late, own));
  assert.equal(r.status, 403, r.text);
  assert.match(r.json.detail, /taken away .*the hub is given up/);
  await h.end();
  assert.match(run('probe', 'list', '--pack', pack, ...where), /hub-1: revoked/);
  await s.stop();
  wire.close();
  console.log(`ok ${engine}`);
}

const dir = folder();
mkdirSync(join(dir, 'data'));
assert.ok(existsSync(chapar));
await whole(['--data', join(dir, 'data')], 'sqlite');
const pg = postgres();
if (pg) await whole(['--store', pg.url], 'postgresql');
process.exit(0);
