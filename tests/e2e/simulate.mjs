// A simulated past: believable, the same for the same seed, refused by a store that is not a demonstration.
import { serve, call, staff, test, same, good, end, folder, run, fails, pack } from './kit.mjs';

const one = folder(), two = folder();
let first;
await test('thirty days are simulated, and the ledger verifies', async () => {
  first = run('simulate', '--pack', pack, '--data', one, '--days', '30', '--seed', '7');
  const m = /(\d+) requests, (\d+) actions/.exec(first);
  good(m && m[1] > 500 && m[2] > 500, first);
  good(run('ledger', 'verify', '--data', one).includes('verifies'), 'verifies');
});
await test('the same seed gives the same past', async () => {
  same(run('simulate', '--pack', pack, '--data', two, '--days', '30', '--seed', '7'), first);
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
  const r = await call(s.base, 'GET', '/api/v1/desk/cases?organisation=takapo&limit=200', { token: auditor });
  same(r.status, 200);
  good(r.json.items.length > 20, 'takapo has cases');
  good(new Set(r.json.items.map((x) => x.state)).size >= 3, 'in several states');
  const histories = await Promise.all(r.json.items.map((x) => call(s.base, 'GET', `/api/v1/cases/${x.tracking}/events`, { token: auditor })));
  good(histories.some((h) => h.json.items.some((e) => e.action === 'escalate')), 'whoever is above was told of late cases');
  const asked = (await Promise.all(r.json.items.map((x) => call(s.base, 'GET', `/api/v1/cases/${x.tracking}`, { token: auditor })))).flatMap((x) => x.json.children || []);
  good(asked.some((c) => c.state === 'inquiry_answered'), 'inquiries were answered');
  await s.stop();
});
end();
