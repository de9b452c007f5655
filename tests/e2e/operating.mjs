// The operator of the exchange: groups, members that leave, acts with who and why, the key that signs the directory rolls over while a gateway is away,
// and two nodes of one platform that make each version of the directory once.
import { spawn } from 'node:child_process';
import { createServer } from 'node:http';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { chapar, folder, serve, staff, call, run, runs, fails, postgres, test, same, good, end, port, until, flaws, browser as launch } from './kit.mjs';

const dir = folder(), peers = await port(), address = `https://127.0.0.1:${peers}`, op = join(dir, 'platform', 'exchange');
let platform = await serve(['--data', join(dir, 'platform')], { args: ['--exchange-listen', `127.0.0.1:${peers}`, '--exchange-address', address] });
const server = JSON.parse(readFileSync(join(op, 'gateway.json'))).server, instance = server.split('/')[0];
const A = `${instance}/GOV/91000001`, B = `${instance}/GOV/91000002`, at = (f) => ['--folder', f];
const directory = (f) => JSON.parse(readFileSync(join(f, 'directory'), 'utf8').split('\n')[0]);
const acts = (f) => JSON.parse(run('gateway', 'acts', '--json', ...at(f)));
const provider = createServer((q, s) => s.end('here'));
await new Promise((done) => provider.listen(0, '127.0.0.1', done));
const token = await staff(platform.base, 'operator');
const form = (path, fields) => call(platform.base, 'POST', path, { token, body: new URLSearchParams(fields).toString(), headers: { 'Content-Type': 'application/x-www-form-urlencoded' } });

const gateways = {};
async function start(name) {
  const g = gateways[name];
  g.child = spawn(chapar, ['gateway', 'serve', ...at(g.folder), '--listen', '127.0.0.1:0', '--exchange-listen', `127.0.0.1:${g.port}`, '--access-log', 'no', '--exchange-grace-s', '8'], { stdio: ['ignore', 'pipe', process.env.CHAPAR_TEST_QUIET ? 'ignore' : 'inherit'] });
  process.on('exit', () => g.child.kill('SIGKILL'));
  g.base = await new Promise((ok, bad) => { let text = ''; g.child.stdout.on('data', (d) => { text += d; const m = /at (http:\/\/\S+?)\/?\s/.exec(text); if (m) ok(m[1]); }); g.child.on('exit', (c) => bad(new Error(`gateway ${name} ended with ${c}`))); });
}
const stop = (g) => new Promise((done) => { g.child.on('exit', done); g.child.kill('SIGTERM'); });
async function join_(name, member) {
  const g = gateways[name] = { folder: join(dir, name), port: await port(), server: `${member}/ss1` };
  run('gateway', 'member', member, '--name-fa', 'آزمون', '--name-en', 'Test', ...at(op));
  run('gateway', 'init', '--server', g.server, '--address', `https://127.0.0.1:${g.port}`, ...at(g.folder));
  const code = run('gateway', 'invite', g.server, ...at(op)).trim();
  const joining = runs('gateway', 'join', '--operator', address, '--code', code, '--wait', '60', ...at(g.folder));
  const request = await until('the request', async () => JSON.parse(run('gateway', 'requests', '--json', ...at(op)))[0]?.id);
  run('gateway', 'approve', request, '--why', 'compared by telephone', ...at(op));
  const r = await joining;
  same(r.status, 0, r.err);
  await start(name);
}
let last = null;
const ask = async () => (last = await call(gateways.b.base, 'GET', `/r1/${A}/data/echo`, { headers: { 'X-Road-Client': `${B}/asks` } }));

await test('two gateways; a right for a local group', async () => {
  await join_('a', A);
  await join_('b', B);
  for (const s of [`${A}/data`, `${B}/asks`]) same((await form('/admin/exchange/members', { id: s, name_fa: 'زیرسامانه' })).status, 303);
  const a = gateways.a.folder;
  run('gateway', 'services', 'add', `${A}/data/echo`, `http://127.0.0.1:${provider.address().port}`, ...at(a));
  run('gateway', 'subsystem', `${A}/data`, ...at(a));
  run('gateway', 'subsystem', `${B}/asks`, ...at(gateways.b.folder));
  run('gateway', 'grant', 'group:desks', `${A}/data/echo`, ...at(a));
  await until('refusal', async () => /access_denied/.test((await ask()).headers.get('x-road-error') ?? ''));
  run('gateway', 'groups', 'add', 'desks', `${B}/asks`, ...at(a));
  await until('the group to count', async () => (await ask()).status === 200);
  same(JSON.parse(run('gateway', 'groups', 'list', '--json', ...at(a))), [{ code: 'desks', members: [`${B}/asks`], global: false }]);
  run('gateway', 'groups', 'remove', 'desks', `${B}/asks`, ...at(a));
  await until('it to count no more', async () => (await ask()).status !== 200);
  same(fails(['gateway', 'groups', 'remove', 'desks', `${B}/asks`, ...at(a)]).status, 1);
  same(fails(['gateway', 'group', 'all', B, ...at(a)]).status, 1, 'a group of the directory is the operator\'s');
  run('gateway', 'group', 'desks', B, ...at(op)); // a member stands for its subsystems
  await until('the directory\'s group to count', async () => (await ask()).status === 200);
  good(JSON.parse(run('gateway', 'groups', 'list', '--json', ...at(a))).some((g) => g.code === 'desks' && g.global), 'listed');
});

await test('a member\'s own acts and the operator\'s: who, what, when and why', async () => {
  const own = acts(gateways.a.folder);
  same(own.map((x) => x.act).sort(), ['grant', 'local-group', 'local-ungroup', 'service', 'subsystem']);
  good(own.every((x) => /^command: ./.test(x.actor) && /^[0-9a-f]{64}$/.test(x.leaf_hash)), JSON.stringify(own));
  const all = acts(op);
  good(all.some((x) => x.act === 'approve' && x.detail.why === 'compared by telephone' && x.subject === gateways.b.server), 'approval with its reason');
  good(all.some((x) => x.act === 'member' && x.actor === 'operator' && x.subject === `${B}/asks`), 'who used the page');
  for (const lang of ['fa', 'en']) {
    const page = await call(platform.base, 'GET', '/admin/exchange/acts', { token, lang });
    good(page.status === 200 && page.text.includes('compared by telephone'), 'the page');
  }
  same((await call(platform.base, 'GET', '/admin/exchange/acts?before=nonsense', { token })).status, 422);
});

await test('the page of acts: nothing for axe, nothing sideways', async () => {
  const browser = await launch();
  if (!browser) return console.log('  no browser');
  const password = (await call(platform.base, 'GET', '/demo/accounts')).json.find((a) => a.username === 'operator').password;
  for (const lang of ['fa', 'en']) {
    const context = await browser.newContext({ locale: lang === 'fa' ? 'fa-IR' : 'en-US' }), page = await context.newPage();
    await page.goto(`${platform.base}/staff?lang=${lang}`);
    await page.fill('#username', 'operator'); await page.fill('#password', password);
    await Promise.all([page.waitForNavigation(), page.press('main button[type=submit]', 'Enter')]);
    for (const path of ['/admin/exchange/acts', '/admin/exchange'])
      for (const width of [360, 1440]) {
        await page.setViewportSize({ width, height: 900 });
        await page.goto(platform.base + path);
        same(await flaws(page), [], `${path} ${lang} ${width}`);
        if (process.env.SHOTS) await page.screenshot({ path: join(process.env.SHOTS, `${path.replaceAll('/', '-')}-${lang}-${width}.png`), fullPage: true });
      }
    await context.close();
  }
  await browser.close();
});

await test('the operator\'s key rolls over: the old signs the new, gateways follow, also one that was away', async () => {
  const key = (f) => directory(f).operator.keys.map((k) => k.keyid), before = key(op);
  same(before.length, 1);
  same(fails(['gateway', 'renew-operator-key', ...at(op)]).status, 2, 'a reason is needed');
  same(fails(['gateway', 'renew-operator-key', '--why', 'x', ...at(gateways.a.folder)]).status, 1, 'not the operator');
  await stop(gateways.b);
  const slept = directory(gateways.b.folder).version;
  run('gateway', 'renew-operator-key', '--why', 'yearly', '--at-once', ...at(op));
  await until('the new key to sign alone', async () => key(op).length === 1 && key(op)[0] !== before[0]);
  await until('a to follow', async () => key(gateways.a.folder)[0] === key(op)[0]);
  const first = key(op)[0];
  run('gateway', 'renew-operator-key', '--why', 'again', '--at-once', ...at(op)); // twice while b sleeps
  await until('the key after it', async () => key(op).length === 1 && key(op)[0] !== first);
  same(directory(gateways.b.folder).version, slept, 'b was away');
  await start('b');
  await until('b to follow', async () => directory(gateways.b.folder).version === directory(op).version && key(gateways.b.folder)[0] === key(op)[0], 90000);
  await until('b to be well', async () => { const r = await runs('gateway', 'status', '--json', ...at(gateways.b.folder)); return JSON.parse(r.out).directory.state === 'fresh'; });
  await until('an exchange', async () => (await ask()).status === 200);
  await until('the old key to be gone', async () => !existsSync(join(op, 'keys', 'operator-old.pem')) && !existsSync(join(op, 'keys', 'operator-next.pem')));
  same(acts(op).filter((x) => x.act.startsWith('operator-')).map((x) => [x.act, x.detail.why ?? '']).reverse(), [['operator-key', 'yearly'], ['operator-switch', ''], ['operator-key', 'again'], ['operator-switch', '']]);
});

await test('a member is removed with a reason: its gateway, keys and groups are gone, and its rights at others; they do not come back with its name', async () => {
  run('gateway', 'grant', `${B}/asks`, `${A}/data/echo`, ...at(gateways.a.folder));
  same(fails(['gateway', 'members', 'remove', B, ...at(op)]).status, 2);
  same(fails(['gateway', 'members', 'remove', server.split('/').slice(0, 3).join('/'), '--why', 'x', ...at(op)]).status, 1, 'not the operator itself');
  same((await form('/admin/exchange/members/remove', { id: B })).status, 422, 'a reason is needed');
  same((await form('/admin/exchange/members/remove', { id: B, why: 'merged into another' })).status, 303);
  await until('the directory to go around', async () => !directory(gateways.a.folder).members.some((m) => m.id.startsWith(B)));
  const d = directory(op);
  good(!d.gateways.some((g) => g.id === gateways.b.server) && !JSON.stringify(d.groups).includes(B), 'gone from the directory');
  const rights = JSON.parse(run('gateway', 'grants', '--all', '--json', ...at(gateways.a.folder))).filter((g) => g.subject === `${B}/asks`);
  good(rights.length === 1 && rights[0].revoked_at && /left the member directory/.test(rights[0].revoked_why), JSON.stringify(rights));
  good(acts(op).some((x) => x.act === 'remove' && x.subject === B && x.detail.why === 'merged into another' && x.detail.keys > 0), 'the act');
  run('gateway', 'member', B, '--name-fa', 'دیگری', ...at(op));
  await until('the name again', async () => directory(op).members.some((m) => m.id === B));
  good(!directory(op).gateways.some((g) => g.id === gateways.b.server), 'without the gateway of before');
});
for (const g of Object.values(gateways)) await stop(g);
provider.close();
await platform.stop();

const pg = postgres();
if (pg)
  await test('two nodes of one platform: each version of the directory is made once, whoever changes it', async () => {
    const keys = join(dir, 'keys'), where = ['--store', pg.url, '--keys', keys], folder_ = join(keys, 'exchange');
    const nodes = [await serve(where), await serve(where)], op2 = [await staff(nodes[0].base, 'operator'), await staff(nodes[1].base, 'operator')];
    const member = async (n, id) => same((await call(nodes[n].base, 'POST', '/admin/exchange/members', { token: op2[n], body: new URLSearchParams({ id, name_fa: 'آزمون' }).toString(), headers: { 'Content-Type': 'application/x-www-form-urlencoded' } })).status, 303);
    const shows = (n, id) => until(`node ${n} to show ${id}`, async () => (await call(nodes[n].base, 'GET', `/admin/exchange?find=${encodeURIComponent(id)}`, { token: op2[n] })).text.replaceAll('&#x2F;', '/').includes(`>${id}<`));
    const i = directory(folder_).instance;
    await member(0, `${i}/GOV/92000000`);
    await shows(1, `${i}/GOV/92000000`);
    const begun = directory(folder_).version;
    for (let k = 1; k <= 6; k++) {
      const id = `${i}/GOV/9200000${k}`;
      await member(k % 2, id);
      await shows(0, id);
      await shows(1, id);
    }
    same(directory(folder_).version, begun + 6, 'a version for each change');
    await nodes[0].stop(); // whoever led may be gone: the other goes on
    run('gateway', 'member', `${i}/GOV/92000009`, '--name-fa', 'آزمون', ...at(folder_));
    await shows(1, `${i}/GOV/92000009`);
    same(directory(folder_).version, begun + 7);
    await nodes[1].stop();
  });
else console.log('postgres: not installed here');
end();
