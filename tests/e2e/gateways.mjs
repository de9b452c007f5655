// What tests and benchmarks of the exchange share: an operator's platform, and gateways as processes that have joined it.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { chapar, folder, port, serve, run, runs, same, until } from './kit.mjs';

export { port, until };

// host: where the operator answers other gateways; wrap: words before each gateway's command (a network namespace, another clock).
export async function world({ args = [] } = {}) {
  const dir = folder(), peers = await port(), address = `https://127.0.0.1:${peers}`, op = join(dir, 'platform', 'exchange');
  const platform = await serve(['--data', join(dir, 'platform')], { demo: false, args: ['--exchange-listen', `127.0.0.1:${peers}`, '--exchange-address', address, ...args] });
  const own = JSON.parse(readFileSync(join(op, 'gateway.json'))).server, instance = own.split('/')[0], gateways = {};
  const cli = (name, ...words) => run('gateway', ...words, '--folder', name === 'op' ? op : gateways[name].folder);
  async function start(name, more = [], { wrap = [], env = {} } = {}) {
    const g = gateways[name], words = [...wrap, chapar, 'gateway', 'serve', '--folder', g.folder, '--listen', '127.0.0.1:0', '--exchange-listen', `127.0.0.1:${g.port}`, '--access-log', 'no', ...(g.more || []), ...more];
    g.child = spawn(words[0], words.slice(1), { stdio: ['ignore', 'pipe', process.env.CHAPAR_TEST_QUIET ? 'ignore' : 'inherit'], env: { ...process.env, ...env } });
    process.on('exit', () => g.child.kill('SIGKILL'));
    g.base = await new Promise((ok, bad) => {
      let text = '';
      g.child.stdout.on('data', (d) => { text += d; const m = /at (http:\/\/\S+?)\/?\s/.exec(text); if (m) ok(m[1]); });
      g.child.on('exit', (c) => bad(new Error(`gateway ${name} ended with ${c}`)));
    });
  }
  const stop = (g, signal = 'SIGTERM') => new Promise((done) => { if (g.child.exitCode !== null || g.child.signalCode !== null) { done(); return; } g.child.on('exit', done); g.child.kill(signal); });
  async function take(name, member, where) { // made, asked, approved
    const g = gateways[name] = { folder: where || join(dir, name), port: await port(), server: `${member}/${name}` };
    run('gateway', 'init', '--folder', g.folder, '--server', g.server, '--address', `https://127.0.0.1:${g.port}`);
    const code = cli('op', 'invite', g.server).trim(), joining = runs('gateway', 'join', '--folder', g.folder, '--operator', address, '--code', code, '--wait', '30');
    const id = await until('a request', async () => JSON.parse(cli('op', 'requests', '--json')).find((x) => x.server === g.server)?.id);
    cli('op', 'approve', id);
    const r = await joining;
    same(r.status, 0, r.err);
    return g;
  }
  const members = (...ids) => ids.forEach((id) => cli('op', 'member', id, '--name-fa', 'آزمون', '--name-en', 'Test'));
  return { dir, platform, address, op, own, instance, gateways, cli, start, stop, take, members };
}
