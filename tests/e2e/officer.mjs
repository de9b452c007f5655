// An officer at the desk with the keyboard, on a tablet and on a telephone: one action on many, calls, the stream of cases.
// node tests/e2e/officer.mjs     needs playwright-core and axe-core; CHROMIUM names the browser, SHOTS a folder for pictures.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { serve, call, staff, test, same, good, end, folder, flaws, browser as launch } from './kit.mjs';

const shots = process.env.SHOTS;
const s = await serve(['--data', folder()]), b = s.base, A = '/api/v1';
const browser = await launch();
const example = (await call(b, 'GET', `${A}/services/village-residence`)).json.form_schema.examples[0], cases = [];
for (let i = 0; i < 6; i++) cases.push((await call(b, 'POST', `${A}/services/village-residence/cases`, { key: `o${i}`, body: { data: { ...example, mobile: '09150000051' } } })).json.tracking);
const holder = (await call(b, 'GET', `${A}/cases/${cases[0]}`)).json.holder.code, here = `${b}/desk?organisation=${holder}`;
const accounts = (await call(b, 'GET', '/demo/accounts')).json, boss_token = await staff(b, `${holder}.supervisor`), boss = boss_token;

async function as(role, { lang = 'fa', width = 1280, script = true } = {}) {
  const context = await browser.newContext({ locale: lang === 'fa' ? 'fa-IR' : 'en-US', javaScriptEnabled: script, viewport: { width, height: 900 }, serviceWorkers: 'block' });
  const page = await context.newPage(), who = accounts.find((x) => x.username === `${holder}.${role}`);
  await page.goto(`${b}/staff?lang=${lang}`);
  await page.fill('#username', who.username);
  await page.fill('#password', who.password);
  await page.locator('main button[type=submit]').press('Enter');
  await page.waitForURL(/\/desk/);
  return page;
}
const main = (page) => page.locator('main').innerText();
const gone = (page, act) => Promise.all([page.waitForNavigation(), act()]);
const picture = async (page, name) => { if (shots) { mkdirSync(shots, { recursive: true }); await page.screenshot({ path: join(shots, `${name}.png`), fullPage: true }); } };
// Nothing that axe-core finds, nothing that scrolls sideways; on a tablet and smaller nothing that a finger misses.
async function sound(page, name) {
  await picture(page, name.replace(/[^a-z0-9]+/gi, '-'));
  same(await flaws(page), [], `accessibility of ${name}`);
  if (page.viewportSize().width > 1024) return;
  const small = await page.evaluate(() => [...document.querySelectorAll('main button, main a.button, main select, main input:not([type=hidden]):not([type=checkbox]):not([type=radio]), main textarea, main .tabs a, main .pick, main tbody a, main summary')]
    .filter((e) => e.offsetParent && e.getBoundingClientRect().height < 43.5).map((e) => `${e.tagName} ${e.className} ${e.textContent.trim().slice(0, 20)} ${e.getBoundingClientRect().height}`));
  same(small, [], `touch targets of ${name}`);
}

await test('one action on many, without scripts: the chosen, what all of them allow, its form, a result for each, once', async () => {
  const page = await as('officer', { script: false });
  await page.goto(here);
  await gone(page, () => page.locator('button[formaction="/desk/group"]').press('Enter'));
  good(page.url().includes('unchosen=1'), 'told that none was chosen');
  const boxes = page.locator('input[name=case]');
  for (let i = 0; i < 3; i++) await boxes.nth(i).check();
  const codes = await boxes.evaluateAll((all) => all.filter((x) => x.checked).map((x) => x.value.split(':')[0]));
  await gone(page, () => page.locator('button[formaction="/desk/group"]').press('Enter'));
  const offered = await page.locator('button[name=action]').evaluateAll((all) => all.map((x) => x.value));
  good(offered.includes('request_info') && offered.includes('reject') && !offered.includes('extend') && !offered.includes('withdraw'), offered.join(' '));
  await gone(page, () => page.locator('button[name=action][value=request_info]').press('Enter'));
  await gone(page, () => page.locator('main form[action="/desk/bulk"] > button').press('Enter'));
  same(await page.locator('#faults').count(), 1, 'a reason is needed, before anything is done');
  for (const x of codes) same((await call(b, 'GET', `${A}/cases/${x}`, { token: boss })).json.version, 1, 'nothing was done');
  await page.selectOption('#reason', { index: 1 });
  await page.fill('#comment', 'مدرک را دوباره بفرستید.');
  // Somebody else is faster with one of them.
  await call(b, 'POST', `${A}/cases/${codes[0]}/actions/assign`, { token: boss, body: { expected_version: 1 } });
  const form = await page.locator('main form[action="/desk/bulk"]').evaluate((f) => [...new FormData(f)].map(([k, v]) => `${k}=${encodeURIComponent(v)}`).join('&'));
  const send = () => page.context().request.post(`${b}/desk/bulk`, { headers: { 'Content-Type': 'application/x-www-form-urlencoded' }, data: form });
  const first = await (await send()).text(), again = await (await send()).text();
  for (const text of [first, again]) same([text.match(/✔ /g)?.length, text.match(/✖ /g)?.length], [2, 1], 'two done, one not; and the same when it is sent again');
  for (const [i, x] of codes.entries()) {
    const v = (await call(b, 'GET', `${A}/cases/${x}`, { token: boss })).json;
    same([v.version, v.clock.stopped], [2, i > 0], i ? 'asked once, and the clock stands' : 'only what the other did');
  }
  await page.context().close();
});
await test('the stream: act and on to the next one; or done, and the way back stays', async () => {
  const page = await as('supervisor');
  await page.goto(here);
  await gone(page, () => page.keyboard.press('n'));
  good(/\/cases\/\d{16}\?stream=1$/.test(page.url()), page.url());
  const first = page.url().match(/\d{16}/)[0];
  const digit = await page.locator('main a[data-key]').evaluateAll((all) => all.find((x) => x.href.includes('/actions/reject')).dataset.key);
  await gone(page, () => page.keyboard.press(digit));
  good(page.url().includes('/actions/reject?stream=1'), page.url());
  await gone(page, () => page.locator('main form[method=post] button[name=next]').press('Enter'));
  same(await page.locator('#faults').count(), 1, 'no refusal without a reason');
  await page.selectOption('#reason', { index: 1 });
  await gone(page, () => page.locator('main form[method=post] button[name=next]').press('Enter'));
  good(/\/cases\/\d{16}\?stream=1$/.test(page.url()) && !page.url().includes(first), `on to another one: ${page.url()}`);
  same((await call(b, 'GET', `${A}/cases/${first}`)).json.result, 'rejected');
  await gone(page, () => page.keyboard.press('1'));
  await gone(page, () => page.locator('main form[method=post] button[type=submit]:not([name])').press('Enter'));
  good(/done=1&stream=1/.test(page.url()), page.url());
  good(await page.locator('main form[action="/desk/next"] button').count() === 1, 'the next case is offered');
  await page.keyboard.press('r');
  same(await page.evaluate(() => document.activeElement.id), 'remark');
  await page.keyboard.type('nd');
  await gone(page, () => page.keyboard.press('Control+Enter'));
  good(/stream=1#remarks/.test(page.url()), page.url());
  await page.context().close();
});
await test('a call with one key: found by what is said, noted on the case', async () => {
  const page = await as('officer');
  await page.goto(here);
  await gone(page, () => page.keyboard.press('c'));
  same(await page.evaluate(() => document.activeElement.id), 'cq', 'ready to type');
  await page.keyboard.type('رضایی حسین کارده');
  await gone(page, () => page.keyboard.press('Enter'));
  await page.locator('h1').click();
  await page.keyboard.press('j');
  await gone(page, () => page.keyboard.press('Enter'));
  same(await page.evaluate(() => document.activeElement.id), 'text');
  await gone(page, () => page.locator('main form[method=post] button').press('Enter'));
  same(await page.locator('#faults').count(), 1, 'what it was about is needed');
  await page.fill('#text', 'پرسید کی آماده می‌شود');
  await page.fill('#caller', 'خودش');
  await page.fill('#promise', 'فردا خبر می‌دهیم');
  await sound(page, 'a call on a case');
  await gone(page, () => page.locator('main form[method=post] button').press('Enter'));
  good(/\/cases\/\d{16}#remarks/.test(page.url()), page.url());
  good((await page.locator('#remarks').innerText()).includes('فردا خبر می‌دهیم'), 'it stands there');
  await gone(page, () => page.keyboard.press('c'));
  good(/\/desk\/call\?case=\d{16}/.test(page.url()), 'on a case page it is about this case');
  const help = await as('helpdesk');
  await help.goto(`${b}/desk/call?case=${cases[0]}`);
  good(!(await main(help)).includes('0499370899') && !(await main(help)).includes('رضایی'), 'nothing of the answers for the helpdesk');
  await help.fill('#text', 'نمی‌توانست وارد شود');
  await gone(help, () => help.locator('main form[method=post] button').press('Enter'));
  same((await call(b, 'GET', `${A}/cases/${cases[0]}`, { token: boss })).json.remarks.at(-1).who, `${holder}.helpdesk`);
  await page.context().close();
  await help.context().close();
});
await test('a letter on the pages: drafted, handed on, initialled, signed, sent; its citizen reads it; the folder', async () => {
  const officer = await as('officer'), boss = await as('supervisor'), head = await as('manager'), t = cases[5];
  await officer.goto(`${b}/cases/${t}`);
  await gone(officer, () => officer.keyboard.press('l'));
  await sound(officer, 'a new letter');
  await gone(officer, () => officer.locator('button[name=template][value=answer]').press('Enter'));
  const where = officer.url().replace(/\?.*/, '');
  good(/\/letters\/[0-9a-f]{32}$/.test(where), officer.url());
  await sound(officer, 'a draft');
  await officer.fill('#attachments', 'یک برگ');
  await gone(officer, () => officer.locator('form[action$="/edit"] button').press('Enter'));
  await gone(officer, () => officer.locator('form[action$="/hand"] button').press('Enter'));
  same(await officer.locator('button[data-key="1"]').count(), 0, 'who wrote it does not sign it');
  await boss.goto(`${b}/desk`);
  same(await boss.locator('a[href^="/desk/letters"] + .count').innerText(), '۱', 'one waits, and the desk says so');
  await gone(boss, () => boss.locator('a[href^="/desk/letters"]').press('Enter'));
  await sound(boss, 'letters that wait');
  await gone(boss, () => boss.locator('main .rows a').first().press('Enter'));
  await gone(boss, () => boss.locator('form[action$="/return"] button').press('Enter'));
  same(await boss.locator('#faults').count(), 1, 'why it is returned has to be said');
  await sound(boss, 'a return without a reason');
  await boss.goto(where);
  await gone(boss, () => boss.keyboard.press('1'));
  await head.goto(where);
  await sound(head, 'to be signed');
  await gone(head, () => head.keyboard.press('1'));
  good((await main(head)).includes('۰۰۰۰۰۱'), 'it has its number');
  await officer.goto(where);
  await gone(officer, () => officer.keyboard.press('1'));
  await sound(officer, 'sent');
  const one = (await call(b, 'GET', `${A}/cases/${t}/letters`, { token: boss_token })).json.items[0];
  same([one.status, one.recipient], ['sent', 'citizen']);
  for (const path of [`${where}/pdf`, `${b}/cases/${t}/folder`, `${b}/cases/${t}/folder?remarks=1`]) {
    const r = await officer.context().request.get(path);
    same([r.status(), (await r.body()).subarray(0, 5).toString()], [200, '%PDF-'], path);
  }
  for (const page of [officer, boss, head]) await page.context().close();
});
await test('absence on the pages: recorded by those in charge, seen on the desk and the case, ended', async () => {
  const boss = await as('supervisor'), one = await as('officer'), two = await as('officer2'), t = cases[4];
  const v = (await call(b, 'GET', `${A}/cases/${t}`, { token: boss_token })).json;
  await call(b, 'POST', `${A}/cases/${t}/actions/assign`, { token: boss_token, body: { expected_version: v.version, data: { assignee: `${holder}.officer` } } });
  await boss.goto(`${b}/desk/absence?organisation=${holder}`);
  await sound(boss, 'absence, nobody away');
  await gone(boss, () => boss.locator('main form[action="/desk/absence"] button').press('Enter'));
  same(await boss.locator('#faults').count(), 1, 'a deputy is needed');
  await sound(boss, 'absence without a deputy');
  await boss.selectOption('#username', `${holder}.officer`);
  await boss.selectOption('#deputy', `${holder}.officer2`);
  await boss.fill('#until', await boss.locator('#from').inputValue());
  await gone(boss, () => boss.locator('main form[action="/desk/absence"] button').press('Enter'));
  await sound(boss, 'absence, one away');
  await one.goto(`${b}/desk`);
  good((await main(one)).includes(`${holder}.officer2`), 'who is away is told so');
  await two.goto(`${b}/desk`);
  const tab = two.locator('.tabs a', { hasText: `${holder}.officer` });
  await gone(two, () => tab.press('Enter'));
  same(await two.locator('tbody tr').count(), 1, "the queue in the other's place");
  await sound(two, "the queue in somebody's place");
  await gone(two, () => two.locator('tbody a').first().press('Enter'));
  good((await main(two)).includes('به‌جای'), 'said on the case');
  await sound(two, 'a case of somebody away');
  await gone(boss, () => boss.locator('form[action$="/end"] button').press('Enter'));
  same(await boss.locator('form[action$="/end"]').count(), 0);
  for (const page of [boss, one, two]) await page.context().close();
});
await test('a search is kept under a name and stands among the queues', async () => {
  const page = await as('supervisor');
  await page.goto(`${here}&view=open&service=village-residence`);
  await page.locator('.keep summary').press('Enter');
  await sound(page, 'keeping a search');
  await page.fill('#keep-name', 'سکونت‌ها');
  await gone(page, () => page.locator('button[name=shared]').press('Enter'));
  const tab = page.locator('.tabs a[aria-current]');
  good((await tab.innerText()).includes('سکونت‌ها'), await tab.innerText());
  same(Number((await tab.locator('.count').innerText()).replace(/[۰-۹]/g, (d) => '۰۱۲۳۴۵۶۷۸۹'.indexOf(d))), await page.locator('tbody tr').count(), 'its count');
  await sound(page, 'a kept search');
  const other = await as('officer');
  await other.goto(here);
  good((await other.locator('.tabs').innerText()).includes('سکونت‌ها'), 'for the whole desk');
  await gone(page, () => page.locator('form[action$="/drop"] button').press('Enter'));
  good(!(await page.locator('.tabs').innerText()).includes('سکونت‌ها'), 'gone');
  await page.context().close();
  await other.context().close();
});
await test('shortcuts, focus that is seen, and every page on three widths in two languages', async () => {
  const letter_path = `/cases/${cases[5]}/letters/${(await call(b, 'GET', `${A}/cases/${cases[5]}/letters`, { token: boss_token })).json.items[0].id}`;
  for (const [lang, width] of [['fa', 360], ['fa', 768], ['fa', 1440], ['en', 360], ['en', 1440]]) {
    const page = await as('supervisor', { lang, width });
    await page.goto(here);
    await sound(page, `desk ${lang} ${width}`);
    await page.keyboard.press('Tab');
    same(await page.evaluate(() => document.activeElement.className), 'skip', 'the first stop passes over the head');
    await page.keyboard.press('?');
    good(await page.locator('#keys').evaluate((x) => x.open), 'the keys are told');
    await page.keyboard.press('Escape');
    await page.locator('h1').click();
    await page.keyboard.press('j');
    const ring = await page.evaluate(() => { const c = getComputedStyle(document.activeElement); return [c.outlineStyle, c.outlineWidth, c.boxShadow, c.backgroundColor].join(' '); });
    good(!/^none 0px none rgba\(0, 0, 0, 0\)$/.test(ring), `focus is seen: ${ring}`);
    await page.keyboard.press('x');
    same(await page.locator('input[name=case]:checked').count(), 1, 'x chooses');
    await gone(page, () => page.locator('button[formaction="/desk/group"]').press('Enter'));
    await sound(page, `group ${lang} ${width}`);
    await gone(page, () => page.locator('button[name=action]').first().press('Enter'));
    await sound(page, `group form ${lang} ${width}`);
    for (const [name, where] of [['call', '/desk/call'], ['call found', `/desk/call?organisation=${holder}&q=${encodeURIComponent('رضایی')}`], ['call none', '/desk/call?q=xyz'], ['case', `/cases/${cases[0]}?stream=1`], ['absence', `/desk/absence?organisation=${holder}`], ['letters', '/desk/letters'], ['letter', letter_path], ['new letter', `/cases/${cases[0]}/letters/new`]]) {
      await page.goto(b + where);
      await sound(page, `${name} ${lang} ${width}`);
    }
    await page.context().close();
  }
});
await browser.close();
await s.stop();
end();
