// Two at once, over both engines: of two who act on one case one wins and the other is told, on a page too; two nodes do each job once; and
// whatever kill -9 cuts short (deadlines, effects, retention) is done exactly once in the end. ROUNDS: how often it is killed.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { serve, call, staff, citizen, test, same, good, end, folder, postgres, run, pack, load, example, sleep, until } from './kit.mjs';

const A = '/api/v1', S = 'village-residence', rounds = Number(process.env.ROUNDS || 2);

async function meet(name, where, where2) {
  const s = await serve(where), b = s.base, other = where2 ? await serve(where2) : s, answers = await example(b), me = await citizen(b);
  let n = 0;
  const file = async (more) => { const r = await call(b, 'POST', `${A}/services/${S}/cases`, { token: me, key: `t${n++}`, body: { data: { ...answers, ...more } } }); same(r.status, 201, r.text); return r.json.tracking; };
  const holder = (await call(b, 'GET', `${A}/cases/${await file()}`)).json.holder.code, one = await staff(b, `${holder}.officer`), two = await staff(b, `${holder}.supervisor`);
  const act = (base, tracking, action, token, body) => call(base, 'POST', `${A}/cases/${tracking}/actions/${action}`, { token, body });
  const events = async (tracking) => (await call(b, 'GET', `${A}/cases/${tracking}`, { token: one })).json.events.map((e) => e.action);

  await test(`${name}: of two officers at once, one wins and the other is told so`, async () => {
    for (let i = 0; i < 6; i++) {
      const t = await file(), version = (await call(b, 'GET', `${A}/cases/${t}`, { token: one })).json.version, body = { expected_version: version, comment: 'x' };
      const r = await Promise.all([act(b, t, 'assign', one, body), act(other.base, t, 'assign', two, body)]);
      same(r.map((x) => x.status).sort(), [200, 409], r.map((x) => x.text).join('\n'));
      same((await events(t)).filter((x) => x === 'assign').length, 1);
    }
  });
  await test(`${name}: of a citizen who takes back and an officer who goes on, one wins`, async () => {
    for (let i = 0; i < 10; i++) {
      const t = await file(), body = { expected_version: 1, comment: 'x' };
      const r = await Promise.all([act(b, t, 'withdraw', me, body), act(other.base, t, 'assign', one, body)]);
      same(r.map((x) => x.status).sort(), [200, 409], r.map((x) => x.text).join('\n'));
      same((await events(t)).length, 2);
    }
  });
  await test(`${name}: the page says that the case has moved on`, async () => {
    const t = await file(), version = 1;
    same((await act(b, t, 'assign', two, { expected_version: version, comment: 'x' })).status, 200);
    for (const lang of ['fa', 'en']) {
      const r = await call(b, 'POST', `/cases/${t}/actions/assign`, { token: one, lang, body: `expected_version=${version}&comment=x&key=k${lang}`, headers: { Accept: 'text/html', 'Content-Type': 'application/x-www-form-urlencoded' } });
      same(r.status, 409, r.text.slice(0, 300));
      good(r.text.includes('<main') && (lang === 'fa') === /[آ-ی]{4}/.test(/<main[^]*<\/main>/.exec(r.text)[0].replace(/<bdi[^]*?<\/bdi>/g, '')), 'in the language of the reader');
      good(r.text.replaceAll('&#x2F;', '/').includes(`/cases/${t}`), 'and leads back to the case');
    }
  });
  if (where2) {
    await test(`${name}: two nodes give each effect once`, async () => {
      const filed = [], keeper = await staff(b, 'ostandari.officer');
      for (let i = 0; i < 12; i++) filed.push(await file({ since: `2014-01-${10 + i}` })); // another day each, so that each decision changes the record
      await Promise.all(filed.map(async (t, i) => {
        const r = await act(i % 2 ? b : other.base, t, 'approve', one, { expected_version: 1, comment: 'x' });
        same(r.status, 200, r.text);
      }));
      const seen = async () => {
        const r = await call(b, 'GET', `${A}/registries/residents/records/${answers.national_id}`, { token: keeper });
        return r.status === 200 ? r.json.items.flatMap((x) => x.history).map((h) => h.tracking).filter((t) => filed.includes(t)).sort() : [];
      };
      await until('every entry', seen, (x) => x.length >= filed.length);
      await sleep(600); // what were done twice would come now
      same(await seen(), [...filed].sort(), 'each decision made one entry of the register');
      const messages = (await call(b, 'GET', '/demo/outbox?limit=200')).json, digits = (x) => x.text.replace(/[۰-۹]/g, (d) => '۰۱۲۳۴۵۶۷۸۹'.indexOf(d)).replace(/\D/g, '');
      for (const t of filed) good(messages.filter((m) => m.channel === 'sms' && digits(m).includes(t)).length <= 2, `no message twice about ${t}`);
    });
    await other.stop();
  }
  await s.stop();
  good(/the ledger verifies/.test(run('ledger', 'verify', '--pack', pack, ...where)), 'verified');
}

// Cases whose time was over long ago, and the process killed while it erases them and people file: each is erased once.
async function killed(name, where) {
  const first = await serve(where), answers = await example(first.base), count = 120, file = join(folder(), 'old.csv');
  await first.stop();
  const fields = Object.keys(answers).filter((k) => !['accuracy', 'since'].includes(k)), cell = (x) => `"${String(x).replaceAll('"', '""')}"`;
  writeFileSync(file, [['number', 'submitted_at', 'state', 'closed_at', ...fields].join(','), ...Array.from({ length: count }, (_, i) => [`K-${i}`, '1389/03/02', i % 2 ? 'approved' : 'rejected', '1389/04/10', ...fields.map((f) => cell(answers[f]))].join(','))].join('\n'));
  run('import', 'cases', file, '--service', S, '--pack', pack, ...where);
  await test(`${name}: killed ${rounds} times under load, every job is done once and the ledger verifies`, async () => {
    for (let i = 0; i < rounds; i++) {
      const s = await serve(where), till = { over: false };
      const work = load(s.base, answers, new Map(), `k${i}`, till, { workers: 4 }).catch(() => {});
      await sleep(100 + Math.random() * 900);
      till.over = true;
      await s.stop('SIGKILL');
      await work;
    }
    const s = await serve(where), b = s.base, auditor = await staff(b, 'auditor'), figure = async () => /chapar_case_outbox (\d+)/.exec((await call(b, 'GET', '/metrics')).text)[1];
    await until('all to be done', async () => await figure() === '0' && run('retention', '--dry-run', '--pack', pack, ...where).includes('dry run: 0 cases'));
    same(await figure(), '0', 'no effect is left over');
    const holder = (await call(b, 'GET', `${A}/desk/cases?organisation=ostandari`, { token: auditor })).status === 200 && (await call(b, 'POST', `${A}/services/${S}/cases`, { token: await citizen(b), key: 'last', body: { data: answers } })).json.tracking;
    const desk = (await call(b, 'GET', `${A}/cases/${holder}`)).json.holder.code, all = (await call(b, 'GET', `${A}/desk/export?organisation=${desk}`, { token: auditor })).text.trim().split('\n').map((x) => JSON.parse(x));
    const erased = all.filter((x) => x.data === null);
    same(erased.length, count, 'all that were over');
    for (const x of erased) same((await call(b, 'GET', `${A}/cases/${x.tracking}/events`)).json.items.map((e) => e.action), ['submit', 'import', 'erase'], x.tracking);
    await s.stop();
    good(/the ledger verifies/.test(run('ledger', 'verify', '--pack', pack, ...where)), 'every case agrees with its events');
  });
}

const dir = folder();
await meet('sqlite', ['--data', dir]);
await killed('sqlite', ['--data', folder()]);
const pg = postgres();
if (pg) {
  const where = ['--store', pg.url, '--keys', folder()];
  await meet('postgres', [...where], [...where]);
  await killed('postgres', ['--store', pg.fresh(), '--keys', folder()]);
}
end();
