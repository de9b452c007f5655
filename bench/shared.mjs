// What the benchmarks share: peers that are started and always stopped, and the way of a case to its approval.
import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { call, staff, sleep } from '../tests/e2e/kit.mjs';

const running = [];
process.on('exit', () => running.forEach(end));
export const end = (child) => { try { process.kill(-child.pid, 'SIGKILL'); } catch { /* gone already */ } };
export function launch(program, args, env, cwd) { // a peer in a group of its own; VERBOSE=1 shows what it complains of
  const child = spawn(program, args, { cwd, detached: true, stdio: ['ignore', 'ignore', process.env.VERBOSE ? 'inherit' : 'ignore'], env: { PATH: process.env.PATH, HOME: cwd, ...env } });
  running.push(child);
  return child;
}
export const freePort = () => new Promise((good) => { const s = createServer().listen(0, '127.0.0.1', () => { const { port } = s.address(); s.close(() => good(port)); }); });
export async function until(url, headers, what) {
  for (let i = 0; i < 240; i++) {
    try { if ((await fetch(url, { headers })).status < 500) return; } catch { /* not yet */ }
    await sleep(500);
  }
  throw new Error(`${what} does not answer`);
}

// Which actions lead from the beginning to the approval, found by walking one case.
export async function route(base, service) {
  const def = (await call(base, 'GET', `/api/v1/services/${service}`)).json;
  const example = def.form_schema.examples[0];
  const made = await call(base, 'POST', `/api/v1/services/${service}/cases`, { key: `probe-${Date.now()}`, body: { data: { ...example, national_id: nationalId() } } });
  if (made.status !== 201) throw new Error(`${service}: ${made.text}`);
  const operator = await staff(base, 'operator');
  const holder = (await call(base, 'GET', `/api/v1/cases/${made.json.tracking}`, { token: operator })).json.holder.code;
  const token = await staff(base, `${holder}.officer`), actions = [];
  for (let version = 1; actions.length < 4; version++) {
    const view = (await call(base, 'GET', `/api/v1/cases/${made.json.tracking}`, { token })).json;
    if (view.result !== 'open') return { service, holder, token, actions, example };
    const has = (n) => view.actions.some((a) => a.name === n);
    const next = version === 1 && has('assign') ? 'assign' : has('approve') ? 'approve' : view.actions.find((a) => !a.reason && !a.fields?.length && !['withdraw', 'request_info', 'suspend', 'assign'].includes(a.name))?.name;
    const r = await call(base, 'POST', `/api/v1/cases/${made.json.tracking}/actions/${next}`, { token, body: { expected_version: version } });
    if (r.status !== 200) throw new Error(`${service}: ${next}: ${r.text}`);
    actions.push(next);
  }
  throw new Error(`${service} has no short way to its approval`);
}
export function nationalId() {
  const d = String(70000000 + Math.floor(Math.random() * 29999999)).padStart(9, '0');
  const r = [...d].reduce((s, c, i) => s + Number(c) * (10 - i), 0) % 11;
  return d + (r < 2 ? r : 11 - r);
}
