// An exchange between two organisations, and the same chain built of two nginx: node bench/exchange.mjs
//   client (wrk) → gateway → mutual TLS → gateway → provider (nginx, files). Ours sign, verify and log durably on both sides; nginx does mutual TLS alone.
// Needs nginx and wrk, and the binary of ./run --build. SECONDS=8 is the length of each part, CONNECTIONS=64, PARTS=1k,10k,mix. Everything on one machine,
// in one run. PERF=FILE records with perf where the time goes, into FILE.PART.client and FILE.PART.provider.
import { execFile, execFileSync, spawn } from 'node:child_process';
import { promisify } from 'node:util';
import { writeFileSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { world, port, until } from '../tests/e2e/gateways.mjs';
import { end, launch } from './shared.mjs';

const seconds = Number(process.env.SECONDS || 8), connections = Number(process.env.CONNECTIONS || 64);
const w = await world(), { dir, instance, cli, gateways } = w;
const A = `${instance}/GOV/90000001`, B = `${instance}/GOV/90000002`, client = `${B}/asks`, service = `${A}/data/files`;
const sizes = { '1k': 1024, '2k': 2048, '10k': 10240, '100k': 102400, '2m': 2 << 20, '10m': 10 << 20 };
const web = join(dir, 'web');
mkdirSync(web);
for (const [name, n] of Object.entries(sizes)) writeFileSync(join(web, name), Buffer.alloc(n, '{"a":"0123456789abcdef"}'));
const nginx = (name, http) => {
  const d = join(dir, name);
  mkdirSync(d);
  writeFileSync(join(d, 'nginx.conf'), `daemon off; ${process.getuid() === 0 ? "user root;" : ""} worker_processes 2; pid ${d}/pid; error_log ${d}/error.log; events { worker_connections 2048; }
http { access_log off; client_body_temp_path ${d}/b; proxy_temp_path ${d}/p; fastcgi_temp_path ${d}/f; uwsgi_temp_path ${d}/u; scgi_temp_path ${d}/s; keepalive_requests 1000000; sendfile on; ${http} }`);
  return launch('nginx', ['-c', join(d, 'nginx.conf'), '-p', d], {}, d);
};
const [provider, front, back] = [await port(), await port(), await port()];
const pems = join(dir, 'pems');
mkdirSync(pems);
for (const n of ['front', 'back']) execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', `${pems}/${n}.key`, '-out', `${pems}/${n}.crt`, '-subj', `/CN=${n}`, '-days', '2'], { stdio: 'ignore' });
nginx('provider', `server { listen 127.0.0.1:${provider}; root ${web}; default_type application/json; }`);
nginx('front', `upstream next { server 127.0.0.1:${back}; keepalive 64; } server { listen 127.0.0.1:${front}; location / { proxy_pass https://next; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_ssl_name back;
  proxy_ssl_certificate ${pems}/front.crt; proxy_ssl_certificate_key ${pems}/front.key; proxy_ssl_trusted_certificate ${pems}/back.crt; proxy_ssl_verify on; } }`);
nginx('back', `upstream app { server 127.0.0.1:${provider}; keepalive 64; } server { listen 127.0.0.1:${back} ssl; ssl_certificate ${pems}/back.crt; ssl_certificate_key ${pems}/back.key; ssl_client_certificate ${pems}/front.crt;
  ssl_verify_client on; location / { proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection ""; } }`);
w.members(A, B, `${A}/data`, client);
for (const [n, m] of [['a', A], ['b', B]]) await w.take(n, m);
cli('a', 'subsystem', `${A}/data`);
cli('b', 'subsystem', client);
cli('a', 'services', 'add', service, `http://127.0.0.1:${provider}`);
cli('a', 'grant', client, service);
for (const n of ['a', 'b']) await w.start(n);

const ours = `${gateways.b.base}/r1/${service}`, theirs = `http://127.0.0.1:${front}`, headers = { 'X-Road-Client': client };
await until('our chain', async () => (await fetch(`${ours}/1k`, { headers })).status === 200);
await until('the chain of nginx', async () => (await fetch(`${theirs}/1k`)).status === 200);
await w.platform.stop(); // a directory that was fetched is gone on with
const own = (pid) => { const t = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'); return ['Private_Clean', 'Private_Dirty'].reduce((s, k) => s + Number(new RegExp(`^${k}:\\s+(\\d+)`, 'm').exec(t)[1]) / 1024, 0); };
const status = (pid, what) => Number(new RegExp(`${what}:\\s+(\\d+)`).exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1024;
const helpers = (pid) => execFileSync('pgrep', ['-P', pid], { encoding: 'utf8' }).trim().split('\n');
const spent = (pid) => { const t = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' '); return (+t[11] + +t[12]) / 100; };
await new Promise((done) => setTimeout(done, 8000)); // nobody calls for five seconds: a gateway gives back what it does not need
console.log(`idle: ${['a', 'b'].map((n) => `${n} ${status(gateways[n].child.pid, 'VmRSS').toFixed(1)} MB (its own ${own(gateways[n].child.pid).toFixed(1)}) and its key helper ${helpers(gateways[n].child.pid).map((p) => `${status(p, 'VmRSS').toFixed(1)} (${own(p).toFixed(1)})`).join('+')} MB`).join(', ')}`);
writeFileSync(join(dir, 'mix.lua'), `local base, i = os.getenv('BENCH_BASE'), 0
function request() i = i + 1; local n = (i * 7919) % 1000; local f = n < 300 and '2k' or n < 900 and '10k' or n < 990 and '100k' or n < 999 and '2m' or '10m'; return wrk.format('GET', base .. '/' .. f) end
function done(s, l) print(string.format('RATE %f P50 %f P95 %f P99 %f ERRORS %d', s.requests / s.duration * 1e6, l:percentile(50) / 1000, l:percentile(95) / 1000, l:percentile(99) / 1000, s.errors.connect + s.errors.read + s.errors.write + s.errors.status + s.errors.timeout)) end`);
writeFileSync(join(dir, 'one.lua'), `function done(s, l) print(string.format('RATE %f P50 %f P95 %f P99 %f ERRORS %d', s.requests / s.duration * 1e6, l:percentile(50) / 1000, l:percentile(95) / 1000, l:percentile(99) / 1000, s.errors.connect + s.errors.read + s.errors.write + s.errors.status + s.errors.timeout)) end`);
const wrk = async (base, what, n, c = connections) => {
  const u = new URL(base), mix = what === 'mix';
  const { stdout } = await promisify(execFile)('wrk', ['-t2', `-c${c}`, `-d${n}s`, '--timeout', '20s', '-s', join(dir, mix ? 'mix.lua' : 'one.lua'), '-H', `X-Road-Client: ${client}`, mix ? u.origin : `${base}/${what}`], { encoding: 'utf8', env: { ...process.env, BENCH_BASE: u.pathname === '/' ? '' : u.pathname } });
  const m = /RATE (\S+) P50 (\S+) P95 (\S+) P99 (\S+) ERRORS (\d+)/.exec(stdout);
  return { rate: +m[1], p50: +m[2], p95: +m[3], p99: +m[4], errors: +m[5] };
};
for (const what of (process.env.PARTS || '1k,10k,mix').split(',')) {
  const c = what === 'mix' ? 16 : connections;
  await wrk(ours, what, 3, c);
  const pids = { client: gateways.b.child.pid, provider: gateways.a.child.pid, keys: [...helpers(gateways.a.child.pid), ...helpers(gateways.b.child.pid)] };
  const sum = () => [spent(pids.client), spent(pids.provider), pids.keys.reduce((s, p) => s + spent(p), 0)];
  if (process.env.PERF)
    for (const n of ['client', 'provider']) spawn('perf', ['record', '-q', '--call-graph', 'dwarf,16384', '-F', '299', '-p', String(pids[n]), '-o', `${process.env.PERF}.${what}.${n}`, 'sleep', String(seconds)], { stdio: 'ignore' });
  const before = sum(), one = await wrk(ours, what, seconds, c), after = sum(), cpu = after.map((x, i) => Math.round((x - before[i]) * 1e6 / (one.rate * seconds)));
  await wrk(theirs, what, 2, c);
  const two = await wrk(theirs, what, seconds, c);
  const tell = (name, r) => `${name} ${r.rate.toFixed(0)}/s, p50 ${r.p50.toFixed(1)} ms, p95 ${r.p95.toFixed(1)} ms, p99 ${r.p99.toFixed(1)} ms, errors ${r.errors}`;
  console.log(`${what}: ${tell('exchange', one)}; ${tell('two nginx', two)}; ratio ${(100 * one.rate / two.rate).toFixed(1)} %`);
  console.log(`  processor an exchange: client's gateway ${cpu[0]} µs, provider's ${cpu[1]} µs, both key helpers ${cpu[2]} µs`);
}
console.log(`at the end: ${['a', 'b'].map((n) => `${n} ${status(gateways[n].child.pid, 'VmHWM').toFixed(0)} MB at most`).join(', ')}`);
for (const n of ['a', 'b']) await w.stop(gateways[n]);
void end;
process.exit(0);
