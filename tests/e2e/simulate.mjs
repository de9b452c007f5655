// A simulated past: believable, the same for the same seed, refused by a store that is not a demonstration.
import { serve, call, staff, test, same, good, end, folder, run, runs, fails, pack, until } from './kit.mjs';

const one = folder(), two = folder();
let first, second;
await test('thirty days are simulated, and the ledger verifies', async () => {
  await until('both to begin on one day of the province', () => (Date.now() + 3.5 * 3600e3) % 864e5 < 864e5 - 60e3);
  const both = await Promise.all([one, two].map((dir) => runs('simulate', '--pack', pack, '--data', dir, '--days', '30', '--seed', '7')));
  same(both.map((r) => r.status), [0, 0], both.map((r) => r.err).join());
  [first, second] = both.map((r) => r.out);
  const m = /(\d+) requests, (\d+) actions/.exec(first);
  good(m && m[1] > 500 && m[2] > 500, first);
  good(run('ledger', 'verify', '--data', one).includes('verifies'), 'verifies');
});
await test('the same seed gives the same past', async () => {
  same(second, first);
});
await test('a past is not simulated twice, nor in a store of real cases', async () => {
  same(fails(['simulate', '--pack', pack, '--data', one, '--days', '3', '--seed', '8']).status, 1);
  const real = folder(), s = await serve(['--data', real], { demo: false });
  const example = (await call(s.base, 'GET', '/api/v1/services/village-residence')).json.form_schema.examples[0];
  same((await call(s.base, 'POST', '/api/v1/services/village-residence/cases', { key: 'r', body: { data: example } })).status, 201);
  for (const path of ['/demo/accounts', '/demo/outbox']) same((await call(s.base, 'GET', path)).status, 404, path);
  await s.stop();
  same(fails(['simulate', '--pack', pack, '--data', real, '--days', '3', '--seed', '8']).status, 1);
});
await test('every state of a life can be looked at on the desks', async () => {
  const s = await serve(['--data', one]);
  const auditor = await staff(s.base, 'auditor');
  // Which desks were late depends on where the holidays of the last thirty days lay: look until each kind of fate is found.
  const desks = [...new Set((await call(s.base, 'GET', '/demo/accounts')).json.filter((x) => x.role === 'officer').map((x) => x.organisation))];
  const found = { escalate: 0, answered: 0, states: new Set() };
  for (const desk of ['takapo', ...desks]) {
    const r = await call(s.base, 'GET', `/api/v1/desk/cases?organisation=${desk}&limit=200`, { token: auditor });
    same(r.status, 200);
    if (desk === 'takapo') good(r.json.items.length > 20, 'takapo has cases');
    for (const x of r.json.items) {
      found.states.add(x.state);
      const events = (await call(s.base, 'GET', `/api/v1/cases/${x.tracking}/events`, { token: auditor })).json.items;
      found.escalate += events.some((e) => e.action === 'escalate');
      found.answered += events.some((e) => e.action === 'inquiry_reply');
    }
    if (found.escalate && found.answered && found.states.size >= 3) break;
  }
  good(found.states.size >= 3, 'in several states');
  good(found.escalate, 'whoever is above was told of late cases');
  good(found.answered, 'inquiries were answered');
  await s.stop();
});
end();
