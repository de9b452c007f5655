// Behind the nginx of docs/operator/nginx.conf: TLS, secure cookies, whose address counts, how large a body may be.
import { spawn, spawnSync } from 'node:child_process';
import { request } from 'node:https';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { serve, call, test, same, good, end, folder, port, root, chapar, example, filing, until } from './kit.mjs';

if (spawnSync('nginx', ['-v']).status !== 0 && spawnSync('/usr/sbin/nginx', ['-v']).status !== 0) {
  console.log('skipped: no nginx here');
  end();
}
const dir = folder(), tls = await port(), clear = await port(), name = 'khorasan.example';
spawnSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', join(dir, 'key'), '-out', join(dir, 'pem'), '-days', '2', '-subj', `/CN=${name}`]);
const data = folder();
spawnSync(chapar, ['staff', 'add', '--data', data, '--username', 'first', '--organisation', 'ostandari', '--role', 'auditor'], { input: 'a long password\n' });
const s = await serve(['--data', data], { demo: false, args: ['--base-url', `https://${name}`, '--trusted-proxies', '127.0.0.1', '--submissions-per-minute', '6'] });
const text = readFileSync(join(root, 'docs/operator/nginx.conf'), 'utf8').replaceAll('127.0.0.1:8080;', `${s.base.slice(7)};`).replaceAll('listen [::]:', '# ').replaceAll('listen 80;', `listen 127.0.0.1:${clear};`)
  .replaceAll('listen 443 ', `listen 127.0.0.1:${tls} `).replace(/ssl_certificate .*;/, `ssl_certificate ${join(dir, 'pem')};`).replace(/ssl_certificate_key .*;/, `ssl_certificate_key ${join(dir, 'key')};`);
for (const t of ['body', 'proxy', 'f', 'u', 's']) mkdirSync(join(dir, t));
writeFileSync(join(dir, 'conf'), `daemon off; pid ${dir}/pid; error_log stderr; worker_processes 1; ${process.getuid() === 0 ? 'user root;' : ''}\nevents {}\nhttp { access_log off; client_body_temp_path ${dir}/body; proxy_temp_path ${dir}/proxy; fastcgi_temp_path ${dir}/f; uwsgi_temp_path ${dir}/u; scgi_temp_path ${dir}/s;\n${text}\n}\n`);
const nginx = spawn('nginx', ['-c', join(dir, 'conf'), '-p', dir], { stdio: ['ignore', 'inherit', 'inherit'], env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` } });
process.on('exit', () => nginx.kill());
const ask = (method, path, { headers = {}, body, from = '127.0.0.1' } = {}) => new Promise((done, bad) => {
  const q = request({ host: '127.0.0.1', port: tls, servername: name, rejectUnauthorized: false, method, path, localAddress: from, headers: { Host: name, ...headers } }, (r) => {
    let out = '';
    r.on('data', (d) => { out += d; });
    r.on('end', () => done({ status: r.statusCode, headers: r.headers, text: out }));
  });
  q.on('error', bad);
  q.end(body);
});
await until('nginx answers', () => ask('GET', '/health').catch(() => null));

await test('pages come through, plain HTTP is sent to TLS, figures stay inside', async () => {
  const home = await ask('GET', '/');
  same([home.status, home.headers['content-type']], [200, 'text/html; charset=utf-8']);
  good(home.headers['strict-transport-security'], 'HSTS');
  const plain = await fetch(`http://127.0.0.1:${clear}/services?q=x`, { redirect: 'manual' });
  same([plain.status, plain.headers.get('location')], [301, `https://${name}/services?q=x`]);
  for (const path of ['/metrics', '/ussd', '/ussd/kannel']) same((await ask('GET', path)).status, 404, path);
});
await test('cookies are secure and bound to the host', async () => {
  const r = await ask('POST', '/staff', { headers: { 'Content-Type': 'application/x-www-form-urlencoded', Origin: `https://${name}` }, body: new URLSearchParams({ username: 'first', password: 'a long password' }).toString() });
  good([302, 303].includes(r.status), `${r.status} ${r.text.slice(0, 300)}`);
  const cookie = r.headers['set-cookie'].find((x) => x.includes('session='));
  good(/^__Host-session=[^;]+;/.test(cookie) && /; Secure/i.test(cookie) && /; HttpOnly/i.test(cookie) && /SameSite/i.test(cookie), cookie);
  same((await ask('GET', '/desk', { headers: { Cookie: cookie.split(';')[0] } })).status, 200, 'signed in');
  same((await ask('POST', '/staff', { headers: { 'Content-Type': 'application/x-www-form-urlencoded', Origin: 'https://evil.example' }, body: 'username=x&password=y' })).status, 403, 'another origin');
});
await test('each client has its own limit, and cannot take another\'s address', async () => {
  const body = JSON.stringify({ data: await example(s.base) });
  const post = (key, from, headers) => ask('POST', filing, { from, body, headers: { 'Content-Type': 'application/json', 'Idempotency-Key': key, ...headers } });
  const first = [];
  for (let i = 0; i < 10; i++) first.push((await post(`a${i}`, '127.0.0.2', { 'X-Forwarded-For': `10.0.0.${i}` })).status);
  same([first.filter((x) => x === 201).length, first.at(-1)], [6, 429], `claiming other addresses helps nobody: ${first}`);
  same((await post('b', '127.0.0.3')).status, 201, 'another client is not held up');
  const direct = await call(s.base, 'POST', filing, { key: 'c', body, headers: { 'X-Forwarded-For': '127.0.0.2' } });
  same(direct.status, 429, 'the proxy is believed');
});
await test('a body as large as a document passes, a larger one does not', async () => {
  same((await ask('POST', '/api/v1/documents', { body: Buffer.alloc(13 << 20), headers: { 'Content-Type': 'application/octet-stream' } }).catch(() => ({ status: 413 }))).status, 413);
  same((await ask('POST', '/api/v1/documents', { body: Buffer.alloc(10 << 20), headers: { 'Content-Type': 'application/octet-stream' } })).status, 401, 'judged by chapar');
});
nginx.kill();
await s.stop();
end();
