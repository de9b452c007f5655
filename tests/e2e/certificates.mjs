// Certificates as their people use them: issued at the decision, downloaded, told genuine by anybody, replaced, revoked, called into question.
// node tests/e2e/certificates.mjs [pages]     pages: in a browser, with axe, two languages and two widths (SHOTS names a folder for pictures).
import { writeFileSync, mkdirSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { serve, call, staff, citizen, test, same, good, end, folder, postgres, run, until, flaws, browser as launch } from './kit.mjs';

const A = '/api/v1', sha = (b) => createHash('sha256').update(b).digest('hex');
const bytes = async (b, path, token) => { const r = await fetch(b + path, { headers: { Authorization: `Bearer ${token}`, 'Accept-Language': 'en' } }); return { status: r.status, type: r.headers.get('content-type'), body: Buffer.from(await r.arrayBuffer()) }; };
const words = (pdf) => { const f = join(folder(), 'a.pdf'); writeFileSync(f, pdf); return execFileSync('pdftotext', ['-layout', f, '-'], { encoding: 'utf8' }).normalize('NFKC').replace(/[\u200c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, ''); };

async function people(b) {
  const sample = (await call(b, 'GET', `${A}/services/village-residence`)).json.form_schema.examples[0], mobile = '09150000071';
  const person = await citizen(b, sample.national_id, mobile);
  const file = async (key) => { const r = await call(b, 'POST', `${A}/services/village-residence/cases`, { key, token: person, body: { data: { ...sample, mobile } } }); same(r.status, 201, r.text); return r.json.tracking; };
  const see = async (t, token) => (await call(b, 'GET', `${A}/cases/${t}`, { token })).json;
  const act = async (t, action, token, more = {}) => { const r = await call(b, 'POST', `${A}/cases/${t}/actions/${action}`, { token, body: { expected_version: (await see(t, token)).version, ...more } }); same(r.status, 200, `${action}: ${r.text}`); return r.json; };
  const first = await file('c1'), owner = (await see(first)).holder.code, token = {};
  for (const role of ['officer', 'supervisor', 'manager']) token[role] = await staff(b, `${owner}.${role}`);
  return { sample, mobile, person, file, see, act, first, owner, token };
}

// Whoever guesses codes is stopped: sixty questions a minute from one address, by every way together, and then a sentence that says when to come again.
async function guessing() {
  const s = await serve(['--data', folder()], { demo: false }), b = s.base;
  let typed; // well formed, and nobody's
  for (const last of '23456789ABCDEFGHJKMNPQRSTVWXYZ01') if (!typed && (await call(b, 'GET', `/verify/K7QM2XPD9T4${last}`)).status === 200) typed = `K7QM2XPD9T4${last}`;
  const code = () => typed;
  await test('sixty questions a minute are answered to one address', async () => {
    const f = () => { const form = new FormData(); form.append('file', new Blob([Buffer.from('%PDF-1.4\n%%EOF\n')], { type: 'application/pdf' }), 'a.pdf'); return form; };
    const ask = [(i) => call(b, 'GET', `/verify/${code(i)}`), (i) => call(b, 'GET', `${A}/certificates/${code(i)}`), () => call(b, 'POST', `${A}/certificates/verify`, { body: f() }), (i) => call(b, 'GET', `/verify?code=${code(i)}`)];
    const answers = [];
    good(typed, 'a code');
    for (let i = 1; i < 60; i++) answers.push((await ask[i % 4](i)).status);
    good(answers.every((x) => x !== 429), answers.join());
    for (const [i, way] of ask.entries()) { // many at once: while a slow machine asks one after the other, the minute goes on
      const r = (await Promise.all(Array.from({ length: 130 }, () => way(i)))).find((x) => x.status === 429);
      good(r && r.text.length > 50, `${i}: nobody is refused, or not told`);
    }
    same((await call(b, 'GET', '/verify')).status, 200, 'the page itself is there');
    same((await call(b, 'GET', `${A}/services`)).status, 200, 'and everything else');
  });
  await s.stop();
}

async function life(name, where) {
  const s = await serve(where), b = s.base, p = await people(b), t = p.first, P = `${A}/cases/${t}`;
  const check = async (body, lang = 'en') => { const f = new FormData(); for (const [k, v] of Object.entries(body)) f.append(k, v instanceof Buffer ? new Blob([v], { type: 'application/pdf' }) : v, ...(v instanceof Buffer ? ['a.pdf'] : [])); return call(b, 'POST', `${A}/certificates/verify`, { body: f, lang }); };
  const change = (what, token, body, tracking = t) => call(b, 'POST', `${A}/cases/${tracking}/certificate/${what}`, { token, body });
  const list = async (token = p.person, tracking = t) => (await call(b, 'GET', `${A}/cases/${tracking}/certificates`, { token })).json;
  let paper, one;

  await test(`${name}: before the decision there is none; after it there is one, once`, async () => {
    same((await call(b, 'GET', `${P}/certificate`, { token: p.person })).status, 404);
    await p.act(t, 'approve', p.token.officer);
    if (where[0] === '--data') await until('issued without anybody asking', async () => Number(execFileSync('sqlite3', [join(where[1], 'chapar.db'), 'SELECT COUNT(*) FROM certificate'], { encoding: 'utf8' })), (n) => n === 1);
    const all = await Promise.all(Array.from({ length: 6 }, () => bytes(b, `${P}/certificate`, p.person)));
    paper = all[0].body;
    same(all.map((x) => [x.status, x.type, sha(x.body)]), Array(6).fill([200, 'application/pdf', sha(paper)]), 'the same bytes for all');
    const l = await list();
    same([l.items.length, l.items[0].issue, l.items[0].sha256, l.items[0].size, l.items[0].status], [1, 1, sha(paper), paper.length, 'valid']);
    one = l.items[0];
    good(l.text.includes(p.sample.national_id) && !l.may_change, JSON.stringify(l));
  });
  await test(`${name}: the paper says what was decided, in Persian and English`, async () => {
    const text = words(paper), day = new Date().toLocaleDateString('fa-IR-u-ca-persian-nu-arabext', { year: 'numeric', timeZone: 'Asia/Tehran' });
    for (const w of ['گواهی سکونت در روستا', 'گواهی می شود دارنده کد ملی'.replace('می شود', 'میشود'), 'ساکن روستای', day.slice(0, 4), 'Village residence certificate', 'This certifies that the holder of national ID', p.sample.national_id, one.code_shown, 'Valid until'])
      good(text.replace(/\s+/g, ' ').includes(w), `«${w}» in ${text}`);
    good(paper.includes(`Chapar certificate ${one.code_shown}`) && paper.length < 80000, `${paper.length} bytes`);
  });
  await test(`${name}: anybody has it told genuine, by code or file, and proves it`, async () => {
    const by = await call(b, 'GET', `${A}/certificates/${one.code}`);
    same([by.status, by.json.status, by.json.file, by.json.sha256, by.json.number, by.json.organisation], [200, 'valid', null, sha(paper), one.number, p.owner], by.text);
    good(by.json.holder.includes('*') && !by.text.includes(p.sample.national_id) && !by.text.includes(p.mobile), 'the holder is masked');
    const fa = one.code.replace(/[0-9]/g, (d) => '۰۱۲۳۴۵۶۷۸۹'[d]);
    for (const typed of [one.code_shown, one.code.toLowerCase(), ` ${one.code_shown.replaceAll('-', ' ')} `, fa, one.code.replaceAll('0', 'O').replaceAll('1', 'l')])
      same((await call(b, 'GET', `${A}/certificates/${encodeURIComponent(typed)}`)).json.code, one.code, typed);
    const f = await check({ file: paper });
    same([f.status, f.json.status, f.json.file, f.json.code], [200, 'valid', 'same', one.code], f.text);
    good(/[آ-ی]/.test((await check({ file: paper }, 'fa')).json.sentence), 'in Persian');
    const leaf = JSON.parse(f.json.proof.leaf.payload);
    same([leaf.sha256, leaf.code], [sha(paper), one.code]);
    const file = join(folder(), 'proof.json');
    const proof = await until('placed', async () => (await check({ file: paper })).json.proof.receipt, (r) => r.leaf_index !== undefined);
    writeFileSync(file, JSON.stringify(proof));
    good(/proved|holds|stands|leaf/i.test(run('ledger', 'check', file)), 'the receipt');
    const wrong = JSON.parse(JSON.stringify(proof));
    wrong.leaf.payload = wrong.leaf.payload.replace(leaf.sha256, '0'.repeat(64));
    writeFileSync(file, JSON.stringify(wrong));
    try { run('ledger', 'check', file); throw new Error('took it'); } catch (e) { good(e.status === 1, String(e)); }
  });
  await test(`${name}: altered, unknown and malformed are told apart`, async () => {
    const other = Buffer.from(paper);
    other[other.length - 100] ^= 1;
    const a = await check({ file: other });
    same([a.json.status, a.json.file, a.json.code], ['altered', 'differs', one.code], 'its code is named in it');
    const plain = Buffer.from('%PDF-1.4 something else');
    same([(await check({ file: plain })).json.status, (await check({ file: plain, code: one.code_shown })).json.status], ['unknown', 'altered']);
    same(Object.keys((await check({ file: plain })).json).sort(), ['sentence', 'status']);
    const last = one.code.slice(-1), mistyped = one.code.slice(0, -1) + (last === 'A' ? 'B' : 'A');
    same((await call(b, 'GET', `${A}/certificates/${mistyped}`)).status, 404, 'the check character');
    same([(await call(b, 'GET', `${A}/certificates/000000000000`)).status, (await call(b, 'GET', `${A}/certificates/x`)).status], [404, 404]);
    same([(await check({})).status, (await check({ file: Buffer.alloc(2 * 1024 * 1024 + 10000) })).status], [422, 413]);
    same((await call(b, 'POST', `${A}/certificates/verify`, { body: '{}' })).status, 415, 'a form');
  });
  await test(`${name}: whose it is not gets nothing; a look of the office is on record`, async () => {
    for (const who of [await citizen(b, '0084575948', '09151112233'), await staff(b, 'takapo.officer')])
      same([(await call(b, 'GET', `${P}/certificate`, { token: who })).status, (await call(b, 'GET', `${P}/certificates`, { token: who })).status], [404, 404]);
    same((await call(b, 'GET', `${P}/certificate`)).status, 401);
    same((await call(b, 'GET', `${P}/certificate`, { token: await staff(b, `${p.owner}.helpdesk`) })).status, 403, 'who sees the case masked');
    same(sha((await bytes(b, `${P}/certificate`, p.token.officer)).body), sha(paper));
    const looks = (await call(b, 'GET', `${A}/me/access`, { token: p.person })).json.items;
    good(looks.some((x) => x.tracking === t && JSON.stringify(x).includes(p.owner)), JSON.stringify(looks));
  });
  await test(`${name}: lost: a new one takes its place, once, and the old one says so`, async () => {
    same((await change('reissue', p.token.officer, { issue: 1, reason: 'lost' })).status, 403, 'not an officer');
    same((await change('reissue', await staff(b, 'takapo.manager'), { issue: 1, reason: 'lost' })).status, 404);
    same((await change('reissue', p.person, { issue: 1, reason: 'lost' })).status, 403);
    same((await change('reissue', p.token.supervisor, { issue: 1, reason: 'error' })).json.errors[0].field, 'reason');
    same((await change('reissue', p.token.supervisor, { reason: 'lost' })).json.errors[0].field, 'issue');
    const two = await Promise.all(['supervisor', 'manager'].map((r) => change('reissue', p.token[r], { issue: 1, reason: 'lost', comment: 'گفت در سیل از دست رفت' })));
    same(two.map((r) => r.status).sort(), [200, 409], two.map((r) => r.text).join());
    const l = await list();
    same(l.items.map((x) => [x.issue, x.status, x.reason]), [[2, 'valid', null], [1, 'replaced', 'lost']]);
    const old = await check({ file: paper });
    same([old.json.status, old.json.file, old.json.ended_on !== null], ['replaced', 'same', true]);
    good(!old.text.includes('سیل'), 'the comment is not for the public');
    const now = (await bytes(b, `${P}/certificate`, p.person)).body;
    same([sha(now), (await check({ file: now })).json.status], [l.items[0].sha256, 'valid']);
    same(sha((await bytes(b, `${P}/certificate?issue=1`, p.person)).body), sha(paper), 'the earlier one is kept');
    good(words(now).includes('صدور این نسخه') && l.items[0].valid_until === one.valid_until, 'with the same end');
    const e = (await call(b, 'GET', `${P}/events`, { token: p.person })).json.items.find((x) => x.action === 'certificate_reissue');
    same([e.reason, e.comment, e.title], ['lost', 'گفت در سیل از دست رفت', 'The certificate was issued again']);
    const box = (await call(b, 'GET', '/demo/outbox')).json;
    good(box.some((m) => m.to === p.mobile && /new copy|نسخهٔ تازه/.test(m.text)), 'the citizen is told');
  });
  await test(`${name}: revoked with its reason, for good`, async () => {
    same((await change('revoke', p.token.manager, { issue: 1, reason: 'false_documents' })).status, 409, 'no longer the newest');
    same((await change('revoke', p.token.manager, { issue: 2, reason: 'false_documents', comment: 'استشهاد جعلی' })).status, 200);
    const l = await list();
    same(l.items.map((x) => x.status), ['revoked', 'replaced']);
    const r = await call(b, 'GET', `${A}/certificates/${l.items[0].code}`, { lang: 'fa' });
    same([r.json.status, r.json.reason], ['revoked', 'false_documents']);
    good(r.json.sentence.includes('مدارک نادرست') && !r.text.includes('جعلی'), r.json.sentence);
    same((await change('reissue', p.token.manager, { issue: 2, reason: 'lost' })).status, 409, 'not from the dead');
    await bytes(b, `${P}/certificate`, p.person);
    same((await list()).items.length, 2, 'asking for it does not bring it back');
  });
  await test(`${name}: a case that is opened again does not leave its certificate valid`, async () => {
    const u = await p.file('c2');
    await p.act(u, 'approve', p.token.officer);
    const before = (await list(p.person, u)).items[0], status = async () => (await call(b, 'GET', `${A}/certificates/${before.code}`)).json.status;
    same(await status(), 'valid');
    await p.act(u, 'reopen', p.token.manager, { comment: 'شکایت رسید' });
    same(await status(), 'under_review', 'from that moment');
    same((await change('reissue', p.token.manager, { issue: 1, reason: 'lost' }, u)).status, 409);
    await p.act(u, 'approve', p.token.supervisor);
    await until('replaced by the new decision', status, (x) => x === 'replaced');
    const l = await list(p.person, u);
    same(l.items.map((x) => [x.issue, x.status, x.reason]), [[2, 'valid', null], [1, 'replaced', 'decided_again']]);
    await p.act(u, 'reopen', p.token.manager, { comment: 'باز هم' });
    const action = (await p.see(u, p.token.officer)).actions.find((x) => x.name === 'reject');
    await p.act(u, 'reject', p.token.officer, { comment: 'نبود', reason: action.reasons[0]?.code });
    const after = await call(b, 'GET', `${A}/certificates/${l.items[0].code}`);
    same([after.json.status, after.json.reason], ['revoked', 'overturned'], 'at once');
    await until('in its record too', async () => (await list(p.person, u)).items[0].reason, (x) => x === 'overturned');
  });
  await test(`${name}: the pages do the same without a script`, async () => {
    const u = await p.file('c3'), cookie = (token) => ({ Cookie: `session=${token}` });
    await p.act(u, 'approve', p.token.officer);
    const mine = await call(b, 'GET', `/cases/${u}/certificate`, { headers: cookie(p.person) });
    same(mine.status, 200, mine.text);
    const code = (await list(p.person, u)).items[0].code_shown;
    good(mine.text.includes(code) && mine.text.includes('Download the certificate') && !mine.text.includes('Revoke the certificate'), 'code and download');
    const boss = await call(b, 'GET', `/cases/${u}/certificate`, { headers: cookie(p.token.supervisor) });
    const token = /name="form_token" value="([^"]+)"/.exec(boss.text)[1], form = (o) => new URLSearchParams({ form_token: token, issue: '1', ...o }).toString();
    const post = (path, o) => call(b, 'POST', path, { body: form(o), headers: { ...cookie(p.token.supervisor), 'Content-Type': 'application/x-www-form-urlencoded' } });
    same((await post(`/cases/${u}/certificate/revoke`, {})).status, 422, 'a reason is needed');
    same((await post(`/cases/${u}/certificate/reissue`, { reason: 'damaged' })).status, 303);
    same((await post(`/cases/${u}/certificate/reissue`, { reason: 'damaged' })).status, 409, 'the same form again');
    const answer = await call(b, 'GET', `/verify?code=${code}`, { lang: 'fa' });
    good(answer.status === 200 && answer.text.includes('نسخهٔ تازه'), answer.text.slice(0, 300));
    same((await call(b, 'GET', `/verify/${code}`)).status, 200, 'where the QR code leads');
    same([(await call(b, 'GET', '/verify?code=1234')).status, (await call(b, 'GET', '/verify')).status], [422, 200]);
    const f = new FormData();
    f.append('file', new Blob([(await bytes(b, `${A}/cases/${u}/certificate`, p.person)).body]), 'a.pdf');
    const by = await call(b, 'POST', '/verify', { body: f });
    good(by.status === 200 && by.text.includes('exactly the one'), by.text.slice(0, 600));
    same((await call(b, 'POST', '/verify', { body: new FormData() })).status, 422);
  });
  await s.stop();
  await test(`${name}: all of it verifies; a changed file does not`, async () => {
    good(run('ledger', 'verify', ...where).includes('verifies'), 'verifies');
    if (where[0] !== '--data') return;
    execFileSync('sqlite3', [join(where[1], 'chapar.db'), "UPDATE certificate_file SET bytes=x'00' WHERE sha256=(SELECT MIN(sha256) FROM certificate_file)"]);
    try { run('ledger', 'verify', ...where); throw new Error('took it'); } catch (e) { good(e.status === 1 && e.stdout.includes('its file was changed'), String(e.stdout || e)); }
  });
}

async function pages() {
  const s = await serve(['--data', folder()]), b = s.base, p = await people(b), t = p.first, dir = folder();
  await p.act(t, 'approve', p.token.officer);
  const paper = (await bytes(b, `${A}/cases/${t}/certificate`, p.person)).body, code = (await call(b, 'GET', `${A}/cases/${t}/certificates`, { token: p.person })).json.items[0].code_shown;
  const changed = Buffer.from(paper);
  changed[changed.length - 100] ^= 1;
  writeFileSync(join(dir, 'paper.pdf'), paper);
  writeFileSync(join(dir, 'changed.pdf'), changed);
  const browser = await launch();
  for (const lang of ['fa', 'en'])
    for (const width of [360, 1440])
      await test(`pages: ${lang} at ${width}`, async () => {
        const context = await browser.newContext({ viewport: { width, height: 900 }, javaScriptEnabled: true }), page = await context.newPage();
        const session = (token) => context.addCookies([{ name: 'lang', value: lang, url: b }, ...(token ? [{ name: 'session', value: token, url: b }] : [])]);
        const judge = async (what) => {
          same(await flaws(page), [], what);
          if (process.env.SHOTS) { mkdirSync(process.env.SHOTS, { recursive: true }); await page.screenshot({ path: join(process.env.SHOTS, `${what}-${lang}-${width}.png`), fullPage: true }); }
        };
        await session();
        await page.goto(`${b}/verify`);
        await judge('verify');
        await page.fill('#code', code.toLowerCase().replaceAll('-', ' '));
        await Promise.all([page.waitForNavigation(), page.press('#code', 'Enter')]);
        good(await page.locator('.state.approved').count() === 1, 'genuine');
        await judge('verified');
        for (const [file, sort] of [['paper.pdf', '.approved'], ['changed.pdf', '.rejected']]) {
          await page.goto(`${b}/verify`);
          await page.setInputFiles('#file', join(dir, file));
          await Promise.all([page.waitForNavigation(), page.locator('form[method=post][action="/verify"] button').press('Enter')]);
          good(await page.locator(`.state${sort}`).count() === 1, file);
          await judge(`file-${sort.slice(1)}`);
        }
        await page.goto(`${b}/verify?code=abc`);
        await judge('verify-wrong');
        await session(p.person);
        await page.goto(`${b}/cases/${t}/certificate`);
        await judge('certificate');
        await session(p.token.supervisor);
        await page.goto(`${b}/cases/${t}/certificate`);
        await judge('certificate-office');
        await context.close();
      });
  await browser.close();
  await s.stop();
}

if (process.argv[2] === 'pages') await pages();
else {
  await guessing();
await life('sqlite', ['--data', folder()]);
  const pg = postgres();
  if (pg) await life('postgres', ['--store', pg.url, '--keys', join(folder(), 'keys')]);
}
end();
