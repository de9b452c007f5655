// Letters through a real SMTP server (npm smtp-server), what does not arrive, and whether a message is ours; both engines side by side.
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { serve, call, staff, test, same, good, end, folder, postgres, root, until, flaws, browser as launch } from './kit.mjs';

const { SMTPServer } = createRequire(join(root, 'tests', 'package.json'))('smtp-server');
const A = '/api/v1';
// Narrow and wide, in both languages, without a fault that axe knows and without anything beside the page.
async function look(b, pages) {
  const browser = await launch();
  for (const [lang, width] of [['fa', 360], ['en', 1440], ['fa', 1440], ['en', 360]]) {
    const context = await browser.newContext({ viewport: { width, height: 800 } });
    for (const [path, token] of pages) {
      await context.clearCookies();
      await context.addCookies([{ name: 'lang', value: lang, url: b }, ...(token ? [{ name: 'session', value: token, url: b }] : [])]);
      const page = await context.newPage(), r = await page.goto(b + path);
      same(r.status(), 200, path);
      same(await flaws(page), [], `${path} ${lang} ${width}`);
      await page.close();
    }
    await context.close();
  }
  await browser.close();
}
const refusal = (code, text) => Object.assign(new Error(text), { responseCode: code });

// Takes letters; grey@ once answers 451, full@ 552, cut@ ends the connection when the letter is there, unanswered.
function postOffice() {
  const letters = [], tries = {};
  const server = new SMTPServer({
    authOptional: true, disabledCommands: ['AUTH'], logger: false,
    onRcptTo({ address }, session, done) {
      tries[address] = (tries[address] || 0) + 1;
      if (address.startsWith('grey') && tries[address] === 1) return done(refusal(451, 'greylisted'));
      if (address.startsWith('full')) return done(refusal(552, 'mailbox full'));
      done();
    },
    onData(stream, session, done) {
      const parts = [], to = session.envelope.rcptTo[0].address;
      stream.on('data', (d) => parts.push(d));
      stream.on('end', () => {
        letters.push({ to, from: session.envelope.mailFrom.address, raw: Buffer.concat(parts).toString('utf8'), tls: session.secure });
        if (!to.startsWith('cut')) return done();
        for (const c of server.connections) if (c.session === session || c.id === session.id) c._socket.destroy();
      });
    },
  });
  server.on('error', () => {});
  return { letters, tries, of: (to) => letters.filter((l) => l.to === to), begin: () => new Promise((ok) => server.listen(0, '127.0.0.1', () => ok(server.server.address().port))), end: () => new Promise((ok) => server.close(ok)) };
}
function read(raw) {
  const [head, body] = [raw.slice(0, raw.indexOf('\r\n\r\n')).replace(/\r\n[ \t]+/g, ' '), raw.slice(raw.indexOf('\r\n\r\n') + 4)];
  const header = (n) => new RegExp(`^${n}: (.*)$`, 'mi').exec(head)?.[1] ?? '';
  const words = header('Subject').replace(/\?= =\?/g, '?==?').replace(/=\?UTF-8\?B\?([^?]*)\?=/gi, (_, b) => Buffer.from(b, 'base64').toString('utf8'));
  return { head, header, subject: words, text: Buffer.from(body, 'base64').toString('utf8') };
}

async function mail(name, where) {
  const post = postOffice(), port = await post.begin();
  const s = await serve(where, { args: ['--smtp-url', `smtp://127.0.0.1:${port}`, '--mail-from', 'noreply@khorasan.example', '--quiet-hours', 'never'] }), b = s.base;
  const sample = (await call(b, 'GET', `${A}/services/village-residence`)).json.form_schema.examples[0];
  let n = 0;
  const file = async (to, lang = 'fa', more = {}) => { const r = await call(b, 'POST', `${A}/services/village-residence/cases`, { key: `m${n++}`, lang, body: { data: { ...sample, mobile: '09150000061' }, ...(to ? { mail: to } : {}), ...more } }); return r; };
  const begun = Object.fromEntries(await Promise.all(['ok', 'grey', 'full', 'cut'].map(async (x) => [x, (await file(`${x}@example.ir`)).json.tracking])));
  const holder = (await call(b, 'GET', `${A}/cases/${begun.ok}`)).json.holder.code;
  const officer = await staff(b, `${holder}.officer`), others = (await call(b, 'GET', '/demo/accounts')).json.find((a) => a.role === 'officer' && a.organisation !== holder && !a.organisation.startsWith(holder.slice(0, 4)));
  const elsewhere = await staff(b, others.username);
  const messages = async (t, token = officer) => (await call(b, 'GET', `${A}/cases/${t}/messages`, { token })).json.items;
  const state = async (t) => (await messages(t)).find((m) => m.channel === 'email')?.state;
  const act = async (t, action, body) => { const view = (await call(b, 'GET', `${A}/cases/${t}`, { token: officer })).json; const r = await call(b, 'POST', `${A}/cases/${t}/actions/${action}`, { token: officer, body: { expected_version: view.version, ...body } }); same(r.status, 200, r.text); return r.json; };

  await test(`${name}: a letter arrives whole in Persian, beside the text message, in the citizen's language`, async () => {
    const [letter] = await until('a letter', () => post.of('ok@example.ir').length && post.of('ok@example.ir'));
    const l = read(letter.raw), view = (await call(b, 'GET', `${A}/cases/${begun.ok}`, { lang: 'fa' })).json;
    same(letter.from, 'noreply@khorasan.example');
    same(l.subject, `${view.service_title}: ${view.state_title}`);
    good(l.head.split('\r\n').every((x) => /^[\x20-\x7e]*$/.test(x)), 'the head is ASCII');
    good(l.text.includes(begun.ok.replace(/(....)(?=.)/g, '$1 ')) && /[آ-ی]/.test(l.text) && !/https?:|www\./.test(l.text), l.text);
    same([l.header('Content-Type'), l.header('Auto-Submitted')], ['text/plain; charset=utf-8', 'auto-generated']);
    good(letter.tls, 'TLS, as the server offers it');
    same((await messages(begun.ok)).map((m) => m.channel).sort(), ['email', 'sms'], 'and the text message');
    const en = (await file('en@example.ir', 'en')).json.tracking;
    const [second] = await until('in English', () => post.of('en@example.ir').length && post.of('en@example.ir'));
    good(/^[\x20-\x7e\s]*$/.test(read(second.raw).text) && read(second.raw).text.includes('Tracking code'), read(second.raw).text);
    good(en, 'filed');
    same((await file('no address')).status, 422);
    same((await file(5)).status, 422);
  });
  await test(`${name}: a long reason is whole in the letter and ends at a word in the text message`, async () => {
    const comment = `${'شناسنامه ناخوانا است و باید دوباره فرستاده شود '.repeat(12)}پایان.`;
    await act(begun.ok, 'assign', {});
    await act(begun.ok, 'reject', { comment });
    const [letter] = await until('the decision', () => { const x = post.of('ok@example.ir').filter((m) => read(m.raw).text.includes('پایان.')); return x.length && x; });
    good(read(letter.raw).text.includes(comment), 'whole');
    const text = (await messages(begun.ok)).find((m) => m.action === 'reject' && m.channel === 'sms').text;
    good(text.length <= 134 && text.includes('…') && text.includes(begun.ok.slice(0, 4)), `${text.length}: ${text}`);
  });
  await test(`${name}: refused for good has failed at once; cut off is never sent again; both are on the desk until they are seen to`, async () => {
    await until('both are settled', async () => (await state(begun.full)) === 'failed' && (await state(begun.cut)) === 'unclear');
    same([post.tries['full@example.ir'], post.of('cut@example.ir').length], [1, 1]);
    const list = async (token, q = `?organisation=${holder}`) => call(b, 'GET', `${A}/desk/undelivered${q}`, { token });
    const r = await list(officer);
    same(r.json.items.map((x) => x.tracking).sort(), [begun.full, begun.cut].sort(), r.text);
    good(r.json.items.every((x) => x.channel === 'email' && x.state_title && !JSON.stringify(x).includes('example.ir')), r.text);
    same([(await list(elsewhere)).status, (await list(elsewhere, '')).json.items.length], [403, 0]);
    same((await call(b, 'POST', `${A}/cases/${begun.full}/undelivered`, { token: elsewhere, body: { how: 'called' } })).status, 404);
    same((await call(b, 'GET', `${A}/cases/${begun.full}/messages`, { token: elsewhere })).status, 404);
    same((await call(b, 'POST', `${A}/cases/${begun.full}/undelivered`, { token: officer, body: { how: 'x' } })).status, 422);
    const page = await call(b, 'GET', `/cases/${begun.full}`, { token: officer, lang: 'fa', headers: { Accept: 'text/html' } });
    good(page.text.includes('به متقاضی نرسید') && page.text.includes('f***@example.ir'), 'the case says so');
    good((await call(b, 'GET', `/desk?organisation=${holder}`, { token: officer, headers: { Accept: 'text/html' } })).text.includes('2 messages did not reach'), 'and the desk');
    good((await call(b, 'GET', `/desk/undelivered?organisation=${holder}`, { token: officer, headers: { Accept: 'text/html' } })).text.includes(begun.cut.slice(0, 4)), 'its page');
    if (name === 'sqlite' && existsSync(process.env.CHROMIUM || '/usr/bin/chromium'))
      await look(b, [[`/cases/${begun.full}`, officer], [`/desk/undelivered?organisation=${holder}`, officer], [`/cases/${begun.full}/actions/add_documents`, officer], ['/message', null]]);
    same((await call(b, 'POST', `${A}/cases/${begun.full}/undelivered`, { token: officer, body: { how: 'called', text: 'خبر دادم' } })).status, 201);
    same((await call(b, 'POST', `${A}/cases/${begun.full}/undelivered`, { token: officer, body: { how: 'called' } })).status, 409);
    same((await list(officer)).json.items.map((x) => x.tracking), [begun.cut]);
    const noted = (await messages(begun.full)).find((m) => m.undelivered).noted;
    same([noted.how, noted.by], ['called', `${holder}.officer`]);
    const m = (await call(b, 'GET', '/metrics')).text;
    good(/undelivered\{state="failed"\} 1/.test(m) && /undelivered\{state="unclear"\} 1/.test(m), m.match(/chapar_notify.*/g).join('\n'));
  });
  await test(`${name}: is this message ours? On a page and by telephone`, async () => {
    const text = (await messages(begun.ok)).find((m) => m.action === 'assign' || m.action === 'submit').text;
    const first = await fetch(`${b}/message`, { headers: { Accept: 'text/html', 'Accept-Language': 'fa' } });
    const cookie = first.headers.get('set-cookie').split(';')[0], token = /name="form_token" value="([^"]+)"/.exec(await first.text())[1];
    const ask = async (typed) => (await fetch(`${b}/message`, { method: 'POST', headers: { Cookie: cookie, Accept: 'text/html', 'Accept-Language': 'fa' }, body: new URLSearchParams({ form_token: token, text: typed }) })).text();
    good((await ask(text)).includes('همین پیام را فرستاده‌ایم'), 'this very one');
    good((await ask(begun.ok)).includes('درباره این درخواست پیام فرستاده‌ایم'), 'by its code');
    good((await ask(`${text} برای دریافت ۵۰ هزار تومان واریز کنید`)).includes('این متن از ما نیست'), 'a text that begins like ours');
    good((await ask(`${text} https://evil.example`)).includes('پیوند ندارند'), 'with a link');
    good((await ask('حساب شما مسدود می‌شود فوری')).includes('نفرستاده‌ایم'), 'not ours');
    const page = await ask(begun.ok);
    good(!page.includes('09150000061') && !page.includes('ok@example.ir') && !page.includes(sample.first_name ?? '\0'), 'nothing personal');
    let session = 0;
    const dial = async (typed) => { const r = await fetch(`${b}/ussd`, { method: 'POST', body: new URLSearchParams({ sessionId: `s${session++}`, phoneNumber: '+989150000061', text: typed }) }); return r.text(); };
    good((await dial(`4*${begun.ok}`)).includes('پیام فرستاده‌ایم'), 'by USSD');
    good((await dial('4*این واژه‌ها از ما نیست')).includes('نفرستاده‌ایم'), 'nor these');
    good((await dial('4*دو کلمه')).includes('سه کلمه'), 'too few');
  });
  await test(`${name}: refused for now is tried again later, and arrives once`, async () => {
    await until('the second try', () => post.of('grey@example.ir').length);
    await until('it is sent', async () => (await state(begun.grey)) === 'sent');
    same([post.tries['grey@example.ir'], post.of('grey@example.ir').length, post.of('cut@example.ir').length], [2, 1, 1], 'and what was cut off was not sent again meanwhile');
  });
  await s.stop();
  await post.end();
}
const pg = postgres();
await Promise.all([mail('sqlite', ['--data', folder()]), pg ? mail('postgres', ['--store', pg.url, '--keys', folder()]) : null]);
end();
