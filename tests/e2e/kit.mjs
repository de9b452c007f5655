// What the end-to-end tests share: a served Chapar on a store of the test's own, and a small HTTP client.
import { spawn, execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';
import { existsSync, mkdtempSync, rmSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
export const chapar = process.env.CHAPAR_BIN || join(root, 'build', 'chapar');
export const pack = process.env.CHAPAR_TEST_PACK || join(root, 'packs', 'khorasan-razavi');
const cleanups = [], PATIENCE_MS = 180000; // for a machine that is very slow
export const folder = () => {
  const dir = mkdtempSync(join(tmpdir(), 'chapar-'));
  cleanups.push(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
};
const cleanup = () => { while (cleanups.length) { try { cleanups.pop()(); } catch { /* gone already */ } } };
process.on('exit', cleanup);
for (const s of ['SIGINT', 'SIGTERM']) process.on(s, () => process.exit(1));

// A port that is this process's until it ends, for servers that are started on it (again and again). A UDP socket holds the claim against other
// tests; below the range from which the system gives ports, so that no connection takes it while the server is down.
const claims = [];
export async function port() {
  for (;;) {
    const wanted = 15000 + Math.floor(Math.random() * 17000), claim = createSocket('udp4');
    const held = await new Promise((done) => { claim.once('error', () => done(false)); claim.bind({ port: wanted, address: '127.0.0.1', exclusive: true }, () => done(true)); });
    const free = held && await new Promise((done) => { const s = createServer(); s.once('error', () => done(false)); s.listen(wanted, '127.0.0.1', () => s.close(() => done(true))); });
    if (free) { claim.unref(); claims.push(claim); return wanted; }
    try { claim.close(); } catch { /* never bound */ }
  }
}

// A database of the test's own, or null where no PostgreSQL is installed: in the server that CHAPAR_TEST_PG names, or (and always with `own`, for
// tests that stop it, kill it or change its settings) in a server of this test's.
export function postgres({ own = false } = {}) {
  if (process.env.CHAPAR_TEST_ENGINE === 'sqlite') return null;
  const sh = (...words) => execFileSync('sh', [join(root, 'tests/lib/pg.sh'), ...words], { encoding: 'utf8' }).trim();
  const given = process.env.CHAPAR_TEST_PG;
  if (given && !own) return { url: sh('new', given), fresh: () => sh('new', given) };
  const dir = folder();
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
  const asked = () => fetch(base + path, { method, headers: h, body: body === undefined ? undefined : typeof body === 'string' || body instanceof FormData || body instanceof Uint8Array ? body : JSON.stringify(body), redirect: 'manual' });
  // A kept connection that the server closed while this process was held up (a command, an import) for longer than connections are kept: what only reads is asked again.
  const r = await asked().catch((e) => { if (method !== 'GET' || e.cause?.code !== 'UND_ERR_SOCKET') throw e; return asked(); });
  const text = /^text\/event-stream/.test(r.headers.get('content-type') || '') ? await first(r) : await r.text(); // a stream has no end
  let json = null;
  if (text && /json\b/.test(r.headers.get('content-type') || '')) json = JSON.parse(text);
  return { status: r.status, headers: r.headers, text, json };
}

// The code of the last message to this telephone that has one by itself: a tracking code or a date beside it, or a notice that came meanwhile, is none.
export async function codeTo(base, mobile) {
  for (const m of (await call(base, 'GET', '/demo/outbox')).json.filter((x) => x.to === mobile)) {
    const code = /(?<![0-9۰-۹/-])[0-9۰-۹]{6}(?![0-9۰-۹/-])/.exec(m.text)?.[0];
    if (code && !/(?:[0-9۰-۹]{4}[ -]?){4}/.test(m.text)) return code.replace(/[۰-۹]/g, (d) => '۰۱۲۳۴۵۶۷۸۹'.indexOf(d));
  }
  return null;
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
  const code = await codeTo(base, mobile);
  const s = await call(base, 'POST', '/api/v1/sessions', { body: { challenge: o.json.challenge, code } });
  if (s.status !== 201) throw new Error(`session: ${s.status} ${s.text}`);
  return s.json.access_token;
}

// Of tests/package.json. E2E_MODULES names a folder beside which they are, when it is not this one.
const installed = createRequire(process.env.E2E_MODULES ? join(process.env.E2E_MODULES, 'x.js') : import.meta.url);

// A browser whose patience is that of `until`, or null where none is installed. What is pressed is pressed by a key: a click at a place misses when the
// font arrives between the look and the click.
export async function browser() {
  const executablePath = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((x) => x && existsSync(x));
  if (!executablePath) return null;
  const { chromium } = installed('playwright-core');
  const one = await chromium.launch({ executablePath, args: ['--no-sandbox'], timeout: PATIENCE_MS }), context = one.newContext.bind(one);
  one.newContext = async (options) => { const c = await context(options); c.setDefaultTimeout(PATIENCE_MS); return c; };
  return one;
}

// What axe finds on a page, each fault with its first places, and whether it scrolls sideways: nothing where all is well.
let axe;
export async function flaws(page) {
  axe ??= readFileSync(installed.resolve('axe-core/axe.min.js'), 'utf8');
  await page.evaluate(axe);
  return page.evaluate(async () => {
    const found = await window.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'], resultTypes: ['violations'] }), root = document.documentElement;
    const list = found.violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.target.join(' ')).slice(0, 3).join(' | ')}`), wide = root.scrollWidth - root.clientWidth;
    return wide > 1 ? [...list, `scrolls sideways by ${wide}`] : list;
  });
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

// Wait for what `get` gives to be as `fits` says (without it: to be anything), and give it. The patience is for a machine that is very slow; it proves nothing.
export async function until(what, get, fits = Boolean, ms = PATIENCE_MS) {
  if (typeof fits === 'number') return until(what, get, Boolean, Math.max(fits, ms)); // patience alone was named
  for (const end = Date.now() + ms; ;) {
    const v = await get();
    if (await fits(v)) return v;
    if (Date.now() > end) throw new Error(`waited in vain for ${what}: ${JSON.stringify(v)?.slice(0, 2000)}`);
    await sleep(50);
  }
}
