// Gateways as processes with real TLS: an operator's platform and two members' gateways; joining by a page, services and rights, revocation,
// new keys under traffic, an operator that is away, a ledger that forks, a key helper that dies.
import { spawn, execFileSync } from 'node:child_process';
import { createServer } from 'node:http';
import { existsSync, mkdirSync, readFileSync, renameSync, rmdirSync, writeFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { chapar, folder, port, serve, staff, call, run, runs, fails, test, same, good, end, example, until, flaws, browser as launch } from './kit.mjs';

const dir = folder();
const peers = await port(), address = `https://127.0.0.1:${peers}`;
const data = ['--data', join(dir, 'platform')], op = join(dir, 'platform', 'exchange');
const wide = (p) => ['--exchange-listen', `127.0.0.1:${p}`];
let platform = await serve(data, { args: [...wide(peers), '--exchange-address', address] });
const server = JSON.parse(readFileSync(join(op, 'gateway.json'))).server, instance = server.split('/')[0];
const A = `${instance}/GOV/90000001`, B = `${instance}/GOV/90000002`;

// An information system: answers what it was asked.
const provider = createServer((q, s) => { if (q.url.endsWith('/never')) return; s.setHeader('Content-Type', 'application/json'); s.end(JSON.stringify({ path: q.url, client: q.headers['x-road-client'] })); });
await new Promise((done) => provider.listen(0, '127.0.0.1', done));

// A browser's session of the operator, for forms.
const session = await (async () => {
  const token = await staff(platform.base, 'operator');
  return { token };
})();
const operator = async () => { session.token = await staff(platform.base, 'operator'); return session.token; };
const page = async () => (await call(platform.base, 'GET', '/admin/exchange', { token: session.token })).text.replaceAll('&#x2F;', '/');
const form = (path, fields) => call(platform.base, 'POST', path, { token: session.token, body: new URLSearchParams(fields).toString(), headers: { 'Content-Type': 'application/x-www-form-urlencoded' } });

// The operator's page as people see it: nothing for axe to find, nothing that scrolls sideways, and it works by its own buttons.
async function pages() {
  const browser = await launch();
  if (!browser) return console.log('no browser: pages are not looked at');
  const password = (await call(platform.base, 'GET', '/demo/accounts')).json.find((a) => a.username === 'operator').password, member = `${instance}/GOV/90000003`;
  run('gateway', 'member', member, '--name-fa', 'سازمان آزمون', '--name-en', 'Test organisation', '--folder', op);
  const asking = async (name) => {
    const code = run('gateway', 'invite', `${member}/${name}`, '--folder', op).trim(), where = join(dir, name);
    run('gateway', 'init', '--folder', where, '--server', `${member}/${name}`, '--address', `https://127.0.0.1:${await port()}`);
    let said = null; // a machine that is very slow may not answer in a connection's time: the same command asks again
    await until(`the request of ${name}`, async () => {
      said = await runs('gateway', 'join', '--folder', where, '--operator', address, '--code', code, '--wait', '0');
      return JSON.parse(run('gateway', 'requests', '--folder', op, '--json')).some((x) => x.server === `${member}/${name}`) || said.err;
    }, (x) => x === true);
  };
  await asking('ss1');
  await asking('ss2');
  const look = async (page, what) => {
    await page.mouse.move(0, 0); // nothing is pointed at, whatever stands now where a button was
    for (const width of [360, 1440]) {
      await page.setViewportSize({ width, height: 900 });
      same(await flaws(page), [], `${what} ${width}`);
      if (process.env.SHOTS) await page.screenshot({ path: join(process.env.SHOTS, `exchange-${what}-${width}.png`), fullPage: true });
    }
  };
  for (const [lang, name] of [['fa', 'ss1'], ['en', 'ss2']])
    await test(`${lang}: a request is approved, a code is made, a wrong name is told, a key is revoked, by the page's own buttons`, async () => {
      const context = await browser.newContext({ locale: lang === 'fa' ? 'fa-IR' : 'en-US', javaScriptEnabled: true }), page = await context.newPage();
      const press = async (selector) => { await Promise.all([page.waitForNavigation(), page.press(selector, 'Enter')]); };
      await page.goto(`${platform.base}/staff?lang=${lang}`);
      await page.fill('#username', 'operator'); await page.fill('#password', password);
      await press('main button[type=submit]');
      await page.goto(`${platform.base}/admin/exchange`);
      await look(page, `${lang}-waiting`);
      await press(`section:has-text("${name}") button[value=approve]`);
      await look(page, `${lang}-approved`);
      await page.fill('#server', `${member}/more`);
      await press('form[action$=invitations] button');
      good((await page.textContent('#code')).length > 60, 'the code');
      await look(page, `${lang}-code`);
      await page.fill('#server', 'nonsense');
      await press('form[action$=invitations] button');
      await look(page, `${lang}-wrong`);
      await page.goto(`${platform.base}/admin/exchange`);
      const section = `section:has(summary):has-text("${name}")`;
      await page.press(`${section} summary`, 'Enter');
      await page.fill(`${section} form[action*="/keys/"] input[name=why]`, 'lost');
      await look(page, `${lang}-revoking`);
      await press(`${section} form[action*="/keys/"] button`);
      await look(page, `${lang}-revoked`);
      await context.close();
    });
  await browser.close();
}
if (process.argv[2] === 'pages') { await pages(); provider.close(); await platform.stop(); end(); }

const gateways = {};
async function start(name, more = []) {
  const g = gateways[name];
  g.child = spawn(chapar, ['gateway', 'serve', '--folder', g.folder, '--listen', '127.0.0.1:0', ...wide(g.port), '--access-log', 'no', '--exchange-grace-s', '8', ...more], { stdio: ['ignore', 'pipe', process.env.CHAPAR_TEST_QUIET ? 'ignore' : 'inherit'] });
  process.on('exit', () => g.child.kill('SIGKILL'));
  g.base = await new Promise((ok, bad) => {
    let text = '';
    g.child.stdout.on('data', (d) => { text += d; const m = /at (http:\/\/\S+?)\/?\s/.exec(text); if (m) ok(m[1]); });
    g.child.on('exit', (c) => bad(new Error(`gateway ${name} ended with ${c}`)));
  });
}
const stop = (g) => new Promise((done) => { g.child.on('exit', done); g.child.kill('SIGTERM'); });
const must = async (name, fn) => { let bad = null; await test(name, async () => { try { await fn(); } catch (e) { bad = e; throw e; } }); if (bad) end(); };
const status = async (name) => { const r = await runs('gateway', 'status', '--folder', gateways[name].folder, '--json'); return { ...JSON.parse(r.out), exit: r.status }; };
const ask = (what = 'hello') => call(gateways.b.base, 'GET', `/r1/${A}/data/echo/${what}`, { headers: { 'X-Road-Client': `${B}/asks` } });

await test('a gateway is made by one command, and refuses to be made twice or wrongly', async () => {
  for (const [name, member] of [['a', A], ['b', B]]) {
    const g = gateways[name] = { folder: join(dir, name), port: await port(), server: `${member}/ss1` };
    const card = JSON.parse(run('gateway', 'init', '--folder', g.folder, '--server', g.server, '--address', `https://127.0.0.1:${g.port}`, '--json'));
    same(card.server, g.server);
    good(/^([0-9a-f]{4}-){7}[0-9a-f]{4}$/.test(card.fingerprint), card.fingerprint);
    g.fingerprint = card.fingerprint;
    same(statSync(join(g.folder, 'keys', 'sign.pem')).mode & 0o77, 0, 'others may read the key');
  }
  same(fails(['gateway', 'init', '--folder', gateways.a.folder, '--server', gateways.a.server, '--address', 'https://127.0.0.1:5500']).status, 1);
  same(fails(['gateway', 'init', '--folder', join(dir, 'x'), '--server', 'A/B', '--address', 'https://127.0.0.1:5500']).status, 1);
  same(fails(['gateway', 'init', '--folder', join(dir, 'x'), '--server', 'A/B/C/D', '--address', 'http://127.0.0.1:5500']).status, 1);
  same(fails(['gateway', 'fly']).status, 2);
  good(/renew-keys/.test(run('gateway', '--help')) && /--operator/.test(run('gateway', 'join', '--help')), 'help');
  const before = await status('a');
  good(before.exit === 1 && before.serving === false && before.directory.state === 'none', JSON.stringify(before));
});

await must('joining: a code by the page, the same fingerprint on both sides, a person approves', async () => {
  for (const member of [A, B]) same((await form('/admin/exchange/members', { id: member, name_fa: 'آزمون', name_en: 'Test' })).status, 303);
  for (const s of [`${A}/data`, `${B}/asks`]) same((await form('/admin/exchange/members', { id: s, name_fa: 'زیرسامانه' })).status, 303);
  same((await form('/admin/exchange/members', { id: 'XX/GOV/1', name_fa: 'بیگانه' })).status, 422);
  same((await form('/admin/exchange/invitations', { server: `${instance}/GOV/nobody/ss1` })).status, 404);
  for (const name of ['a', 'b']) {
    const g = gateways[name], shown = await form('/admin/exchange/invitations', { server: g.server });
    const code = /id="code">([0-9A-Z-]+)</.exec(shown.text)?.[1];
    good(code, `no code: ${shown.status}`);
    const wrong = code.slice(0, 5) + (code[5] === '0' ? '1' : '0') + code.slice(6);
    same((await runs('gateway', 'join', '--folder', g.folder, '--operator', address, '--code', wrong, '--wait', '1')).status, 1, 'a wrong code');
    const joining = runs('gateway', 'join', '--folder', g.folder, '--operator', address, '--code', code, '--wait', '180');
    let early = null;
    joining.then((r) => { early = r; });
    const request = await until('the request on the page', async () => { if (early) throw new Error(`join ended: ${early.err}`); return /\/admin\/exchange\/requests\/(r-[0-9a-f]{16})/.exec(await page())?.[1]; });
    good((await page()).includes(g.fingerprint), 'the page shows the fingerprint that init showed');
    same((await form(`/admin/exchange/requests/${request}`, { act: 'approve' })).status, 303);
    const r = await joining;
    same(r.status, 0, r.err);
    good(r.err.includes(g.fingerprint), 'the command shows it too');
    g.code = code;
  }
  same(fails(['gateway', 'join', '--folder', gateways.b.folder, '--operator', address, '--code', gateways.a.code, '--wait', '1']).status, 1, "another's code");
});

await must('services and rights by command; an exchange through both gateways; what is not granted is refused', async () => {
  run('gateway', 'services', 'add', `${A}/data/echo`, `http://127.0.0.1:${provider.address().port}/api`, '--folder', gateways.a.folder);
  same(fails(['gateway', 'services', 'add', 'nonsense', 'http://127.0.0.1:1', '--folder', gateways.a.folder]).status, 1);
  run('gateway', 'subsystem', `${B}/asks`, '--tls', 'plain', '--folder', gateways.b.folder);
  run('gateway', 'subsystem', `${A}/data`, '--tls', 'plain', '--folder', gateways.a.folder);
  await start('a');
  await start('b');
  await until('refusal for want of a right', async () => /access_denied/.test((await ask()).headers.get('x-road-error') ?? '')); // a learns of b within seconds
  const grant = run('gateway', 'grant', `${B}/asks`, `${A}/data/echo`, '--method', 'GET', '--purpose', 'test', '--folder', gateways.a.folder).trim();
  await until('the right to work', async () => (await ask()).status === 200);
  const r = await ask('x?y=1');
  same([r.status, r.json?.path, r.json?.client], [200, '/api/x?y=1', `${B}/asks`]);
  same(JSON.parse(run('gateway', 'grants', '--folder', gateways.a.folder, '--json'))[0].id, grant);
  good(JSON.parse(run('gateway', 'services', 'list', '--folder', gateways.a.folder, '--json')).some((s) => s.id === `${A}/data/echo`), 'listed');
  const s = await status('b');
  same([s.exit, s.serving, s.directory.state, s.causes], [0, true, 'fresh', []], JSON.stringify(s.causes));
  good(s.peers.some((p) => p.server === gateways.a.server && p.state === 'reached'), JSON.stringify(s.peers));
  run('gateway', 'revoke', grant, '--why', 'test', '--folder', gateways.a.folder);
  await until('the right to be gone', async () => (await ask()).status !== 200);
  run('gateway', 'grant', `${B}/asks`, `${A}/data/echo`, '--folder', gateways.a.folder);
  await until('a new right', async () => (await ask()).status === 200);
});

await test('options of a service: how long it may take, which certificate it shows', async () => {
  const id = `${A}/data/echo`, a = ['--folder', gateways.a.folder], set = (...words) => run('gateway', 'services', 'set', id, ...words, ...a), listed = () => JSON.parse(run('gateway', 'services', 'list', '--json', ...a)).find((s) => s.id === id);
  same([listed().timeout_ms, listed().any_certificate], [0, false]);
  set('--timeout-ms', '300', '--any-certificate');
  same([listed().timeout_ms, listed().any_certificate, listed().log], [300, true, 'bodies']);
  good(/time-out: 300 ms  any certificate/.test(run('gateway', 'services', 'list', ...a)), 'listed for people');
  await until('its own time', async () => /io_error/.test((await ask('never')).headers.get('x-road-error')));
  set('--known-certificate');
  same([listed().timeout_ms, listed().any_certificate], [300, false], 'the other stays');
  set('--timeout-ms', '0');
  for (const [words, status] of [[['set', id], 2], [['set', id, '--any-certificate', '--known-certificate'], 2], [['set', id, '--timeout-ms', 'soon'], 1], [['set', id, '--timeout-ms', '3600001'], 1], [['set', `${A}/data/none`, '--timeout-ms', '5'], 1],
    [['add', id, 'https://127.0.0.1:1', '--ca', 'x.pem', '--any-certificate'], 2], [['add', id, 'https://127.0.0.1:1', '--timeout-ms', '-1'], 1]]) same(fails(['gateway', 'services', ...words, ...a]).status, status, words.join(' '));
});

await test('maintenance of a gateway: callers are told by which, why and until when, on either side', async () => {
  const on = (name, ...words) => run('gateway', 'maintenance', 'on', '--notice', 'a new disk', ...words, '--folder', gateways[name].folder), off = (name) => run('gateway', 'maintenance', 'off', '--folder', gateways[name].folder);
  const refused = (code) => until(code, async () => { const r = await ask(); return r.headers.get('x-road-error') === code && r; });
  on('a', '--until', '2099-03-20T06:30:00Z');
  same((await refused('server.serverproxy.maintenance_mode')).json.message, `The gateway ${gateways.a.server} is under maintenance until 2099-03-20T06:30:00Z: a new disk`);
  const s = await status('a');
  same([s.directory.maintenance, s.maintenance, s.exit], [{ notice: 'a new disk', until: '2099-03-20T06:30:00Z' }, { notice: 'a new disk', until: '2099-03-20T06:30:00Z' }, 0]);
  good(/maintenance  until 2099-03-20T06:30:00Z: a new disk/.test(run('gateway', 'status', '--folder', gateways.a.folder)), 'status');
  good(/^chapar_exchange_maintenance 1$/m.test((await call(gateways.a.base, 'GET', '/metrics')).text), 'metrics');
  good(/maintenance/.test(run('gateway', 'acts', '--folder', gateways.a.folder)), 'it is an act');
  const theirs = (await status('b')).peers.find((p) => p.server === gateways.a.server);
  same([theirs.state, theirs.last_error], ['maintenance', `The gateway ${gateways.a.server} is under maintenance until 2099-03-20T06:30:00Z: a new disk`], 'as another member sees it');
  good(/1 under maintenance, 0 failed/.test(run('gateway', 'status', '--folder', gateways.b.folder)), 'its status');
  const tried = await runs('gateway', 'test', `${B}/asks`, `${A}/data/echo`, '--folder', gateways.b.folder);
  good(tried.status === 1 && /by the provider's gateway[^]*maintenance_mode[^]*under maintenance until 2099-03-20T06:30:00Z: a new disk[^]*Send again when the maintenance is over/.test(tried.out), tried.out);
  on('b');
  same((await refused('server.clientproxy.maintenance_mode')).json.message, `The gateway ${gateways.b.server} is under maintenance until it is said to be over: a new disk`);
  off('a');
  off('b');
  await until('calls again', async () => (await ask()).status === 200);
  same([(await status('a')).directory.maintenance, (await status('b')).peers.find((p) => p.server === gateways.a.server).state], [null, 'reached']);
  const theirState = async () => (await status('b')).peers.find((p) => p.server === gateways.a.server).state, soon = () => `${new Date(Date.now() + 5000).toISOString().slice(0, 19)}Z`;
  await until('a short one to be heard of', async () => { on('a', '--until', soon()); await ask(); return await theirState() === 'maintenance'; }); // again, where the machine is slower than it is short
  await until('it to be over by its time, without a call', async () => await theirState() === 'reached');
  await until('calls again', async () => (await ask()).status === 200); // a later one may have been declared than the other heard of
  same(fails(['gateway', 'maintenance', 'on', '--folder', gateways.a.folder]).status, 2, 'no notice');
  for (const when of ['soon', '2020-01-01']) same(fails(['gateway', 'maintenance', 'on', '--notice', 'x', '--until', when, '--folder', gateways.a.folder]).status, 1, when);
  const both = fails(['gateway', 'maintenance', 'on', '--until', 'soon', '--folder', gateways.a.folder]);
  good(both.status === 2 && /--until is a day or a moment/.test(both.err) && /--notice TEXT/.test(both.err), both.err);
  const live = async (lang) => (await call(platform.base, 'GET', `/desk/exchange/live?still=1&lang=${lang}`, { token: session.token, lang, headers: { Accept: 'text/html' } })).text;
  run('gateway', 'maintenance', 'on', '--notice', 'a <new> disk', '--until', '2099-03-20T06:30:00Z', '--folder', op);
  for (const [lang, words] of [['en', /under maintenance<\/strong> — until [^<]*2099[^<]*: <bdi>a &lt;new&gt; disk/], ['fa', /در دست نگهداری است<\/strong> — تا [^<]*۱۴۷[۷۸][^<]*: <bdi>a &lt;new&gt; disk/]]) {
    const shown = await until(`the page of the exchange, ${lang}`, async () => { const t = await live(lang); return /class="note"[^]*&lt;new&gt;/.test(t) && t; });
    good(words.test(shown), shown.slice(shown.indexOf('class="note"'), shown.indexOf('<dl')));
  }
  run('gateway', 'maintenance', 'off', '--folder', op);
  const file = join(op, 'directory'); // nothing can take the place of a folder
  renameSync(file, `${file}.kept`);
  mkdirSync(file);
  try {
    await form('/admin/exchange/members', { id: `${instance}/GOV/90000007`, name_fa: 'آزمون', name_en: 'Test' });
    await until('what goes wrong to be told', async () => /class="note"><p><bdi dir="ltr">[^<]*directory/.test(await live('en')));
  } finally {
    rmdirSync(file);
    renameSync(`${file}.kept`, file);
  }
  await until('it to be over', async () => !/class="note"/.test(await live('en')));
});

await test('the directory is checked with openssl alone', () => {
  const text = readFileSync(join(gateways.a.folder, 'directory'), 'utf8'), [line, second] = text.split('\n');
  writeFileSync(join(dir, 'd.json'), line + '\n');
  writeFileSync(join(dir, 'd.sig'), Buffer.from(second.split(' ')[1], 'base64'));
  good(/Verified OK/.test(execFileSync('openssl', ['dgst', '-sha256', '-verify', join(gateways.a.folder, 'operator.pub'), '-signature', join(dir, 'd.sig'), join(dir, 'd.json')], { encoding: 'utf8' })), 'openssl');
  same(JSON.parse(line).type, 'chapar-directory-v1');
});

await test('the key helper is killed: another begins and no call fails', async () => {
  const before = (await status('b')).directory.key_helper;
  let over = false, bad = 0, made = 0;
  const traffic = (async () => { while (!over) { const r = await ask(); made++; if (r.status !== 200) bad++; } })();
  await until('calls before it', () => made > 2);
  process.kill(before.pid, 'SIGKILL');
  const after = await until('another helper', async () => { const k = (await status('b')).directory.key_helper; return k.pid !== before.pid && k.restarts > before.restarts && k; });
  const then = made;
  await until('calls after it', () => made > then + 2);
  over = true;
  await traffic;
  same(bad, 0, `of ${made} failed`);
  good(after.pid > 0, 'its number');
});

await test('new keys under traffic: announced, used when they are known, no call fails', async () => {
  const keys = (f) => readFileSync(join(f, 'keys', 'tls.crt'), 'utf8');
  const before = ['a', 'b'].map((n) => keys(gateways[n].folder));
  let over = false, bad = [], made = 0;
  const traffic = (async () => { while (!over) { const r = await ask(); made++; if (r.status !== 200) bad.push(`${r.status} ${r.text}`); } })();
  for (const n of ['a', 'b']) run('gateway', 'renew-keys', '--folder', gateways[n].folder);
  await until('new certificates in use', async () => ['a', 'b'].every((n, i) => keys(gateways[n].folder) !== before[i]));
  const shown = () => execFileSync('sh', ['-c', `openssl s_client -connect 127.0.0.1:${gateways.a.port} </dev/null 2>/dev/null | openssl x509 -fingerprint -sha256 -noout`], { encoding: 'utf8' });
  const own = execFileSync('openssl', ['x509', '-in', join(gateways.a.folder, 'keys', 'tls.crt'), '-fingerprint', '-sha256', '-noout'], { encoding: 'utf8' });
  await until('the listener to show the new certificate', async () => shown() === own); /* it follows the file in the same round */
  const then = made;
  await until('calls with it', () => made > then + 5);
  over = true;
  await traffic;
  good(bad.length === 0, `${bad.length} of ${made} failed: ${bad[0]}`);
  await until('the old keys to have an end', async () => (await status('a')).directory.gateways.filter((g) => [gateways.a.server, gateways.b.server].includes(g.id)).every((g) => g.keys.length === 2 && g.keys.filter((k) => k.until).length === 1));
});

await test('gateways witness the ledger: who has co-signed stands on the receipt', async () => {
  run('backup', join(dir, 'early.copy'), ...data); // for the test after the next
  const filed = await call(platform.base, 'POST', '/api/v1/services/village-residence/cases', { key: 'witnessed', body: { data: await example(platform.base) } });
  same(filed.status, 201, filed.text);
  const names = await until('witnesses on the receipt', async () => { const w = (await call(platform.base, 'GET', `/api/v1/cases/${filed.json.tracking}/receipt`)).json?.witnesses; return w?.length === 2 && w.map((x) => x.name).sort(); });
  same(names, [gateways.a.server, gateways.b.server].sort());
  good((await call(platform.base, 'GET', `/cases/${filed.json.tracking}/receipt`)).text.replaceAll('&#x2F;', '/').includes(gateways.a.server), 'the page of the receipt');
  good((await page()).includes(gateways.b.server), 'the page of the exchange');
});

await test('the operator is away: exchanges go on within grace, the age is shown and alarmed; then they stop; back, all is well', async () => {
  await platform.stop('SIGKILL');
  const restored = runs('restore', join(dir, 'early.copy'), '--data', join(dir, 'restored-platform'));
  same((await ask()).status, 200, 'at once');
  const old = await until('an exchange with an old directory', async () => { // the call comes after the look: whatever is answered well is answered with a directory that is as old, or older
    const s = await status('b'), r = await ask();
    good(s.directory.state !== 'expired', 'none before the end of grace');
    return s.directory.state === 'old' && s.causes.length && r.status === 200 && s;
  });
  good(old.exit === 1 && old.causes.some((c) => c.part === 'exchange.directory') && old.directory.problem, JSON.stringify(old.causes));
  await until('the end of grace', async () => (await status('b')).directory.state === 'expired');
  const r = await ask();
  good(r.status !== 200 && /global_conf_outdated/.test(r.headers.get('x-road-error') ?? ''), `${r.status} ${r.headers.get('x-road-error')}`);
  same((await restored).status, 0, 'the platform comes back from a copy');
  platform = await serve(['--data', join(dir, 'restored-platform')], { args: [...wide(peers), '--exchange-address', address, '--exchange-folder', op] });
  await operator();
  await until('to be fresh again', async () => (await status('b')).directory.state === 'fresh');
  await until('exchanges', async () => (await ask()).status === 200);
});

await test('the ledger went back behind what was witnessed: no gateway co-signs it, and each says so', async () => {
  const filed = await call(platform.base, 'POST', '/api/v1/services/village-residence/cases', { key: 'another history', body: { data: await example(platform.base) } });
  same(filed.status, 201, filed.text);
  for (const n of ['a', 'b']) {
    const s = await until('the alarm', async () => { const x = await status(n); return x.causes.some((c) => c.part === 'exchange.witness') && x; });
    good(/went back|forks|two histories/.test(s.directory.witnessed[0].problem) && s.exit === 1, JSON.stringify(s.directory.witnessed));
  }
  const receipt = await until('its place', async () => { const r = (await call(platform.base, 'GET', `/api/v1/cases/${filed.json.tracking}/receipt`)).json; return r?.checkpoint && r; });
  same(receipt.witnesses, undefined);
});

await test('a copy is made while serving and verified when it is put back; a damaged one is refused', async () => {
  const copy = join(dir, 'a.copy'), there = join(dir, 'restored');
  run('gateway', 'backup', copy, '--folder', gateways.a.folder);
  same(statSync(copy).mode & 0o77, 0, 'it holds keys');
  good(/verifies/.test(run('gateway', 'restore', copy, '--folder', there)), 'restored');
  same(readFileSync(join(there, 'gateway.json'), 'utf8'), readFileSync(join(gateways.a.folder, 'gateway.json'), 'utf8'));
  same(fails(['gateway', 'restore', copy, '--folder', there]).status, 1, 'into a folder that is in use');
  const bytes = readFileSync(copy);
  writeFileSync(join(dir, 'half.copy'), bytes.subarray(0, bytes.length >> 1));
  same(fails(['gateway', 'restore', join(dir, 'half.copy'), '--folder', join(dir, 'half')]).status, 1, 'half a copy');
  good(!existsSync(join(dir, 'half')), 'nothing is left');
});

await test('a key that was revoked by the page is refused everywhere', async () => {
  const g = (await status('a')).directory.gateways.find((x) => x.id === gateways.b.server), key = g.keys.find((k) => !k.until && !k.revoked_at).keyid;
  same((await form(`/admin/exchange/keys/${key}`, { why: '' })).status, 422);
  same((await ask()).status, 200);
  same((await form(`/admin/exchange/keys/${key}`, { why: 'lost' })).status, 303);
  await until('refusal', async () => (await ask()).status !== 200);
  same((await form('/admin/exchange/gateways', { server: gateways.b.server, why: 'gone' })).status, 303);
  await until('to be gone', async () => !(await status('a')).directory.gateways.some((x) => x.id === gateways.b.server));
  same(fails(['gateway', 'gateways', 'remove', gateways.a.server, '--folder', op]).status, 2, 'without saying why');
  same(fails(['gateway', 'gateways', 'remove', `${A}/none`, '--why', 'gone', '--folder', op]).status, 1, 'one that is not there');
  run('gateway', 'gateways', 'remove', gateways.a.server, '--why', 'gone too', '--folder', op);
  const left = JSON.parse(run('gateway', 'directory', '--json', '--folder', op));
  same([left.gateways.some((x) => x.id === gateways.a.server), left.members.some((x) => x.id === A)], [false, true], 'by command');
  const r = await call(platform.base, 'GET', '/admin/exchange', { token: await staff(platform.base, 'manager.bargh').catch(() => session.token) });
  good([200, 403].includes(r.status), `${r.status}`);
});

await stop(gateways.a);
await stop(gateways.b);
provider.close();
await platform.stop();
end();
