// A case from its filing to its decision in Chapar and in request-tracker5 (Debian's), beside each other in one run: node bench/tracker.mjs
// Needs: Node.js 18 or newer, the binary of ./run --build, and what `tools/install bench` installs. Five minutes; all is started and removed by itself.
//   SECONDS=20 length of each measured part    WARM=10 before each    CONNECTIONS=8    WORKERS=4 processes of request-tracker
// One PostgreSQL with fsync on, a database each. One driver for both: each connection walks create -> assign -> resolve -> search again and again,
// and every search must show the case that was just decided. Chapar is measured before and after, the ratio is of its mean.
//   Chapar           village-residence with its example answers, a new person and telephone each time; assigned to the desk's officer, approved, found
//                    by its telephone in the list of the desk. One process. Certificate (a PDF) and notice follow the answer: a second figure waits for all of them.
//   request-tracker  REST 2.0 under Starman: a ticket with the same answers as its text, telephone and national id as custom fields; owned by the officer,
//                    resolved with a comment, found by its telephone in a search of the queue. Default scrips and templates; letters go to a file.
// In its favour: the session of its own pages instead of a password or token for each call (those are hashed by bcrypt of cost 12);
// fifty requestors that are known already (a new one is a new user); workers never replaced; no keep-alive, which would leave four of
// eight connections waiting for four workers. Its search by custom field compares one value, ours looks up words.
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { serve, call, folder, postgres, sleep } from '../tests/e2e/kit.mjs';
import { postmaster, spent } from './processes.mjs';
import { end, freePort, launch, nationalId, route, until } from './shared.mjs';

const seconds = Number(process.env.SECONDS || 20), warm = Number(process.env.WARM || 10), connections = Number(process.env.CONNECTIONS || 8), workers = Number(process.env.WORKERS || 4);
const service = 'village-residence', steps = ['create', 'assign', 'resolve', 'search'];
if (!process.env.VERBOSE) process.env.CHAPAR_TEST_QUIET = '1';
const line = (...w) => console.log(w.join(' '));
let people = 0;
const person = () => ({ national_id: nationalId(), mobile: `0915${String(people++).padStart(7, '0')}` });

// One request over `agent`; the answer's JSON when it has the status that is awaited.
const ask = (agent, base, headers) => (method, path, wanted, body) => new Promise((good, bad) => {
  const text = body === undefined ? undefined : JSON.stringify(body);
  const r = request(base + path, { agent, method, headers: { ...headers, ...(text && { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text), 'Idempotency-Key': `${process.pid}-${process.hrtime.bigint()}` }) } }, (a) => {
    const parts = [];
    a.on('data', (d) => parts.push(d));
    a.on('error', bad);
    a.on('end', () => {
      const answer = Buffer.concat(parts).toString();
      if (a.statusCode === wanted) good(JSON.parse(answer)); else bad(new Error(`${method} ${path}: ${a.statusCode} ${answer.slice(0, 300)}`));
    });
  });
  r.on('error', bad);
  r.end(text);
});

// `walk(connection)` gives the four steps of one life, each handed what the first answered. The first error ends the run: there are to be none.
async function measure(name, pid, url, walk) {
  const took = { lifecycle: [], ...Object.fromEntries(steps.map((s) => [s, []])) };
  const from = performance.now() + warm * 1000, to = from + seconds * 1000, used = () => [spent(pid), spent(postmaster(url))];
  let all = 0;
  const spentAt = (when) => new Promise((good) => setTimeout(() => good(used()), when - performance.now()));
  const cpuAt = [spentAt(from), spentAt(to)];
  await Promise.all(Array.from({ length: connections }, async (_, i) => {
    while (performance.now() < to) {
      const life = walk(i), began = performance.now(), times = [];
      let made;
      for (const step of steps) {
        const at = performance.now(), answer = await life[step](made);
        times.push(performance.now() - at);
        made ??= answer;
      }
      const over = performance.now();
      all++;
      if (over < from || over > to) continue;
      took.lifecycle.push(over - began);
      steps.forEach((s, k) => took[s].push(times[k]));
    }
  }));
  const [first, last] = await Promise.all(cpuAt), cpu = last.map((x, i) => x - first[i]), n = took.lifecycle.length;
  if (!n) throw new Error(`${name}: no life was finished in ${seconds} s`);
  const at = (list, p) => list.sort((a, b) => a - b)[Math.min(list.length - 1, Math.floor(list.length * p))].toFixed(1);
  line(`${name}: ${n} lifecycles in ${seconds} s, ${(n / seconds).toFixed(1)}/s; p50 ${at(took.lifecycle, 0.5)} ms, p95 ${at(took.lifecycle, 0.95)} ms, p99 ${at(took.lifecycle, 0.99)} ms; processor a lifecycle ${(cpu[0] * 1000 / n).toFixed(1)} ms and PostgreSQL ${(cpu[1] * 1000 / n).toFixed(1)} ms; load ${loadavg()[0].toFixed(1)}`);
  line(`${name}:   ${steps.map((s) => `${s} p50 ${at(took[s], 0.5)} p99 ${at(took[s], 0.99)}`).join('; ')} (ms)`);
  return { rate: n / seconds, cpu: (cpu[0] + cpu[1]) / n, all };
}
// What Chapar does after its answer (certificates, notices) and the peer before it or never: waited for, so that the second figure holds everything.
async function everything(s, url, began, before, all) {
  const due = () => Number(execFileSync('psql', ['-Atc', 'SELECT (SELECT count(*) FROM certificate_due) + (SELECT count(*) FROM case_outbox)', url], { encoding: 'utf8' }));
  const left = due();
  for (let n = left, i = 0; n > 0; n = due(), i++) { if (i > 600) throw new Error(`${n} effects are never carried out`); await sleep(500); }
  const took = (performance.now() - began) / 1000, cpu = spent(s.child.pid) + spent(postmaster(url)) - before;
  line(`Chapar:   ${left} certificates and other effects followed the end; with all of them ${all} lifecycles in ${took.toFixed(0)} s, ${(all / took).toFixed(1)}/s, processor a lifecycle with PostgreSQL's ${(cpu * 1000 / all).toFixed(1)} ms`);
  return { whole: all / took, wholeCpu: cpu / all };
}
const must = (v, what) => { if (!v) throw new Error(what); return v; };

async function ours(url) {
  const s = await serve(['--store', url, '--keys', join(folder(), 'keys')]), way = await route(s.base, service);
  if (way.actions.join() !== 'assign,approve') throw new Error(`${service} goes by ${way.actions.join()} now`);
  const agents = Array.from({ length: connections }, () => new Agent({ keepAlive: true, maxSockets: 1 }));
  const act = (desk, name, version) => (c) => desk('POST', `/api/v1/cases/${c.tracking}/actions/${name}`, 200, { expected_version: version });
  const began = performance.now(), before = spent(s.child.pid) + spent(postmaster(url));
  const r = await measure('Chapar', s.child.pid, url, (i) => {
    const who = person(), desk = ask(agents[i], s.base, { Authorization: `Bearer ${way.token}` });
    return {
      create: () => ask(agents[i], s.base, {})('POST', `/api/v1/services/${service}/cases`, 201, { data: { ...way.example, ...who } }),
      assign: act(desk, 'assign', 1),
      resolve: act(desk, 'approve', 2),
      search: async (c) => must(JSON.stringify(await desk('GET', `/api/v1/desk/cases?organisation=${way.holder}&q=${who.mobile}`, 200)).includes(c.tracking), 'Chapar does not find the case'),
    };
  });
  const whole = await everything(s, url, began, before, r.all);
  await s.stop();
  return { ...r, ...whole, example: way.example };
}

// What a desk needs in request-tracker: a queue, an officer with the rights there, two fields.
const desk = `@Queues = ({ Name => 'Desk', CorrespondAddress => 'desk@bench.example', CommentAddress => 'comment@bench.example' });
@Users = ({ Name => 'officer', Password => 'officer-password', EmailAddress => 'officer@bench.example', Privileged => 1 });
@CustomFields = map { { Name => $_, Type => 'FreeformSingle', LookupType => 'RT::Queue-RT::Ticket', Queue => ['Desk'] } } 'Telephone', 'National ID';
@ACL = map { { UserId => 'officer', Queue => 'Desk', Right => $_ } } qw(SeeQueue CreateTicket ShowTicket ShowTicketComments OwnTicket ModifyTicket CommentOnTicket SeeCustomField ModifyCustomField);
1;
`;
async function tracker(url, example) {
  const dir = folder(), port = await freePort(), u = new URL(url), base = `http://127.0.0.1:${port}`;
  for (const d of ['var', 'mason', 'sessions', 'more']) mkdirSync(join(dir, d));
  const set = { rtname: 'bench', Organization: 'bench.example', WebDomain: '127.0.0.1', WebPort: port, WebBaseURL: base, WebPath: '', DatabaseType: 'Pg', DatabaseHost: u.hostname, DatabasePort: u.port,
    DatabaseName: u.pathname.slice(1), DatabaseUser: u.username, DatabasePassword: '', Timezone: 'UTC', LogToSyslog: '', LogToSTDERR: 'error', MailCommand: 'testfile' };
  writeFileSync(join(dir, 'site.pm'), Object.entries(set).map(([k, v]) => `Set($${k}, '${v}');\n`).join('')
    + `$RT::VarPath = '${dir}/var'; $RT::MasonDataDir = '${dir}/mason'; $RT::MasonSessionDir = '${dir}/sessions';\n1;\n`);
  writeFileSync(join(dir, 'desk.pl'), desk);
  const env = { RT_SITE_CONFIG: join(dir, 'site.pm'), RT_SITE_CONFIG_DIR: join(dir, 'more'), TMPDIR: dir };
  const setup = (...words) => execFileSync('/usr/sbin/rt-setup-database-5', ['--skip-create', '--action', ...words], { cwd: dir, env: { PATH: process.env.PATH, HOME: dir, ...env }, stdio: ['ignore', 'ignore', process.env.VERBOSE ? 'inherit' : 'ignore'], timeout: 240000 });
  setup('init');
  setup('insert', '--datafile', join(dir, 'desk.pl'));
  const child = launch('starman', ['--listen', `127.0.0.1:${port}`, '--workers', String(workers), '--max-requests', '1000000', '--env', 'deployment', '--disable-keepalive', '--preload-app', '/usr/share/request-tracker5/libexec/rt-server'], env, dir);
  await until(`${base}/REST/2.0/rt`, {}, 'request-tracker');
  const version = (await call(base, 'GET', '/REST/2.0/rt', { headers: { Authorization: `Basic ${btoa('officer:officer-password')}` } })).json.Version;
  const cookies = [];
  for (let i = 0; i < connections; i++) {
    const r = await fetch(`${base}/NoAuth/Login.html`, { method: 'POST', body: new URLSearchParams({ user: 'officer', pass: 'officer-password' }), redirect: 'manual' });
    await r.text();
    cookies.push(must(r.headers.getSetCookie()[0], 'request-tracker gives no session').split(';')[0]);
  }
  const sql = (q) => `/REST/2.0/tickets?fields=Subject,Status,Owner&query=${encodeURIComponent(q)}`;
  const r = await measure(`request-tracker ${version}`, child.pid, url, (i) => {
    const who = person(), api = ask(false, base, { Cookie: cookies[i], Accept: 'application/json' });
    const text = Object.entries({ ...example, ...who }).map(([k, v]) => `${k}: ${v}`).join('\n');
    return {
      create: () => api('POST', '/REST/2.0/ticket', 201, { Queue: 'Desk', Subject: service, Requestor: `citizen${people % 50}@bench.example`, Content: text, ContentType: 'text/plain', CustomFields: { Telephone: who.mobile, 'National ID': who.national_id } }),
      assign: (t) => api('PUT', `/REST/2.0/ticket/${t.id}`, 200, { Owner: 'officer' }),
      resolve: (t) => api('POST', `/REST/2.0/ticket/${t.id}/comment`, 201, { Content: 'Approved.', ContentType: 'text/plain', Status: 'resolved' }),
      search: async (t) => {
        const found = (await api('GET', sql(`Queue = 'Desk' AND 'CF.{Telephone}' = '${who.mobile}'`), 200)).items;
        must(found.length === 1 && found[0].id === String(t.id) && found[0].Status === 'resolved' && found[0].Owner.id === 'officer', `request-tracker finds ${JSON.stringify(found)}`);
      },
    };
  });
  end(child);
  return r;
}

const pg = postgres();
if (!pg) { line('postgres: not installed'); process.exit(1); }
line(`${cpus().length} cores for driver, servers and PostgreSQL; ${connections} connections; load ${loadavg()[0].toFixed(1)}`);
const a = await ours(pg.fresh()), b = await tracker(pg.fresh(), a.example), c = await ours(pg.fresh());
const mean = (name) => (a[name] + c[name]) / 2;
line(`Chapar against request-tracker: ratio ${(mean('rate') / b.rate).toFixed(1)}, of processor a lifecycle ${(b.cpu / mean('cpu')).toFixed(1)}; with everything carried out ${(mean('whole') / b.rate).toFixed(1)}, of processor ${(b.cpu / mean('wholeCpu')).toFixed(1)}`);
process.exit(0);
