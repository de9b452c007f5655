// The command line: every command's help, wrong words and flags, places that cannot be used, exit codes, progress on a terminal alone.
import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { serve, test, same, good, end, folder, postgres, chapar, pack, until } from './kit.mjs';

const env = Object.fromEntries(Object.entries(process.env).filter(([k]) => !k.startsWith('CHAPAR_')));
const say = (args, { input = '', more = {}, as } = {}) => {
  const [file, ...words] = as ? [...as, ...args] : [chapar, ...args];
  const r = spawnSync(file, words, { encoding: 'utf8', input, env: { ...env, ...more }, timeout: 60000 });
  return { status: r.status, out: r.stdout, err: r.stderr };
};
// Refused: this exit code, nothing on standard output, and these words on standard error.
const refused = (status, args, ...words) => {
  const options = words.length && typeof words.at(-1) === 'object' && !(words.at(-1) instanceof RegExp) ? words.pop() : {};
  const r = say(args, options);
  same([r.status, r.out], [status, ''], `chapar ${args.join(' ')}: ${r.err}`);
  for (const w of words) good(w instanceof RegExp ? w.test(r.err) : r.err.includes(w), `chapar ${args.join(' ')} says: ${r.err}`);
  good(!/\n{2}|core dumped|Assertion/.test(r.err), r.err);
  return r;
};

const listed = [...say(['--help']).out.matchAll(/^ {2}chapar (\S+)/gm)].map((m) => m[1]);
await test('help: all commands, each by itself, in every position', () => {
  for (const name of ['check', 'serve', 'staff', 'ledger', 'backup', 'restore', 'simulate', 'date', 'settings', 'version']) good(listed.includes(name), `${name} is listed`);
  for (const name of listed) {
    const own = say([name, '--help']);
    same([own.status, own.err], [0, ''], name);
    good(own.out.startsWith(`usage: chapar ${name} `), own.out);
    for (const args of [['help', name], ['--help', name], [name, '-h'], [name, '--bogus', '--help']]) same(say(args), own, args.join(' '));
  }
  same([say(['help']).status, say(['-h']).out], [0, say(['--help']).out]);
  refused(2, [], 'say what to do', 'chapar serve');
  good(/^chapar \d+\.\d+\.\d+\n$/.test(say(['--version']).out), 'version');
  same(say(['--version']).out, say(['version']).out);
});
await test('wrong words are answered with what was probably meant', () => {
  refused(2, ['serv'], "there is no command 'serv'; did you mean serve?");
  refused(2, ['help', 'leger'], 'did you mean ledger?');
  refused(2, ['nonsense'], 'chapar --help');
  for (const name of listed.filter((x) => x !== 'version')) {
    refused(2, [name, '--bogus'], 'there is no flag --bogus', `chapar ${name} --help`);
    refused(2, [name, '--bogus', 'value'], 'there is no flag --bogus');
    refused(2, [name, '--bogus=value'], 'there is no flag --bogus;');
    refused(2, [name, '-q'], 'there is no flag -q');
    refused(2, [name, ...Array(17).fill('word')], /words? too many/);
  }
  refused(2, ['serve', '--lisen', 'x'], 'did you mean --listen?');
  refused(2, ['serve', '--base-ulr', 'x'], 'did you mean --base-url?');
  refused(2, ['simulate', '--day', '3'], 'did you mean --days?');
  refused(2, ['staff', 'add', '--user', 'x'], 'there is no flag --user');
  refused(2, ['staff', 'remove'], 'say what to do: add');
  refused(2, ['ledger', 'burn'], 'verify, check RECEIPT, or renew');
  refused(2, ['ledger', 'renew', '--data', 'x'], 'renew --why REASON');
  for (const args of [['version', 'x'], ['settings', 'x'], ['serve', 'x'], ['check', 'a', 'b'], ['date', 'a', 'b'], ['backup', 'a', 'b'], ['restore', 'a', 'b']]) refused(2, args, `usage: chapar ${args[0]}`);
});
await test('values that are missing, too many or of another kind', () => {
  for (const flag of ['--pack', '--data', '--store', '--listen', '--keys', '--config', '--threads']) {
    refused(2, ['serve', flag], `${flag} needs a value`);
    refused(2, ['serve', flag, '--demo'], `${flag} needs a value`);
  }
  for (const flag of ['--days', '--seed']) refused(2, ['simulate', flag], `${flag} needs a value`);
  for (const flag of ['--username', '--organisation', '--role', '--name']) refused(2, ['staff', 'add', flag], `${flag} needs a value`);
  refused(2, ['ledger', 'check', 'x', '--key'], '--key needs a value');
  refused(2, ['date', '--from'], '--from needs a value');
  refused(2, ['serve', '--demo=yes'], '--demo takes no value');
  refused(2, ['check', pack, '--judge=no'], '--judge takes no value');
  for (const [flag, value, words] of [['--threads', 'many', 'whole number'], ['--session-seconds', '-1', 'whole number'], ['--access-log', 'maybe', 'yes or no'], ['--log-level', 'loud', 'debug, info, warn or error']])
    refused(2, ['settings', flag, value], 'from the flag', words);
  refused(2, ['settings'], 'threads (from the environment)', { more: { CHAPAR_THREADS: 'x' } });
  refused(2, ['serve', '--pack', pack, '--data', folder(), '--listen', 'nowhere'], 'ADDRESS:PORT');
  refused(2, ['serve', '--pack', pack, '--data', folder(), '--demo', '--listen', '0.0.0.0:0'], 'on this machine alone');
  refused(2, ['simulate', '--pack', pack, '--data', folder(), '--days', '0', '--seed', '1'], '1 to 1500');
  refused(2, ['simulate', '--pack', pack, '--data', folder(), '--days', '3', '--seed', 'x'], '--seed is a whole number');
  refused(2, ['staff', 'add', '--data', folder(), '--username', 'u', '--organisation', 'o', '--role', 'king'], '--role is officer');
  refused(2, ['staff', 'add', '--data', folder(), '--username', 'u', '--organisation', 'o', '--role', 'officer'], 'standard input');
});
await test('places: one is needed, two are refused with where they come from', () => {
  const file = join(folder(), 'conf');
  writeFileSync(file, '# a comment\n\n  data = /nowhere/at/all  \n');
  for (const args of [['serve', '--pack', pack], ['ledger', 'verify'], ['backup', 'x'], ['restore', 'x'], ['simulate', '--pack', pack, '--days', '3', '--seed', '1'], ['ledger', 'renew', '--why', 'x']])
    refused(2, args, 'say where', `usage: chapar ${args[0]}`);
  refused(2, ['serve', '--pack', pack, '--data', 'a', '--store', 'postgresql://x/y'], '--data (from the flag) and --store (from the flag): take one away');
  refused(2, ['backup', '--config', file, '--store', 'postgresql://x/y', 'copy'], '--data (from the file)');
  refused(2, ['backup', '--store', 'postgresql://x/y', 'copy'], '--data (from the environment)', { more: { CHAPAR_DATA: 'a' } });
  refused(2, ['restore', '--store', 'postgresql://x/y', 'copy'], '--keys FOLDER');
  refused(1, ['backup', '--config', file, join(folder(), 'copy')], 'no store in /nowhere/at/all');
});
await test('settings: source and meaning of each, flag before environment before file, no secret shown', () => {
  const file = join(folder(), 'conf');
  writeFileSync(file, 'listen = 127.0.0.1:1\nbase_url = https://file.example\nthreads = 2\nkannel_password = hidden\n');
  const r = say(['settings', '--listen', '127.0.0.1:3', '--store', 'postgresql://u:hidden@h/d', '--config', file], { more: { CHAPAR_LISTEN: '127.0.0.1:2', CHAPAR_BASE_URL: 'https://environment.example' } });
  same(r.status, 0, r.err);
  const rows = r.out.trimEnd().split('\n');
  const of = (name) => { const i = rows.findIndex((x) => x.startsWith(`${name} `)); return [...rows[i].trim().split(/\s+/).slice(1), rows[i + 1].trim() !== '']; };
  same(rows.length % 2, 0);
  for (let i = 0; i < rows.length; i += 2) good(/^[a-z_]+ +(flag|environment|file|default) /.test(rows[i]) && /^ {20,}\S/.test(rows[i + 1]), rows[i]);
  same(of('listen'), ['flag', '127.0.0.1:3', true]);
  same(of('base_url'), ['environment', 'https://environment.example', true]);
  same(of('threads'), ['file', '2', true]);
  same(of('session_seconds'), ['default', '28800', true]);
  same(of('kannel_password'), ['file', '(set)', true]);
  good(!r.out.includes('hidden'), 'no secret is shown');
  refused(2, ['settings', '--config', '/nowhere/conf'], '/nowhere/conf', 'No such file');
  writeFileSync(file, 'data = x\nlistn = y\n');
  refused(2, ['settings', '--config', file], `${file}:2: `);
  same(say(['settings'], { more: { CHAPAR_CONFIG: file } }).status, 2);
});
await test('a pack that cannot be read, or is not one', () => {
  const empty = folder(), mistaken = join(folder(), 'p');
  mkdirSync(mistaken);
  writeFileSync(join(mistaken, 'pack.yaml'), 'code: [\n');
  refused(1, ['check', '/nowhere/pack'], '/nowhere/pack cannot be read: No such file');
  refused(1, ['check', '/etc/passwd'], 'Not a directory');
  refused(1, ['check', empty], /^\S+:\d+: /m);
  refused(1, ['check', mistaken], /^\S+:\d+: /m);
  refused(1, ['serve', '--pack', '/nowhere/pack', '--data', folder()], 'cannot be read');
  refused(2, ['serve', '--data', folder()], '--pack FOLDER');
  refused(2, ['check'], 'name one pack');
  refused(2, ['date', '1405-01-01'], '--pack FOLDER');
  refused(1, ['date', '1405-13-01', '--from', 'jalali', '--pack', pack], "'1405-13-01'", 'YYYY-MM-DD');
  refused(2, ['date', '1405-01-01', '--from', 'mayan', '--pack', pack], 'gregorian or jalali');
  const day = say(['date', '۱۴۰۵-۰۱-۰۱', '--from', 'jalali', '--pack', pack]);
  same([day.status, JSON.parse(day.out).gregorian], [0, '2026-03-21'], day.err);
  same(say(['check', pack]).status, 0);
});
await test('a data folder that cannot be used', () => {
  const file = join(folder(), 'file');
  writeFileSync(file, '');
  refused(1, ['serve', '--pack', pack, '--data', join(file, 'x')], 'Not a directory');
  for (const args of [['ledger', 'verify'], ['backup', join(folder(), 'copy')], ['ledger', 'renew', '--why', 'x']]) {
    const place = folder();
    refused(1, [...args, '--data', place], 'there is no store');
    same(readdirSync(place), [], 'nothing was made there');
  }
  if (process.getuid() !== 0) return;
  const place = folder(), there = join(place, 'data'), binary = join(place, 'chapar');
  copyFileSync(chapar, binary);
  for (const p of [place, binary]) chmodSync(p, 0o755);
  mkdirSync(there);
  const nobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', binary], add = ['staff', 'add', '--data', there, '--username', 'first', '--organisation', 'o', '--role', 'officer'];
  refused(1, add, there, { as: nobody, input: 'a long password\n' });
  same(readdirSync(there), []);
  chownSync(there, 65534, 65534);
  refused(1, add, 'belongs to nobody', 'runuser -u nobody', { input: 'a long password\n' });
  same(readdirSync(there), [], 'root leaves nothing behind');
  const r = say(add, { as: nobody, input: 'a long password\n' });
  same([r.status, r.out], [0, 'first is now officer of o\n'], r.err);
});
await test('a port in use, and a store without its keys', async () => {
  const data = folder(), s = await serve(['--data', data]), address = s.base.slice(7);
  refused(1, ['serve', '--pack', pack, '--data', folder(), '--listen', address], address, /in use/);
  refused(1, ['serve', '--pack', pack, '--data', folder(), '--listen', '192.0.2.1:80'], '192.0.2.1:80');
  await s.stop();
  refused(1, ['backup', '--data', data, '--keys', join(folder(), 'elsewhere'), join(folder(), 'copy')], 'the keys of this store are not in', '--keys FOLDER');
  refused(1, ['serve', '--pack', pack, '--data', data, '--demo', '--listen', '127.0.0.1:0', '--keys', join(folder(), 'elsewhere')], 'the keys of this store are not in');
  refused(1, ['serve', '--pack', pack, '--data', data, '--listen', '127.0.0.1:0'], 'was made as a demonstration', '--demo');
});
await test('a store that cannot be reached, and a wrong password', async () => {
  const keys = ['--keys', join(folder(), 'keys')];
  for (const args of [['ledger', 'verify'], ['backup', join(folder(), 'copy')], ['serve', '--pack', pack]]) refused(1, [...args, '--store', 'postgresql://chapar@127.0.0.1:1/chapar', ...keys], '127.0.0.1', 'refused');
  refused(1, ['ledger', 'verify', '--store', 'mysql://chapar@127.0.0.1/chapar', ...keys], 'postgresql://');
  const pg = postgres({ own: true });
  if (!pg) return;
  const sql = (text) => spawnSync('psql', [pg.url, '-qAtc', text], { encoding: 'utf8' }).stdout.trim();
  const hba = sql('SHOW hba_file');
  writeFileSync(hba, `host all guarded 127.0.0.1/32 scram-sha-256\n${readFileSync(hba, 'utf8')}`);
  sql("CREATE ROLE guarded SUPERUSER LOGIN PASSWORD 'right'");
  sql('SELECT pg_reload_conf()');
  const url = (password) => pg.url.replace('chapar@', `guarded:${password}@`);
  await until('the new rule', () => spawnSync('psql', [url('nonsense'), '-qAtc', 'SELECT 1'], { encoding: 'utf8' }).stderr, (x) => x.includes('password authentication failed'));
  const r = refused(1, ['ledger', 'verify', '--store', url('wrong-password'), ...keys], 'password authentication failed');
  good(!r.err.includes('wrong-password'), 'the password is not repeated');
  refused(1, ['ledger', 'verify', '--store', pg.url.replace(/chapar$/, 'nothing'), ...keys], 'does not exist');
  refused(1, ['ledger', 'verify', '--store', url('right'), ...keys], 'nothing has been served from this store yet');
});
await test('long work shows how far it is on a terminal, and nowhere else', () => {
  const data = folder(), copy = join(folder(), 'copy'), back = folder();
  const steps = [['simulating', ['simulate', '--pack', pack, '--data', data, '--days', '3', '--seed', '5']], ['verifying', ['ledger', 'verify', '--data', data]],
    ['copying', ['backup', '--data', data, copy]], ['restoring', ['restore', '--data', back, copy]]];
  const quiet = folder(), quietCopy = join(folder(), 'copy');
  for (const [word, args] of steps) {
    const terminal = spawnSync('script', ['-qec', [chapar, ...args].map((x) => `'${x}'`).join(' '), '/dev/null'], { encoding: 'utf8', env });
    same(terminal.status, 0, terminal.stdout);
    good(new RegExp(`\r\x1b\\[K${word}: \\d`).test(terminal.stdout), `${word} on a terminal: ${JSON.stringify(terminal.stdout.slice(-300))}`);
    const plain = say(args.map((x) => (x === data ? quiet : x === copy ? quietCopy : x === back ? join(quiet, 'back') : x)));
    same(plain.status, 0, plain.err);
    good(!/\r|\x1b/.test(plain.out + plain.err), `${word} without a terminal: ${plain.err}`);
  }
  good(existsSync(join(back, 'chapar.db')), 'restored');
});
await test('ledger check: exit code and words', () => {
  const file = join(folder(), 'receipt');
  refused(1, ['ledger', 'check', '/nowhere/receipt'], 'No such file');
  writeFileSync(file, '{"leaf_hash":"00"}');
  refused(1, ['ledger', 'check', file]);
  refused(1, ['ledger', 'check', file, '--key', '/nowhere/key'], 'No such file');
  refused(2, ['ledger', 'check'], 'check RECEIPT');
});
end();
