// The life of a case in a store of ten thousand and of a million: node bench/million.mjs [sqlite|postgres …].
// Needs: Node.js 18 or newer, `ninja -C build chapar bench-fill bench-drive`, and for the second PostgreSQL 15 (Debian's). About 5 GB of disk and
// ten minutes to an hour for each engine, nearly all of it for filling.
//   CASES=10000,1000000  sizes, by comma        SECONDS=15  length of each measured part       CONNECTIONS=64
//   PERF=FILE            record with perf where the time goes while lifecycles run, into FILE.ENGINE.SIZE
//   KEEP=DIR             keep the filled stores in DIR and use them again (they grow by what is measured); without it all is removed
// Measured through the JSON interface, by bench/drive.c: create -> assign -> approve -> search (by code and by name, in turn) at 64 connections;
// desk lists and searches at 100 requests a second, counted from when each was due; start-up, memory, /metrics.
// The peer is DIGIT's published figure for the same life: 37 a second empty, 6.3 a second at a million, on 16 virtual processors.
import { execFile, execFileSync, spawn, spawnSync } from 'node:child_process';
import { promisify } from 'node:util';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { serve, call, folder, root, pack, chapar, sleep } from '../tests/e2e/kit.mjs';
import { memory, postmaster, spent } from './processes.mjs';
import { route } from './shared.mjs';

const sizes = (process.env.CASES || '10000,1000000').split(',').map(Number);
const seconds = Number(process.env.SECONDS || 15), connections = Number(process.env.CONNECTIONS || 64);
const built = (name) => join(chapar, '..', name);
const line = (...w) => console.log(w.join(' '));
const server = (where) => (where[0] === '--store' ? spent(postmaster(where[1])) : 0);
const names = readFileSync(join(root, 'locale/simulate.csv'), 'utf8').split('\n').map((l) => l.split(',')).filter((r) => r[0] === 'last').map((r) => r[1].trim());
const services = ['farm-subsidy', 'child-health', 'skill-certificate', 'village-residence'];
const stops = [];
process.on('exit', () => stops.forEach((stop) => stop()));

// A PostgreSQL in `dir` with more room than the tests': half a gigabyte of buffers for a store of five or more.
function cluster(dir) {
  const sh = (...words) => execFileSync('sh', [join(root, 'tests/lib/pg.sh'), ...words], { encoding: 'utf8' }).trim();
  const url = sh('start', dir, 'shared_buffers=512MB', 'max_wal_size=4GB', 'checkpoint_timeout=15min');
  stops.push(() => sh('stop', dir));
  return url;
}

function place(engine, size) {
  const dir = process.env.KEEP ? join(process.env.KEEP, `${engine}-${size}`) : join(folder(), `${engine}-${size}`);
  const filled = join(dir, 'filled');
  mkdirSync(dir, { recursive: true });
  let where;
  if (engine === 'postgres') {
    try { where = ['--store', cluster(join(dir, 'pg')), '--keys', join(dir, 'keys')]; } catch (e) { if (e.status === 77) return null; throw e; }
  } else where = ['--data', join(dir, 'data')];
  if (!existsSync(filled)) {
    line(`${engine}: filling ${size} cases …`);
    const r = spawnSync(built('bench-fill'), ['--pack', pack, ...where, '--cases', String(size), '--batch', engine === 'sqlite' ? '2048' : '256', '--log-level', 'warn'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
    if (r.status !== 0) throw new Error(`bench-fill ended with ${r.status}`);
    if (engine === 'postgres') execFileSync('psql', ['-q', where[1], '-c', 'VACUUM ANALYZE']);
    writeFileSync(filled, r.stdout);
  }
  line(`${engine} ${size}: ${readFileSync(filled, 'utf8').trim()}`);
  return where;
}

async function drive(mode, base, extra, plan) {
  const file = join(folder(), 'plan');
  writeFileSync(file, plan.map((w) => w.join('\t')).join('\n') + '\n');
  const out = (await promisify(execFile)(built('bench-drive'), [mode, new URL(base).port, String(connections), String(seconds), ...extra, file])).stdout;
  const kinds = {};
  for (const m of out.matchAll(/^KIND (.+) RATE (\S+) P50 (\S+) P99 (\S+) MOST (\S+) ERRORS (\d+)$/gm)) kinds[m[1]] = { rate: +m[2], p50: +m[3], p99: +m[4], most: +m[5], errors: +m[6] };
  return { kinds, cost: +/DRIVER (\S+)/.exec(out)[1] };
}
const metrics = async (base) => (await call(base, 'GET', '/metrics')).text;
const metric = (text, name) => Number(new RegExp(`^${name.replace(/[{}"]/g, '\\$&')} (\\d+)`, 'm').exec(text)?.[1] ?? NaN);

async function measure(engine, size) {
  const where = place(engine, size);
  if (!where) return line('postgres: not installed'), null;
  const began = Date.now();
  const s = await serve(where), up = Date.now() - began, b = s.base;
  line(`${engine} ${size}: start-up ${up} ms, resident ${memory(s.child.pid, 'VmRSS').toFixed(0)} MB`);
  const ways = [];
  for (const service of services) ways.push(await route(b, service));
  line(`${engine} ${size}: ${ways.map((w) => `${w.service} at ${w.holder} by ${w.actions.join(', ')}`).join('; ')}`);
  const plan = names.flatMap((n) => ways.map((w) => [`/api/v1/services/${w.service}/cases`, w.holder, w.token, encodeURIComponent(n), w.actions.join(','),
    JSON.stringify({ data: { ...w.example, national_id: '@ID@', mobile: '0915@N@', last_name: n } })]));
  if (process.env.PERF) spawn('perf', ['record', '-q', '--call-graph', 'dwarf,16384', '-F', '149', '-p', String(s.child.pid), '-o', `${process.env.PERF}.${engine}.${size}`, 'sleep', String(seconds)], { stdio: 'ignore' });
  const before = [spent(s.child.pid), server(where)];
  const life = await drive('lifecycle', b, [], plan), k = life.kinds;
  const used = [spent(s.child.pid) - before[0], server(where) - before[1]].map((x) => Math.round(x * 1e6 / (k.lifecycle.rate * (seconds + 1))));
  const errors = Object.values(k).reduce((n, x) => n + x.errors, 0);
  line(`${engine} ${size}: ${k.lifecycle.rate.toFixed(0)} lifecycles/s (p50 ${k.lifecycle.p50} ms, p99 ${k.lifecycle.p99} ms, errors ${errors}); processor a lifecycle: Chapar ${used[0]} µs${used[1] ? `, PostgreSQL ${used[1]} µs` : ''}, the driver ${Math.round(life.cost * 4)} µs`);
  line(`${engine} ${size}:   ` + Object.entries(k).filter(([n]) => n !== 'lifecycle').map(([n, x]) => `${n} p50 ${x.p50} p99 ${x.p99}`).join('; '));
  let m = await metrics(b);
  const left = metric(m, 'chapar_case_outbox');
  line(`${engine} ${size}: effects left in the outbox ${left}`);
  for (let i = 0; i < 600 && metric(m, 'chapar_case_outbox') > 0; i++) { await sleep(500); m = await metrics(b); }
  /* What decisions left to be done (certificates, figures) is done before lists are measured: they are told apart. */
  for (let i = 0, last = spent(s.child.pid); i < 600; i++) {
    await sleep(2000);
    const now = spent(s.child.pid);
    if (now - last < 0.1) { line(`${engine} ${size}: at rest after ${2 * (i + 1)} s`); break; }
    last = now;
  }
  const desks = ways.flatMap((w) => ['', '&open=1', '&overdue=1', '&state=submitted', `&assignee=${w.holder}.officer`, '&assignee=none', `&service=${w.service}`].map((q) => [`/api/v1/desk/cases?organisation=${w.holder}${q}`, w.token]));
  const searches = ways.flatMap((w) => names.map((n) => [`/api/v1/desk/cases?organisation=${w.holder}&q=${encodeURIComponent(n)}`, w.token]));
  const two = ways.flatMap((w) => names.map((n, i) => [`/api/v1/desk/cases?organisation=${w.holder}&q=${encodeURIComponent(`${n} ${names[(i + 1) % names.length]}`)}`, w.token]));
  for (const [what, list] of [['desk lists', desks], ['search by a name', searches], ['search by two words', two]]) {
    const at = [spent(s.child.pid), server(where)], p = (await drive('paced', b, ['100'], list)).kinds.page;
    const each = [spent(s.child.pid) - at[0], server(where) - at[1]].map((x) => Math.round(x * 1e6 / (p.rate * (seconds + 1))));
    line(`${engine} ${size}: ${what} at 100/s: ${p.rate.toFixed(0)}/s, p50 ${p.p50} ms, p99 ${p.p99} ms, longest ${p.most} ms, errors ${p.errors}; processor a page ${each[0]}${each[1] ? ` + ${each[1]}` : ''} µs`);
  }
  let took = 0;
  m = await metrics(b);
  for (let i = 0; i < 5; i++) { const t = performance.now(); await call(b, 'GET', '/metrics'); took = Math.max(took, performance.now() - t); }
  line(`${engine} ${size}: resident ${memory(s.child.pid, 'VmRSS').toFixed(0)} MB (at most ${memory(s.child.pid, 'VmHWM').toFixed(0)}), cases ${metric(m, 'chapar_cases{state="all"}')} of which open ${metric(m, 'chapar_cases{state="open"}')}, /metrics ${took.toFixed(0)} ms`);
  await s.stop();
  return k.lifecycle.rate;
}

for (const engine of process.argv.length > 2 ? process.argv.slice(2) : ['sqlite', 'postgres']) {
  const rates = [];
  for (const size of sizes) rates.push(await measure(engine, size));
  if (rates.some((r) => !r)) continue;
  const last = rates.at(-1);
  line(`${engine}: at ${sizes.at(-1)} ${(100 * last / rates[0]).toFixed(0)} % of the rate at ${sizes[0]}; DIGIT 6.3/s at a million: ratio ${(last / 6.3).toFixed(0)}`);
}
process.exit(0);
