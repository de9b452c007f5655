// Before something ends: a right, a key, a certificate. Seen in status, health, figures and the operator's page; written about once for each of thirty days, seven and
// one, through a real SMTP server: by one of two processes of a gateway, across restarts, and again when the server turns away, says later, or falls silent over a letter.
import { createRequire } from 'node:module';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { call, fails, root, staff, test, same, good, end, flaws, browser as launch } from './kit.mjs';
import { world, until } from './gateways.mjs';

const require = createRequire(join(root, 'tests', 'package.json')), { SMTPServer } = require('smtp-server');
const letters = [], said = { away: 0, later: 0, cut: 0 };
let cut = null; // a letter about this, and for this one, is read and never answered
const server = new SMTPServer({
  authOptional: true, disabledCommands: ['AUTH', 'STARTTLS'], logger: false,
  onConnect(session, done) { if (said.away++ < 1) done(new Error('closed for now')); else done(); },
  onRcptTo(address, session, done) { if (said.later++ < 1) done(Object.assign(new Error('later'), { responseCode: 451 })); else done(); },
  onData(stream, session, done) {
    const all = [];
    stream.on('data', (d) => all.push(d));
    stream.on('end', () => {
      const raw = Buffer.concat(all).toString(), letter = { to: session.envelope.rcptTo[0].address, text: Buffer.from(raw.slice(raw.indexOf('\r\n\r\n') + 4), 'base64').toString() };
      if (cut && letter.to === cut.to && letter.text.includes(cut.about)) { said.cut++; cut = null; for (const c of server.connections) if (c.session.id === session.id) c._socket.destroy(); return; }
      letters.push(letter);
      done();
    });
  },
});
server.on('error', () => {});
await new Promise((done) => server.listen(0, '127.0.0.1', done));
const mail = ['--smtp-url', `smtp://127.0.0.1:${server.server.address().port}`, '--mail-from', 'gateway@khorasan.example'], to = ['operator@khorasan.example', 'second@khorasan.example'];
const alarm = [...mail, '--exchange-alarm-mail', to.join(', ')];

const w = await world({ demo: true }), { instance, gateways, cli, start, stop } = w;
const A = `${instance}/GOV/90000001`, B = `${instance}/GOV/90000002`, service = `${A}/data/echo`;
w.members(A, B, `${A}/data`, `${B}/one`, `${B}/two`, `${B}/three`);
// Its certificate is made anew by its own key, for a day.
await w.take('a', A, null, { made: (g) => execFileSync('openssl', ['x509', '-in', join(g.folder, 'keys', 'tls.crt'), '-signkey', join(g.folder, 'keys', 'tls.pem'), '-days', '1', '-out', join(g.folder, 'keys', 'tls.crt')], { stdio: 'pipe' }) });
gateways.again = { ...await w.place('again'), folder: gateways.a.folder }; // another process of the same gateway
cli('a', 'subsystem', `${A}/data`);
cli('a', 'services', 'add', service, 'http://127.0.0.1:9/x');
const day = (n) => new Date(Date.now() + n * 864e5).toISOString().slice(0, 10);
const grant = (who, n) => cli('a', 'grant', `${B}/${who}`, service, ...(n ? ['--until', day(n)] : []));
const of = (what) => letters.filter((l) => l.text.includes(what)).map((l) => l.to).sort();
const right = (who) => of(`${B}/${who} → ${service}`), certificate = () => of('The TLS certificate of a gateway');
const ends = async () => (await call(gateways.a.base, 'GET', '/health')).json.ends;
const sql = (file, text, ...values) => same(spawnSync('python3', ['-c', 'import sqlite3,sys\nwith sqlite3.connect(sys.argv[1],timeout=60) as c: c.execute(sys.argv[2],sys.argv[3:])', file, text, ...values.map(String)], { encoding: 'utf8' }).stderr, '');

await test('who is written to is told as it should be', () => {
  for (const [list, words] of [['nobody', /'nobody' is no e-mail address/], ['a@b.example,a b@c.example', /is no e-mail address/], [Array.from({ length: 11 }, (_, i) => `a${i}@b.example`).join(), /10 addresses at most/]]) {
    const r = fails(['gateway', 'status', '--folder', gateways.a.folder, ...mail, '--exchange-alarm-mail', list]);
    good(r.status !== 0 && words.test(r.err), `${list}: ${r.err}`);
  }
  good(/needs smtp_url and mail_from/.test(fails(['gateway', 'status', '--folder', gateways.a.folder, '--exchange-alarm-mail', to[0]]).err), 'without a relay');
});
await test('a right and a certificate that end are written about, once to each, by two processes, after a relay that turned away and said later; others are not', async () => {
  grant('one', 5);
  grant('two', 200);
  await Promise.all([start('a', alarm), start('again', alarm)]);
  await until('the letters', () => right('one').length >= 2 && certificate().length >= 2);
  good(said.away > 1 && said.later > 1, JSON.stringify(said));
  good(letters.every((l) => l.text.includes(gateways.a.server)), JSON.stringify(letters));
  for (const l of letters) good((l.text.includes(service) ? /days left: [456]\.[^]*give a new one/ : /days left: 1\.[^]*chapar gateway renew-keys/).test(l.text) && /روز مانده است/.test(l.text), l.text);
  const list = await ends(); // soonest first
  same(list.map((x) => [x.kind, x.days === 1]), [['certificate', true], ['right', false]]);
  good(list[1].name.startsWith(`${B}/one `), JSON.stringify(list));
  good(/ends soon +certificate [^]*ends soon +right [^]*\/one/.test(cli('a', 'status')), 'in words');
  same(JSON.parse(cli('a', 'status', '--json')).ends, list);
  const metrics = (await call(gateways.a.base, 'GET', '/metrics')).text;
  for (const [kind, days, n] of [['right', 30, 1], ['right', 7, 1], ['right', 1, 0], ['certificate', 1, 1], ['key', 30, 0]]) good(metrics.includes(`chapar_exchange_ending{kind="${kind}",days="${days}"} ${n}\n`), `${kind} ${days}: ${metrics}`);
});
await test('not twice, whoever begins anew; what is new is told; a letter of which nobody knows whether it went is written again', async () => {
  await Promise.all([stop(gateways.a), stop(gateways.again)]);
  grant('three', 25); // it comes last in a round
  cut = { to: to[1], about: `${B}/three` };
  await start('a', alarm);
  await until('one letter and one that was cut', () => right('three').length && said.cut);
  await stop(gateways.a);
  sql(join(gateways.a.folder, 'exchange.db'), 'UPDATE exchange_reminded SET at = at - 700000 WHERE sent = 0');
  await start('a', alarm);
  await until('the other', () => right('three').length >= 2);
  same([right('one'), right('two'), right('three'), certificate()], [to, [], to, to]);
});
await test('a right that was given anew is not told of any more', async () => {
  grant('three', 300);
  same((await ends()).filter((x) => x.kind === 'right').map((x) => x.name.includes('/one ')), [true]);
});
await test('a key that ends is shown to its gateway and on the operator\'s page', async () => {
  const keyid = JSON.parse(cli('op', 'directory', '--json')).gateways.find((g) => g.id === gateways.a.server).keys[0].keyid;
  await stop(gateways.a); // it renews the directory when it begins
  sql(join(w.op, 'exchange.db'), 'UPDATE exchange_gateway_key SET until_at = ? + 0 WHERE keyid = ?', Date.now() + 3 * 864e5, keyid);
  w.members(`${B}/more`);
  await start('a', alarm);
  await until('the key', async () => (await ends()).find((x) => x.kind === 'key')?.id === keyid);
  const token = await staff(w.platform.base, 'operator');
  const page = async (lang) => (await call(w.platform.base, 'GET', `/desk/exchange/live?still=1&lang=${lang}`, { token, lang, headers: { Accept: 'text/html' } })).text.replaceAll('&#x2F;', '/');
  good(/The signing key of a gateway[\s\S]*days left: 3/.test(await page('en')) && /کلید امضای درگاه تبادل[\s\S]*۳ روز مانده/.test(await page('fa')) && (await page('fa')).includes(gateways.a.server), await page('en'));
  const health = await call(w.platform.base, 'GET', '/health');
  same([health.status, health.json.ends.map((x) => [x.kind, x.id, x.days, 'name' in x])], [200, [['key', keyid, 3, false]]]);
  await looks(token);
});
await test('new keys, and nothing is told any more of those that they outlive', async () => {
  cli('a', 'renew-keys');
  await until('only the right', async () => (await ends()).map((x) => x.kind).join() === 'right');
  const health = await until('at the operator', async () => { const h = (await call(w.platform.base, 'GET', '/health')).json; return h.ends.length === 0 && h; });
  same(health.status, 'ok');
});

// The page as people see it: nothing for axe to find, nothing that scrolls sideways.
async function looks(token) {
  const browser = await launch();
  if (!browser) return console.log('no browser: the page is not looked at');
  try {
    for (const lang of ['fa', 'en']) {
      const page = await (await browser.newContext({ locale: lang === 'fa' ? 'fa-IR' : 'en-US', extraHTTPHeaders: { Authorization: `Bearer ${token}` } })).newPage();
      for (const width of [360, 1440]) {
        await page.setViewportSize({ width, height: 900 });
        await page.goto(`${w.platform.base}/desk/exchange/live?still=1&lang=${lang}`);
        good((await page.textContent('main')).includes(gateways.a.server), 'what ends');
        same(await flaws(page), [], `${lang} ${width}: axe`);
        if (process.env.SHOTS) await page.screenshot({ path: join(process.env.SHOTS, `ends-${lang}-${width}.png`), fullPage: true });
      }
    }
  } finally { await browser.close(); }
}
await stop(gateways.a);
await w.platform.stop();
server.close();
end();
