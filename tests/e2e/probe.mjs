// A prober at a county hub, as those who run it use it: invited on the operator's page, joined with its code, measuring for a platform that is cut off, comes back,
// and takes the right away; wrong codes, one code shown twice at once; reports played again, altered, unsigned, forged, of offices that are another's. And the helper of either, killed.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createPrivateKey, generateKeyPairSync, sign } from 'node:crypto';
import { mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { call, chapar, end, fails, folder, good, pack, port, postgres, run, same, sleep, serve, test, until, flaws, browser as launch } from './kit.mjs';

const mine = ['KR-0916-0001', 'KR-0904-0001'], another = 'KR-0905-0001'; // the last is measured by the centre
const letters = '(?:[0-9a-hjkmnp-tv-z]{5}-){4}[0-9a-hjkmnp-tv-z]{5}', wrongCode = `hub-1.${'AAAAA-'.repeat(4)}AAAAA`;

// Between hub and centre: what goes over it is kept; it can be cut, or lose the answers alone ('deaf'), which is when things come twice.
async function line(target) {
  const kept = [];
  let how = 'well';
  const server = createServer((q, a) => {
    const parts = [];
    q.on('data', (d) => parts.push(d)).on('end', async () => {
      const body = Buffer.concat(parts), one = { path: q.url, body, signature: q.headers['chapar-signature'], status: 0 };
      if (how === 'cut') return q.socket.destroy();
      const slow = how === 'slow';
      if (slow) await sleep(3000); // longer than what clocks may differ by
      try {
        const r = await fetch(target + q.url, { method: 'POST', headers: { 'Content-Type': 'application/json', 'Accept-Language': 'en', 'Chapar-Signature': one.signature }, body });
        const answer = Buffer.from(await r.arrayBuffer());
        one.status = r.status;
        one.slow = slow;
        one.deaf = how === 'deaf';
        kept.push(one);
        if (one.deaf) return q.socket.destroy();
        a.writeHead(r.status, { 'Content-Type': r.headers.get('content-type') }).end(answer);
      } catch { q.socket.destroy(); }
    });
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  return { url: `http://127.0.0.1:${server.address().port}`, kept, be: (v) => { how = v; }, close: () => { server.closeAllConnections(); server.close(); } };
}
const samples = (k) => JSON.parse(k.body).samples.filter((x) => x[2] !== 'check'); // probes

const children = (pid) => { try { return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(/\s+/).filter(Boolean).map(Number); } catch { return []; } };
const named = (pid) => { try { return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')[0]; } catch { return ''; } };
const keeper = (pid) => children(pid).find((k) => named(k) === 'chapar-prober');
const worker = (pid) => { const k = keeper(pid); return k && children(k)[0]; };
const status = (pid, name) => new RegExp(`^${name}:\\s*(\\S+)`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1];

// The capability and the sockets are where they belong, and nowhere else.
async function alone(pid) {
  const raw = 1n << 13n, w = await until('a helper that is shut in', () => { const k = worker(pid); return k && status(k, 'Seccomp') === '2' && k; });
  for (const set of ['CapPrm', 'CapEff', 'CapAmb', 'CapBnd']) same(Number(BigInt(`0x${status(pid, set)}`) & raw), 0, `${set} of the one that serves`);
  same(Number(BigInt(`0x${status(keeper(pid), 'CapPrm')}`) & ~raw), 0, 'the one that keeps has this capability at most');
  for (const set of ['CapPrm', 'CapEff', 'CapInh', 'CapAmb']) same(Number(BigInt(`0x${status(w, set)}`)), 0, `${set} of the one that works`);
  same(status(w, 'NoNewPrivs'), '1');
}

function hub(dir) {
  const child = spawn(chapar, ['probe', 'serve', '--folder', dir], { stdio: ['ignore', 'ignore', 'pipe'] }), h = { child, said: '' };
  child.stderr.on('data', (d) => { h.said += d; });
  process.on('exit', () => child.kill('SIGKILL'));
  h.end = (signal = 'SIGTERM') => new Promise((done) => { child.on('exit', done); child.kill(signal); });
  return h;
}
const join_ = (dir, centre, code) => new Promise((done) => { // without holding this process up: the line is here
  const child = spawn(chapar, ['probe', 'join', '--folder', dir, '--centre', centre], { stdio: ['pipe', 'pipe', 'pipe'] }), r = { out: '', err: '' };
  child.stdout.on('data', (d) => { r.out += d; });
  child.stderr.on('data', (d) => { r.err += d; });
  child.on('close', (code) => done({ ...r, status: code }));
  child.stdin.end(`${code}\n`);
});
const queue = (dir) => readdirSync(dir).filter((f) => f.startsWith('q-')).length;

async function whole(engine, where) {
  const dir = folder(), key = join(dir, 'hub'), other = join(dir, 'other'), at = await port(), codes = [];
  let fallen = false; // what follows stands on what was before
  const say = (what, fn) => fallen || test(`${engine}: ${what}`, async () => { try { await fn(); } catch (e) { fallen = true; throw e; } });
  same(fails(['staff', 'add', '--organisation', 'ostandari', '--role', 'operator', '--username', 'op', '--pack', pack, ...where], 'a good password\n').status, 0);
  const begin = () => serve(where, { demo: false, port: at, heard: true, args: ['--probe-interval', '1'] });
  let s = await begin(), logs = '';
  const b = s.base, token = (await call(b, 'POST', '/api/v1/sessions', { body: { username: 'op', password: 'a good password' } })).json.access_token;
  const office = async (code) => (await call(b, 'GET', `/api/v1/offices/${code}`, { token })).json;
  const page = async (path, fields) => {
    const headers = { Accept: 'text/html', Cookie: `session=${token}` };
    if (!fields) return call(b, 'GET', path, { headers });
    const form = /name="form_token" value="([^"]+)"/.exec((await call(b, 'GET', '/network/probers', { headers })).text)[1];
    return call(b, 'POST', path, { headers: { ...headers, 'Content-Type': 'application/x-www-form-urlencoded' }, body: new URLSearchParams({ form_token: form, ...fields }).toString() });
  };
  const invite = async (name) => {
    const r = await page('/network/probers', { name, reason: 'the county behind the mountains' });
    same(r.status, 200, r.text.slice(0, 300));
    codes.push(new RegExp(`${name}\\.${letters}`).exec(r.text)[0]);
    return codes.at(-1);
  };
  const wire = await line(b);
  let h;

  await say('nobody is invited without a name, a reason and the right', async () => {
    same((await page('/network/probers', { name: 'Hub 1', reason: 'behind the mountains' })).status, 422);
    same((await page('/network/probers', { name: 'hub-1', reason: 'no' })).status, 422);
    good((await page('/network/probers')).text.includes('No county prober'), 'nobody yet');
    same((await call(b, 'GET', '/network/probers', { headers: { Accept: 'text/html' } })).status === 200, false, 'not for everybody');
    same(fails(['probe', 'serve', '--folder', key]).status, 1, 'it has not joined');
  });

  await say('a code is shown once, to the right prober, and is good once, also when it is shown twice at once', async () => {
    const code = await invite('hub-1');
    same((await page('/network/probers')).text.includes(code), false, 'it is shown once');
    for (const dir of [key, other]) run('probe', 'init', '--folder', dir);
    same(statSync(join(key, 'prober.pem')).mode & 0o777, 0o600);
    same(fails(['probe', 'join', '--folder', key, '--centre', 'http://centre.example'], code).status, 2, 'not in the clear');
    same(fails(['probe', 'join', '--folder', key, '--centre', 'http://127.0.0.1:1@centre.example'], code).status, 2, 'not in the clear');
    same(fails(['probe', 'join', '--folder', key, '--centre', b], '').status, 2, 'without a code');
    let r = await join_(key, wire.url, wrongCode);
    same(r.status, 1);
    assert.match(r.err, /not right, or was used/);
    same((await join_(key, wire.url, code.replace('hub-1', 'hub-2'))).status, 1, "another's name");
    const both = await Promise.all([join_(key, wire.url, code.replace(/-/g, ' - ').replace('.', '. ')), join_(other, wire.url, code)]);
    same(both.map((x) => x.status).sort(), [0, 1], both.map((x) => x.err).join());
    if (both[1].status === 0) same((await join_(key, wire.url, await invite('hub-1'))).status, 0, 'the other one was first: it is invited again, and that key is over');
    same((await join_(key, wire.url, codes.at(-1))).status, 1, 'used');
    const request = wire.kept.filter((k) => k.path === '/probe/hub-1/join').at(-1);
    same((await call(b, 'POST', '/probe/hub-1', { body: request.body.toString(), headers: { 'Chapar-Signature': request.signature } })).status, 404, 'a signature over a request to join is none over a report');
  });

  await say('wrong codes spoil nothing: after ten of them the right one is taken, as somebody typed it; too many from one address are refused', async () => {
    const code = await invite('hub-3'), own = generateKeyPairSync('ed25519').privateKey, x = own.export({ format: 'jwk' }).x;
    const show = async (c) => {
      const body = JSON.stringify({ code: c, key: Buffer.from(x, 'base64url').toString('base64') });
      return call(b, 'POST', '/probe/hub-3/join', { body, headers: { 'Chapar-Signature': sign(null, Buffer.from(`chapar-join-v1\n${body}`), own).toString('base64') } });
    };
    for (let i = 0; i < 10; i++) same((await show(`hub-3.${'BBBBB-'.repeat(4)}BBBBB`)).status, 404);
    same((await show(`hub-3.${code.split('.')[1].toUpperCase().replaceAll('-', ' ').replaceAll('0', 'O').replaceAll('1', 'I')}`)).status, 200);
    same((await page('/network/probers/hub-3/revoke', { reason: 'a mistake' })).status, 303);
    for (let i = 0, r; i < 30 && r?.status !== 429; i++) if (i === 29) throw new Error(`no end of tries: ${r?.status}`); else r = await show(code);
  });

  await say('it measures its offices with real packets and reports them', async () => {
    const csv = join(dir, 'plan.csv');
    writeFileSync(csv, `code,address,prober\n${mine[0]},127.9.0.1,hub-1\n${mine[1]},127.9.0.2,hub-1\n${another},127.9.0.3,\n`);
    run('import', 'offices', csv, '--pack', pack, ...where);
    h = hub(key);
    for (const o of mine) await until(`${o} is measured from the hub`, () => office(o), (o) => o.state === 'up');
    await until('the page tells of it', () => page('/network/probers'), (r) => /hub-1[\s\S]*Works/.test(r.text));
    await alone(s.child.pid);
    await alone(h.child.pid);
  });

  await say('it makes the other checks of its offices too, and tells why one fails', async () => {
    const open = (at) => new Promise((done) => { const l = createServer((q, a) => a.end('well')).listen(at, '127.9.0.2', () => done(l)); });
    let l = await open(0);
    const p = l.address().port, csv = join(dir, 'checks.csv'), cause = (o) => o.check_results?.[0]?.cause;
    writeFileSync(csv, `code,checks\n${mine[1]},icmp http:${p}/\n`);
    run('import', 'offices', csv, '--pack', pack, ...where);
    await until('it answers', () => office(mine[1]), (o) => cause(o) === 'ok' && o.state === 'up');
    l.closeAllConnections();
    await new Promise((done) => l.close(done));
    await until('it is known to be degraded, and why', () => office(mine[1]), (o) => cause(o) === 'refused' && o.state === 'degraded');
    l = await open(p);
    await until('it answers again', () => office(mine[1]), (o) => cause(o) === 'ok' && o.state === 'up');
    l.closeAllConnections();
    l.close();
    writeFileSync(csv, `code,checks\n${mine[1]},\n`);
    run('import', 'offices', csv, '--pack', pack, ...where);
    await until('no check any more', () => office(mine[1]), (o) => o.check_results.length === 0 && o.state === 'up');
  });

  await say('its helper is killed, and the platform’s: another one works, nobody is called down', async () => {
    for (const pid of [h.child.pid, s.child.pid]) {
      const before = await until('a helper', () => worker(pid));
      process.kill(before, 'SIGKILL');
      await until('another helper', () => worker(pid), (w) => w && w !== before);
    }
    const probed = (await office(mine[0])).probed;
    await until('it measures on', () => office(mine[0]), (o) => o.probed !== probed);
    same((await office(mine[0])).state, 'up');
  });

  const own = createPrivateKey(readFileSync(join(key, 'prober.pem')));
  const said = (text, by = own) => sign(null, Buffer.from(`chapar-report-v1\n${text}`), by).toString('base64');
  const post = (body, signature, name = 'hub-1') => call(b, 'POST', `/probe/${name}`, { body: body.toString(), headers: signature ? { 'Chapar-Signature': signature } : {} });
  await say('what came already, was altered, is not signed, comes from somebody else or tells of another’s office changes nothing', async () => {
    const last = await until('a report with measurements', () => wire.kept.filter((k) => k.status === 200 && k.path === '/probe/hub-1' && samples(k).length).at(-1));
    let r = await post(last.body, last.signature);
    same(r.status, 409, r.text);
    assert.match(r.json.detail, /came already/);
    const altered = Buffer.from(last.body.toString().replace('"report":', '"report": '));
    for (const [body, signature, name] of [[altered, last.signature, 'hub-1'], [last.body, undefined, 'hub-1'], [last.body, last.signature, 'hub-2'], [last.body, 'A'.repeat(88), 'hub-1']]) {
      r = await post(body, signature, name);
      same(r.status, 404, r.text);
      assert.match(r.json.detail, /not signed by a prober that was admitted/);
    }
    const of = JSON.parse(last.body), now = Date.now(), make = (more) => JSON.stringify({ ...of, report: of.report + 60000, now, samples: [], interfaces: [], ...more });
    same((await post(make({}), said(make({}), generateKeyPairSync('ed25519').privateKey))).status, 404, "another's key");
    const strange = [{ now: now - 3600000, samples: [[mine[0], now, 5, 5]] }, { apart: 2 ** 60 }, { now: -1 }, { report: 2 ** 53 }, { report: now + 365 * 86400000 }, { from: 2 ** 60 }, { from: -1 }, { version: '\u001b[31mred' }, { version: 'x'.repeat(41) }, { oldest: now + 86400000 }, { backlog: -1 }, { samples: {} }, { interfaces: {} }, { interfaces: undefined }, { trouble: 'bored' }, { trouble: undefined },
      { samples: Array(4001).fill([mine[0], now, 5, 5]) }, { name: 'hub-2' }, { report: 'x' }];
    for (const more of strange) {
      const text = make(more);
      r = await post(text, said(text));
      same(r.status, 422, `${JSON.stringify(more).slice(0, 80)}: ${r.text}`);
    }
    const big = make({ version: 'x'.repeat(1 << 20) });
    same((await post(big, said(big))).status, 413);
  });

  await say('an answer is lost on the way: the same measurements come again and count once', async () => {
    const n = wire.kept.length;
    wire.be('deaf');
    const lost = await until('an answer that is lost', () => wire.kept.slice(n).find((k) => k.deaf && k.status === 200 && samples(k).length));
    wire.be('well');
    await until('they come again', () => wire.kept.slice(n).find((k) => !k.deaf && k.status === 200 && samples(k).some((x) => samples(lost).some((y) => x[0] === y[0] && x[1] === y[1]))));
  });

  await say('reports take their time on the way', async () => {
    const n = wire.kept.length;
    wire.be('slow');
    await until('a slow one that is taken', () => wire.kept.slice(n).find((k) => k.slow && k.status === 200 && samples(k).length));
    wire.be('well');
  });

  await say('the line is cut: the centre says why it does not know, and takes up what was measured meanwhile', async () => {
    const since = (await office(mine[0])).since;
    wire.be('cut');
    const away = await until('unknown', () => office(mine[0]), (o) => o.state === 'unknown');
    same(away.prober_away, true, 'with the cause named');
    assert.match((await page(`/network/offices/${mine[0]}`)).text, /measured by the prober “hub-1”/);
    assert.match((await page('/network/probers')).text, /hub-1[\s\S]*Not heard of/);
    await until('an incident of its own', () => call(b, 'GET', '/api/v1/network/incidents?kind=prober', { token }), (r) => r.json.items.some((i) => i.open));
    await until('it keeps what it cannot tell', () => queue(key) >= 1);
    await h.end('SIGKILL'); // and is killed meanwhile
    logs += h.said;
    h = hub(key);
    await until('it measures without the centre', () => queue(key) >= 2);
    await until('it says so', () => fails(['probe', 'status', '--folder', key]), (r) => r.status === 1 && /in trouble[\s\S]*waiting: [1-9]\d* files/.test(r.out));
    const n = wire.kept.length;
    wire.be('well');
    await until('up again', () => office(mine[0]), (o) => o.state === 'up');
    same((await office(mine[0])).since, since, 'as if it had never been unknown');
    await until('the queue is empty', () => queue(key) === 0 && wire.kept.slice(n).some((k) => k.status === 200 && JSON.parse(k.body).backlog === 0));
    await until('well', () => fails(['probe', 'status', '--folder', key]), (r) => r.status === 0);
  });

  await say('the platform stops and comes back', async () => {
    await s.stop();
    logs += s.said;
    s = await begin();
    const n = wire.kept.length;
    await until('a report that is taken', () => wire.kept.slice(n).some((k) => k.status === 200 && samples(k).length));
    await until('up', () => office(mine[0]), (o) => o.state === 'up');
  });

  let last;
  await say('every measurement that was told counts, and counts once; what is not its business does not', async () => {
    await h.end();
    logs += h.said;
    // signed well, with one measurement that is as it should be among others that are not
    last = JSON.parse(wire.kept.filter((k) => k.status === 200 && k.path === '/probe/hub-1').at(-1).body);
    const before = await office(another), now = Date.now(), at = now - 7, number = Math.max(last.report, now) + 1;
    const text = JSON.stringify({ ...last, report: number, now, from: now + 1e6, trouble: 'socket', interfaces: [], samples: [[another, now, 5, 5], ['KR-0000-0000', now, 5, 5], [mine[0], now + 3600000, 5, 5], [mine[0], now - 40 * 86400000, 5, 5], [mine[0], now, 99, 5],
      [mine[0], now, 5, 6], [mine[0], now, 5, 0, 9, 1, 1, 1, 1], [mine[0], now, 5, 0, -1, 1, 1, 1, 1], [mine[0], now, 5, 0], [mine[0], now, 0, 0], [mine[0], now, 0, 1], 'x', [], [mine[0], at, 5, 0, 1, 2, 3, 4, 1]] });
    const r = await post(text, said(text));
    same(r.status, 200, r.text);
    last.report = number;
    same(r.json.offices.map((o) => o.code).sort(), [...mine].sort(), 'its plan names its offices alone');
    assert.match((await page('/network/probers')).text, /hub-1[\s\S]*Cannot send[\s\S]*ping_group_range/);
    same((await office(mine[0])).prober_trouble, 'socket');
    assert.match((await page(`/network/offices/${mine[0]}`)).text, /“hub-1”, which cannot send packets/);
    const after = await office(another);
    same([after.state, after.since], [before.state, before.since], 'an office of the centre’s');
    same((await office(mine[0])).state, 'up');
    for (const o of mine) {
      const told = new Set(wire.kept.filter((k) => k.status === 200 && k.path === '/probe/hub-1').flatMap(samples).filter((x) => x[0] === o).map((x) => x[1]));
      if (o === mine[0]) told.add(at);
      const points = (await call(b, 'GET', `/api/v1/offices/${o}/series?span=hour`, { token })).json.points.map((x) => Date.parse(x.at)); // in whole seconds
      same(points.sort(), [...told].map((x) => x - x % 1000).sort(), o);
    }
  });

  if (engine === 'sqlite' && !process.env.CHAPAR_TEST_NO_BROWSER) await say('pages: nothing for axe, nothing sideways', () => look(b, token));

  await say('its right is taken away, with a reason that it is told', async () => {
    same((await page('/network/probers/hub-1/revoke', { reason: 'x' })).status, 422);
    same((await page('/network/probers/hub-9/revoke', { reason: 'never was' })).status, 404);
    same((await page('/network/probers/hub-1/revoke', { reason: 'the hub is given up' })).status, 303);
    await until('unknown', () => office(mine[0]), (o) => o.state === 'unknown');
    const late = JSON.stringify({ ...last, report: last.report + 1, now: Date.now() });
    const r = await post(late, said(late));
    same(r.status, 403, r.text);
    assert.match(r.json.detail, /taken away: the hub is given up/);
    same((await post(late, said(late, generateKeyPairSync('ed25519').privateKey))).status, 404, 'others are told nothing');
    assert.match(run('probe', 'list', '--pack', pack, ...where), /hub-1: revoked/);
    const one = run('probe', 'admit', 'hub-1', '--reason', 'it is needed after all', '--pack', pack, ...where).trim();
    assert.match(one, new RegExp(`^hub-1\\.${letters}$`));
    run('probe', 'revoke', 'hub-1', '--reason', 'or not', '--pack', pack, ...where);
    assert.match((await join_(key, b, one)).err, /not right, or was used/, 'an invitation is taken back, too');
  });
  await s.stop();
  wire.close();
  logs += s.said;
  for (const c of codes) same(logs.includes(c.split('.')[1]), false, 'a code in a log');
}

async function look(b, token) {
  const bad = [];
  const browser = await launch();
  for (const [lang, width] of [['fa', 360], ['en', 1440], ['en', 360], ['fa', 1440]]) {
    const context = await browser.newContext({ viewport: { width, height: 800 } }), tab = await context.newPage();
    await context.addCookies([{ name: 'lang', value: lang, url: b }, { name: 'session', value: token, url: b }]);
    await tab.goto(`${b}/network/probers`, { waitUntil: 'load' });
    await tab.fill('#name', 'hub-7');
    await tab.fill('#reason', 'کوه');
    await Promise.all([tab.waitForResponse((r) => r.request().method() === 'POST'), tab.locator('form[action="/network/probers"] button').press('Enter')]);
    await tab.waitForLoadState('load');
    const p = await tab.evaluate(() => ({ key: /\b(web|network|api)\.net?_?\w+/.exec(document.body.innerText)?.[0], dir: document.documentElement.dir, code: /hub-7\.\w{5}-/.test(document.body.innerText),
      sideways: [...document.querySelectorAll('main .scroll')].filter((x) => x.querySelector('table') && x.scrollWidth > x.clientWidth + 2).length }));
    if ((width < 400 && p.sideways) || p.key || !p.code || p.dir !== (lang === 'fa' ? 'rtl' : 'ltr')) bad.push(`${width} ${lang}: ${JSON.stringify(p)}`);
    bad.push(...(await flaws(tab)).map((x) => `${width} ${lang}: ${x}`));
    if (process.env.CHAPAR_TEST_SHOTS) await tab.screenshot({ path: join(process.env.CHAPAR_TEST_SHOTS, `probers-${lang}-${width}.png`), fullPage: true });
    await context.close();
  }
  await browser.close();
  good(!bad.length, bad.join('\n'));
}

const data = folder(), pg = postgres();
mkdirSync(join(data, 'data'));
await Promise.all([whole('sqlite', ['--data', join(data, 'data')]), ...(pg ? [whole('postgresql', ['--store', pg.url, '--keys', join(data, 'keys')])] : [])]);
end();
