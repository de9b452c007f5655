// A real Kannel (bearerbox and smsbox on docs/operator/kannel.conf, other ports and folders) between Chapar and a centre of the test's own,
// made with the npm package smpp: USSD over several turns, text messages both ways. Skipped where Kannel is not installed.
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createRequire } from 'node:module';
import { serve, call, staff, test, same, good, end, folder, port, root, sleep, until } from './kit.mjs';

const smpp = createRequire(join(root, 'tests', 'package.json'))('smpp');
if (!existsSync('/usr/sbin/bearerbox')) { console.log('Kannel is not installed'); process.exit(0); }
const children = [];
process.on('exit', () => children.forEach((c) => c.kill('SIGKILL')));

const ascii = (s) => s.replace(/[۰-۹]/g, (d) => '۰۱۲۳۴۵۶۷۸۹'.indexOf(d)).replace(/[٠-٩]/g, (d) => '٠١٢٣٤٥٦٧٨٩'.indexOf(d));
const persian = (s) => String(s).replace(/[0-9]/g, (d) => '۰۱۲۳۴۵۶۷۸۹'[d]);
const arabic = (s) => String(s).replace(/[0-9]/g, (d) => '٠١٢٣٤٥٦٧٨٩'[d]);
// ---- the centre: what is bound, and what Kannel submits ----
const bound = {}, got = [];
const centre = smpp.createServer({}, (session) => {
  session.on('error', () => {});
  session.on('pdu', (pdu) => {
    if (pdu.command.startsWith('bind_') && !pdu.command.endsWith('_resp')) {
      bound[pdu.system_id] = session;
      session.send(pdu.response({ system_id: 'centre' }));
    } else if (pdu.command === 'submit_sm') {
      got.push(pdu);
      const id = String(got.length);
      session.send(pdu.response({ message_id: id }));
      if (pdu.registered_delivery & 3 && pdu.service_type !== 'USSD') { // the telephone of 0099 is off for good
        const stat = pdu.destination_addr.endsWith('0099') ? 'UNDELIV' : 'DELIVRD';
        setTimeout(() => session.send(new smpp.PDU('deliver_sm', { esm_class: 4, source_addr_ton: 1, source_addr_npi: 1, source_addr: pdu.destination_addr, destination_addr: pdu.source_addr,
          short_message: { message: `id:${id} sub:001 dlvrd:001 submit date:2611261000 done date:2611261001 stat:${stat} err:000 text:` } })), 200);
      }
    } else if (pdu.command === 'enquire_link') session.send(pdu.response());
    else if (pdu.command === 'unbind') { session.send(pdu.response()); session.close(); }
  });
});
const [smscPort, adminPort, boxPort, sendPort, chaparPort] = [await port(), await port(), await port(), await port(), await port()];
await new Promise((ok) => centre.listen(smscPort, '127.0.0.1', ok));

// ---- Kannel on the documented file ----
const dir = folder();
let text = readFileSync(join(root, 'docs', 'operator', 'kannel.conf'), 'utf8');
const put = (from, to) => { good(text.includes(from), `docs/operator/kannel.conf has no longer: ${from}`); text = text.replaceAll(from, to); };
put('admin-port = 13000', `admin-port = ${adminPort}`);
put('smsbox-port = 13001', `smsbox-port = ${boxPort}`);
put('sendsms-port = 13013', `sendsms-port = ${sendPort}`);
put('port = 2775', `port = ${smscPort}`);
put('http://127.0.0.1:8080/', `http://127.0.0.1:${chaparPort}/`);
put('/var/log/kannel/', `${dir}/`);
put('/var/lib/kannel/', `${dir}/`);
put('secret=CHANGE', 'secret=geheim');
put('"CHANGE"', '"kennwort"');
writeFileSync(join(dir, 'kannel.conf'), text);
const box = (name) => { const c = spawn(`/usr/sbin/${name}`, ['-v', '4', join(dir, 'kannel.conf')], { stdio: 'ignore' }); children.push(c); return c; };
const bearerbox = box('bearerbox');
await until('bearerbox binds both', () => bound['chapar-ussd'] && bound['chapar-sms']);
const smsbox = box('smsbox');
await until('smsbox listens', () => fetch(`http://127.0.0.1:${sendPort}/cgi-bin/sendsms`).then(() => true, () => false));
await until('smsbox is connected', () => fetch(`http://127.0.0.1:${adminPort}/status.txt?password=kennwort`).then((r) => r.text()).then((t) => /smsbox/.test(t), () => false));

const settings = ['--ussd-secret', 'geheim', '--kannel-url', `http://127.0.0.1:${sendPort}/cgi-bin/sendsms`, '--kannel-username', 'chapar', '--kannel-password', 'kennwort',
  '--sms-sender', '30004015', '--quiet-hours', 'never', '--kannel-report-url', `http://127.0.0.1:${chaparPort}/notify/kannel`, ];
const where = ['--data', folder()];
let s = await serve(where, { port: chaparPort, args: settings });
const b = s.base;

// ---- a telephone ----
const limit = { 8: 80, 0: 182 }, longest = { 8: 0, 0: 0 };
const next = (from, match) => until('a message from Kannel', () => { for (let i = from; i < got.length; i++) if (match(got[i])) return got[i]; return null; });
class Dial {
  constructor(phone, session = 0x2a) { this.phone = phone; this.session = session; this.dialogue = 0; }
  deliver(input, op, last = 0) {
    const its = Buffer.from([this.session, (this.dialogue++ << 1 & 0xfe) | last]);
    bound['chapar-ussd'].send(new smpp.PDU('deliver_sm', { service_type: 'USSD', source_addr_ton: 1, source_addr_npi: 1, source_addr: `98${this.phone.slice(1)}`, destination_addr: '4015',
      short_message: { message: input }, ussd_service_op: op, its_session_info: its }));
    return its;
  }
  async turn(input, op) {
    const from = got.length, its = this.deliver(input, op);
    const pdu = await next(from, (p) => p.service_type === 'USSD' && p.destination_addr === `98${this.phone.slice(1)}`);
    const screen = pdu.short_message.message;
    good(typeof screen === 'string' && screen.length <= limit[pdu.data_coding], `${screen.length} characters in coding ${pdu.data_coding}: ${screen}`);
    longest[pdu.data_coding] = Math.max(longest[pdu.data_coding], screen.length);
    same(pdu.short_message.udh, undefined, 'never in parts');
    same(pdu.source_addr, '4015');
    same(pdu.its_session_info[0], its[0], 'the same session');
    same(pdu.its_session_info[1] & 0xfe, its[1] & 0xfe, 'the same dialogue');
    this.over = pdu.ussd_service_op === 17;
    same(pdu.ussd_service_op, this.over ? 17 : 2, 'it asks or ends');
    same(pdu.its_session_info[1] & 1, this.over ? 1 : 0, 'the end flag');
    this.coding = pdu.data_coding;
    return (this.last = screen);
  }
  dial(code = '*4015#') { this.dialogue = 0; return this.turn(code, 1); }
  answer(input) { return this.turn(input, 18); }
}
// Parts of long messages put together again, by reference, as a telephone does.
function joined(pdus) {
  const whole = {};
  for (const p of pdus) {
    const m = p.short_message;
    const head = m.udh?.[0];
    good(m.message.length <= (p.data_coding === 8 ? (head ? 67 : 70) : head ? 153 : 160), `a part of ${m.message.length} characters`);
    if (head) { same([...head.subarray(0, 2)], [0, 3], 'concatenation'); const k = head[2]; (whole[k] ??= { of: head[3], parts: [] }).parts[head[4] - 1] = m.message; } else whole[Math.random()] = { of: 1, parts: [m.message] };
  }
  return Object.values(whole).filter((w) => w.parts.filter((x) => x !== undefined).length === w.of).map((w) => w.parts.join(''));
}
const sms = (phone) => got.filter((p) => p.service_type !== 'USSD' && p.destination_addr === `98${phone.slice(1)}`);
const received = (phone, what) => until(`a text message for ${phone}`, () => joined(sms(phone)).find((t) => what.test(ascii(t))));
const write = (phone, message) => bound['chapar-sms'].send(new smpp.PDU('deliver_sm', { source_addr_ton: 1, source_addr_npi: 1, source_addr: /^0/.test(phone) ? `98${phone.slice(1)}` : phone, destination_addr: '30004015', short_message: { message } }));

const def = (await call(b, 'GET', '/api/v1/services/village-residence')).json;
const example = def.form_schema.examples[0];
const fields = [...(def.eligibility || []), ...def.pages.flatMap((p) => p.fields)];
const choices = (f) => (f.choices || (def.form_schema.properties[f.field].enum).map((value) => ({ value })));
async function walk(d, digits) {
  for (let turn = 0; turn < 60 && !d.over; turn++) {
    const screen = d.last;
    if (screen.includes('۱ ثبت شود')) { await d.answer(digits('1')); continue; }
    const f = fields.filter((x) => screen.startsWith(x.label.fa.slice(0, 24))).sort((x, y) => y.label.fa.length - x.label.fa.length)[0];
    if (!f) { good(/^۹۹ /m.test(screen), `which question is this? ${screen}`); await d.answer(digits('99')); continue; }
    const value = example[f.field];
    if ((def.eligibility || []).includes(f)) await d.answer(digits(f.exit_when?.is === true ? '2' : '1'));
    else if (f.type === 'yes_no') await d.answer(digits(value ? '1' : '2'));
    else if (f.type === 'declaration') await d.answer(digits('1'));
    else if (f.type === 'choice') await d.answer(digits(choices(f).findIndex((c) => (c.value ?? c) === value) + 1));
    else if (f.type === 'date') await d.answer(digits(value.replaceAll('-', '')));
    else await d.answer(digits(value));
  }
  return d.last;
}

let filed;
await test('a service from *4015# to its tracking code through Kannel, in Persian, with TLVs in both directions', async () => {
  const d = new Dial('09151110001');
  good((await d.dial()).includes('۱ خدمات'), d.last);
  same(d.coding, 8, 'UCS-2');
  await d.answer(persian(def.ussd));
  const last = await walk(d, persian);
  filed = /(\d{4}[ -]?){4}/.exec(ascii(last))?.[0].replace(/\D/g, '');
  good(filed, last);
  same((await call(b, 'GET', `/api/v1/cases/${filed}`)).status, 200, 'the case is there');
});
await test('the result comes by text message as well, through the same Kannel', async () => {
  const t = await received('09151110001', new RegExp(filed.slice(0, 4)));
  good(/[آ-ی]/.test(t) && !/https?:/.test(t), t);
  good(sms('09151110001').every((p) => p.source_addr === '30004015' && p.ussd_service_op === undefined), 'from the sender of text messages, without TLVs of USSD');
});
await test('digits of three scripts mean the same', async () => {
  const d = new Dial('09151110002', 7);
  const screens = [];
  for (const digits of [String, persian, arabic]) { await d.dial(); await d.answer(digits('1')); screens.push(d.last); }
  same(new Set(screens).size, 1, screens.join('\n--\n'));
  good(screens[0].includes('۱ '), screens[0]);
});
await test('Latin screens go in the seven-bit alphabet, up to 182 characters', async () => {
  const d = new Dial('09151110003', 8);
  await d.dial();
  await d.answer('5');
  await d.answer('3');
  same(d.coding, 0, d.last);
  await d.answer('1');
  await d.answer('3');
  good(d.last.length > 80 && d.coding === 0, d.last);
});
await test('screens longer than a text message were among them, whole', async () => {
  const d = new Dial('09151110012', 15);
  await d.dial();
  for (const input of ['4', '99', '00', '1', '3']) await d.answer(input);
  for (let i = 0; i < 6 && /^۹۹ /m.test(d.last); i++) await d.answer('۹۹');
  good(longest[8] > 75 && longest[0] > 165, `${longest[8]} of 80, ${longest[0]} of 182`);
});
await test('the centre ends the dialogue: nothing is sent, and dialling again goes on', async () => {
  const d = new Dial('09151110004', 9);
  await d.dial(`*4015*${def.ussd}#`);
  const question = d.last, to = () => got.filter((p) => p.service_type === 'USSD' && p.destination_addr === '989151110004').length, before = to();
  d.deliver('', 17, 1);
  await sleep(700);
  same(to(), before, 'silence');
  const e = new Dial('09151110004', 10);
  good((await e.dial()).includes('ادامه'), e.last);
  same(await e.answer('۱'), question, 'the same question');
});
await test('a session that timed out answers no question; it offers to go on', async () => {
  const d = new Dial('09151110005', 11);
  await s.stop();
  s = await serve(where, { port: chaparPort, args: [...settings, '--ussd-session-seconds', '1'] });
  await d.dial(`*4015*${def.ussd}#`);
  const question = d.last;
  await sleep(1300);
  good((await d.answer('۱')).includes('ادامه'), `not taken for an answer: ${d.last}`);
  await until('the same question', () => d.answer('۱'), (t) => t === question); // on a slow machine a second has gone by again
  await s.stop();
  s = await serve(where, { port: chaparPort, args: settings });
  const other = new Dial('09151110005', 12);
  good((await other.answer('2')).includes('ادامه'), 'a turn of a session never begun');
});
await test('a tracking code by text message is answered with the state', async () => {
  write('09151110006', `وضعیت ${persian(filed.replace(/(....)(?=.)/g, '$1 '))} چیست؟`);
  const t = await received('09151110006', new RegExp(filed.slice(0, 4)));
  good(t.includes(def.title?.fa || def.identity.title.fa), t);
  write('09151110007', 'سلام');
  good((await received('09151110007', /16/)).includes('کد'), 'anything else is told how');
  write('09151110003', 'salam');
  good(/^Kod-e 16/.test(await received('09151110003', /16/)), 'in the language chosen on the menu');
});
await test('machines that write are not answered', async () => {
  const machines = ['20001', 'HAMRAH'], to = () => got.filter((p) => machines.includes(p.destination_addr)).length; // what others are told meanwhile is theirs
  for (const who of machines) write(who, 'تبلیغ');
  await sleep(800);
  same(to(), 0, 'silence');
});
await test('a one-time code and a long notice arrive whole', async () => {
  const asked = await call(b, 'POST', '/api/v1/otp', { body: { national_id: '0499370899', mobile: '09151110009' }, lang: 'fa' });
  same(asked.status, 202, asked.text);
  good(/[آ-ی]/.test(await received('09151110009', /\d{5}/)), 'a code');
  const long = 'متن بلند فارسی برای آزمودن پیام چندبخشی. '.repeat(9).trim();
  const r = await fetch(`http://127.0.0.1:${sendPort}/cgi-bin/sendsms?${new URLSearchParams({ username: 'chapar', password: 'kennwort', to: '+989151110010', from: '30004015', coding: '2', charset: 'UTF-8', text: long })}`);
  same(r.status, 202, await r.text());
  same(await until('all parts', () => joined(sms('09151110010'))[0]), long);
  good(sms('09151110010').length > 3, 'in parts');
});
await test('what the carrier reports comes back: delivered, or not, and then on the desk', async () => {
  const counted = async (what) => Number(new RegExp(`chapar_notify_${what}_total (\\d+)`).exec((await call(b, 'GET', '/metrics')).text)[1]);
  await until('reports of what was sent', async () => (await counted('delivered')) > 0);
  const r = await call(b, 'POST', '/api/v1/services/village-residence/cases', { key: 'off', body: { data: { ...example, mobile: '09151110099' } } });
  same(r.status, 201, r.text);
  await until('a report that it could not be delivered', async () => (await counted('undeliverable')) > 0);
  const holder = (await call(b, 'GET', `/api/v1/cases/${r.json.tracking}`)).json.holder.code, officer = await staff(b, `${holder}.officer`);
  const lost = (await call(b, 'GET', `/api/v1/desk/undelivered?organisation=${holder}`, { token: officer })).json.items;
  same(lost.map((x) => [x.tracking, x.state]), [[r.json.tracking, 'undeliverable']]);
  same((await call(b, 'GET', '/notify/kannel?key=61&state=1')).status, 403, 'without the secret');
  same((await call(b, 'GET', '/notify/kannel?key=zz&state=1&secret=geheim')).status, 400, 'no key');
  same((await call(b, 'GET', '/notify/kannel?key=61&state=1&secret=geheim')).status, 200, 'of no message: nothing happens');
});
await test('nobody else may call', async () => {
  const query = 'msisdn=%2B989151110001&to=4015&text=%2A4015%23&smsc=ussd&op=%01&its=%2A%00';
  same((await call(b, 'GET', `/ussd/kannel?${query}`)).status, 403, 'without the secret');
  same((await call(b, 'GET', `/ussd/kannel?secret=falsch&${query}`)).status, 403, 'with another');
  same((await call(b, 'GET', `/ussd/kannel?secret=geheim&${query}`)).status, 200, 'with it');
  same((await call(b, 'POST', '/ussd', { headers: { 'Content-Type': 'application/x-www-form-urlencoded' }, body: 'sessionId=s&phoneNumber=09151234567&text=' })).status, 403, 'the other adapter too');
});
await test('Chapar down: the telephone is told in plain words; up again: the dialogue goes on', async () => {
  const d = new Dial('09151110011', 13);
  await d.dial(`*4015*${def.ussd}#`);
  const question = d.last;
  await s.stop();
  const from = got.length;
  d.deliver('1', 18);
  good(/nemishavad/.test((await next(from, (p) => p.destination_addr === '989151110011')).short_message.message), 'told');
  s = await serve(where, { port: chaparPort, args: settings });
  const e = new Dial('09151110011', 14);
  good((await e.dial()).includes('ادامه'), e.last);
  same(await e.answer('۱'), question, 'the same question');
});
await test('from another address than those allowed nobody is answered, secret or not', async () => {
  const locked = await serve(['--data', folder()], { args: ['--ussd-secret', 'geheim', '--ussd-allow', '192.0.2.7, 192.0.2.70'] });
  same((await call(locked.base, 'GET', '/ussd/kannel?secret=geheim&msisdn=09151234567&to=1&text=1&op=%01')).status, 403);
  await locked.stop();
});
await test('logs hold no telephone, no text and no secret', async () => {
  for (const name of ['smsbox.log', 'bearerbox.log']) {
    const log = readFileSync(join(dir, name), 'utf8');
    const line = log.split('\n').find((l) => /9151110|geheim|kennwort|[آ-ی]|\*4015/.test(l));
    good(!line, `${name}: ${line}`);
  }
});
await s.stop();
smsbox.kill();
bearerbox.kill();
await Promise.all([smsbox, bearerbox].map((c) => new Promise((ok) => (c.exitCode !== null || c.signalCode ? ok() : c.on('exit', ok)))));
end();
