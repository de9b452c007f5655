// An officer at the desk with the keyboard, on a tablet and on a telephone: one action on many, calls, the stream of cases.
// node tests/e2e/officer.mjs     needs playwright-core and axe-core; CHROMIUM names the browser, SHOTS a folder for pictures.
import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { serve, call, staff, test, same, good, end, folder } from './kit.mjs';

const require = createRequire(import.meta.url);
const { chromium } = require('playwright-core');
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8'), shots = process.env.SHOTS;
const s = await serve(['--data', folder()]), b = s.base, A = '/api/v1';
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || '/usr/bin/chromium', args: ['--no-sandbox'] });
const example = (await call(b, 'GET', `${A}/services/village-residence`)).json.form_schema.examples[0], cases = [];
for (let i = 0; i < 6; i++) cases.push((await call(b, 'POST', `${A}/services/village-residence/cases`, { key: `o${i}`, body: { data: { ...example, mobile: '09150000051' } } })).json.tracking);
const holder = (await call(b, 'GET', `${A}/cases/${cases[0]}`)).json.holder.code, here = `${b}/desk?organisation=${holder}`;
const accounts = (await call(b, 'GET', '/demo/accounts')).json, boss = await staff(b, `${holder}.supervisor`);

async function as(role, { lang = 'fa', width = 1280, script = true } = {}) {
  const context = await browser.newContext({ locale: lang === 'fa' ? 'fa-IR' : 'en-US', javaScriptEnabled: script, viewport: { width, height: 900 }, serviceWorkers: 'block' });
  const page = await context.newPage(), who = accounts.find((x) => x.username === `${holder}.${role}`);
  await page.goto(`${b}/staff?lang=${lang}`);
  await page.fill('#username', who.username);
  await page.fill('#password', who.password);
  await page.locator('main button[type=submit]').click();
  await page.waitForURL(/\/desk/);
  return page;
}
const main = (page) => page.locator('main').innerText();
const gone = (page, act) => Promise.all([page.waitForNavigation(), act()]);
const picture = async (page, name) => { if (shots) { mkdirSync(shots, { recursive: true }); await page.screenshot({ path: join(shots, `${name}.png`), fullPage: true }); } };
// Nothing that axe-core finds, nothing that scrolls sideways; on a tablet and smaller nothing that a finger misses.
async function sound(page, name) {
  await picture(page, name.replace(/[^a-z0-9]+/gi, '-'));
  await page.evaluate(axe);
  const found = await page.evaluate(() => window.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'] }));
  same(found.violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.target.join(' ')).slice(0, 3).join(' | ')}`), [], `accessibility of ${name}`);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  good(wide <= 1, `${name} scrolls sideways by ${wide}`);
  if (page.viewportSize().width > 1024) return;
  const small = await page.evaluate(() => [...document.querySelectorAll('main button, main a.button, main select, main input:not([type=hidden]):not([type=checkbox]):not([type=radio]), main textarea, main .tabs a, main .pick, main tbody a, main summary')]
    .filter((e) => e.offsetParent && e.getBoundingClientRect().height < 43.5).map((e) => `${e.tagName} ${e.className} ${e.textContent.trim().slice(0, 20)} ${e.getBoundingClientRect().height}`));
  same(small, [], `touch targets of ${name}`);
}

await test('one action on many, without scripts: the chosen, what all of them allow, its form, a result for each, once', async () => {
  const page = await as('officer', { script: false });
  await page.goto(here);
  await gone(page, () => page.locator('button[formaction="/desk/group"]').click());
  good(page.url().includes('unchosen=1'), 'told that none was chosen');
  const boxes = page.locator('input[name=case]');
  for (let i = 0; i < 3; i++) await boxes.nth(i).check();
  const codes = await boxes.evaluateAll((all) => all.filter((x) => x.checked).map((x) => x.value.split(':')[0]));
  await gone(page, () => page.locator('button[formaction="/desk/group"]').click());
  const offered = await page.locator('button[name=action]').evaluateAll((all) => all.map((x) => x.value));
  good(offered.includes('request_info') && offered.includes('reject') && !offered.includes('extend') && !offered.includes('withdraw'), offered.join(' '));
  await gone(page, () => page.locator('button[name=action][value=request_info]').click());
  await gone(page, () => page.locator('main form[action="/desk/bulk"] > button').click());
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
  await gone(page, () => page.locator('main form[method=post] button[name=next]').click());
  same(await page.locator('#faults').count(), 1, 'no refusal without a reason');
  await page.selectOption('#reason', { index: 1 });
  await gone(page, () => page.locator('main form[method=post] button[name=next]').click());
  good(/\/cases\/\d{16}\?stream=1$/.test(page.url()) && !page.url().includes(first), `on to another one: ${page.url()}`);
  same((await call(b, 'GET', `${A}/cases/${first}`)).json.result, 'rejected');
  await gone(page, () => page.keyboard.press('1'));
  await gone(page, () => page.locator('main form[method=post] button[type=submit]:not([name])').click());
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
  await gone(page, () => page.locator('main form[method=post] button').click());
  same(await page.locator('#faults').count(), 1, 'what it was about is needed');
  await page.fill('#text', 'پرسید کی آماده می‌شود');
  await page.fill('#caller', 'خودش');
  await page.fill('#promise', 'فردا خبر می‌دهیم');
  await sound(page, 'a call on a case');
  await gone(page, () => page.locator('main form[method=post] button').click());
  good(/\/cases\/\d{16}#remarks/.test(page.url()), page.url());
  good((await page.locator('#remarks').innerText()).includes('فردا خبر می‌دهیم'), 'it stands there');
  await gone(page, () => page.keyboard.press('c'));
  good(/\/desk\/call\?case=\d{16}/.test(page.url()), 'on a case page it is about this case');
  const help = await as('helpdesk');
  await help.goto(`${b}/desk/call?case=${cases[0]}`);
  good(!(await main(help)).includes('0499370899') && !(await main(help)).includes('رضایی'), 'nothing of the answers for the helpdesk');
  await help.fill('#text', 'نمی‌توانست وارد شود');
  await gone(help, () => help.locator('main form[method=post] button').click());
  same((await call(b, 'GET', `${A}/cases/${cases[0]}`, { token: boss })).json.remarks.at(-1).who, `${holder}.helpdesk`);
  await page.context().close();
  await help.context().close();
});
await test('shortcuts, focus that is seen, and every page on three widths in two languages', async () => {
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
    await gone(page, () => page.locator('button[formaction="/desk/group"]').click());
    await sound(page, `group ${lang} ${width}`);
    await gone(page, () => page.locator('button[name=action]').first().click());
    await sound(page, `group form ${lang} ${width}`);
    for (const [name, where] of [['call', '/desk/call'], ['call found', `/desk/call?organisation=${holder}&q=${encodeURIComponent('رضایی')}`], ['call none', '/desk/call?q=xyz'], ['case', `/cases/${cases[0]}?stream=1`]]) {
      await page.goto(b + where);
      await sound(page, `${name} ${lang} ${width}`);
    }
    await page.context().close();
  }
});
await browser.close();
await s.stop();
end();
