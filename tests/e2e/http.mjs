// Raw sockets against the whole server: what a proxy in front and a hostile client could send.
import net from 'node:net';
import { serve, folder, test, same, good, end } from './kit.mjs';

const s = await serve(['--data', folder()]);
const { hostname, port } = new URL(s.base);

// Send bytes, hear everything until the server closes; with `enough`, until that is there.
function ask(bytes, enough) {
  return new Promise((done, bad) => {
    const c = net.connect(Number(port), hostname, () => c.write(bytes));
    let text = '';
    c.setTimeout(60000, () => { c.destroy(); bad(new Error(`neither closed nor answered: ${text.slice(0, 1000)}`)); });
    c.on('data', (d) => { text += d; if (enough?.(text)) { c.destroy(); done(text); } });
    c.on('end', () => { c.destroy(); done(text); });
    c.on('error', (e) => (e.code === 'ECONNRESET' || e.code === 'EPIPE' ? done(text) : bad(e)));
  });
}
const status = (text) => Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1] ?? 0);
const answers = (text) => (text.match(/HTTP\/1\.1 \d+/g) ?? []).length;
const head = (method, path, lines = [], version = 'HTTP/1.1') => [`${method} ${path} ${version}`, ...lines, '', ''].join('\r\n');
const health = head('GET', '/health', ['Host: x']);
const json = '{"national_id":"1","mobile":"2"}';

await test('a plain request is answered, keeps alive and may be pipelined', async () => {
  same(answers(await ask(health.repeat(9) + head('GET', '/health', ['Host: x', 'Connection: close']))), 10);
  same(status(await ask(head('GET', '/health', [], 'HTTP/1.0'))), 200);
});

await test('a body told in two ways is refused, and nothing behind it is read', async () => {
  const post = (lines, body) => head('POST', '/api/v1/otp', ['Host: x', 'Content-Type: application/json', ...lines]) + body;
  const bad = {
    'length and chunked': post(['Content-Length: 6', 'Transfer-Encoding: chunked'], '0\r\n\r\n' + health),
    'chunked and length': post(['Transfer-Encoding: chunked', 'Content-Length: 6'], '0\r\n\r\n' + health),
    'two lengths': post(['Content-Length: 2', 'Content-Length: 2'], '{}' + health),
    'a list of lengths': post(['Content-Length: 2, 2'], '{}' + health),
    'space before the colon': post(['Content-Length : 2'], '{}' + health),
    'a folded length': post(['Content-Length:', ' 2'], '{}' + health),
    'another coding': post(['Transfer-Encoding: gzip, chunked'], '0\r\n\r\n' + health),
    'chunked twice': post(['Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'], '0\r\n\r\n' + health),
    'a tab in the coding': post(['Transfer-Encoding: \x0bchunked'], '0\r\n\r\n' + health),
    'chunked in 1.0': head('POST', '/api/v1/otp', ['Host: x', 'Transfer-Encoding: chunked'], 'HTTP/1.0') + '0\r\n\r\n' + health,
  };
  for (const [name, bytes] of Object.entries(bad)) {
    const text = await ask(bytes);
    same(status(text), 400, `${name}: ${text}`);
    good(!text.includes(' 200 OK'), `${name}: the second request was answered`);
  }
  const chunked = await ask(post(['Transfer-Encoding: chunked'], `${json.length.toString(16)}\r\n${json}\r\n0\r\n\r\n${health}`));
  same(answers(chunked), 1, chunked);
  good(/\r\nConnection: close\r\n/i.test(chunked), chunked);
});

await test('unclean heads are refused', async () => {
  const bad = {
    'two hosts': head('GET', '/health', ['Host: x', 'Host: y']),
    'no host': head('GET', '/health'),
    'a folded line': head('GET', '/health', ['Host: x', 'A: b', ' c']),
    'a bare line feed': 'GET /health HTTP/1.1\r\nHost: x\nA: b\r\n\r\n',
    'NUL in a value': head('GET', '/health', ['Host: x', 'A: b\0c']),
    'a control character': head('GET', '/health', ['Host: x', 'A: b\x01c']),
    'a name that is no token': head('GET', '/health', ['Host: x', 'A(b): c']),
    'two spaces': 'GET  /health HTTP/1.1\r\nHost: x\r\n\r\n',
    'a fragment': head('GET', '/health#x', ['Host: x']),
    'another host in the target': head('GET', 'http://y/health', ['Host: x']),
  };
  for (const [name, bytes] of Object.entries(bad)) {
    const text = await ask(bytes);
    good(text === '' || status(text) === 400, `${name}: ${text}`);
  }
});

await test('paths that climb, and escapes that are none, are refused', async () => {
  for (const path of ['/api/../health', '/api/%2e%2e/health', '/%2e/health', '/health%00', '/%ff', '/%zz', '/a\\..\\b', '/assets/..%2f..%2fetc%2fpasswd', '/?a=1&b=%ff'])
    same(status(await ask(head('GET', path, ['Host: x', 'Connection: close']))), 400, path);
});

await test('bodies that are too large are turned away before they are read, and the answer arrives', async () => {
  same(status(await ask(head('POST', '/api/v1/otp', ['Host: x', 'Content-Type: application/json', 'Content-Length: 99999999']))), 413);
  const text = await ask(head('POST', '/api/v1/otp', ['Host: x', 'Content-Type: application/json', 'Content-Length: 800000']) + 'x'.repeat(800000));
  same(status(text), 413, text);
  same(answers(text), 1);
  same(status(await ask(head('GET', '/health', ['Host: x', ...Array.from({ length: 150 }, (_, i) => `A${i}: b`)]))), 431);
  good([414, 431].includes(status(await ask(head('GET', `/${'a'.repeat(40000)}`, ['Host: x'])))));
});

await test('a browser on another site can write nothing', async () => {
  for (const line of ['Origin: https://evil.example', 'Origin: null', 'Sec-Fetch-Site: cross-site', 'Sec-Fetch-Site: same-site']) {
    const text = await ask(head('POST', '/api/v1/otp', ['Host: x', line, 'Content-Type: application/json', `Content-Length: ${json.length}`, 'Connection: close']) + json);
    same(status(text), 403, `${line}: ${text}`);
  }
});

await test('slow senders do not hold the server', async () => {
  const slow = Array.from({ length: 200 }, () => { const c = net.connect(Number(port), hostname, () => c.write('GET /health HTTP/1.1\r\nX: ')); c.on('error', () => {}); return c; });
  const drip = setInterval(() => slow.forEach((c) => c.writable && c.write('a')), 500);
  await new Promise((r) => setTimeout(r, 1000));
  same(status(await ask(head('GET', '/health', ['Host: x', 'Connection: close']))), 200);
  good(slow.some((c) => !c.destroyed), 'others are answered only when the slow ones have been closed');
  const closed = await Promise.race([Promise.all(slow.map((c) => new Promise((r) => (c.destroyed ? r() : c.on('close', r))))).then(() => true), new Promise((r) => setTimeout(r, 180000, false))]);
  clearInterval(drip);
  slow.forEach((c) => c.destroy());
  good(closed, 'some were never closed');
});
await s.stop();
end();
