// The spine's figures in one run, each beside its peer, as ratios: node bench/spine.mjs [sqlite|postgres …]. Needs wrk and nginx (Debian).
// Durable submissions against one commit a request in the same program; a case read against nginx serving a file of the same size; start-up and memory.
import { spawn, execFileSync, execSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { serve, call, folder, postgres, root } from '../tests/e2e/kit.mjs';

const seconds = Number(process.env.SECONDS || 8);
const service = 'village-residence';
const wrk = (script, base, env, connections = 64) => {
  const out = execFileSync('wrk', ['-t2', `-c${connections}`, `-d${seconds}s`, '-s', join(root, 'bench', script), base], { encoding: 'utf8', env: { ...process.env, ...env } });
  const m = /RATE (\S+) P50 (\S+) P99 (\S+) ERRORS (\d+)/.exec(out);
  return { rate: +m[1], p50: +m[2], p99: +m[3], errors: +m[4] };
};
const rss = (pid) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1024;
const line = (...w) => console.log(w.join(' '));
let runs = 0;

async function submissions(where, args) {
  const began = Date.now();
  const s = await serve(where, { args });
  const up = Date.now() - began;
  const example = (await call(s.base, 'GET', `/api/v1/services/${service}`)).json.form_schema.examples[0];
  const r = wrk('submit.lua', s.base, { BENCH_BODY: JSON.stringify({ data: example }), BENCH_PATH: `/api/v1/services/${service}/cases`, BENCH_RUN: `r${runs++}-${Date.now()}` });
  return { s, r, up, example };
}

const which = process.argv.slice(2).length ? process.argv.slice(2) : ['sqlite', 'postgres'];
for (const name of which) {
  const pg = name === 'postgres' ? postgres() : null;
  if (name === 'postgres' && !pg) { line('postgres: not installed'); continue; }
  const place = () => (pg ? ['--store', pg.fresh(), '--keys', join(folder(), 'keys')] : ['--data', folder()]);
  const single = await submissions(place(), ['--batch', '1']);
  await single.s.stop();
  const { s, r, up, example } = await submissions(place(), []);
  line(`${name}: durable submissions ${r.rate.toFixed(0)}/s (p50 ${r.p50} ms, p99 ${r.p99} ms, errors ${r.errors}); one commit a request ${single.r.rate.toFixed(0)}/s; ratio ${(r.rate / single.r.rate).toFixed(1)}`);
  line(`${name}: start-up ${up} ms; resident ${rss(s.child.pid).toFixed(0)} MB`);
  const codes = [];
  for (let i = 0; i < 50; i++) codes.push((await call(s.base, 'POST', `/api/v1/services/${service}/cases`, { key: `g${i}`, body: { data: example } })).json.tracking);
  const one = await call(s.base, 'GET', `/api/v1/cases/${codes[0]}`);
  const www = folder();
  mkdirSync(join(www, 'logs'));
  writeFileSync(join(www, 'case.json'), 'x'.repeat(one.text.length));
  execSync(`chmod -R a+rX ${www}`);
  writeFileSync(join(www, 'nginx.conf'), `daemon off; user root; worker_processes 2; pid ${www}/pid; error_log ${www}/err; events { worker_connections 1024; } http { access_log off; keepalive_requests 1000000; server { listen 127.0.0.1:18080; root ${www}; } }`);
  const nginx = spawn('nginx', ['-c', join(www, 'nginx.conf')], { stdio: 'ignore' });
  await new Promise((ok) => setTimeout(ok, 700));
  const get = wrk('get.lua', s.base, { BENCH_PATHS: codes.map((c) => `/api/v1/cases/${c}`).join('\n') });
  const peer = wrk('get.lua', 'http://127.0.0.1:18080', { BENCH_PATHS: '/case.json' });
  nginx.kill();
  line(`${name}: GET a case ${get.rate.toFixed(0)}/s (p99 ${get.p99} ms), nginx the same bytes ${peer.rate.toFixed(0)}/s; ratio ${(get.rate / peer.rate).toFixed(2)}`);
  await s.stop();
}
process.exit(0);
