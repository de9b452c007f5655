// What the end-to-end tests share: a served Chapar on a store of the test's own, and a small HTTP client.
import { spawn, execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
export const chapar = process.env.CHAPAR_BIN || join(root, 'build', 'chapar');
export const pack = process.env.CHAPAR_TEST_PACK || join(root, 'packs', 'khorasan-razavi');
const cleanups = [];
export const folder = () => {
  const dir = mkdtempSync(join(tmpdir(), 'chapar-'));
  cleanups.push(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
};
const cleanup = () => { while (cleanups.length) { try { cleanups.pop()(); } catch { /* gone already */ } } };
process.on('exit', cleanup);
for (const s of ['SIGINT', 'SIGTERM']) process.on(s, () => process.exit(1));

// A PostgreSQL of the test's own, or null where none is installed.
export function postgres() {
  if (process.env.CHAPAR_TEST_ENGINE === 'sqlite') return null;
  const dir = folder();
  const sh = (...words) => execFileSync('sh', [join(root, 'tests/lib/pg.sh'), ...words], { encoding: 'utf8' }).trim();
  let url;
  try { url = sh('start', dir); } catch (e) { if (e.status === 77) return null; throw e; }
  cleanups.push(() => sh('stop', dir));
  return { url, kill: () => sh('kill', dir), start: () => sh('start', dir), fresh: () => sh('new', dir) };
}

// where: ['--data', DIR] or ['--store', URL]. wrap: words before the command (a network namespace, another clock). Resolves when it answers. With `heard`, standard error is kept in the answer's `said`.
export async function serve(where, { demo = true, args = [], port = 0, env = {}, from = pack, heard = false, wrap = [] } = {}) {
  const [program, ...before] = [...wrap, chapar], child = spawn(program, [...before, 'serve', '--pack', from, ...where, '--listen', `127.0.0.1:${port}`, '--access-log', 'no', ...(demo ? ['--demo'] : []), ...args],
    { stdio: ['ignore', 'pipe', heard ? 'pipe' : process.env.CHAPAR_TEST_QUIET ? 'ignore' : 'inherit'], env: { ...process.env, ...env } });
  cleanups.push(() => child.kill('SIGKILL'));
  let said = '';
  if (heard) child.stderr.on('data', (d) => { said += d; });
  const base = await new Promise((good, bad) => {
    let text = '';
    child.stdout.on('data', (d) => { text += d; const m = /at (http:\/\/\S+?)\/?\s/.exec(text); if (m) good(m[1]); });
    child.on('exit', (code) => bad(new Error(`chapar serve ended with ${code}`)));
  });
  return {
    base, child, get said() { return said; },
    stop: (signal = 'SIGTERM') => new Promise((done) => { if (child.exitCode !== null || child.signalCode !== null) return done(child.exitCode); child.on('exit', (c) => done(c)); child.kill(signal); }),
  };
}
export const run = (...args) => execFileSync(chapar, args, { encoding: 'utf8', stdio: ['pipe', 'pipe', 'pipe'] });
export const fails = (args, input) => { try { execFileSync(chapar, args, { encoding: 'utf8', stdio: ['pipe', 'pipe', 'pipe'], input, timeout: 60000 }); return { status: 0 }; } catch (e) { return { status: e.status, out: e.stdout, err: e.stderr }; } };

// The same without holding this process up: resolves with { status, out, err }. `wrapped` has words before the command.
export const runs = (...args) => wrapped([], ...args);
export const wrapped = (wrap, ...args) => new Promise((done) => {
  const [program, ...words] = [...wrap, chapar, ...args], child = spawn(program, words, { stdio: ['ignore', 'pipe', 'pipe'] }), r = { status: null, out: '', err: '' };
  child.stdout.on('data', (d) => { r.out += d; });
  child.stderr.on('data', (d) => { r.err += d; });
  child.on('close', (status) => done({ ...r, status }));
});

async function first(r) {
  const reader = r.body.getReader(), { value } = await reader.read();
  await reader.cancel();
  return Buffer.from(value || []).toString();
}
export async function call(base, method, path, { body, token, key, lang = 'en', headers = {} } = {}) {
  const h = { 'Accept-Language': lang, ...headers };
  if (body !== undefined && !(body instanceof FormData) && !h['Content-Type']) h['Content-Type'] = 'application/json';
  if (token) h.Authorization = `Bearer ${token}`;
  if (key) h['Idempotency-Key'] = key;
  const r = await fetch(base + path, { method, headers: h, body: body === undefined ? undefined : typeof body === 'string' || body instanceof FormData || body instanceof Uint8Array ? body : JSON.stringify(body), redirect: 'manual' });
  const text = /^text\/event-stream/.test(r.headers.get('content-type') || '') ? await first(r) : await r.text(); // a stream has no end
  let json = null;
  if (text && /json\b/.test(r.headers.get('content-type') || '')) json = JSON.parse(text);
  return { status: r.status, headers: r.headers, text, json };
}

// Sign in as the demonstration's staff or as a citizen by a code read from the outbox.
export async function staff(base, username) {
  const accounts = (await call(base, 'GET', '/demo/accounts')).json;
  const a = accounts.find((x) => x.username === username);
  if (!a) throw new Error(`no account ${username}`);
  const r = await call(base, 'POST', '/api/v1/sessions', { body: { username, password: a.password } });
  if (r.status !== 201) throw new Error(`sign-in of ${username}: ${r.status} ${r.text}`);
  return r.json.access_token;
}
export async function citizen(base, national_id = '0499370899', mobile = '09151234567') {
  const o = await call(base, 'POST', '/api/v1/otp', { body: { national_id, mobile } });
  if (o.status !== 202) throw new Error(`otp: ${o.status} ${o.text}`);
  const box = (await call(base, 'GET', '/demo/outbox')).json;
  const code = /[0-9۰-۹]{5,8}/.exec(box.find((m) => m.to === mobile).text)[0].replace(/[۰-۹]/g, (d) => '۰۱۲۳۴۵۶۷۸۹'.indexOf(d));
  const s = await call(base, 'POST', '/api/v1/sessions', { body: { challenge: o.json.challenge, code } });
  if (s.status !== 201) throw new Error(`session: ${s.status} ${s.text}`);
  return s.json.access_token;
}

// Load: submit until told to end, through whatever happens to the server; every acknowledgement is kept under its key.
export const filing = '/api/v1/services/village-residence/cases';
export async function load(base, example, acknowledged, prefix, until, { workers = 16, refused = () => {} } = {}) {
  let n = 0;
  const worker = async () => {
    while (!until.over) {
      const key = `${prefix}-${n++}`;
      let r = null;
      try { r = await call(base, 'POST', filing, { key, body: { data: example } }); } catch { /* the connection was cut: outcome unknown */ }
      if (r?.status === 201) acknowledged.set(key, r.json);
      else if (r && r.status !== 503) throw new Error(`${r.status} ${r.text}`);
      else await sleep(20);
      if (r?.status === 503) refused(r);
    }
  };
  await Promise.all(Array.from({ length: workers }, worker));
}
export const example = async (base) => (await call(base, 'GET', '/api/v1/services/village-residence')).json.form_schema.examples[0];
export async function missing(base, acknowledged) {
  const gone = [], all = [...acknowledged.values()];
  for (let i = 0; i < all.length; i += 32)
    await Promise.all(all.slice(i, i + 32).map(async (a) => { if ((await call(base, 'GET', `/api/v1/cases/${a.tracking}`)).status !== 200) gone.push(a.tracking); }));
  return gone;
}

let passed = 0, failed = 0;
export async function test(name, fn) {
  try { await fn(); passed++; console.log(`ok ${name}`); } catch (e) { failed++; console.log(`NOT OK ${name}\n  ${String(e.stack || e).split('\n').join('\n  ')}`); }
}
export function same(a, b, what = '') { if (JSON.stringify(a) !== JSON.stringify(b)) throw new Error(`${what}: ${JSON.stringify(a)} is not ${JSON.stringify(b)}`); }
export function good(v, what) { if (!v) throw new Error(what); }
export function end() { console.log(`${passed} good, ${failed} bad`); cleanup(); process.exit(failed ? 1 : 0); }
export const sleep = (ms) => new Promise((r) => setTimeout(r, ms));
