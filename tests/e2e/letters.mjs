// Letters from the draft to the signature with its number, and deputies; both engines.
import { join } from 'node:path';
import { serve, call, staff, citizen, test, same, good, end, folder, postgres, run, until } from './kit.mjs';

const A = '/api/v1';
async function letters(name, where) {
  const s = await serve(where), b = s.base;
  const example = (await call(b, 'GET', `${A}/services/village-residence`)).json.form_schema.examples[0];
  const file = async (key, token) => (await call(b, 'POST', `${A}/services/village-residence/cases`, { key, token, lang: 'fa', body: { data: { ...example, mobile: '09150000061' } } })).json.tracking;
  const person = await citizen(b, example.national_id, '09150000061'), t = await file('one', person), u = await file('two', person);
  const holder = (await call(b, 'GET', `${A}/cases/${t}`)).json.holder.code;
  const who = {};
  for (const [k, x] of Object.entries({ one: 'officer', two: 'officer2', boss: 'supervisor', head: 'manager', help: 'helpdesk' })) who[k] = await staff(b, `${holder}.${x}`);
  who.other = await staff(b, 'takapo.officer');
  const of = (tracking) => ({
    draft: (token, body, key) => call(b, 'POST', `${A}/cases/${tracking}/letters`, { token, key: key ?? String(Math.random()), body }),
    get: (id, token) => call(b, 'GET', `${A}/cases/${tracking}/letters/${id}`, { token }),
    list: (token) => call(b, 'GET', `${A}/cases/${tracking}/letters`, { token }),
    step: (id, step, token, revision, body = {}, lang) => call(b, 'POST', `${A}/cases/${tracking}/letters/${id}/steps/${step}`, { token, lang, body: { expected_revision: revision, ...body } }),
  });
  const L = of(t), queue = async (token, org = holder) => (await call(b, 'GET', `${A}/desk/letters?organisation=${org}`, { token })).json;
  const told = async () => (await call(b, 'GET', '/demo/outbox')).json.filter((m) => m.to === '09150000061').map((m) => m.text);
  let id, number;

  await test(`${name}: a draft from the pack's template, once by key, in the citizen's language, with its versions`, async () => {
    const r = await L.draft(who.one, { template: 'answer' }, 'k1');
    same([r.status, r.json?.revision, r.json?.number], [201, 1, null], r.text);
    id = r.json.id;
    same((await L.draft(who.one, { template: 'answer' }, 'k1')).json.id, id, 'the same key, the same letter');
    const x = (await L.get(id, who.two)).json;
    good(x.body.includes(example.first_name) && x.body.includes(example.last_name) && !x.body.includes('{{') && x.recipient === 'citizen', x.body);
    same([x.status, x.drafter, x.may], ['draft', `${holder}.officer`, ['edit', 'hand']], JSON.stringify(x));
    same((await L.get(id, who.one)).json.may, ['edit', 'hand', 'drop'], 'its drafter also drops it');
    const edited = await L.step(id, 'edit', who.two, 1, { body: `${x.body}\nبا احترام`, attachments: 'یک برگ' });
    same([edited.status, edited.json?.revision], [200, 2], edited.text);
    same((await L.step(id, 'edit', who.two, 1, { body: `${x.body}\nبا احترام`, attachments: 'یک برگ' })).json.revision, 2, 'once');
    same((await L.step(id, 'edit', who.one, 1, { body: 'دیگر' })).status, 409, 'it has moved on');
    same((await L.get(id, who.one)).json.steps.map((y) => [y.step, y.who, y.body !== null]), [['draft', `${holder}.officer`, true], ['edit', `${holder}.officer2`, true]]);
    for (const [body, field] of [[{ template: 'nope' }, 'template'], [{ subject: 'x' }, 'body'], [{ body: 'x' }, 'subject'], [{ subject: 'x', body: 'x'.repeat(32001) }, 'body'], [{ subject: 'x', body: 'y', to: 'nowhere' }, 'to'], [{ x: 1 }, 'x'], [{ subject: 5 }, 'subject']]) {
      const bad = await L.draft(who.one, body);
      same([bad.status, bad.json.errors?.[0]?.field], [422, field], bad.text);
    }
    same((await call(b, 'POST', `${A}/cases/${t}/letters`, { token: who.one, body: { template: 'answer' } })).status, 400, 'a key is needed');
  });
  await test(`${name}: who is not of this desk sees and does nothing`, async () => {
    for (const token of [who.other]) {
      same((await L.get(id, token)).status, 404);
      same((await L.list(token)).status, 404);
      same((await L.draft(token, { template: 'answer' })).status, 404);
      same((await L.step(id, 'sign', token, 2)).status, 404);
    }
    same((await L.list(person)).json.items, [], 'a draft is not for its citizen');
    same((await L.get(id, person)).status, 404);
    same((await L.draft(person, { template: 'answer' })).status, 403);
    same((await L.draft(who.help, { template: 'answer' })).status, 404, 'the helpdesk writes no letters');
    same((await of(u).get(id, who.one)).status, 404, 'nor under another case');
    same((await L.step(id, 'nonsense', who.one, 2)).status, 404);
    same((await L.step('0'.repeat(32), 'edit', who.one, 2)).status, 404);
  });
  await test(`${name}: initials, a return, initials again, the signature of somebody who did not write it`, async () => {
    same((await L.step(id, 'sign', who.head, 2)).status, 409, 'not before it is handed on');
    same((await L.step(id, 'hand', who.one, 2, { sign: 'role:officer' })).json.errors[0].field, 'sign', 'the template says who signs');
    same((await L.step(id, 'hand', who.one, 2, { paraph: ['takapo.officer'] })).json.errors[0].field, 'paraph');
    same((await L.step(id, 'hand', who.one, 2, { paraph: [`${holder}.officer2`] })).status, 200);
    same((await queue(who.boss)).waiting.map((x) => [x.id, x.kind]), [[id, 'paraph']]);
    same([(await queue(who.head)).waiting, (await queue(who.one)).waiting], [[], []]);
    same((await L.step(id, 'sign', who.head, 3)).status, 409, 'not before the initials');
    same((await L.step(id, 'paraph', who.one, 3)).status, 403, 'not asked');
    same((await L.step(id, 'paraph', who.two, 3)).status, 403, 'who edited it does not initial it');
    same((await L.step(id, 'paraph', who.boss, 3)).status, 200);
    same((await L.step(id, 'return', who.two, 4, {})).json.errors[0].field, 'comment');
    same((await L.step(id, 'return', who.two, 4, { comment: 'نام را درست کنید' })).status, 200);
    same((await L.get(id, who.one)).json.status, 'draft');
    same((await queue(who.boss)).waiting, [], 'what was initialled before is void');
    same((await L.step(id, 'hand', who.one, 5)).status, 200);
    same((await L.step(id, 'paraph', who.boss, 6)).status, 200);
    same((await queue(who.head)).waiting.map((x) => x.kind), ['sign']);
    same((await L.step(id, 'sign', who.boss, 7, {}, 'fa')).status, 403, 'the manager signs');
    const r = await L.step(id, 'sign', who.head, 7);
    same(r.status, 200, r.text);
    number = r.json.number;
    good(/^14\d\d\/.+\/000001$/.test(number) && number.includes(holder), number);
    same((await L.step(id, 'sign', who.head, 7)).json.number, number, 'signed once');
    const view = (await call(b, 'GET', `${A}/cases/${t}`, { token: who.one })).json;
    same([view.letter_no, view.events.at(-1).action, view.version], [number, 'letter', 2]);
    same((await L.get(id, person)).status, 404, 'signed is not sent');
    same((await L.step(id, 'edit', who.one, 8, { body: 'x' })).status, 409, 'what is signed stays');
  });
  await test(`${name}: sent to its citizen, who is told and reads it, as a sheet too`, async () => {
    same((await L.step(id, 'send', who.one, 8)).status, 200);
    await until('the news', async () => (await told()).some((x) => x.includes('نامه')));
    same((await told()).filter((x) => x.includes('نامه')).length, 1);
    const list = (await L.list(person)).json.items, seen = (await L.get(id, person)).json;
    same(list.map((x) => [x.id, x.number]), [[id, number]]);
    good(!('steps' in seen) && !('turns' in seen) && !('drafter' in seen) && seen.body.includes('با احترام'), 'the letter, not how it came about');
    for (const token of [person, who.one]) {
      const r = await fetch(`${b}${A}/cases/${t}/letters/${id}/pdf`, { headers: { Authorization: `Bearer ${token}` } }), bytes = Buffer.from(await r.arrayBuffer());
      same([r.status, r.headers.get('content-type'), bytes.subarray(0, 5).toString()], [200, 'application/pdf', '%PDF-']);
    }
    same((await call(b, 'GET', `${A}/cases/${t}/letters/${id}/pdf`, { token: who.other })).status, 404);
    const looks = (await call(b, 'GET', `${A}/me/access?limit=200`, { token: person })).json.items.length;
    const r = await fetch(`${b}${A}/cases/${t}/folder?remarks=true`, { headers: { Authorization: `Bearer ${who.boss}` } });
    same([r.status, Buffer.from(await r.arrayBuffer()).subarray(0, 5).toString()], [200, '%PDF-'], 'the whole folder');
    good((await call(b, 'GET', `${A}/me/access?limit=200`, { token: person })).json.items.length > looks, 'and the look is on record');
    same([(await call(b, 'GET', `${A}/cases/${t}/folder`, { token: who.other })).status, (await call(b, 'GET', `${A}/cases/${t}/folder`, { token: who.help })).status], [404, 403]);
  });
  await test(`${name}: to another organisation, whose desk reads the letter and not the case`, async () => {
    const draft = (await L.draft(who.one, { template: 'introduction' })).json;
    same((await L.step(draft.id, 'hand', who.one, 1)).json.errors[0].field, 'to', 'whom it goes to');
    await L.step(draft.id, 'edit', who.one, 1, { to: 'takapo' });
    await L.step(draft.id, 'hand', who.one, 2);
    same((await queue(who.boss)).waiting.map((x) => x.kind), ['sign'], 'no initials asked, so it goes to be signed');
    same((await L.step(draft.id, 'sign', who.boss, 3)).json.number.slice(-6), '000002', 'the next number');
    same((await call(b, 'GET', `${A}/desk/letters/${draft.id}`, { token: who.other })).status, 404, 'not before it is sent');
    same((await L.step(draft.id, 'send', who.two, 4)).status, 200);
    same((await queue(who.other, 'takapo')).received.map((x) => x.id), [draft.id]);
    const got = await call(b, 'GET', `${A}/desk/letters/${draft.id}`, { token: who.other });
    good(got.status === 200 && got.json.body && !('steps' in got.json), got.text);
    same((await call(b, 'GET', `${A}/desk/letters/${draft.id}/pdf`, { token: who.other })).status, 200);
    same((await call(b, 'GET', `${A}/cases/${t}`, { token: who.other })).json.data, undefined);
    same((await L.get(draft.id, person)).status, 404, 'a letter to others is not the citizen\'s');
    same((await queue(who.other)).code, 'forbidden');
  });
  await test(`${name}: many signatures at once, and no gap and no number twice`, async () => {
    const all = await Promise.all([...Array(12)].map(async (_, i) => {
      const at = of(i % 2 ? t : u), d = (await at.draft(who.one, { subject: `نامه ${i}`, body: 'متن' })).json;
      same((await at.step(d.id, 'hand', who.one, 1, { sign: 'role:supervisor' })).status, 200);
      return [at, d.id];
    }));
    const numbers = await Promise.all(all.map(async ([at, x], i) => { // a third of them are signed by both at once
      const go = [at.step(x, 'sign', who.boss, 2)];
      if (i % 3 === 0) go.push(at.step(x, 'sign', who.boss, 2));
      if (i % 3 === 1) go.push(at.step(x, 'drop', who.head, 2));
      const r = await Promise.all(go);
      good(r.every((y) => [200, 409, 503].includes(y.status)), r.map((y) => y.text).join());
      const again = (await at.get(x, who.boss)).json; // a conflict over the case itself is tried again by hand
      if (again.status === 'sign') return (await at.step(x, 'sign', who.boss, 2)).json.number;
      return again.number;
    }));
    good(numbers.filter(Boolean).length >= 4, numbers.join()); // those that nobody dropped, at least
    const taken = numbers.filter(Boolean).map((x) => Number(x.slice(-6))).sort((x, y) => x - y);
    same(taken, taken.map((_, i) => i + 3), 'one after the other');
  });
  await test(`${name}: who is away has a deputy, who signs in their place and never what they wrote`, async () => {
    const day = (n) => new Date(Date.now() + 3.5 * 3600e3 + n * 86400e3).toISOString().slice(0, 10), today = day(0), tomorrow = day(1);
    const away = (token, body, key = String(Math.random())) => call(b, 'POST', `${A}/desk/absences`, { token, key, body: { organisation: holder, from: today, until: tomorrow, ...body } });
    same((await away(who.one, { username: `${holder}.manager`, deputy: `${holder}.supervisor` })).status, 403, 'a superior\'s absence is not an officer\'s to record');
    same((await away(who.head, { deputy: `${holder}.manager` })).json.errors[0].field, 'deputy');
    same((await away(who.head, { deputy: 'takapo.officer' }, 'x')).json.errors[0].field, 'deputy', 'of the same desk');
    const r = await away(who.head, { deputy: `${holder}.supervisor` }, 'away');
    same(r.status, 201, r.text);
    same((await away(who.head, { deputy: `${holder}.supervisor` }, 'away')).json.id, r.json.id, 'once by key');
    const a = (await L.draft(who.one, { template: 'answer' })).json.id, c = (await L.draft(who.boss, { subject: 'به قلم جانشین', body: 'متن' })).json.id;
    await L.step(a, 'hand', who.one, 1, { paraph: [`${holder}.officer2`] });
    await L.step(a, 'paraph', who.two, 2);
    await L.step(a, 'paraph', who.boss, 3);
    await L.step(c, 'hand', who.boss, 1);
    same((await queue(who.boss)).waiting.map((x) => [x.id, x.in_place_of]), [[a, `${holder}.manager`]], 'what the deputy wrote is not theirs to sign');
    same((await L.step(c, 'sign', who.boss, 2)).status, 403);
    same((await L.step(a, 'sign', who.boss, 4)).status, 200);
    const x = (await L.get(a, who.two)).json;
    same([x.signed.for, x.steps.at(-1).for, x.turns.at(-1).done_for], [`${holder}.manager`, `${holder}.manager`, `${holder}.manager`]);
    same((await call(b, 'GET', `${A}/cases/${t}`, { token: who.one })).json.events.at(-1).for, `${holder}.manager`, 'and the case tells it');
    const v = (await call(b, 'GET', `${A}/cases/${t}`, { token: who.boss })).json.version;
    const assign = await call(b, 'POST', `${A}/cases/${t}/actions/assign`, { token: who.boss, body: { expected_version: v, data: { assignee: `${holder}.manager` } } });
    same([assign.status, assign.json.errors[0].code], [422, 'absent'], 'no new work for who is away');
    same((await call(b, 'POST', `${A}/desk/next`, { token: who.head, body: { organisation: holder } })).status, 409);
    same((await call(b, 'DELETE', `${A}/desk/absences/${r.json.id}`, { token: who.other })).status, 404);
    same((await call(b, 'DELETE', `${A}/desk/absences/${r.json.id}`, { token: who.one })).status, 403);
    same((await call(b, 'DELETE', `${A}/desk/absences/${r.json.id}`, { token: who.head })).status, 204);
    same((await L.step(c, 'sign', who.head, 2)).status, 200, 'back again');
  });
  await s.stop();
  await test(`${name}: all of it verifies`, async () => good(run('ledger', 'verify', ...where).includes('verifies'), 'verifies'));
}
await letters('sqlite', ['--data', folder()]);
const pg = postgres();
if (pg) await letters('postgres', ['--store', pg.url, '--keys', join(folder(), 'keys')]);
end();
