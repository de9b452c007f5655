// Dialogues of USSD replayed from tests/replay/ussd/*.txt, each through both adapters: node tests/e2e/replay.mjs [--write] [FILE…].
//   # words              a remark
//   > *4015#             a dialling; > ۱ an answer
//   < a line             of the screen that must come; {code} a tracking code, {day} a date
//   .                    the dialogue is over after this screen
//   ! hang up            the centre ends it;  ! cut: the telephone is lost, nothing more is heard of the session
// --write puts the screens that came in place of those expected: read them before you keep them.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, basename } from 'node:path';
import { serve, call, test, same, good, end, folder, root } from './kit.mjs';

const words = process.argv.slice(2), write = words.includes('--write');
const home = join(root, 'tests', 'replay', 'ussd');
const files = words.filter((w) => !w.startsWith('--'));
const scripts = files.length ? files : readdirSync(home).filter((n) => n.endsWith('.txt')).sort().map((n) => join(home, n));
const s = await serve(['--data', folder()]);
const digit = '[0-9۰-۹]';
const code = new RegExp(`(?:${digit}{4}[ -]?){3}${digit}{4}`, 'g'), day = new RegExp(`${digit}{4}[/-]${digit}{1,2}[/-]${digit}{1,2}|${digit}{1,2} \\p{L}+ ${digit}{4}`, 'gu');
const masked = (text) => text.replace(code, '{code}').replace(day, '{day}');
let phones = 0;

class Form { // Africa's Talking
  constructor(phone) { this.phone = phone; }
  async post(extra) {
    const r = await call(s.base, 'POST', '/ussd', { headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ sessionId: this.id, serviceCode: '*4015#', phoneNumber: this.phone, networkCode: '43211', ...extra }).toString() });
    same(r.status, 200, r.text);
    return r.text;
  }
  async send(input, dials) {
    if (dials) { this.id = `r${++phones}`; this.inputs = input.replace(/#$/, '').split('*').slice(2); } else this.inputs.push(input);
    const text = await this.post({ text: this.inputs.join('*') });
    return { text: text.slice(4), over: text.startsWith('END') };
  }
  hang_up() { return this.post({ status: 'Incomplete' }); }
}
class Kannel {
  constructor(phone) { this.phone = phone; this.session = 0; }
  async get(input, op, last) {
    const byte = (n) => `%${n.toString(16).padStart(2, '0')}`;
    const r = await call(s.base, 'GET', `/ussd/kannel?msisdn=${this.phone}&to=4015&text=${encodeURIComponent(input)}&charset=UTF-8&coding=0&smsc=ussd&op=${byte(op)}&its=${byte(this.session)}${byte((this.dialogue++ * 2 & 254) | last)}`);
    same(r.status, 200, r.text);
    return r;
  }
  async send(input, dials) {
    if (dials) { this.session = (this.session + 1) % 256; this.dialogue = 0; }
    const r = await this.get(input, dials ? 1 : 18, 0);
    return { text: r.text, over: /service_op=%11/.test(r.headers.get('x-kannel-meta-data')) };
  }
  hang_up() { return this.get('', 17, 1); }
}

// Steps of a script: [{at, input, want: lines, over}]; what stands between is kept for --write.
function read(file) {
  const steps = [];
  readFileSync(file, 'utf8').split('\n').forEach((line, i) => {
    const last = steps[steps.length - 1];
    if (line.startsWith('> ')) steps.push({ at: i + 1, input: line.slice(2), want: [], over: false });
    else if (line.startsWith('<')) last.want.push(line.slice(2));
    else if (line === '.') last.over = true;
    else if (line.startsWith('! ')) steps.push({ at: i + 1, event: line.slice(2) });
    else good(line === '' || line.startsWith('#'), `${file}:${i + 1}: this is none of > < . ! #`);
  });
  return steps;
}
async function replay(file, telephone) {
  for (const step of read(file)) {
    if (step.event === 'hang up') await telephone.hang_up();
    else if (step.event) same(step.event, 'cut', `${file}:${step.at}`);
    else {
      const screen = await telephone.send(step.input, step.input.startsWith('*'));
      const limit = /[^\n -~]/.test(screen.text) ? 80 : 182;
      good(screen.text.length <= limit, `${basename(file)}:${step.at}: ${screen.text.length} of ${limit} characters: ${screen.text}`);
      step.came = [...masked(screen.text).split('\n').map((l) => `< ${l}`), ...(screen.over ? ['.'] : [])];
      if (!write) same(step.came, [...step.want.map((l) => `< ${l}`), ...(step.over ? ['.'] : [])], `${basename(file)}:${step.at}: after ${step.input}`);
    }
    telephone.steps = (telephone.steps || []).concat(step);
  }
  return telephone.steps;
}
for (const file of scripts) {
  for (const [name, Adapter] of [['kannel', Kannel], ['form', Form]])
    await test(`${basename(file)} by ${name}`, async () => {
      const steps = await replay(file, new Adapter(`0915${2000000 + ++phones}`));
      if (!write || name !== 'kannel') return;
      const came = new Map(steps.map((x) => [x.at, x.came]));
      writeFileSync(file, readFileSync(file, 'utf8').split('\n').flatMap((line, i) => (line.startsWith('<') || line === '.' ? [] : [line, ...(came.get(i + 1) || [])])).join('\n'));
    });
}
good(scripts.length > 0, 'there is something to replay');
await s.stop();
end();
