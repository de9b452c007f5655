// One case between many: inquiries to other organisations in parallel, information asked of the citizen with the clock standing still, both engines.
import { join } from 'node:path';
import { serve, call, staff, citizen, test, same, good, end, folder, postgres, run, until } from './kit.mjs';

const A = '/api/v1';
async function life(name, where) {
  const s = await serve(where), b = s.base;
  const example = (await call(b, 'GET', `${A}/services/village-residence`)).json.form_schema.examples[0];
  const file = async (key, data, token) => (await call(b, 'POST', `${A}/services/village-residence/cases`, { key, token, body: { data: { ...example, ...data } } })).json;
  const see = async (t, token) => (await call(b, 'GET', `${A}/cases/${t}`, { token })).json;
  const act = (t, action, token, body) => call(b, 'POST', `${A}/cases/${t}/actions/${action}`, { token, body });

  await test(`${name}: two organisations are asked, each sees only what it is asked, the last answer moves the case on`, async () => {
    const c = await file('asked', { years: 0, purpose: 'school' });
    const holder = (await see(c.tracking)).holder.code, officer = await staff(b, `${holder}.officer`);
    let r = await act(c.tracking, 'assign', officer, { expected_version: 1 });
    r = await act(c.tracking, 'inquire', officer, { expected_version: r.json.version });
    same(r.status, 200, r.text);
    const asked = await until('two inquiries', () => see(c.tracking, officer), (v) => v.children.length >= 2);
    good(asked.children.every((x) => x.due), 'each has a clock of its own');
    for (const child of asked.children) {
      const there = await staff(b, `${child.holder}.officer`);
      const view = await see(child.tracking, there);
      same(view.right, 'inquired');
      good(!('address' in view.data) && Object.keys(view.data).length <= 6, `sees only what it is asked: ${Object.keys(view.data)}`);
      same((await act(child.tracking, 'reply', officer, { expected_version: view.version, data: { answer: 'agree' } })).status, 404, 'not for the one who asked');
      same((await act(child.tracking, 'reply', there, { expected_version: view.version, data: { answer: 'object' } })).status, 422, 'an objection needs its reason');
      same((await act(child.tracking, 'reply', there, { expected_version: view.version, data: { answer: 'agree' } })).status, 200);
      same((await act(child.tracking, 'reply', there, { expected_version: view.version, data: { answer: 'agree' } })).status, 409, 'answered once');
    }
    const on = await until('the answers', () => see(c.tracking, officer), (v) => v.state !== asked.state);
    good(on.actions.some((x) => x.name === 'approve'), `the officer may decide now: ${on.state}`);
    const done = await act(c.tracking, 'approve', officer, { expected_version: on.version });
    same(done.json.result, 'approved', done.text);
  });
  await test(`${name}: asking the citizen stops the clock; the answer starts it again; others cannot answer`, async () => {
    const person = await citizen(b, example.national_id, '09150000033'), other = await citizen(b, '0060495219', '09150000034');
    const c = await file('info', { years: 5, purpose: 'school', mobile: '09150000033' }, person);
    const holder = (await see(c.tracking)).holder.code, officer = await staff(b, `${holder}.officer`);
    let r = await act(c.tracking, 'request_info', officer, { expected_version: 1 });
    same(r.status, 422, 'a request for information says why');
    r = await act(c.tracking, 'request_info', officer, { expected_version: 1, comment: 'قبض خوانا نیست' });
    same(r.status, 200, r.text);
    same((await see(c.tracking, officer)).clock.stopped, true);
    const mine = await see(c.tracking, person);
    const answer = mine.actions.find((x) => x.name === 'provide_info');
    good(answer, 'the citizen may answer');
    same((await act(c.tracking, 'provide_info', other, { expected_version: mine.version })).status, 404);
    const data = {};
    for (const f of answer.fields) if (f.required) data[f.name] = f.type === 'yes_no' || f.type === 'declaration' ? true : 'پاسخ من این است که سند پیوست خواناست.';
    r = await act(c.tracking, 'provide_info', person, { expected_version: mine.version, comment: 'خوانا شد', data });
    same(r.status, 200, r.text);
    const back = await see(c.tracking, officer);
    same([back.clock.stopped, back.result], [false, 'open']);
    good(back.due.legal >= c.due.legal, 'no day is lost');
    r = await act(c.tracking, 'withdraw', person, { expected_version: back.version });
    same(r.json.result, 'withdrawn', r.text);
    same((await act(c.tracking, 'withdraw', person, { expected_version: r.json.version })).status, 409, 'an end is an end');
  });
  await s.stop();
  await test(`${name}: all of it verifies`, async () => good(run('ledger', 'verify', ...where).includes('verifies'), 'verifies'));
}
await life('sqlite', ['--data', folder()]);
const pg = postgres();
if (pg) await life('postgres', ['--store', pg.url, '--keys', join(folder(), 'keys')]);
end();
