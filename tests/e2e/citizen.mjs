// The citizen's side: complaints with a clock and a decider of their own, "not repaired" reaches the former officer, the survey, and the pages
// (mandates, acting, the case in its states) in a browser. SHOTS names a folder for pictures, CHROMIUM the browser.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { serve, call, staff, citizen, test, same, good, end, folder, postgres, run, until, flaws, browser as launch } from './kit.mjs';

const A = '/api/v1', MARYAM = '0499370899', ALI = '0060495219';

function tools(b) {
  const get = (path, token) => call(b, 'GET', A + path, { token });
  return {
    get,
    example: async (code) => (await get(`/services/${code}`)).json.form_schema.examples[0],
    file: (service, data, token) => call(b, 'POST', `${A}/services/${service}/cases`, { token, key: `k${Math.random()}`, body: { data } }),
    act: async (t, action, token, body = {}) => call(b, 'POST', `${A}/cases/${t}/actions/${action}`, { token, body: { expected_version: (await get(`/cases/${t}`, token)).json.version ?? 1, ...body } }),
  };
}

async function life(name, where) {
  const s = await serve(where), b = s.base, { get, example, file, act } = tools(b);
  const maryam = await citizen(b, MARYAM, '09151234567'), ali = await citizen(b, ALI, '09151234568');
  await test(`${name}: a complaint is tied to the case, once, and nobody who handled that case decides it`, async () => {
    const t = (await file('complaint', { ...(await example('complaint')), national_id: MARYAM, mobile: '09151234567', case_tracking: undefined }, maryam)).json.tracking;
    const officer = await staff(b, 'ostandari.officer'), other = await staff(b, 'ostandari.officer2');
    same((await act(t, 'assign', officer)).status, 200);
    const words = { ...(await example('complaint')), national_id: MARYAM, mobile: '09151234567', case_tracking: t };
    const r = await file('complaint', words, maryam);
    same(r.status, 201, r.text);
    same((await file('complaint', words, maryam)).status, 409, 'one open complaint about one case');
    same((await get(`/cases/${t}`, maryam)).json.complaints.map((c) => [c.tracking, c.result]), [[r.json.tracking, 'open']]);
    same((await get(`/cases/${r.json.tracking}`, maryam)).json.about, t);
    same((await get(`/cases/${t}`, officer)).json.complaints.length, 1, 'the office that is complained about sees it');
    const stranger = await file('complaint', { ...words, national_id: ALI, mobile: '09151234568' }, ali);
    same([stranger.status, (await get(`/cases/${stranger.json.tracking}`, ali)).json.about], [201, undefined], "another's case is not tied");
    const c = r.json.tracking;
    const to = async (who) => { const names = (await get(`/cases/${c}`, who)).json.actions.map((a) => a.name); return names; };
    same((await act(c, 'assign', other, {})).status, 200);
    for (let i = 0; i < 3 && !(await to(other)).includes('approve'); i++) for (const step of ['inquire', 'decide', 'skip']) if ((await to(other)).includes(step)) await act(c, step, other);
    if ((await to(other)).includes('approve')) {
      const no = await act(c, 'approve', officer, { comment: 'x' });
      same(no.status, 403, no.text);
      same((await act(c, 'approve', other, { comment: 'تأخیر وارد است' })).json?.result, 'approved');
    } else {
      const no = await act(c, 'reject', officer, { comment: 'x', reason: 'duplicate' });
      good([403, 409].includes(no.status), no.text);
    }
  });
  await test(`${name}: what is not repaired goes back to who had it, as often as the service allows`, async () => {
    const t = (await file('road-fault', await example('road-fault'), maryam)).json.tracking, holder = (await get(`/cases/${t}`)).json.holder.code;
    const officer = await staff(b, `${holder}.officer`);
    same((await act(t, 'assign', officer)).status, 200);
    for (let i = 0; i < 2; i++) {
      const st = (await get(`/cases/${t}`, officer)).json;
      if (st.actions.some((a) => a.name === 'assign') && st.state === 'reported') await act(t, 'assign', officer);
      same((await act(t, 'repair', officer)).status, 200);
      same((await act(t, 'close', maryam)).json?.result, 'closed');
      good((await get(`/cases/${t}`, maryam)).json.reopen_until > new Date().toISOString().slice(0, 10), 'until when');
      same((await act(t, 'reopen', maryam, { comment: 'هنوز باز است' })).json?.state, 'reported');
      same((await get(`/cases/${t}`, officer)).json.assignee, `${holder}.officer`, 'who had it has it again');
    }
    await act(t, 'repair', officer);
    same((await act(t, 'close', maryam)).json?.result, 'closed');
    const third = await act(t, 'reopen', maryam, { comment: 'باز هم' });
    same(third.status, 409, third.text);
    same((await act(t, 'reopen', officer, { comment: 'بازدید شد' })).json?.state, 'reported', 'the office may whenever it finds a mistake');
  });
  return s;
}

async function pages(s) {
  const b = s.base, { get, example, file, act } = tools(b);
  const browser = await launch();
  const cleanly = async (page, name) => {
    same(await flaws(page), [], `accessibility of ${name}`);
    if (process.env.SHOTS) { mkdirSync(process.env.SHOTS, { recursive: true }); await page.screenshot({ path: join(process.env.SHOTS, `${name}.png`), fullPage: true }); }
  };
  const enter = async (id, mobile, lang, width) => {
    const page = await (await browser.newContext({ viewport: { width, height: 900 }, javaScriptEnabled: true })).newPage();
    await page.goto(`${b}/signin?lang=${lang}`);
    await page.fill('[name=national_id]', id);
    await page.fill('[name=mobile]', mobile);
    await page.press('main button[type=submit]', 'Enter');
    const box = (await call(b, 'GET', '/demo/outbox')).json;
    await page.fill('[name=code]', /[0-9۰-۹]{5,8}/.exec(box.find((m) => m.to === mobile).text)[0]);
    await page.press('main button[type=submit]', 'Enter');
    return page;
  };
  const maryam = await citizen(b, MARYAM, '09151234567');
  const day = new Date(Date.now() + 30 * 86400000).toISOString().slice(0, 10);
  await test('pages: a mandate is accepted, acted under with a bar on every page, and left with one click', async () => {
    const m = (await file('mandate', { attorney_id: ALI, attorney_mobile: '09151234568', your_name: 'مریم رضایی', scope: 'all', until: day, consent: true }, maryam)).json.tracking;
    const page = await enter(ALI, '09151234568', 'fa', 360);
    await page.goto(`${b}/mine/mandates`);
    await cleanly(page, 'mandates-offered-360-fa');
    await page.goto(`${b}/cases/${m}/actions/accept`);
    await cleanly(page, 'mandate-accept-360-fa');
    same(await page.locator('main input[type=file]').count(), 0, 'an acceptance asks for no papers');
    await page.press('main form[method=post] button[type=submit]', 'Enter');
    await page.goto(`${b}/mine/mandates`);
    const old = await page.inputValue('form[action="/acting"] [name=form_token]');
    await page.press('form[action="/acting"] button', 'Enter');
    good(page.url().endsWith('/mine') && (await page.locator('aside.acting').innerText()).includes('مریم رضایی'), page.url());
    await cleanly(page, 'acting-mine-360-fa');
    const stale = await page.request.post(`${b}/acting/leave`, { form: { form_token: old }, maxRedirects: 0 });
    same(stale.status(), 403, 'a form opened as oneself is not sent for another');
    await page.goto(`${b}/services/farm-subsidy/apply`);
    good(await page.locator('aside.acting').count() === 1, 'the bar is on the form too');
    await cleanly(page, 'acting-form-360-fa');
    await page.press('form[action="/acting/leave"] button', 'Enter');
    good(await page.locator('aside.acting').count() === 0, 'left');
    await page.goto(`${b}/mine/mandates`);
    await page.press('form[action="/acting"] button', 'Enter');
    same((await act(m, 'revoke', maryam)).json?.state, 'ended');
    await page.goto(`${b}/mine`);
    good(await page.locator('aside.acting').count() === 0, 'taken back, one is oneself again');
    const wide = await enter(MARYAM, '09151234567', 'en', 1440);
    await wide.goto(`${b}/mine/mandates?lang=en`);
    await cleanly(wide, 'mandates-given-1440-en');
  });
  await test('pages: the case in its states says what is, until when, and what one can do; the survey is answered', async () => {
    const t = (await file('village-residence', { ...(await example('village-residence')), national_id: MARYAM, mobile: '09151234567' }, maryam)).json.tracking;
    const holder = (await get(`/cases/${t}`)).json.holder.code, officer = await staff(b, `${holder}.officer`);
    const page = await enter(MARYAM, '09151234567', 'fa', 1440), small = await enter(MARYAM, '09151234567', 'en', 360);
    const see = async (name) => {
      await page.goto(`${b}/cases/${t}`);
      await cleanly(page, `case-${name}-1440-fa`);
      await small.goto(`${b}/cases/${t}?lang=en`);
      await cleanly(small, `case-${name}-360-en`);
      const words = await page.locator('main').innerText();
      good(!/\b(true|false|null)\b/.test(words), 'no word of a machine among those for people');
      return words;
    };
    good((await see('submitted')).includes('اکنون کاری لازم نیست'), 'nothing is needed');
    if ((await get(`/cases/${t}`, officer)).json.actions.some((a) => a.name === 'assign')) await act(t, 'assign', officer);
    await act(t, 'request_info', officer, { reason: 'explain', comment: 'قبض آب را هم بفرستید' });
    good((await see('asked')).includes('قبض آب'), 'what is asked stands there');
    await act(t, 'provide_info', maryam, { data: { answer: 'پیوست شد.' } });
    await act(t, 'reject', officer, { reason: 'not-resident', comment: 'سابقه‌ای نیست' });
    if ((await get(`/cases/${t}`, maryam)).json.result !== 'rejected') await act(t, 'reject', officer, { reason: (await get(`/cases/${t}`, officer)).json.actions.find((a) => a.name === 'reject').reasons[0].code, comment: 'سابقه‌ای نیست' });
    good((await see('rejected')).includes('مهلت اعتراض'), 'with the last day to appeal');
    await page.goto(`${b}/cases/${t}`);
    await page.locator('details.complain summary').press('Enter');
    await page.locator('details.complain a').press('Enter');
    good(/\/services\/complaint\//.test(page.url()), page.url());
    await page.goto(`${b}/cases/${t}`);
    await page.locator('input[name=score][value="2"]').check({ force: true });
    await page.locator('details.more summary').press('Enter');
    await cleanly(page, 'survey-1440-fa');
    await page.locator('input[name=item_time][value="1"]').check({ force: true });
    await page.locator('input[name=item_no_visit][value="yes"]').check({ force: true });
    await page.locator('form[action$="/rating"] button').press('Enter');
    good(page.url().includes('thanks=1'), page.url());
    await page.goto(`${b}/mine/access`);
    await cleanly(page, 'access-1440-fa');
  });
  await browser.close();
}

const data = ['--data', folder()];
let s = await life('sqlite', data);
await pages(s);
await s.stop();
await test('sqlite: all of it verifies', async () => good(run('ledger', 'verify', ...data).includes('verifies'), 'verifies'));
const pg = postgres();
if (pg) { s = await life('postgres', ['--store', pg.url, '--keys', join(folder(), 'keys')]); await s.stop(); }
end();
