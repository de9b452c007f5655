// The citizen's and the officer's way through the pages, without and with scripts, in two languages and three widths.
// node tests/e2e/web.mjs [BINARY]     needs playwright-core and axe-core; CHROMIUM names the browser, SHOTS a folder for pictures.
// CHAPAR_URL uses a demonstration that already runs.
import { spawn } from 'node:child_process';
import { mkdtempSync, mkdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import http from 'node:http';
import path from 'node:path';
import assert from 'node:assert/strict';
import { flaws, port as free, until, browser as launch } from './kit.mjs';

const root = path.resolve(path.dirname(new URL(import.meta.url).pathname), '../..');
const shots = process.env.SHOTS;
let base = process.env.CHAPAR_URL, server, folder, count = 0;

async function start() {
  if (base) return;
  folder = mkdtempSync(path.join(tmpdir(), 'chapar-e2e-'));
  const port = await free();
  const binary = process.argv[2] || path.join(root, 'build/chapar');
  server = spawn(binary, ['serve', '--pack', path.join(root, 'packs/khorasan-razavi'), '--data', folder, '--demo', '--listen', `127.0.0.1:${port}`], { stdio: 'ignore' });
  base = `http://127.0.0.1:${port}`;
  await until('the server', () => fetch(base + '/health').then(r => r.ok, () => false));
}

const ok = text => { count++; console.log(`ok ${count} ${text}`); };
const json = async where => (await fetch(base + where)).json();

async function picture(page, name) {
  if (!shots) return;
  mkdirSync(shots, { recursive: true });
  await page.screenshot({ path: path.join(shots, name + '.png'), fullPage: true });
}

const accessible = async (page, name) => assert.deepEqual(await flaws(page), [], `accessibility of ${name}`);

/* By the keyboard: a click at a place misses when the font arrives between the look and the click. */
const mark = async (box) => { if (!await box.isChecked()) await box.press('Space'); };

/* Fill whatever the screen asks from a complete valid answer. */
async function fillScreen(page, answer) {
  const asked = await page.$$eval('main form[method=post] [name]', all => [...new Set(all.filter(e => e.type !== 'hidden').map(e => e.name))]);
  for (const name of asked) {
    if (!(name in answer)) continue;
    const value = answer[name], box = page.locator(`main form[method=post] [name="${name}"]`).first();
    const kind = await box.evaluate(e => e.tagName === 'INPUT' ? e.type : e.tagName.toLowerCase());
    if (kind === 'radio' || kind === 'checkbox') {
      for (const one of Array.isArray(value) ? value : [String(value)]) await mark(page.locator(`main [name="${name}"][value="${one}"]`));
    } else if (kind === 'select') {
      const offered = await box.locator(`option[value="${value}"]`).count(); // of a very long list only what is known is offered
      await box.selectOption(offered ? String(value) : { index: 1 });
    } else if (kind !== 'file') {
      await box.fill(String(value));
    }
  }
  await Promise.all([page.waitForNavigation(), page.locator('main form[method=post] button[type=submit]:not([name=more])').last().press('Enter')]);
}

async function eligibility(page, definition) {
  if (!page.url().endsWith('/eligibility')) return;
  for (const one of definition.eligibility || []) {
    const bad = one.exit_when?.is;
    const good = one.type === 'yes_no' ? String(bad !== true && bad !== 'true') : (one.choices || []).map(c => c.value).find(v => v !== bad && !(one.exit_when?.in || []).includes(v));
    await mark(page.locator(`main [name="${one.field}"][value="${good}"]`));
  }
  await Promise.all([page.waitForNavigation(), page.locator('main form[method=post] button[type=submit]:not([name=more])').press('Enter')]);
}

/* From the service's page to the receipt; the tracking code. With `twice` the last form is sent two times at once. */
async function apply(page, code, look, twice, answers) {
  const definition = await json(`/api/v1/services/${code}`), answer = answers || definition.form_schema.examples[0];
  await page.goto(`${base}/services/${code}`);
  await look?.(page, `service-${code}`);
  await page.locator('a.start').press('Enter');
  await look?.(page, `eligibility-${code}`);
  await eligibility(page, definition);
  for (let i = 0; i < 40 && !/\/check$/.test(page.url()); i++) {
    assert.match(page.url(), /\/form\/\d+/, `${code}: ${await page.locator('main').innerText()}`);
    await look?.(page, `form-${code}-${i + 1}`);
    const before = page.url();
    await fillScreen(page, answer);
    assert.notEqual(page.url(), before, `${code}: the screen was refused: ${await page.locator('main').innerText()}`);
  }
  await look?.(page, `check-${code}`);
  if (twice) {
    const form = { form_token: await page.locator('main form[action$="/submit"] [name=form_token]').inputValue() }, where = `${base}/services/${code}/submit`;
    const send = () => page.context().request.post(where, { form, maxRedirects: 0 });
    const answers = [...await Promise.all([send(), send()]), await send()], to = answers.map(a => a.headers().location);
    assert.ok(to[0] && to[0] === to[1] && to[1] === to[2], `sent three times: ${to}`);
    return to[0].match(/\d{16}/)[0];
  }
  await page.locator('main form[method=post] button[type=submit]:not([name=more])').press('Enter');
  assert.match(page.url(), /\/cases\/\d{16}\/receipt$/, await page.locator('main').innerText());
  await look?.(page, `receipt-${code}`);
  return page.url().match(/\d{16}/)[0];
}

async function signIn(page, id, mobile) {
  await page.goto(`${base}/signin?next=/mine`);
  await page.fill('#national_id', id);
  await page.fill('#mobile', mobile);
  await page.locator('main button[type=submit]').press('Enter');
  await page.waitForURL(/\/signin\/code/);
  const code = await until('the one-time code', async () => (await json('/demo/outbox')).find(m => m.to === mobile && /[0-9۰-۹]{5,8}/.test(m.text))?.text.match(/[0-9۰-۹]{5,8}/)[0]);
  await page.fill('#code', code);
  await page.locator('main button[type=submit]').press('Enter');
  await page.waitForURL(/\/mine/);
}

async function officer(page, organisation, role = 'officer') {
  const account = (await json('/demo/accounts')).find(a => a.organisation === organisation && a.role === role) || (await json('/demo/accounts')).find(a => a.role === 'officer');
  await page.goto(base + '/staff');
  await page.fill('#username', account.username);
  await page.fill('#password', account.password);
  await page.locator('main button[type=submit]').press('Enter');
  await page.waitForURL(/\/desk/);
  return account;
}

/* The desk's acts: the next case, remarks, one action on many; scripts are off in `page`. */
async function deskActs(page, shown) {
  const send = { method: 'POST', headers: { 'Content-Type': 'application/json' } };
  const answer = (await json('/api/v1/services/village-residence')).form_schema.examples[0], filed = [];
  for (let i = 0; i < 4; i++) {
    const sent = await fetch(`${base}/api/v1/services/village-residence/cases`, { ...send, headers: { ...send.headers, 'Idempotency-Key': `desk-${i}` }, body: JSON.stringify({ data: { ...answer, mobile: '09150000051' } }) });
    filed.push((await sent.json()).tracking);
  }
  const holder = (await json(`/api/v1/cases/${filed[0]}`)).holder.code, main = () => page.locator('main').innerText();
  const here = `${base}/desk?organisation=${holder}`, press = where => Promise.all([page.waitForNavigation(), page.locator(`form[action$="${where}"] button`).first().press('Enter')]);
  await officer(page, holder, 'supervisor');
  await officer(shown, holder, 'supervisor');
  await page.goto(here);
  await press('/desk/next');
  assert.match(page.url(), /\/cases\/\d{16}\?stream=1/, await main());
  const first = page.url().match(/\d{16}/)[0];
  await page.fill('#remark', 'با متقاضی تلفنی صحبت شد.');
  await press('/remarks');
  assert.match(page.url(), new RegExp(`/cases/${first}(\\?stream=1)?#remarks`));
  assert.ok((await page.locator('#remarks').innerText()).includes('با متقاضی تلفنی صحبت شد.'), 'the remark stands there');
  await page.goto(`${base}/cases/${first}?stream=1`);
  await press('/desk/next');
  assert.ok(!page.url().includes(first), 'the next case is another one');
  assert.match(page.url(), /stream=1|nothing=1/);
  ok('the next case, a remark, the next one, without scripts');
  await page.goto(here);
  await press('/desk/bulk');
  assert.match(page.url(), /unchosen=1/);
  assert.equal(await page.locator('main [role=alert]').count(), 1, 'told that none was chosen');
  const boxes = page.locator('input[name=case]');
  assert.ok(await boxes.count() >= 2, await main());
  for (let i = 0; i < 2; i++) await mark(boxes.nth(i));
  const codes = await boxes.evaluateAll(all => all.filter(b => b.checked).map(b => b.value.split(':')[0]));
  const to = await page.locator('#assignee option').evaluateAll(all => all.map(o => o.value).find(v => /officer2$/.test(v)));
  await page.selectOption('#assignee', to);
  await press('/desk/bulk');
  assert.match(page.url(), /\/desk\/bulk$/);
  await picture(page, 'plain-bulk');
  assert.ok(!(await main()).includes('✖'), await main());
  for (const code of codes) {
    await page.goto(`${base}/cases/${code}`);
    assert.ok((await main()).includes(to), `${code} is in the hands of ${to}`);
  }
  ok('two cases handed out at once without scripts');
  for (const where of ['', '&nothing=1', '&unchosen=1', '&view=mine', '&view=late', '&view=soon', '&view=waiting', '&view=appeals', '&view=closed']) {
    await shown.goto(here + where);
    await accessible(shown, `desk${where}`);
  }
  for (const width of [360, 768, 1440]) {
    await shown.setViewportSize({ width, height: 900 });
    await shown.goto(`${here}&view=open`);
    await accessible(shown, `the desk at ${width}`);
    await picture(shown, `desk-fa-${width}`);
    await shown.goto(`${base}/cases/${first}?stream=1`);
    await accessible(shown, `remarks at ${width}`);
    await picture(shown, `remarks-fa-${width}`);
  }
  await shown.goto(here);
  await mark(shown.locator('input[name=case]').first());
  await Promise.all([shown.waitForNavigation(), shown.locator('form[action="/desk/bulk"] button').first().press('Enter')]);
  assert.match(shown.url(), /\/desk\/bulk$/);
  await accessible(shown, 'the result of a group action');
  await shown.goto(here);
  await shown.locator('h1').click();
  await shown.keyboard.press('j');
  assert.match(await shown.evaluate(() => document.activeElement.getAttribute('href') || ''), /\/cases\/\d{16}/, 'j goes to the first case');
  await page.context().clearCookies();
  await officer(page, holder);
  assert.equal(await page.locator('#assignee').count(), 0, 'an officer hands nothing out');
  ok('the desk, its notices, remarks and results are accessible');
}

/* The queues of the desk: every count is the length of its list, and every address keeps what was chosen. */
async function queues(page, tracking) {
  await page.goto(`${base}/desk`);
  const tabs = await page.locator('.tabs a').evaluateAll(all => all.map(a => ({ href: a.getAttribute('href'), count: a.querySelector('.count')?.innerText })));
  assert.equal(tabs.length, 9);
  for (const tab of tabs) {
    await page.goto(base + tab.href);
    await accessible(page, tab.href);
    const latin = tab.count?.replace(/[۰-۹]/g, d => '۰۱۲۳۴۵۶۷۸۹'.indexOf(d));
    if (latin && !latin.endsWith('+') && Number(latin) <= 50) assert.equal(await page.locator('tbody tr').count(), Number(latin), tab.href);
  }
  await page.goto(`${base}/desk?view=open`);
  const service = await page.locator('#dservice option').nth(1).getAttribute('value');
  await page.selectOption('#dservice', service);
  await page.locator('form[role=search] button').press('Enter');
  assert.match(page.url(), new RegExp(`view=open.*service=${service}`));
  assert.equal(await page.locator('#dservice').inputValue(), service);
  assert.match(await page.locator('.tabs a').nth(1).getAttribute('href'), new RegExp(`service=${service}`));
  await page.goto(`${base}/desk?q=${tracking}`);
  assert.equal(await page.locator('tbody tr').count(), 1, 'found by its code');
  await page.goto(`${base}/desk`);
  await page.keyboard.press('j');
  assert.equal(await page.evaluate(() => document.activeElement.getAttribute('href')), await page.locator('tbody a').first().getAttribute('href'));
  await page.keyboard.press('/');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'dq');
  await page.keyboard.type('j');
  assert.equal(await page.locator('#dq').inputValue(), 'j', 'keys are letters inside the search');
  await page.setViewportSize({ width: 768, height: 900 });
  await page.goto(`${base}/desk`);
  await accessible(page, 'the desk on a tablet');
  await picture(page, 'desk-tablet');
  await page.setViewportSize({ width: 1280, height: 900 });
}

function anotherNationalId() {
  const nine = String(100000000 + Math.floor(Math.random() * 899999999)), sum = [...nine].reduce((all, d, i) => all + Number(d) * (10 - i), 0) % 11;
  return nine + (sum < 2 ? sum : 11 - sum);
}

/* A request that is refused, as its citizen reads it; the tracking code, or nothing where this service cannot be refused. */
async function rejected(browser, mobile) {
  const answer = { ...(await json('/api/v1/services/takapo-register')).form_schema.examples[0], national_id: anotherNationalId(), mobile: mobile.slice(0, -1) + '9' };
  const context = await browser.newContext({ locale: 'fa-IR', viewport: { width: 320, height: 700 }, serviceWorkers: 'block' }), mine = await context.newPage();
  const desk = await browser.newContext({ locale: 'fa-IR', viewport: { width: 1280, height: 900 }, serviceWorkers: 'block' }), work = await desk.newPage();
  await signIn(mine, answer.national_id, answer.mobile);
  const tracking = await apply(mine, 'takapo-register', null, false, answer);
  await officer(work, 'takapo');
  for (const [action, fill] of [['assign'], ['reject', async () => { await work.selectOption('#reason', { index: 1 }); await work.fill('#comment', 'مدرک جور نیست'); }]]) {
    await work.goto(`${base}/cases/${tracking}/actions/${action}`);
    await fill?.();
    await work.locator('main form[method=post] button[type=submit]:not([name=more])').press('Enter');
    assert.match(work.url(), /done=1/, await work.locator('main').innerText());
  }
  await mine.goto(`${base}/cases/${tracking}`);
  await accessible(mine, 'a refused case');
  await picture(mine, 'case-rejected');
  assert.ok((await mine.locator('.state').innerText()).includes('مدرک جور نیست'), 'the reason stands first');
  await mine.locator('form[action$="/rating"] button').press('Enter');
  assert.ok(await mine.locator('#rate .wrong').count(), 'a rating without a choice is refused on the page');
  await accessible(mine, 'a rating without a choice');
  await mine.goto(`${base}/cases/${tracking}/actions/appeal`);
  await accessible(mine, 'appeal');
  assert.equal(await mine.locator('main textarea').count(), 1, 'why one appeals is asked once');
  await mine.emulateMedia({ media: 'print', colorScheme: 'dark' });
  await mine.goto(`${base}/cases/${tracking}`);
  assert.equal(await mine.evaluate(() => getComputedStyle(document.body).color), 'rgb(0, 0, 0)', 'paper is printed black on white');
  await context.close();
  await desk.close();
  return tracking;
}

/* The home page, its style and its script as they travel, fonts apart. */
async function weight() {
  const page = await (await fetch(base + '/')).text(), parts = ['/', page.match(/href="([^"]*site\.css[^"]*)"/)[1], page.match(/src="([^"]*site\.js[^"]*)"/)[1]];
  let all = 0;
  for (const part of parts) {
    const url = new URL(part.replaceAll('&#x2F;', '/').replaceAll('&#x3D;', '='), base);
    all += await new Promise((done, fail) => http.get(url, { headers: { 'accept-encoding': 'gzip' } }, r => {
      let n = 0;
      r.on('data', d => { n += d.length; }).on('end', () => done(n)).on('error', fail);
    }).on('error', fail));
  }
  return all;
}

async function main() {
  await start();
  const browser = await launch();
  try {
    const code = process.env.SERVICE || 'takapo-register', other = 'building-permit';
    for (const [lang, width] of [['fa', 320], ['en', 320], ['fa', 768], ['fa', 1440], ['en', 1440]]) {
      const context = await browser.newContext({ viewport: { width, height: 800 }, serviceWorkers: 'block' }), page = await context.newPage();
      await page.goto(`${base}/?lang=${lang}`);
      for (const where of ['/', '/services', '/services?q=ساختمن', '/services?q=qqqqq', '/services?organisation=takapo', `/services/${other}`, '/track?code=12', '/signin', '/staff', '/ledger', '/help/ussd', '/privacy', '/nothing', '/mine/drafts']) {
        await page.goto(base + where);
        assert.equal(await page.locator('html').getAttribute('lang'), lang);
        const name = `${lang}-${width}-${where.replace(/[^a-z]+/gi, '_')}`;
        await picture(page, name);
        await accessible(page, name);
      }
      await context.close();
      ok(`pages in ${lang} at ${width}`);
    }

    const plain = await browser.newContext({ locale: 'fa-IR', javaScriptEnabled: false, viewport: { width: 320, height: 700 } }), page = await plain.newPage();
    const tracking = await apply(page, code, async (p, name) => picture(p, `plain-${name}`));
    ok(`applied for ${code} without scripts: ${tracking}`);
    await page.goto(`${base}/cases/${tracking}`);
    const everybody = await page.locator('main').innerText(), example = (await json(`/api/v1/services/${code}`)).form_schema.examples[0];
    for (const secret of [example.national_id, example.mobile, example.last_name].filter(Boolean)) assert.ok(!everybody.includes(secret), 'the public page holds nothing personal');
    await picture(page, 'plain-case-public');
    ok('the public page of a case holds nothing personal');
    await page.goto(`${base}/services/${code}/form/1`);
    ok('a new request begins with an empty form');
    await plain.close();

    const citizen = await browser.newContext({ locale: 'fa-IR', viewport: { width: 390, height: 800 }, serviceWorkers: 'block' }), mine = await citizen.newPage();
    await signIn(mine, example.national_id, example.mobile);
    await accessible(mine, 'mine');
    await picture(mine, 'mine');
    await mine.goto(`${base}/cases/${tracking}`);
    await accessible(mine, 'case');
    await picture(mine, 'case-citizen');
    assert.ok(await mine.locator('.summary').count(), 'the citizen sees the answers');
    ok('the citizen sees the case after signing in');

    const desk = await browser.newContext({ locale: 'fa-IR', viewport: { width: 1280, height: 900 }, serviceWorkers: 'block' }), work = await desk.newPage();
    const view = await json(`/api/v1/cases/${tracking}`);
    await officer(work, view.organisation);
    await accessible(work, 'desk');
    await picture(work, 'desk');
    await work.goto(`${base}/cases/${tracking}`);
    await accessible(work, 'case of an officer');
    await picture(work, 'case-officer');
    const actions = await work.locator('.actions a').evaluateAll(all => all.map(a => a.getAttribute('href')));
    assert.ok(actions.length, `the officer can act: ${await work.locator('main').innerText()}`);
    const assign = actions.find(a => a.endsWith('/assign')) || actions[0];
    await work.goto(base + assign);
    await accessible(work, 'an action');
    await picture(work, 'action');
    await work.locator('main form[method=post] button[type=submit]:not([name=more])').press('Enter');
    assert.match(work.url(), /done=1/, await work.locator('main').innerText());
    ok('an officer acts on the case');
    const ask = (await work.locator('.actions a').evaluateAll(all => all.map(a => a.getAttribute('href')))).find(a => a.endsWith('/request_info'));
    if (ask) {
      await work.goto(base + ask);
      await work.locator('main form[method=post] button[type=submit]:not([name=more])').press('Enter');
      await accessible(work, 'a refused action');
      await picture(work, 'action-refused');
      assert.ok(await work.locator('.faults').count(), 'a reason is demanded');
      assert.ok(await work.locator('.faults a[href="#reason"]').count(), 'the summary leads to the list of reasons');
      await work.selectOption('#reason', { index: 1 });
      await work.fill('#comment', 'لطفاً توضیح دهید');
      await work.locator('main form[method=post] button[type=submit]:not([name=more])').press('Enter');
      assert.match(work.url(), /done=1/);
      assert.ok((await work.locator('.state').innerText()).includes('منتظر متقاضی'), 'an officer reads for whom the case waits');
      await mine.goto(`${base}/cases/${tracking}`);
      assert.ok((await mine.locator('.state').innerText()).includes('لطفاً توضیح دهید'), 'what is asked stands at the top');
      await picture(mine, 'case-waits');
      const anybody = await browser.newContext({ locale: 'fa-IR', viewport: { width: 320, height: 700 }, serviceWorkers: 'block' }), passer = await anybody.newPage();
      await passer.goto(`${base}/cases/${tracking}`);
      await accessible(passer, 'the public page of a case that waits');
      assert.ok(!(await passer.locator('main').innerText()).includes('لطفاً توضیح دهید'), 'what is asked is for the citizen alone');
      assert.ok(await passer.locator('main a.button[href^="/signin"]').count(), 'the public page says where to answer');
      await passer.goto(`${base}/services/egov-course`);
      if (await passer.locator('a[href^="/staff?next="]').count()) assert.equal(await passer.locator('a.start').count(), 0, 'what is for staff is not begun by others');
      await anybody.close();
      await mine.goto(`${base}/mine`);
      assert.ok(await mine.locator('.pill.waits').count(), 'the list shows whose turn it is');
      await mine.goto(`${base}/cases/${tracking}/actions/provide_info`);
      await accessible(mine, 'provide_info');
      for (const area of await mine.locator('main textarea').all()) await area.fill('این توضیح من است');
      await mine.locator('main form[method=post] button[type=submit]:not([name=more])').press('Enter');
      assert.match(mine.url(), /done=1/, await mine.locator('main').innerText());
      ok('asked for information, answered by the citizen');
    }
    await work.goto(`${base}/cases/${tracking}/actions/transfer?find.to=آب`);
    if (await work.locator('#find-to').count()) {
      assert.ok((await work.locator('main .note').innerText()).includes('کامل‌تر'), 'too many names are not called none');
      await work.locator('main form[method=post] button[type=submit]:not([name=more])').press('Enter');
      assert.ok(await work.locator('.faults a[href="#find-to"]').count(), 'a destination is demanded');
      assert.equal(await work.locator('#find-to').inputValue(), 'آب', 'what was searched stays');
      await accessible(work, 'a refused transfer');
    }
    await queues(work, tracking);
    ok('the desk in queues, narrowed by service and state, by keyboard and without scripts');
    const approve = async () => {
      await work.goto(`${base}/cases/${tracking}`);
      const where = (await work.locator('.actions a').evaluateAll(all => all.map(a => a.getAttribute('href')))).find(a => a.endsWith('/approve'));
      if (!where) return false;
      await work.goto(base + where);
      await work.locator('main form[method=post] button[type=submit]:not([name=more])').press('Enter');
      assert.match(work.url(), /done=1/, await work.locator('main').innerText());
      return true;
    };
    if (await approve()) {
      await mine.goto(`${base}/cases/${tracking}`);
      await picture(mine, 'case-approved');
      await accessible(mine, 'an approved case');
      if (code === 'takapo-register') await until('the certificate', async () => { await mine.goto(`${base}/cases/${tracking}`); return mine.locator(`a[href$="/certificate"]`).count(); }); // it is made after the answer
      if (await mine.locator(`a[href$="/certificate"]`).count()) {
        await mine.locator(`a[href$="/certificate"]`).press('Enter');
        await accessible(mine, 'certificate');
        await picture(mine, 'certificate');
      }
      await mine.goto(`${base}/cases/${tracking}`);
      if (await mine.locator('input[name=score]').count()) {
        await mark(mine.locator('input[name=score][value="5"]'));
        await mine.locator('form[action$="/rating"] button').press('Enter');
        assert.match(mine.url(), /thanks=1/, await mine.locator('main').innerText());
      }
      ok('approved, with a certificate, and rated');
    }
    await mine.goto(`${base}/mine/access`);
    assert.ok(await mine.locator('main .rows li').count(), 'the look is shown to the citizen');
    await accessible(mine, 'access');
    await picture(mine, 'access');
    ok('the citizen sees who looked');

    const strange = await apply(mine, other, async (p, name) => { await picture(p, `js-${name}`); await accessible(p, name); });
    ok(`applied for ${other} signed in: ${strange}`);
    ok(`three clicks make one case: ${await apply(mine, 'road-fault', null, true)}`);
    const internal = (await json('/api/v1/services?limit=200')).items.map(i => i.code).includes('egov-course');
    if (internal) ok(`a member of staff applied: ${await apply(work, 'egov-course', async (p, name) => accessible(p, name))}`);
    await mine.goto(`${base}/services/${other}/eligibility`);
    await eligibility(mine, await json(`/api/v1/services/${other}`));
    for (let i = 0; i < 20 && !await mine.locator('input[type=file]').count() && !/\/check$/.test(mine.url()); i++)
      await fillScreen(mine, (await json(`/api/v1/services/${other}`)).form_schema.examples[0]);
    const file = mine.locator('input[type=file]').first();
    if (await file.count()) {
      const here = mine.url();
      await file.setInputFiles({ name: 'سند.pdf', mimeType: 'application/pdf', buffer: Buffer.from('%PDF-1.4\n%%EOF\n') });
      const box = mine.locator('main input[type=checkbox]:not(.mini)').last();
      if (await box.count()) await mark(box);
      await mine.locator('main form[method=post] button[type=submit]:not([name=more])').last().press('Enter');
      await mine.goto(here);
      assert.ok((await mine.locator('.files').innerText()).includes('سند.pdf'));
      await accessible(mine, 'documents');
      await picture(mine, 'documents');
      await mine.locator('input[type=file]').first().setInputFiles({ name: 'virus.exe', mimeType: 'application/pdf', buffer: Buffer.from('MZ') });
      await mine.locator('main form[method=post] button[type=submit]:not([name=more])').last().press('Enter');
      assert.ok(await mine.locator('.faults').count(), 'a file of another kind is refused');
      ok('a document is kept, one of a wrong kind refused');
    }
    await mine.goto(`${base}/services/${other}/eligibility`);
    for (const input of await mine.locator('main input[type=radio]').all()) await input.evaluate(e => { e.checked = false; });
    await mine.locator('main form[method=post] button[type=submit]:not([name=more])').press('Enter');
    assert.ok(await mine.locator('.faults li a').count() > 0);
    await accessible(mine, 'error summary');
    await picture(mine, 'faults');
    ok('mistakes are summed up with links to the fields');

    const unscripted = await browser.newContext({ locale: 'fa-IR', javaScriptEnabled: false, viewport: { width: 360, height: 800 } });
    const scripted = await browser.newContext({ locale: 'fa-IR', viewport: { width: 1440, height: 900 }, serviceWorkers: 'block' });
    await deskActs(await unscripted.newPage(), await scripted.newPage());
    await mine.goto(`${base}/services/${other}/eligibility`);
    await mine.locator('main [name=form_token]').evaluate(e => { e.value = 'x'; });
    await mine.locator('main form[method=post] button[type=submit]:not([name=more])').press('Enter');
    await accessible(mine, 'a form that came too late');
    await picture(mine, 'stale');
    assert.equal(await mine.locator('main a.button').getAttribute('href'), `/services/${other}/eligibility`);
    ok('a form that came too late offers to open it again');

    const refused = await rejected(browser, example.mobile);
    if (refused) ok(`refused: the reason stands first, a rating needs a choice, the appeal asks once: ${refused}`);

    const heavy = await weight();
    assert.ok(heavy < 50 * 1024, `the first page weighs ${heavy} bytes`);
    ok(`the first page with its style and script is ${heavy} bytes compressed`);

    const forged = await fetch(`${base}/services/${other}/submit`, { method: 'POST', headers: { 'Content-Type': 'application/x-www-form-urlencoded' }, body: 'form_token=x' });
    assert.equal(forged.status, 403);
    ok('a form without its token is refused');
  } finally {
    await browser.close();
  }
  console.log(`1..${count}`);
}

try {
  await main();
} catch (problem) {
  console.error(problem);
  process.exitCode = 1;
} finally {
  server?.kill();
  if (folder) rmSync(folder, { recursive: true, force: true });
}
