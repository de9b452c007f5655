// How soon a change of a state is on the page, after it is decided: node bench/network-live.mjs [CHANGES]
// A demonstration of 4,543 offices with a browser's worth of watchers on its events. Changes are begun by planning maintenance of an office and ending it; the server labels each with the
// moment of its decision (`at`, the same machine's clock). Measured: until the event has arrived, and until the page that is fetched then tells the new state.
import { serve, staff, call, folder, sleep } from '../tests/e2e/kit.mjs';

const changes = Number(process.argv[2] || 60), watchers = 50;
const s = await serve(['--data', folder()]), b = s.base, operator = await staff(b, 'operator'), ends = new AbortController();
const page = async (path) => (await fetch(b + path, { headers: { Accept: 'text/html', 'Accept-Language': 'en' } })).text();
const office = 'KR-0905-0007', heard = [];
let wake = () => {};
const follow = async (first) => {
  const r = await fetch(`${b}/api/v1/network/events`, { signal: ends.signal });
  let text = '';
  for await (const x of r.body) {
    text += Buffer.from(x);
    for (let i; (i = text.indexOf('\n\n')) >= 0; text = text.slice(i + 2)) {
      const m = /^data: (.*)$/m.exec(text.slice(0, i));
      if (first && m && /event: change/.test(text.slice(0, i))) { heard.push({ now: Date.now(), changes: JSON.parse(m[1]).changes }); wake(); }
    }
  }
};
for (let i = 0; i < watchers; i++) follow(i === 0).catch(() => {});
const form = async (path, fields) => {
  const token = /name="form_token" value="([^"]+)"/.exec(await (await fetch(`${b}/network/maintenance`, { headers: { Accept: 'text/html', Cookie: `session=${operator}` } })).text())[1];
  const r = await fetch(b + path, { method: 'POST', redirect: 'manual', headers: { Accept: 'text/html', Cookie: `session=${operator}`, 'Content-Type': 'application/x-www-form-urlencoded' }, body: new URLSearchParams({ form_token: token, ...fields }) });
  if (r.status !== 303) throw new Error(`${path}: ${r.status} ${await r.text()}`);
};
const there = (at) => new Date(at + 3.5 * 3600e3).toISOString();
const change = async (to) => {
  for (;;) {
    while (heard.length) { const h = heard.shift(), c = h.changes.find((x) => x.office === office && x.to === to); if (c) return { now: h.now, at: Date.parse(c.at) }; }
    await new Promise((done) => { wake = done; });
  }
};
while ((await call(b, 'GET', `/api/v1/offices/${office}`)).json.state !== 'up') await sleep(500); // its first probe
const arrived = [], shown = [];
for (let i = 0; i < changes; i++) {
  const begin = i % 2 === 0, state = begin ? 'maintenance' : 'up', now = Date.now();
  if (begin) await form('/network/maintenance', { office, from_day: there(now - 60e3).slice(0, 10), from_hour: there(now - 60e3).slice(11, 16), to_day: there(now + 7200e3).slice(0, 10), to_hour: there(now + 7200e3).slice(11, 16), reason: 'benchmark' });
  else await form(`/network/maintenance/${(await call(b, 'GET', '/api/v1/network/maintenance')).json.items[0].id}/end`, {});
  const c = await change(state);
  arrived.push(c.now - c.at);
  while (!(await page(`/network/offices/${office}`)).includes(`ns ns-${state}`)) await sleep(5);
  shown.push(Date.now() - c.at);
}
ends.abort();
const tell = (name, list) => { list.sort((x, y) => x - y); const of = (q) => list[Math.min(list.length - 1, Math.floor(q * list.length))]; console.log(`${name}: median ${of(0.5)} ms, 95 % within ${of(0.95)} ms, longest ${of(1)} ms (${list.length} changes, ${watchers} watchers)`); };
tell('decided → event at the watcher', arrived);
tell('decided → on the page', shown);
await s.stop();
process.exit(shown.at(-1) <= 1000 ? 0 : 1);
