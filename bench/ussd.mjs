// USSD at a steady rate: node bench/ussd.mjs [sqlite|postgres …]. RATE turns a second (500) for SECONDS (10), over as many telephones as it takes;
// every turn is saved durably before it is answered. Peer in the same run: GET /health of the same server at the same rate, which saves nothing.
// On a busy machine read the processor time, which waiting does not change.
// Open loop: a turn's time runs from when it was due, so a server that falls behind shows it. Ends with 1 when a screen is wrong.
import { Agent, request } from 'node:http';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { serve, folder, postgres } from '../tests/e2e/kit.mjs';

const rate = Number(process.env.RATE || 500), seconds = Number(process.env.SECONDS || 10);
const agent = new Agent({ keepAlive: true, maxSockets: 64 });
const get = (url) => new Promise((ok, bad) => {
  const q = request(url, { agent }, (r) => {
    let text = '';
    r.setEncoding('utf8').on('data', (d) => { text += d; }).on('end', () => ok({ status: r.statusCode, text, meta: r.headers['x-kannel-meta-data'] }));
  });
  q.on('error', bad).end();
});
// A dialogue of six turns, from dialling to a question in the middle of a form, with what each screen must hold.
const turns = [['*4015#', '01', 'خدمات'], ['۱', '12', 'شماره خدمت'], ['۳', '12', 'خدمات'], ['51', '12', 'بله'], ['۲', '12', 'چه شده'], ['۱', '12', 'بله']];
const byte = (n) => `%${n.toString(16).padStart(2, '0')}`;
class Phone {
  constructor(base, n) { this.base = base; this.n = n; this.at = 0; }
  async turn() {
    const [text, op, want] = turns[this.at];
    const r = await get(`${this.base}/ussd/kannel?msisdn=0915${3000000 + this.n}&to=4015&text=${encodeURIComponent(text)}&charset=UTF-8&coding=0&smsc=ussd&op=%${op}&its=${byte(this.n % 256)}${byte(this.at * 2)}`);
    this.at = (this.at + 1) % turns.length;
    return r.status === 200 && r.text.includes(want) && r.text.length <= 80;
  }
}
const cpu = (pid) => { const f = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' '); return (Number(f[11]) + Number(f[12])) * 10; }; // ms
const part = (sorted, q) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))];

// fire() at the given rate
async function steady(pid, fire) {
  const times = [], total = rate * seconds, began = performance.now(), spent = cpu(pid);
  let wrong = 0, started = 0;
  const waiting = [];
  while (started < total) {
    const due = Math.min(total, Math.floor((performance.now() - began) / 1000 * rate) + 1);
    for (; started < due; started++) {
      const at = began + started / rate * 1000;
      waiting.push(fire().then((good) => { times.push(performance.now() - at); if (!good) wrong++; }, () => { wrong++; }));
    }
    await new Promise((ok) => setTimeout(ok, 1));
  }
  await Promise.all(waiting);
  times.sort((a, b) => a - b);
  return { p50: part(times, 0.5), p99: part(times, 0.99), wrong, cpu: (cpu(pid) - spent) / total, rate: total / ((performance.now() - began) / 1000) };
}

let failed = false;
for (const name of process.argv.slice(2).length ? process.argv.slice(2) : ['sqlite']) {
  const pg = name === 'postgres' ? postgres() : null;
  if (name === 'postgres' && !pg) { console.log('postgres: not installed'); continue; }
  const s = await serve(pg ? ['--store', pg.fresh(), '--keys', join(folder(), 'keys')] : ['--data', folder()]);
  const peer = await steady(s.child.pid, async () => (await get(`${s.base}/health`)).status === 200);
  const idle = Array.from({ length: rate * 2 }, (_, n) => new Phone(s.base, n)); // each telephone waits for its screen before it answers
  let next = rate * 2;
  const turn = await steady(s.child.pid, async () => {
    const phone = idle.shift() || new Phone(s.base, next++);
    const good = await phone.turn();
    idle.push(phone);
    return good;
  });
  const line = (what, r) => `${name}: ${what} ${r.rate.toFixed(0)}/s, p50 ${r.p50.toFixed(1)} ms, p99 ${r.p99.toFixed(1)} ms, ${r.cpu.toFixed(2)} ms of processor time each, wrong ${r.wrong}`;
  console.log(line('turns', turn));
  console.log(`${line('GET /health', peer)}; ratio p50 ${(turn.p50 / peer.p50).toFixed(1)}, p99 ${(turn.p99 / peer.p99).toFixed(1)}, processor time ${(turn.cpu / peer.cpu).toFixed(1)}`);
  failed ||= turn.wrong > 0 || peer.wrong > 0;
  await s.stop();
}
process.exit(failed ? 1 : 0);
