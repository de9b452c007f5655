// What tests and benchmarks of the exchange share: an operator's platform, and gateways as processes that have joined it.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { chapar, folder, port, serve, run, wrapped, same, until } from './kit.mjs';

export { port, until };
process.setMaxListeners(100); // one for each process that is begun

// where(name): in which place 'op' or a gateway lives: its host for other gateways, its host for information systems, a port that is free there, and the
// words before its commands (a network namespace). store: the platform's PostgreSQL, its keys and its gateway below the folder. start's wrap and env: more of the kind (another clock).
const here = async () => ({ host: '127.0.0.1', systems: '127.0.0.1', port: await port(), wrap: [] });
export async function world({ args = [], where = here, store = null, ...more } = {}) { // more: of the platform, as serve takes it
  const at = await where('op'), dir = folder(), peers = `${at.host}:${at.port}`, address = `https://${peers}`, op = join(dir, 'platform', 'exchange');
  const platform = await serve(store ? ['--store', store, '--keys', join(dir, 'platform')] : ['--data', join(dir, 'platform')], { demo: false, ...more, wrap: at.wrap, args: ['--exchange-listen', peers, '--exchange-address', address, ...args] });
  const own = JSON.parse(readFileSync(join(op, 'gateway.json'))).server, instance = own.split('/')[0], gateways = {};
  const cli = (name, ...words) => run('gateway', ...words, '--folder', name === 'op' ? op : gateways[name].folder);
  async function start(name, more = [], { wrap = [], env = {} } = {}) {
    const g = gateways[name], words = [...g.wrap, ...wrap, chapar, 'gateway', 'serve', '--folder', g.folder, '--listen', `${g.systems}:0`, '--exchange-listen', `${g.host}:${g.port}`, '--access-log', 'no', ...(g.more || []), ...more];
    g.child = spawn(words[0], words.slice(1), { stdio: ['ignore', 'pipe', process.env.CHAPAR_TEST_QUIET ? 'ignore' : 'inherit'], env: { ...process.env, ...env } });
    process.on('exit', () => g.child.kill('SIGKILL'));
    g.base = await new Promise((ok, bad) => {
      let text = '';
      g.child.stdout.on('data', (d) => { text += d; const m = /at (http:\/\/\S+?)\/?\s/.exec(text); if (m) ok(m[1]); });
      g.child.on('exit', (c) => bad(new Error(`gateway ${name} ended with ${c}`)));
    });
  }
  // One that is asked to end does so well: without a crash, and without a leak where a sanitizer looks.
  const stop = (g, signal = 'SIGTERM') => new Promise((done, bad) => {
    if (g.child.exitCode !== null || g.child.signalCode !== null) { done(); return; }
    g.child.on('exit', (code) => (signal === 'SIGTERM' && code !== 0 ? bad(new Error(`gateway ${g.server} ended with ${code}`)) : done()));
    g.child.kill(signal);
  });
  async function take(name, member, place, more = {}) { // made (made: what is done to it then), asked, approved
    const g = gateways[name] = { ...await where(name), ...more, folder: place || join(dir, name), server: `${member}/${name}` };
    run('gateway', 'init', '--folder', g.folder, '--server', g.server, '--address', `https://${g.host}:${g.port}`);
    more.made?.(g);
    const code = cli('op', 'invite', g.server).trim(), joining = wrapped(g.wrap, 'gateway', 'join', '--folder', g.folder, '--operator', address, '--code', code, '--wait', '30');
    const id = await until('a request', async () => JSON.parse(cli('op', 'requests', '--json')).find((x) => x.server === g.server)?.id);
    cli('op', 'approve', id);
    const r = await joining;
    same(r.status, 0, r.err);
    return g;
  }
  const members = (...ids) => ids.forEach((id) => cli('op', 'member', id, '--name-fa', 'آزمون', '--name-en', 'Test'));
  return { dir, platform, address, op, own, instance, gateways, cli, start, stop, take, members, place: where };
}
