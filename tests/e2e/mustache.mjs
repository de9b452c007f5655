// Our templates against two judges: the public Mustache specification (mustache-spec/, https://github.com/mustache/spec, MIT)
// and npm's mustache over thousands of random templates. The seed is printed; SEED=n repeats a run, COUNT=n sets its length.
// DRIVER names the program (the unit test of templates with --driver).
import { spawn } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import path from 'node:path';
import Mustache from 'mustache';

const here = path.dirname(fileURLToPath(import.meta.url));
const program = process.env.DRIVER ?? path.join(here, '../../build/test-http-template');
const driver = spawn(program, ['--driver'], { stdio: ['pipe', 'pipe', 'inherit'] });
driver.on('error', (e) => { console.error(`${program}: ${e.message}`); process.exit(1); });
const lines = createInterface({ input: driver.stdout })[Symbol.asyncIterator]();

async function ours(template, partials, context) {
  driver.stdin.write(JSON.stringify({ template, partials, context }) + '\n');
  const { value, done } = await lines.next();
  if (done) throw new Error('the driver ended');
  return JSON.parse(value);
}

let failed = 0, checked = 0;
function judge(what, wanted, got, input) {
  checked++;
  if (got.output === wanted) return;
  if (++failed <= 5) console.error(`not ok ${what}`, JSON.stringify({ ...input, wanted, got }, null, 1));
}

for (const file of readdirSync(path.join(here, 'mustache-spec')).filter((f) => f.endsWith('.json')).sort()) {
  for (const t of JSON.parse(readFileSync(path.join(here, 'mustache-spec', file), 'utf8')).tests) {
    const got = await ours(t.template, t.partials ?? {}, t.data);
    judge(`${file}: ${t.name}`, t.expected, got, { template: t.template, data: t.data });
  }
}
console.log(`specification: ${checked} examples`);

// ---- random templates ----
const seed = Number(process.env.SEED ?? (Date.now() % 1e9));
const count = Number(process.env.COUNT ?? 5000);
console.log(`seed ${seed}`);
let state = seed >>> 0;
function random(n) { // xorshift32 over a Weyl sequence: the same everywhere
  state = (state + 0x9e3779b9) >>> 0;
  let x = state;
  x ^= x << 13; x >>>= 0; x ^= x >>> 17; x ^= x << 5; x >>>= 0;
  x = Math.imul(x ^ (x >>> 15), 0x2c1b3c6d) >>> 0;
  return ((x ^ (x >>> 12)) >>> 0) % n;
}
const pick = (list) => list[random(list.length)];

const strings = ['', 'x', '<b>&"\'`/=</b>', 'سلام', 'a\nb', '  ', '{{x}}', '0'];
const numbers = [0, 1, -7, 12345, 1.5, -0.25, 1e6];
const names = ['a', 'b', 'c', 'list', 'flag'];
const scalar = () => pick([() => pick(strings), () => pick(numbers), () => true, () => false, () => null])();
function value(depth) {
  if (depth > 3) return scalar();
  return pick([scalar, scalar, () => object(depth + 1), () => Array.from({ length: random(4) }, () => value(depth + 1) ?? '')])();
}
function object(depth) {
  const o = {};
  for (const n of names) if (random(3)) o[n] = value(depth);
  return o;
}

// Printing a list or an object, and a dotted name that is found only further out, are beyond the specification and left out:
// values are printed through names that hold scalars (s1…), dotted names begin at names that occur once (d).
function context() {
  return { ...object(0), s1: scalar(), s2: pick(strings), d: { e: scalar(), f: { g: scalar(), list: [1, 'two'] } } };
}
const space = () => pick(['', '', ' ', '\t', '  ']);
const newline = () => pick(['\n', '\n', '\r\n']);
const inline = () => pick(['text', 'سلام', ' ', '.', '}', '{ ', '|', '<p>', 'x y']);
const shown = () => pick(['s1', 's2', 'd.e', 'd.f.g', 'd.x.y', 'none']);
const tag = () => { const s = space(); return pick([() => `{{${s}${shown()}${s}}}`, () => `{{{${shown()}}}}`, () => `{{&${s}${shown()}}}`])(); };
const sectionName = () => pick([...names, 'd', 'd.f', 'd.f.list', 's1', 'none']);

function line(depth) { // text with values in it
  let s = '';
  for (let i = random(4); i >= 0; i--) s += pick([inline, inline, tag])();
  return s + newline();
}
function block(depth) {
  let s = '';
  for (let i = random(4); i >= 0; i--) s += pick([line, line, standalone, within, comment, partial, () => newline()])(depth + 1);
  return s;
}
function standalone(depth) {
  const n = sectionName(), sign = pick(['#', '^']), inner = depth < 4 ? block(depth) : line(depth);
  return `${space()}{{${sign}${n}}}${space()}${newline()}${inner}${space()}{{/${n}}}${space()}${newline()}`;
}
function within(depth) {
  const n = sectionName();
  return `${inline()}{{${pick(['#', '^'])}${n}}}${inline()}${tag()}{{/${n}}}${inline()}${newline()}`;
}
const comment = () => pick([() => `${space()}{{! a note }}${space()}${newline()}`, () => `x{{!note}}y${newline()}`,
  () => `${space()}{{! two${newline()} lines }}${newline()}`])();
const partial = () => pick([() => `${space()}{{>${pick(['p', 'q', 'absent'])}}}${space()}${newline()}`, () => `{{>one}}${inline()}${newline()}`,
  () => `${tag()}{{> one }}${newline()}`])();
function delimiters(body) { // a change of delimiters in the midst
  const [open, close] = pick([['<%', '%>'], ['|', '|'], ['[[', ']]'], ['@@', '@@']]);
  return `${body}${space()}{{=${open} ${close}=}}${newline()}a ${open}s1${close} {{s1}} ${open}#list${close}x${open}/list${close}${newline()}`
    + `${space()}${open}={{ }}=${close}${space()}${newline()}${line(0)}`;
}
function template() {
  let s = block(0);
  if (!random(5)) s = delimiters(s);
  if (!random(3)) s = s.replace(/\r?\n$/, '');
  return s;
}
// npm's mustache indents twice where a partial that begins a line, but is not alone on it, stands in an indented partial.
const settled = (s) => s.replace(/\{\{>[pq]\}\}/g, 'q').replace(/^\{\{>one/gm, '{{s2}}{{>one');
const partialsOf = () => ({ p: settled(block(2)), q: settled(block(3)), one: `one${tag()}` });

for (let i = 0; i < count; i++) {
  const input = { template: template(), partials: partialsOf(), context: context() };
  const wanted = Mustache.render(input.template, input.context, input.partials);
  judge(`random ${i} of seed ${seed}`, wanted, await ours(input.template, input.partials, input.context), input);
}
driver.stdin.end();
console.log(failed ? `${failed} of ${checked} differ` : `ok: ${checked} templates render as they should`);
process.exit(failed ? 1 : 0);
