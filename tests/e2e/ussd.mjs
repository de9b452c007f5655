// USSD over Africa's Talking's form and Kannel's address: every service that USSD gives whole is walked to its end in three tongues,
// and no screen is longer than the limit.
import { serve, call, staff, test, same, good, end, folder, sleep, until } from './kit.mjs';

const gsm = /^[@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !"#¤%&'()*+,\-./0-9:;<=>?¡A-ZÄÖÑÜ§¿a-zäöñüà^{}\\[~\]|€]*$/;
const ascii = (s) => s.replace(/[۰-۹]/g, (d) => '۰۱۲۳۴۵۶۷۸۹'.indexOf(d));
function fits(screen) {
  const text = screen.replace(/^(CON|END) /, '');
  const limit = gsm.test(text) ? 182 : 80;
  good(text.length <= limit, `${text.length} of ${limit} characters: ${text}`);
  good(!/https?:|www\./.test(text), 'no links');
}
let phones = 0;
class Dial {
  constructor(base, phone) { this.base = base; this.phone = phone || `0915${String(1000000 + ++phones)}`; this.id = `s${Math.random()}`; this.inputs = []; }
  async send(input) {
    if (input !== undefined) this.inputs.push(input);
    const r = await call(this.base, 'POST', '/ussd', { headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ sessionId: this.id, serviceCode: '*4015#', phoneNumber: this.phone, networkCode: '43211', text: this.inputs.join('*') }).toString() });
    same(r.status, 200, r.text);
    fits(r.text);
    this.last = r.text;
    return r.text;
  }
}
const s = await serve(['--data', folder()]);
const b = s.base;
const services = [];
for (const item of (await call(b, 'GET', '/api/v1/services?limit=200')).json.items) {
  const def = (await call(b, 'GET', `/api/v1/services/${item.code}`)).json;
  if (def.ussd && def.channels_raw !== 'none' && def.applicant !== 'staff' && !/^mandate/.test(def.code)) services.push(def); // mandates ask who calls: mandates.mjs
}

// Answer whatever is asked out of the example; the fields' labels tell which question it is.
async function walk(def, tongue, example) {
  const lang = tongue === 'en' ? 'en' : 'fa';
  const d = new Dial(b);
  await d.send();
  if (tongue !== 'fa') { await d.send('5'); await d.send(tongue === 'en' ? '2' : '3'); }
  await d.send(def.ussd);
  const fields = [...(def.eligibility || []), ...def.pages.flatMap((p) => p.fields)];
  const title = (f) => (tongue === 'latn' && f.latn ? f.latn : f.label[tongue === 'fa' ? 'fa' : 'en']);
  const pages = []; // the pages of a list are turned
  for (let turn = 0; turn < 120; turn++) {
    const text = d.last.replace(/^(CON|END) /, '');
    if (d.last.startsWith('END')) return text;
    const submit = { fa: '۱ ثبت شود', en: '1 Submit', latn: '1 Sabt shavad' }[tongue];
    if (text.includes(submit)) { await d.send('1'); continue; }
    const begins = (f) => { const t = title(f); return text.startsWith(t.slice(0, 24)) || text.includes(`\n${t.slice(0, 24)}`); };
    const asked = fields.filter((f) => title(f).length && begins(f)).sort((x, y) => title(y).length - title(x).length)[0];
    if (!asked && /^(99|۹۹) /m.test(text)) { await d.send('99'); continue; }
    good(asked, `${def.code} ${tongue}: which question is this? ${text}`);
    const value = asked.field in example ? example[asked.field] : undefined;
    const entry = (def.eligibility || []).includes(asked);
    if (entry) { // the answer that does not lead out
      const out = asked.exit_when?.is;
      await d.send(out === true ? '2' : '1');
      continue;
    }
    if (value === undefined && !entry && asked.required === false) { // passed over
      good(new RegExp({ fa: '۰ رد شدن', en: '0 Skip', latn: '0 Rad shodan' }[tongue]).test(text), `how to pass over: ${text}`);
      await d.send(tongue === 'fa' ? '۰' : '0');
      continue;
    }
    good(value !== undefined, `${def.code} ${tongue}: ${asked.field} is asked but not in the example: ${text}`);
    if (asked.type === 'yes_no') await d.send(value ? '1' : '2');
    else if (asked.type === 'declaration') await d.send('1');
    else if (asked.type === 'choice' || asked.type === 'choices') {
      const list = asked.choices || choicesOf(def, asked.field);
      const want = Array.isArray(value) ? value[0] : value;
      const i = list.findIndex((c) => (c.value ?? c) === want);
      good(i >= 0, `${asked.field}: ${want}`);
      await d.send(String(i + 1));
    } else if (asked.type === 'date') await d.send(tongue === 'fa' ? value.replaceAll('-', '') : value.replaceAll('-', '/'));
    else await d.send(tongue === 'fa' ? String(value).replace(/[0-9]/g, (x) => '۰۱۲۳۴۵۶۷۸۹'[x]) : String(value));
    void pages; void lang;
  }
  throw new Error(`${def.code}: no end after 120 turns: ${d.last}`);
}
const choicesOf = (def, field) => (def.form_schema.properties[field].enum || def.form_schema.properties[field].items?.enum || []).map((value) => ({ value }));

await test('the menu is short, in three tongues, and every list pages within the limit', async () => {
  for (const tongue of ['1', '2', '3']) {
    const d = new Dial(b);
    await d.send();
    await d.send('5');
    await d.send(tongue);
    await d.send('1');
    await d.send('3');
    for (let i = 0; i < 15 && /99 /.test(ascii(d.last)); i++) await d.send('99');
    good(d.last.startsWith('CON'), d.last);
    await d.send('77777');
    good(d.last.startsWith('CON'), 'a wrong choice shows the list again');
  }
});
await test('services are found by life event and by organisation', async () => {
  const title = (d) => ascii(d.last).split('\n').filter((l) => /^(CON )?\d/.test(l) && !/^(99|0) /.test(l));
  for (const [way, whole] of [['1', 11], ['2', 11]]) {
    const seen = new Set(), all = new Dial(b);
    await all.send();
    await all.send('1');
    let lines = [];
    for (await all.send(way); ; await all.send('99')) { lines.push(...title(all)); if (!/^99 /m.test(ascii(all.last))) break; }
    good(lines.length >= 6, lines.join());
    for (let i = 1; i <= lines.length; i++) {
      const d = new Dial(b);
      await d.send();
      await d.send('1');
      await d.send(way);
      for (await d.send(String(i)); ; await d.send('99')) { title(d).forEach((l) => seen.add(/\d+/.exec(l)[0])); if (!/^99 /m.test(ascii(d.last))) break; }
      if (i === 1) { await d.send('0'); same(d.last.split('\n')[0], (await all.send('1'), await all.send('0'), all.last.split('\n')[0]), '0 leads back to the list'); }
    }
    good(seen.size >= whole, `${seen.size} services`);
  }
  const d = new Dial(b);
  await d.send();
  await d.send('1');
  good(!/۱ /.test(await d.send('12')) || !d.last.includes('خدمات'), 'or by its number at once');
});
await test('what the gateway ends, and what comes too late, answers nothing', async () => {
  const quick = await serve(['--data', folder()], { args: ['--ussd-session-seconds', '1'] });
  const d = new Dial(quick.base, '09157770001');
  await d.send('31');
  const question = d.last;
  await sleep(1200);
  good(/ادامه/.test(await d.send('1')), d.last);
  await until('the same question', () => d.send('1'), (t) => t.split('\n')[0] === question.split('\n')[0]); // on a slow machine a second has gone by again
  const event = await call(quick.base, 'POST', '/ussd', { headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({ sessionId: d.id, phoneNumber: d.phone, status: 'Incomplete', input: '31', lastAppResponse: 'CON' }).toString() });
  same([event.status, event.text], [200, '']);
  good(/ادامه/.test(await new Dial(quick.base, '09157770001').send()), 'goes on when dialling again');
  await quick.stop();
});
await test('carriers differ: shorter screens, other operations', async () => {
  const own = await serve(['--data', folder()], { args: ['--ussd-carriers', 'tiny screen=60/100 ops=32/33/34/35 end=op'] });
  const turn = (text, op, smsc) => call(own.base, 'GET', `/ussd/kannel?msisdn=09157770002&to=4015&text=${encodeURIComponent(text)}&smsc=${smsc}&op=%${op}&its=%07%00`);
  const r = await turn('*4015*31#', '20', 'tiny');
  same(r.headers.get('x-kannel-meta-data'), '?smpp?ussd_service_op=%22&its_session_info=%07%00');
  for (let i = 0; i < 3; i++) good((await turn('1', '21', 'tiny')).text.length <= 60, 'sixty characters');
  same((await turn('1', '12', 'tiny')).text, '', 'an operation it does not know ends');
  same((await turn('*4015#', '01', 'other')).headers.get('x-kannel-meta-data'), '?smpp?ussd_service_op=%02&its_session_info=%07%00');
  await own.stop();
  for (const wrong of ['x screen=1/2', 'x ops=1/1/2/3', 'x end=never', 'x screen=80', 'x colour=red'])
    good(await serve(['--data', folder()], { args: ['--ussd-carriers', wrong] }).then((c) => c.stop().then(() => false), () => true), `refused: ${wrong}`);
});
await test('a message sent again by Kannel is answered alike', async () => {
  const turn = (text, op, id) => call(b, 'GET', `/ussd/kannel?msisdn=09157770003&to=4015&text=${encodeURIComponent(text)}&smsc=u&id=${id}&op=%${op}&its=%07%00`);
  await turn('*4015*31#', '01', 'a');
  const one = await turn('1', '12', 'b'), two = await turn('1', '12', 'b');
  same(two.text, one.text);
  good((await turn('1', '12', 'c')).text !== one.text, 'the next one moves on');
});
let walked = 0;
for (const def of services) {
  if (def.channels && !def.channels.includes('ussd')) continue;
  const probe = new Dial(b);
  const first = await probe.send(def.ussd);
  if (first.startsWith('END') || first.includes('یکی از شماره')) continue; // begun elsewhere, or only followed here
  walked++;
  for (const tongue of ['fa', 'en', 'latn'])
    await test(`${def.code} in ${tongue}, to its tracking code`, async () => {
      const text = ascii(await walk(def, tongue, def.form_schema.examples[0]));
      const code = /(\d{4}[ -]?){4}/.exec(text);
      good(code || /باز|open|baz/.test(text), `a code: ${text}`);
      if (code) same((await call(b, 'GET', `/api/v1/cases/${code[0].replace(/\D/g, '')}`)).status, 200, 'the case is there');
    });
}
await test('at least eight services can be used to the end', async () => good(walked >= 8, `${walked}`));
await test('dialling *4015*CODE# goes straight to the service', async () => {
  const d = new Dial(b);
  await d.send('31');
  good(!/خدمات/.test(d.last.split('\n')[0]), d.last);
});
await test('who is cut off goes on when dialling again', async () => {
  const d = new Dial(b, '09159990001');
  await d.send();
  await d.send('31');
  const asked = d.last;
  const again = new Dial(b, '09159990001');
  const offer = await again.send();
  good(/ادامه/.test(offer), offer);
  same((await again.send('1')).split('\n')[0], asked.split('\n')[0], 'the same question');
});
await test('a retried turn does not move the dialogue', async () => {
  const d = new Dial(b);
  await d.send();
  const one = await d.send('1');
  same(await d.send(), one, 'the same screen');
});
await test('tracking by code, own requests, and the message that is real', async () => {
  const example = services.find((x) => x.code === 'village-residence').form_schema.examples[0];
  const filed = await call(b, 'POST', '/api/v1/services/village-residence/cases', { key: 'u', body: { data: { ...example, mobile: '09158887777' } } });
  const d = new Dial(b, '09158887777');
  await d.send();
  await d.send('2');
  good((await d.send(filed.json.tracking)).includes(filed.json.tracking.slice(0, 4)), d.last);
  const e = new Dial(b, '09158887777');
  await e.send();
  good(ascii(await e.send('3')).includes(filed.json.tracking.slice(0, 4)), e.last);
  const f = new Dial(b);
  await f.send();
  good((await f.send('4')).length > 10, f.last);
  const sms = await call(b, 'GET', `/ussd/kannel?msisdn=%2B989158887777&to=4015&text=${filed.json.tracking}`);
  good(sms.text.includes(filed.json.tracking.slice(0, 4)), sms.text);
});
await test('the score of a decided request: by one digit in a text message, by its code and a digit, and in the menu', async () => {
  const A = '/api/v1', phone = '09150700007', answers = (await call(b, 'GET', `${A}/services/village-residence`)).json.form_schema.examples[0];
  const sms = async (text, from = phone) => (await call(b, 'GET', `/ussd/kannel?msisdn=${from}&to=4015&text=${encodeURIComponent(text)}`)).text;
  const decide = async (key) => {
    const f = (await call(b, 'POST', `${A}/services/village-residence/cases`, { key, lang: 'fa', body: { data: { ...answers, mobile: phone } } })).json;
    const office = (await call(b, 'GET', `${A}/cases/${f.tracking}`)).json.holder.code, officer = await staff(b, `${office}.officer`), boss = await staff(b, `${office}.supervisor`);
    for (let n = 0; n < 8; n++) {
      const view = (await call(b, 'GET', `${A}/cases/${f.tracking}`, { token: officer })).json;
      if (view.result !== 'open') return f.tracking;
      const next = view.actions.find((a) => a.name === 'reject') || view.actions.find((a) => a.name === 'assign') || view.actions[0], reason = next.reasons?.[0]?.code;
      for (const token of [officer, boss]) if ((await call(b, 'POST', `${A}/cases/${f.tracking}/actions/${next.name}`, { token, body: { expected_version: view.version, reason, comment: 'x', data: {} } })).status === 200) break;
    }
    throw new Error('never decided');
  };
  good((await sms('5')).includes('۱۶'), 'nothing to rate yet');
  const one = await decide('rate-1'), d = new Dial(b, phone);
  const told = await until('the news', async () => (await call(b, 'GET', '/demo/outbox')).json.find((m) => m.to === phone && m.text.includes('راضی بودید')));
  good(!/https?:/.test(told.text), 'the news of the decision asks');
  await d.send();
  good((await d.send('3')).includes('راضی بودید؟') && d.last.includes('درخواست‌هایم'), d.last);
  good((await d.send('9')).includes('راضی بودید؟'), 'no such score');
  good((await d.send('0')).includes(ascii(one).slice(0, 4)) || ascii(d.last).includes(one.slice(0, 4)), d.last);
  good((await sms(' ۴\n')).includes('سپاس'), 'by one digit');
  good((await sms('2')).includes('پیش‌تر'), 'once');
  const two = await decide('rate-2'), again = new Dial(b, phone);
  good((await sms(`${two} 9`)).includes('رد') || (await sms(`${two} 9`)).length > 20, 'the state');
  same((await sms(`${two.match(/.{4}/g).join(' ')} 3`, '09159998877')).includes('سپاس'), false, "another's telephone");
  await again.send();
  await again.send('3');
  good((await again.send('5')).includes('سپاس'), again.last);
  good(!(await (async () => { const x = new Dial(b, phone); await x.send(); return x.send('3'); })()).includes('راضی'), 'and is not asked again');
  const three = await decide('rate-3');
  good((await sms(`${three.match(/.{4}/g).join(' ')} ۳`)).includes('سپاس'), 'by its code');
  const events = async (t) => (await call(b, 'GET', `${A}/cases/${t}/events`, { token: await staff(b, 'auditor') })).json;
  const list = (await events(one)).items || (await events(one));
  good(JSON.stringify(list).includes('"rate"'), 'in the history');
});
await test('Kannel: TLVs go and come back as raw bytes', async () => {
  const r = await call(b, 'GET', '/ussd/kannel?msisdn=%2B989151112233&to=4015&text=%2A4015%23&charset=UTF-8&coding=2&smsc=ussd&id=1&op=%01&its=%2A%00');
  same(r.status, 200, r.text);
  same(r.headers.get('x-kannel-coding'), '2');
  good(/^\?smpp\?ussd_service_op=%02&its_session_info=%2A%00$/.test(r.headers.get('x-kannel-meta-data')), r.headers.get('x-kannel-meta-data'));
  const n = await call(b, 'GET', '/ussd/kannel?msisdn=%2B989151112233&to=4015&text=%DB%B1&charset=UTF-8&coding=2&smsc=ussd&id=1&op=%12&its=%2A%02');
  good(n.text.includes('خدمات'), n.text);
});
await test('hostile calls are refused', async () => {
  const post = (o) => call(b, 'POST', '/ussd', { headers: { 'Content-Type': 'application/x-www-form-urlencoded' }, body: new URLSearchParams(o).toString() });
  same((await post({ phoneNumber: 'x', sessionId: 's', text: '' })).status, 422);
  same((await post({ phoneNumber: '09151234567', text: '' })).status, 422);
  same((await post({ phoneNumber: '09151234567', sessionId: 's', text: '1*'.repeat(1500) })).status, 413);
});
await s.stop();
const locked = await serve(['--data', folder()], { args: ['--ussd-secret', 'geheim'] });
await test('without the shared secret nobody is answered', async () => {
  same((await call(locked.base, 'GET', '/ussd/kannel?msisdn=09151234567&to=1&text=1&op=%01')).status, 403);
  same((await call(locked.base, 'GET', '/ussd/kannel?msisdn=09151234567&to=1&text=1&op=%01&secret=geheim')).status, 200);
});
await locked.stop();
end();
