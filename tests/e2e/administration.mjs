// Administration as an IT department and a manager use it: staff, roles, units, passwords, sessions, acts; both engines.
import { createHmac } from 'node:crypto';
import { readFileSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { serve, call, staff, test, same, good, end, folder, postgres, run, root, until, flaws, browser as launch } from './kit.mjs';

const A = '/api/v1';
const cookies = (r) => r.headers.getSetCookie().map((c) => c.split(';')[0]);
// A browser without script: keeps cookies, sends what a form holds.
export function visitor(b, lang = 'en') {
  const jar = new Map();
  const go = async (method, path, form) => {
    const r = await fetch(b + path, { method, redirect: 'manual', body: form ? new URLSearchParams(form) : undefined,
      headers: { Accept: 'text/html', 'Accept-Language': lang, Cookie: [...jar].map(([k, v]) => `${k}=${v}`).join('; ') } });
    for (const c of cookies(r)) { const [k, ...v] = c.split('='); if (v.join('=')) jar.set(k, v.join('=')); else jar.delete(k); }
    return { status: r.status, to: r.headers.get('location'), text: await r.text(), headers: r.headers };
  };
  const token = (text) => /name="form_token" value="([^"]+)"/.exec(text)?.[1];
  const see = (path) => go('GET', path);
  return { jar, see, send: async (page, path, form) => go('POST', path, { form_token: token((await see(page)).text), ...form }),
    enter: (username, password, totp = '') => go('POST', '/staff', { username, password, totp }) };
}
const base32 = (s) => { let bits = ''; for (const c of s) bits += 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(c).toString(2).padStart(5, '0'); return Buffer.from(bits.match(/.{8}/g).map((x) => parseInt(x, 2))); };
const totp = (secret, step = Math.floor(Date.now() / 30000)) => {
  const n = Buffer.alloc(8); n.writeBigUInt64BE(BigInt(step));
  const h = createHmac('sha1', base32(secret)).update(n).digest(), at = h[19] & 15;
  return String((h.readUInt32BE(at) & 0x7fffffff) % 1e6).padStart(6, '0');
};

async function administration(name, where) {
  const s = await serve(where), b = s.base;
  const password = (await call(b, 'GET', '/demo/accounts')).json.find((a) => a.username === 'operator').password;
  const boss = await staff(b, 'takapo.manager'), operator = await staff(b, 'operator'), officer = await staff(b, 'takapo.officer'), auditor = await staff(b, 'auditor');
  const post = (token, path, body) => call(b, 'POST', A + path, { token, body }), get = (token, path) => call(b, 'GET', A + path, { token });
  const change = (token, who, body) => post(token, `/staff/${who}/changes`, body);
  const enter = (username, pass) => call(b, 'POST', `${A}/sessions`, { body: { username, password: pass } });
  let proposed = '';
  const fresh = { username: 'n.ahmadi', name: 'نرگس احمدی', organisation: 'takapo', role: 'officer' };

  await test(`${name}: a manager adds somebody, whose first password is good for a new one only`, async () => {
    const unit = await post(boss, '/organisations/takapo/units', { code: 'it', name: { fa: 'فناوری', en: 'Technology' } });
    same(unit.status, 200, unit.text);
    const r = await post(boss, '/staff', { ...fresh, unit: 'it' });
    same(r.status, 201, r.text);
    good(/^[a-z2-9]{4}-[a-z2-9]{4}-[a-z2-9]{4}$/.test(r.json.password) && r.json.must_change, r.text);
    same(r.json.units, { takapo: 'it' });
    same((await post(boss, '/staff', fresh)).status, 409, 'twice');
    const first = await enter('n.ahmadi', r.json.password);
    same(first.status, 201, first.text);
    const wait = await get(first.json.access_token, '/desk/cases?organisation=takapo');
    same(wait.status, 403, 'not before the password');
    same((await post(first.json.access_token, '/me/password', { password: 'wrong', new: 'four words are good' })).status, 422);
    same((await post(first.json.access_token, '/me/password', { password: r.json.password, new: 'short' })).status, 422);
    same((await post(first.json.access_token, '/me/password', { password: r.json.password, new: r.json.password })).json.errors[0].field, 'new', 'the same again');
    const own = await post(first.json.access_token, '/me/password', { password: r.json.password, new: 'four words are good' });
    same(own.status, 200, own.text);
    same((await get(first.json.access_token, '/me')).status, 401, 'the old session has ended');
    same((await get(own.json.access_token, '/desk/cases?organisation=takapo')).status, 200);
    same((await enter('n.ahmadi', r.json.password)).status, 401, 'the first password is over');
    const seen = (await get(boss, '/staff/n.ahmadi')).json;
    good(seen.last_seen && !seen.must_change, JSON.stringify(seen));
    same((await get(boss, `/staff?q=${encodeURIComponent('نرگس')}`)).json.items.map((x) => x.username), ['n.ahmadi']);
    same((await get(boss, '/staff?unit=it')).json.items.map((x) => x.username), ['n.ahmadi']);
  });
  await test(`${name}: a manager stays in their own organisation and below operators`, async () => {
    for (const role of ['operator', 'auditor']) same((await post(boss, '/staff', { ...fresh, username: 'x.y', role })).status, 403, role);
    same((await post(boss, '/staff', { ...fresh, username: 'x.y', organisation: 'ostandari' })).status, 404);
    same((await change(boss, 'takapo.officer', { change: 'add_role', organisation: 'takapo', role: 'operator' })).status, 403);
    same((await change(boss, 'takapo.officer', { change: 'add_role', organisation: 'sabt-ahval', role: 'officer' })).status, 404);
    for (const who of ['operator', 'auditor', 'sabt-ahval.officer', 'no.such'])
      for (const what of ['reset', 'leave', 'disable', 'end_sessions', 'totp_off']) same((await change(boss, who, { change: what })).status, 404, `${what} ${who}`);
    same((await get(boss, '/staff?organisation=sabt-ahval')).status, 404);
    same((await get(boss, '/staff/sabt-ahval.officer')).status, 404);
    same((await get(boss, '/acts?organisation=ostandari')).status, 404);
    same((await post(boss, '/organisations/sabt-ahval/units', { code: 'x', name: { fa: 'x', en: 'x' } })).status, 404);
    same((await post(boss, '/staff-sessions/end', { everybody: true })).status, 404);
    for (const path of ['/staff', '/staff/takapo.officer', '/acts']) same((await get(officer, path)).status, 403, path);
    same((await get(auditor, '/staff')).status, 403);
    // Somebody of two organisations is the operator's to reset, or a manager of one would sign in to the other.
    same((await change(operator, 'n.ahmadi', { change: 'add_role', organisation: 'sabt-ahval', role: 'officer' })).status, 200);
    same((await change(boss, 'n.ahmadi', { change: 'reset' })).status, 404);
    same((await change(operator, 'n.ahmadi', { change: 'remove_role', organisation: 'sabt-ahval', role: 'officer' })).status, 200);
  });
  await test(`${name}: the last manager, the last operator and one's own last role stay`, async () => {
    same((await change(operator, 'takapo.manager', { change: 'remove_role', organisation: 'takapo', role: 'manager' })).status, 409);
    same((await change(operator, 'takapo.manager', { change: 'leave' })).status, 409);
    same((await change(operator, 'takapo.manager', { change: 'disable' })).status, 409);
    same((await change(operator, 'operator', { change: 'remove_role', organisation: 'ostandari', role: 'operator' })).status, 409);
    same((await change(boss, 'takapo.manager', { change: 'leave' })).status, 409, 'oneself');
    same((await get(operator, '/staff?organisation=amar')).json.items, [], 'nobody there yet');
    for (const who of ['m.one', 'm.two']) same((await post(operator, '/staff', { ...fresh, username: who, organisation: 'amar', role: 'manager' })).status, 201);
    const both = await Promise.all(['m.one', 'm.two'].map((who) => change(operator, who, { change: 'leave' })));
    same(both.map((r) => r.status).sort(), [200, 409], 'of two at once one stays');
  });
  await test(`${name}: disabled, enabled, reset, sessions ended`, async () => {
    const mine = async () => (await enter('n.ahmadi', 'four words are good')).json?.access_token;
    let t = await mine();
    same((await change(boss, 'n.ahmadi', { change: 'disable' })).status, 200);
    same((await get(t, '/me')).status, 401);
    same(await mine(), undefined, 'no way in');
    same((await change(boss, 'n.ahmadi', { change: 'enable' })).status, 200);
    t = await mine();
    same((await change(boss, 'n.ahmadi', { change: 'end_sessions' })).status, 200);
    same((await get(t, '/me')).status, 401);
    t = await mine();
    const all = await post(boss, '/staff-sessions/end', { organisation: 'takapo' });
    good(all.status === 200 && all.json.ended >= 2, all.text);
    same([(await get(t, '/me')).status, (await get(officer, '/me')).status, (await get(boss, '/me')).status, (await get(operator, '/me')).status], [401, 401, 200, 200]);
    same((await change(boss, 'takapo.manager', { change: 'reset' })).status, 409, 'not oneself');
    const again = await change(boss, 'n.ahmadi', { change: 'reset' });
    good(again.json.password && (await enter('n.ahmadi', 'four words are good')).status === 401, again.text);
    same((await post(boss, '/organisations/takapo/units', { code: 'it', name: { fa: 'فناوری', en: 'Technology' }, closed: true })).status, 409, 'somebody is in it');
    same((await change(boss, 'n.ahmadi', { change: 'unit', organisation: 'takapo', unit: 'nope' })).status, 422);
    same((await change(boss, 'n.ahmadi', { change: 'unit', organisation: 'takapo', unit: '' })).json.units, {});
    same((await post(boss, '/organisations/takapo/units', { code: 'it', name: { fa: 'فناوری', en: 'Technology' }, closed: true })).json.closed, true);
    same((await change(boss, 'n.ahmadi', { change: 'leave' })).status, 200);
    same((await get(boss, '/staff/n.ahmadi')).status, 404);
  });
  await test(`${name}: the same in pages, without a script`, async () => {
    const v = visitor(b), n = visitor(b);
    same((await v.see('/admin/staff')).to, '/staff?next=/admin/staff');
    same((await v.enter('takapo.manager', password)).status, 303);
    const made = await v.send('/admin/staff', '/admin/staff', { organisation: 'takapo', username: 'a.karimi', name: 'علی کریمی', role: 'officer' });
    const first = /<p class="code" dir="ltr">([^<]+)</.exec(made.text)?.[1];
    good(made.status === 200 && first, made.text.slice(0, 500));
    good(!(await v.see('/admin/staff/a.karimi')).text.includes(first), 'shown once');
    const wrong = await v.send('/admin/staff', '/admin/staff', { organisation: 'takapo', username: 'A B', name: '', role: 'officer' });
    good(wrong.status === 422 && wrong.text.includes('new-username-error'), `${wrong.status}`);
    same((await n.enter('a.karimi', first)).status, 303);
    same((await n.see('/desk')).to, '/account/password');
    same((await n.send('/account/password', '/account/password', { old: first, new: 'one two three', again: 'one two tree' })).status, 422);
    same((await n.send('/account/password', '/account/password', { old: first, new: 'one two three', again: 'one two three' })).to, '/account?done=password');
    same((await n.see('/desk')).status, 200);
    const shown = await n.send('/account', '/account/totp', { old: 'one two three' }), secret = /<code dir="ltr">([A-Z2-7]+)</.exec(shown.text)?.[1];
    good(secret && shown.text.includes('<svg'), shown.text.slice(0, 300));
    same((await n.send('/account', '/account/totp/confirm', { code: '000000' })).status, 422);
    same((await visitor(b).enter('a.karimi', 'one two three')).status, 303, 'not asked for before it is confirmed');
    same((await n.send('/account', '/account/totp/confirm', { code: totp(secret) })).to, '/account?done=totp');
    same((await visitor(b).enter('a.karimi', 'one two three')).status, 422, 'now it is');
    same((await visitor(b).enter('a.karimi', 'one two three', totp(secret))).status, 303);
    same((await v.send('/admin/staff/a.karimi', '/admin/staff/a.karimi', { act: 'totp_off' })).status, 303);
    same((await visitor(b).enter('a.karimi', 'one two three')).status, 303, 'the telephone was lost');
    same((await v.send('/admin/staff/a.karimi', '/admin/staff/a.karimi', { act: 'add_role', organisation: 'takapo', role: 'supervisor' })).status, 303);
    same((await v.send('/admin/staff/a.karimi', '/admin/staff/a.karimi', { act: 'nonsense' })).status, 400);
    const is = (id) => v.send('/admin/staff/a.karimi', '/admin/staff/a.karimi', { act: 'person', national_id: id });
    same((await is('1234567890')).status, 422, 'a wrong check digit');
    same((await is('۰۴۹۹۳۷۰۸۹۹')).status, 303);
    same((await get(boss, '/staff/a.karimi')).json.person_known, true);
    same((await change(boss, 'a.karimi', { change: 'person', national_id: '' })).json.person_known, false);
    same((await change(boss, 'a.karimi', { change: 'person' })).json.errors[0].field, 'national_id');
    same((await v.see('/admin/staff/operator')).status, 404);
    same((await n.see('/admin/staff')).status, 403);
  });
  await test(`${name}: a service switched off takes nothing new, says why everywhere, and goes on`, async () => {
    const S = `${A}/services/takapo-support`, example = (await call(b, 'GET', S)).json.form_schema.examples[0], head = await staff(b, 'takapo.manager');
    const file = (key, lang = 'en', national_id = example.national_id) => call(b, 'POST', `${S}/cases`, { key, lang, body: { data: { ...example, national_id } } });
    same((await file('before')).status, 201);
    same((await post(await staff(b, 'sabt-ahval.manager'), '/services/takapo-support/stop', { stopped: true, reason: { fa: 'x', en: 'x' } })).status, 404);
    same((await post(head, '/services/takapo-support/stop', { stopped: true, reason: { fa: 'x' } })).status, 422);
    same((await post(head, '/services/takapo-support/stop', { stopped: true, reason: { fa: 'x', en: 'x' }, until: '2020-01-01' })).status, 422);
    const off = await post(head, '/services/takapo-support/stop', { stopped: true, reason: { fa: 'بودجه تمام شده است', en: 'The budget is used up' } });
    same([off.status, off.json.stopped.reason.en, off.json.stopped.until], [200, 'The budget is used up', null], off.text);
    const refused = await file('during', 'fa');
    good(refused.status === 409 && refused.json.detail.includes('بودجه تمام شده است'), refused.text);
    same((await file('before')).status, 201, 'a repetition is answered as it was');
    good((await call(b, 'GET', `${A}/services?limit=200`)).json.items.find((x) => x.code === 'takapo-support').stopped, 'in the list');
    good((await call(b, 'GET', S)).json.stopped.reason.fa, 'in the definition');
    const v = visitor(b);
    good((await v.see('/services/takapo-support')).text.includes('The budget is used up'), 'on its page');
    good((await v.see('/services/takapo-support/apply')).to === '/services/takapo-support', 'no form');
    good((await v.see('/services?organisation=takapo')).text.includes('The budget is used up'), 'on its card');
    const ussd = (text) => fetch(`${b}/ussd`, { method: 'POST', body: new URLSearchParams({ sessionId: 'stopped', serviceCode: '*4015#', phoneNumber: '+989150001234', networkCode: 'x', text }) }).then((r) => r.text());
    await ussd('');
    const heard = await ussd('12');
    good(heard.includes('بودجه'), heard);
    same((await post(head, '/services/takapo-support/stop', { stopped: false })).json.stopped, null);
    same((await file('after', 'en', '0084575948')).status, 201, 'on again');
    same((await v.enter('takapo.manager', password)).status, 303);
    same((await v.send('/admin/services/takapo-support', '/admin/services/takapo-support', { act: 'off', reason_fa: '', reason_en: '' })).status, 422);
    same((await v.send('/admin/services/takapo-support', '/admin/services/takapo-support', { act: 'off', reason_fa: 'دلیل', reason_en: 'A reason', until: '1500-01-01' })).status, 422);
    same((await v.send('/admin/services/takapo-support', '/admin/services/takapo-support', { act: 'off', reason_fa: 'دلیل', reason_en: 'A reason' })).status, 303);
    good((await v.see('/admin/services')).text.includes('A reason'), 'on the list of the manager');
    same((await v.send('/admin/services/takapo-support', '/admin/services/takapo-support', { act: 'on' })).status, 303);
    same((await v.see('/admin/services/village-residence')).status, 404, "not another's");
  });
  await test(`${name}: a sudden closure is looked at first, then declared, and moves what it said`, async () => {
    const example = (await call(b, 'GET', `${A}/services/takapo-support`)).json.form_schema.examples[0], v = visitor(b);
    const made = (await call(b, 'POST', `${A}/services/takapo-support/cases`, { key: 'clock', body: { data: { ...example, national_id: '0060495219' } } })).json;
    const date = made.due.legal, calendar = '/admin/calendars/official';
    const legal = async () => (await call(b, 'GET', `${A}/cases/${made.tracking}`)).json.due.legal;
    const moves = (await get(operator, `/calendars/official/preview?date=${date}&closed=true`)).json.moves;
    good(moves >= 1, `${moves} move`);
    same((await get(operator, `/calendars/official/preview?date=${date}&closed=false`)).json.moves, 0, 'it is open already');
    same((await get(boss, `/calendars/official/preview?date=${date}`)).status, 404, "everybody's calendar is not one manager's");
    same((await v.enter('operator', password)).status, 303);
    const asked = await v.send(calendar, calendar, { date, kind: 'close', title_fa: 'برف سنگین', title_en: 'Heavy snow' });
    good(asked.status === 200 && asked.text.includes(`<strong>${moves}</strong>`), asked.text.slice(0, 200));
    same(await legal(), date, 'not yet');
    same((await v.send(calendar, calendar, { date, kind: 'close', title_fa: 'برف سنگین', title_en: 'Heavy snow', confirmed: '1' })).status, 303);
    good(await legal() > date, 'it has moved');
    good((await v.see(calendar)).text.includes('Heavy snow'), 'told in the history');
    same((await v.send(calendar, calendar, { date: 'nonsense', title_fa: 'x', title_en: 'x' })).status, 422);
    same((await v.send(calendar, calendar, { date: '2020-01-01', title_fa: 'x', title_en: 'x' })).status, 422);
    // A calendar of several organisations is theirs alone who manage them all.
    const road = (await post(operator, '/staff', { username: 'm.road', name: 'رضا راهی', organisation: 'rahdari', role: 'manager' })).json;
    const first = (await enter('m.road', road.password)).json.access_token, t = (await post(first, '/me/password', { password: road.password, new: 'a long road to go' })).json.access_token;
    same((await get(t, '/calendars/seven-days/preview?date=2027-01-10')).status, 404, 'of one of them');
    for (const organisation of ['abfa', 'bargh', 'gaz', 'bohran']) same((await change(operator, 'm.road', { change: 'add_role', organisation, role: 'manager' })).status, 200);
    const u = (await enter('m.road', 'a long road to go')).json.access_token;
    same((await get(u, '/calendars/seven-days/preview?date=2027-01-10')).status, 200, 'of all of them');
    same((await get(u, '/calendars/official/preview?date=2027-01-10')).status, 404);
    same((await v.send(calendar, calendar, { date, kind: 'open', title_fa: 'راه باز شد', title_en: 'Roads are open', confirmed: '1' })).status, 303);
    same(await legal(), date, 'and back');
  });
  await test(`${name}: what is referred to a unit stands in its queue`, async () => {
    const head = await staff(b, 'takapo.manager'), worker = await staff(b, 'takapo.officer');
    same((await post(head, '/organisations/takapo/units', { code: 'loans', name: { fa: 'تسهیلات', en: 'Loans' } })).status, 200);
    same((await change(head, 'takapo.officer', { change: 'unit', organisation: 'takapo', unit: 'loans' })).status, 200);
    const list = async (q) => (await get(worker, `/desk/cases?organisation=takapo${q}`)).json.items;
    const open = await list('&open=true');
    let one = null;
    for (const x of open) {
      let seen = (await get(worker, `/cases/${x.tracking}`)).json;
      const can = (name) => seen.actions?.some((y) => y.name === name);
      if (!can('refer') && can('assign')) {
        await call(b, 'POST', `${A}/cases/${x.tracking}/actions/assign`, { token: worker, key: `take-${x.tracking}`, body: { expected_version: seen.version } });
        seen = (await get(worker, `/cases/${x.tracking}`)).json;
      }
      if (can('refer')) { one = seen; break; }
    }
    good(one, 'something to refer');
    const refer = (data) => call(b, 'POST', `${A}/cases/${one.tracking}/actions/refer`, { token: worker, key: JSON.stringify(data), body: { expected_version: one.version, comment: 'x', data } });
    same((await refer({ unit: 'nope' })).status, 422);
    same((await refer({ unit: 'loans', to: 'mporg' })).status, 422, 'not both');
    const done = await refer({ unit: 'loans' });
    same(done.status, 200, done.text);
    same((await list('&unit=loans')).map((x) => x.tracking), [one.tracking]);
    same(await list('&unit=nope'), []);
    const v = visitor(b);
    await v.enter('takapo.officer', password);
    const queue = (await v.see('/desk?organisation=takapo&view=unit')).text;
    good(queue.includes('My unit'), 'a tab of their own');
    good(queue.includes(`${one.tracking}:`), 'in the queue');
  });
  await test(`${name}: how far a desk meets the directive is told to everybody, and what is missing to its manager`, async () => {
    const d = (await call(b, 'GET', `${A}/organisations/takapo/desk`)).json;
    const sum = d.services.flatMap((x) => Object.values(x.criteria)).filter(Boolean).length;
    same([d.met, d.of], [sum, d.services.length * 11]);
    same((await call(b, 'GET', `${A}/organisations/nope/desk`)).status, 404);
    const v = visitor(b), o = visitor(b);
    good((await v.see('/organisations/takapo')).text.includes(d.services[0].title.en), 'public');
    await v.enter('takapo.manager', password);
    const missing = d.services.flatMap((x) => Object.values(x.criteria)).filter((x) => !x).length;
    same((await v.see('/admin/standard')).text.split('✖').length - 1, missing);
    same((await v.see('/admin/standard?organisation=mporg')).status, 404);
    await o.enter('operator', password);
    good((await o.see('/admin/standard')).text.includes('Takapo Secretariat'), 'all of them');
  });
  await test(`${name}: an organisation defines a service: mistakes with their lines, three people, then served without a stop`, async () => {
    const text = readFileSync(join(root, 'packs/khorasan-razavi/services/takapo-support.yaml'), 'utf8'), day = new Date(Date.now() + 86400000 * 3).toISOString().slice(0, 10);
    const next = text.replace(/^version: \d+/m, 'version: 2').replace(/^valid_from: .*/m, `valid_from: ${day}`);
    const v = visitor(b), o = visitor(b), head = await staff(b, 'takapo.manager');
    await v.enter('takapo.manager', password);
    await o.enter('operator', password);
    const propose = (t, organisation = 'takapo') => v.send('/admin/definitions', '/admin/definitions', { organisation, text: t });
    const mistaken = next.replace(/^applicant: .*/m, 'aplicant: citizen'), broken = await propose(mistaken);
    good(broken.status === 422 && broken.text.includes('did you mean') && /href="#L\d+"|#L\d+/.test(broken.text), broken.text.slice(0, 300));
    v.jar.set('lang', 'fa');
    const persian = (await propose(mistaken)).text.replace(/[\u2068\u2069]/g, '');
    good(persian.includes('کلید ناشناخته «aplicant» در خدمت؛ منظورتان «applicant» بود؟') && !persian.includes('did you mean'), persian.slice(0, 3000));
    v.jar.set('lang', 'en');
    const told = await call(b, 'POST', `${A}/definitions`, { token: head, lang: 'fa', body: { organisation: 'takapo', text: mistaken } });
    const line = mistaken.split('\n').findIndex((x) => x.startsWith('aplicant')) + 1;
    same([told.status, told.json.errors.some((e) => e.field === 'text' && e.line === line && e.message.includes('کلید ناشناخته'))], [422, true], told.text);
    for (const [what, t] of [['the same version', text], ["another's", next.replace(/^owner: .*/m, 'owner: mporg')], ['already begun', next.replace(/^valid_from: .*/m, 'valid_from: 2026-01-01')],
      ['out of the folder', next.replace(/^service: .*/m, 'service: ../../x')], ['no YAML', '{'], ['nothing', '']]) same((await propose(t)).status, 422, what);
    same((await propose(next, 'mporg')).status, 404);
    const made = await propose(next);
    same(made.status, 303, made.text.slice(0, 2000));
    const page = await v.see(made.to);
    good(page.text.includes('Apply for Takapo support') && page.text.includes('inert'), 'preview');
    same((await propose(next)).status, 409, 'twice');
    const approve = (who) => who.send(made.to, made.to, { act: 'approve' });
    same((await approve(v)).status, 409, 'not who wrote it');
    const other = (await post(head, '/staff', { ...fresh, username: 't.second', role: 'manager' })).json, w = visitor(b), x = visitor(b);
    await w.enter('t.second', other.password);
    same((await w.send('/account/password', '/account/password', { old: other.password, new: 'second of two', again: 'second of two' })).status, 303);
    await x.enter('sabt-ahval.manager', password);
    same((await x.see(made.to)).status, 404, "another's");
    same((await approve(w)).status, 303);
    same((await approve(w)).status, 409, 'not twice');
    same((await approve(o)).status, 303);
    same((await v.send(made.to, made.to, { act: 'withdraw' })).status, 409, 'both have approved it');
    proposed = made.to;
    await until('it to be served without a stop', async () => (await o.see(made.to)).text.includes('Served'));
    same((await call(b, 'GET', `${A}/services/takapo-support`)).json.version, 1, 'until its day has come');
    same((await propose(next)).status, 422, 'it is there now');
  });
  await test(`${name}: by programs: a new service is proposed, approved by three, and found by the whole server`, async () => {
    const text = readFileSync(join(root, 'packs/khorasan-razavi/services/takapo-support.yaml'), 'utf8'), day = new Date(Date.now() + 86400000 * 3).toISOString().slice(0, 10);
    const mine = text.replace(/^service: .*/m, 'service: takapo-bicycle').replace(/^version: \d+/m, 'version: 1').replace(/^valid_from: .*/m, `valid_from: ${day}`)
      .replace(/^( *identifier: ).*/m, '$1"99999999991"').replace(/^ussd: .*/m, 'ussd: "9871"').replace('Apply for Takapo support', 'Borrow a quadricycle');
    const head = await staff(b, 'takapo.manager'), second = (await enter('t.second', 'second of two')).json.access_token, op = await staff(b, 'operator');
    same((await call(b, 'GET', `${A}/services/takapo-bicycle`)).status, 404);
    same((await post(head, '/definitions', { organisation: 'takapo' })).status, 422);
    same((await post(head, '/definitions', { organisation: 'sabt-ahval', text: mine })).status, 404);
    const made = await post(head, '/definitions', { organisation: 'takapo', text: mine });
    same([made.status, made.json?.state, made.json?.text === mine], [201, 'waiting', true], made.text);
    const decide = (t, decision) => post(t, `/definitions/${made.json.id}/decisions`, { decision });
    same((await decide(head, 'approve')).status, 409, 'not who wrote it');
    same((await decide(second, 'perhaps')).status, 422);
    same((await decide(await staff(b, 'sabt-ahval.manager'), 'approve')).status, 404, "another's");
    same((await decide(second, 'approve')).json.approver, 't.second');
    good(['approved', 'served'].includes((await decide(op, 'approve')).json.state), 'by three');
    await until('it to be served', async () => (await get(head, `/definitions/${made.json.id}`)).json.state, (x) => x === 'served');
    const page = await visitor(b).see('/services?q=quadricycle');
    good(page.text.includes('Borrow a quadricycle'), 'the search finds it');
    same((await call(b, 'GET', `${A}/services/takapo-bicycle`)).json.version, 1);
    const early = await call(b, 'POST', `${A}/services/takapo-bicycle/cases`, { key: 'early', body: { data: {} } });
    good(early.status === 403 && early.text.includes('accepted from'), 'shown, and taken from its day on');
    good((await get(head, '/definitions')).json.items.length >= 2 && (await get(op, '/definitions?organisation=takapo')).json.items.every((x) => x.organisation === 'takapo'), 'lists');
    const d = (await call(b, 'GET', '/catalog.jsonld')).text;
    good(d.includes('takapo-bicycle'), 'in the catalogue for machines');
  });
  await test(`${name}: every act is told, filtered, exported, and a leaf of the ledger`, async () => {
    const acts = (await get(operator, '/acts?limit=200')).json.items;
    for (const kind of ['staff_add', 'staff_remove_role', 'staff_disable', 'staff_reset', 'staff_leave', 'sessions_end', 'own_password', 'own_totp', 'unit_put', 'unit_close', 'service_off', 'service_on', 'definition_upload', 'definition_approve', 'calendar_close', 'calendar_open'])
      good(acts.some((x) => x.kind === kind), kind);
    const one = acts.find((x) => x.kind === 'staff_add' && x.subject === 'a.karimi');
    same([one.who, one.organisation, one.detail], ['takapo.manager', 'takapo', { role: 'officer' }]);
    good((await get(boss, '/acts')).json.items.every((x) => x.organisation === 'takapo'), "a manager's own");
    good((await get(auditor, '/acts?person=a.karimi')).json.items.every((x) => [x.who, x.subject].includes('a.karimi')), 'by person');
    same((await get(operator, '/acts?to=2020-01-01')).json, { items: [], next: null });
    same((await get(operator, '/acts?from=nonsense')).status, 422);
    const paged = [];
    for (let next = '', n = 0; next !== null && n < 40; n++) { const p = (await get(operator, `/acts?limit=5${next ? `&next=${encodeURIComponent(next)}` : ''}`)).json; paged.push(...p.items.map((x) => x.id)); next = p.next; }
    same(paged, acts.map((x) => x.id), 'pages make the whole');
    const v = visitor(b);
    await v.enter('auditor', password);
    const csv = await v.send('/admin/acts', '/admin/acts/export', {});
    good(csv.headers.get('content-type').startsWith('text/csv') && csv.text.includes('"staff_add"') && csv.text.split('\r\n').length > 20, csv.text.slice(0, 200));
    same((await get(operator, '/acts?kind=acts_export')).json.items.map((x) => x.who), ['auditor']);
  });
  await s.stop();
  await test(`${name}: after a start the definition is served as well`, async () => {
    const again = await serve(where), o = visitor(again.base);
    await o.enter('operator', password);
    good((await o.see(proposed)).text.includes('Served'), 'served');
    same((await call(again.base, 'GET', `${A}/services/takapo-support`)).json.version, 1, 'until its day has come');
    await again.stop();
  });
  await test(`${name}: all of it verifies`, async () => good(run('ledger', 'verify', ...where).includes('verifies'), 'verifies'));
}

await test('whatever the compiler finds in a definition is said in Persian too', () => {
  const literal = /"((?:[^"\\]|\\.)*)"/g, csv = readFileSync(join(root, 'locale/words-mistakes.csv'), 'utf8');
  const known = new Set(csv.split('\n').slice(1).filter(Boolean).map((row) => /,("(?:[^"]|"")*"|[^",]*)$/.exec(row)[1].replace(/^"|"$/g, '').replace(/""/g, '"').replace(/\{\d\}/g, '{}')));
  const calls = [];
  for (const file of ['catalog/cond', 'catalog/examples', 'catalog/extras', 'catalog/field', 'catalog/flow', 'catalog/letters', 'catalog/report', 'catalog/service', 'catalog/workflow', 'cases/proposals', 'base/yaml']) {
    const source = readFileSync(join(root, 'src', `${file}.c`), 'utf8');
    for (const m of source.matchAll(/\b(fail\(c, [^"]*?|ours\((?:&k|k), [^";]*?|mistake\(b, [^";]*?)("(?:[^"\\]|\\.)*"(?:\s*"(?:[^"\\]|\\.)*")*)/g))
      calls.push([file, [...m[2].matchAll(literal)].map((x) => x[1]).join('').replace(/\\"/g, '"')]);
  }
  good(calls.length > 150, `${calls.length} are found`);
  // A hint at the end is said by itself, and "%s" alone passes on what another part has said.
  const missing = calls.filter(([, text]) => text !== '%s' && text !== 'reason').map(([file, text]) => [file, text.replace('%s/%s:%s', '%s').replace(/%(zu|lld|[sducd])/g, '{}')])
    .filter(([, text]) => !known.has(text) && !known.has(text.replace(/\{\}$/, '')));
  same(missing, []);
});

const EXTRA = ['/admin/standard', '/admin/definitions', '/organisations/takapo'], EXTRA_OPERATOR = ['/admin/standard'];
// The pages as people see them: nothing for axe to find, nothing that scrolls sideways, at two widths and in both languages.
async function pages() {
  const browser = await launch();
  if (!browser) return console.log('no browser: pages are not looked at');
  const s = await serve(['--data', folder()]), b = s.base, password = (await call(b, 'GET', '/demo/accounts')).json.find((a) => a.username === 'operator').password;
  const boss = await staff(b, 'takapo.manager');
  for (const [path, body] of [['/organisations/takapo/units', { code: 'it', name: { fa: 'فناوری', en: 'Technology' } }], ['/staff', { username: 'n.ahmadi', name: 'نرگس احمدی', organisation: 'takapo', role: 'officer', unit: 'it' }],
    ['/services/takapo-support/stop', { stopped: true, reason: { fa: 'بودجه سال تمام شده است', en: 'The budget of the year is used up' }, until: '1406-01-10' }]]) await call(b, 'POST', A + path, { token: boss, body });
  for (const [username, list] of [['takapo.manager', ['/admin/staff', '/admin/staff/n.ahmadi', '/admin/units', '/admin/services', '/admin/services/takapo-support', '/admin/acts', '/account', '/account/password', '/services/takapo-support', ...EXTRA]],
    ['operator', ['/admin/staff?find=مشهد', '/admin/calendars', '/admin/calendars/official', '/admin/acts', ...EXTRA_OPERATOR]]])
    for (const lang of ['fa', 'en']) {
      const context = await browser.newContext({ locale: lang === 'fa' ? 'fa-IR' : 'en-US', viewport: { width: 1440, height: 900 } }), page = await context.newPage();
      await page.goto(`${b}/staff?lang=${lang}`);
      await page.fill('#username', username); await page.fill('#password', password);
      await Promise.all([page.waitForNavigation(), page.press('main button[type=submit]', 'Enter')]);
      for (const path of list)
        for (const width of [360, 1440])
          await test(`${username} ${lang} ${width} ${path}`, async () => {
            await page.setViewportSize({ width, height: 900 });
            const r = await page.goto(b + path);
            same(r.status(), 200);
            same(await flaws(page), [], 'axe');
            if (process.env.SHOTS) await page.screenshot({ path: join(process.env.SHOTS, `${username}-${lang}-${width}-${path.replace(/[^a-z-]+/g, '_')}.png`), fullPage: true });
          });
      await context.close();
    }
  await browser.close();
  await s.stop();
}
if (process.argv[2] === 'pages') { await pages(); end(); }
await administration('sqlite', ['--data', folder()]);
const pg = postgres();
if (pg) await administration('postgres', ['--store', pg.url, '--keys', join(folder(), 'keys')]);
end();
