// The engine against its own JSON Schema: thousands of random answers to every service, judged by `chapar check PACK --judge` and by ajv.
// The formats of our own are written here a second time, from their public rules. What must hold:
//   the schema accepts            → the engine accepts;
//   the engine accepts            → the schema accepts what it gives back;
//   the engine gives it back same → the schema accepted it.
// COUNT=n answers a service, SEED=n repeats a run, CHAPAR names the binary, PACKS the packs (blank between).
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { isDeepStrictEqual } from 'node:util';
import path from 'node:path';
import Ajv2020 from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '../..');
const chapar = process.env.CHAPAR ?? path.join(root, 'build/chapar');
const packs = (process.env.PACKS ?? 'tests/packs/mini packs/khorasan-razavi').split(' ').map((p) => path.resolve(root, p));
const count = Number(process.env.COUNT ?? 2000);
let seed = Number(process.env.SEED ?? Date.now() % 1e9);
console.log(`seed ${seed}`);

// ---- chance (mulberry32) ----
function random() {
  seed = (seed + 0x6d2b79f5) | 0;
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
}
const below = (n) => Math.floor(random() * n);
const pick = (list) => list[below(list.length)];
const chance = (p) => random() < p;
const digits = (n) => Array.from({ length: n }, () => below(10)).join('');

// ---- identifiers, by their public rules ----
const alike = (s) => /^(.)\1*$/.test(s);
const weigh = (s, weights, shift = 0) => weights.reduce((sum, w, i) => sum + (Number(s[i]) + shift) * w, 0);
function nationalDigit(nine) {
  const rest = weigh(nine, [10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11;
  return String(rest < 2 ? rest : 11 - rest);
}
const nationalId = (s) => /^\d{10}$/.test(s) && !alike(s) && s.slice(3, 9) !== '000000' && nationalDigit(s) === s[9];
function legalDigit(ten) {
  return String(weigh(ten, [29, 27, 23, 19, 17, 29, 27, 23, 19, 17], Number(ten[9]) + 2) % 11 % 10);
}
const legalId = (s) => /^\d{11}$/.test(s) && s.slice(3, 9) !== '000000' && legalDigit(s) === s[10];
const iban = (s) => [...(s.slice(4) + s.slice(0, 4)).replace(/[A-Z]/g, (c) => c.charCodeAt(0) - 55)].reduce((r, d) => (r * 10 + Number(d)) % 97, 0);
const sheba = (s) => /^IR\d{24}$/.test(s) && iban(s) === 1;
const luhn = (s) => [...s].reverse().reduce((sum, d, i) => sum + (i % 2 ? (d * 2 > 9 ? d * 2 - 9 : d * 2) : Number(d)), 0) % 10 === 0;
const tracking = (s) => /^\d{16}$/.test(s) && luhn(s);
const postal = (s) => /^[13-9]{5}\d{5}$/.test(s) && !alike(s);
const mobile = (s) => /^09(0[0-5]|1\d|2[0-3]|3\d|41|9[0-689])\d{7}$/.test(s);
const fida = (s) => /^\d{8,16}$/.test(s) && !alike(s);

function csv(file) {
  const [head, ...rows] = readFileSync(file, 'utf8').trim().split('\n');
  const names = head.split(',');
  const cells = (row) => [...row.matchAll(/("(?:[^"]|"")*"|[^,]*)(?:,|$)/g)].map((m) => m[1]);
  return rows.map((row) => Object.fromEntries(cells(row).slice(0, names.length).map((cell, i) => [names[i], cell])));
}

function directory(pack) {
  const places = csv(path.join(pack, 'places.csv')), organisations = csv(path.join(pack, 'organisations.csv'));
  const parent = new Map(places.map((p) => [p.code, p.parent]));
  const kinds = (list) => list.reduce((m, x) => m.set(x.kind, [...(m.get(x.kind) ?? []), x.code]), new Map());
  const within = (place, outer) => { for (let at = place; at; at = parent.get(at)) if (at === outer) return true; return false; };
  const byKind = (list) => { const m = new Map(); for (const x of list) { if (!m.has(x.kind)) m.set(x.kind, []); m.get(x.kind).push(x.code); } return m; };
  return { parent, within, places: byKind(places), organisations: byKind(organisations), allPlaces: places.map((p) => p.code), allOrganisations: organisations.map((o) => o.code) };
}

function validator(dir) {
  const ajv = new Ajv2020({ allErrors: false, strict: true, strictTypes: false, strictRequired: false, validateFormats: true });
  addFormats(ajv, { formats: ['date'], keywords: true });
  const formats = { 'ir-national-id': nationalId, 'ir-legal-id': legalId, 'ir-sheba': sheba, 'ir-postal-code': postal, 'ir-mobile': mobile, 'ir-fida': fida, 'chapar-tracking': tracking };
  for (const [name, test] of Object.entries(formats)) ajv.addFormat(name, test);
  const sets = [['chapar-place', dir.places, dir.allPlaces], ['chapar-organisation', dir.organisations, dir.allOrganisations]];
  for (const [base, kinds, all] of sets) {
    const known = new Set(all);
    ajv.addFormat(base, (s) => known.has(s));
    for (const [kind, codes] of kinds) { const set = new Set(codes); ajv.addFormat(`${base}-${kind}`, (s) => set.has(s)); }
  }
  ajv.addKeyword({ keyword: 'x-within', schemaType: 'string', validate: (field, value, _, at) => !(field in at.parentData) || dir.within(value, at.parentData[field]) });
  for (const note of ['x-type', 'x-title-en', 'x-description-en', 'x-personal', 'x-accept', 'x-day']) ajv.addKeyword(note);
  return ajv;
}

// ---- values, mostly right ----
const words = ['خیابان', 'کار', 'روستا', 'Rayan', 'توس', 'کوچه ۵', 'A4', 'نیم‌فاصله', 'é', '۱۲', '😀'];
const day = (iso, n) => new Date(Date.parse(iso) + n * 864e5).toISOString().slice(0, 10);

function text(s) {
  const length = chance(0.7) ? s.minLength + below(Math.min(20, s.maxLength - s.minLength + 1)) : s.minLength - 1 + below(s.maxLength - s.minLength + 3);
  let out = [];
  while (out.length < length) out.push(...pick(words), ' ');
  out = out.slice(0, Math.max(0, length));
  if (out.at(-1) === ' ' || out.at(-1) === '\u200c') out[out.length - 1] = 'ا';
  return out.join('');
}

function around(s, whole) {
  const low = Math.max(s.minimum, -1e6), high = Math.min(s.maximum, 1e10);
  const v = chance(0.3) ? pick([s.minimum, s.maximum, s.minimum - 1, s.maximum + 1]) : low + random() * Math.min(high - low, pick([10, 1e4, 1e10]));
  return whole ? Math.floor(v) : Math.round(v * 1000) / 1000;
}

function place(s, data, dir) {
  const kind = s.format.slice('chapar-place-'.length), all = dir.places.get(kind) ?? dir.allPlaces, outer = data[s['x-within']];
  const near = outer && chance(0.85) ? all.filter((p) => dir.within(p, outer)) : all;
  return chance(0.95) && near.length ? pick(near) : pick(dir.allPlaces);
}

function several(s, make) {
  const n = chance(0.9) ? s.minItems + below(Math.min(3, s.maxItems - s.minItems + 1)) : below(s.maxItems + 2);
  const list = Array.from({ length: n }, make);
  return chance(0.9) ? [...new Set(list)] : list;
}

function right(s, data, dir) {
  switch (s['x-type']) {
    case 'text': case 'paragraph': return text(s);
    case 'integer': case 'money': return around(s, true);
    case 'decimal': return around(s, false);
    case 'date': return chance(0.3) ? day(pick([s.formatMinimum, s.formatMaximum]), below(3) - 1) : day(s.formatMaximum, -below(1 + (Date.parse(s.formatMaximum) - Date.parse(s.formatMinimum)) / 864e5));
    case 'yes_no': return chance(0.5);
    case 'declaration': return chance(0.98);
    case 'choice': return pick(s.enum);
    case 'choices': return several(s, () => pick(s.items.enum));
    case 'place': return place(s, data, dir);
    case 'organisation': return pick(dir.organisations.get(s.format.slice('chapar-organisation-'.length)) ?? dir.allOrganisations);
    case 'national_id': { const n = digits(9); return n + nationalDigit(n); }
    case 'legal_id': { const n = digits(10); return n + legalDigit(n); }
    case 'fida': return digits(8 + below(9));
    case 'mobile': return pick(['0915', '0936', '0901', '0990', '0941', '0920']) + digits(7);
    case 'postal_code': return Array.from({ length: 5 }, () => pick('13456789')).join('') + digits(5);
    case 'sheba': { const n = digits(22), check = 98 - iban(`IR00${n}`); return `IR${String(check).padStart(2, '0')}${n}`; }
    case 'tracking': { const n = digits(15); return n + [...'0123456789'].find((d) => luhn(n + d)); }
    case 'email': return `${pick(['a', 'name.b', 'x+y'])}@${pick(['example.ir', 'mail.example.com', 'localhost', 'a-b.ir'])}`;
    case 'document': return several(s, () => `doc-${digits(3)}`);
    default: throw new Error(`no values for type ${s['x-type']}`);
  }
}

const wrong = [null, '', ' ', 0, -1, 1.5, 1e15, true, false, [], [''], {}, 'x', 'نه', '0000000000', '2026-02-30', '1400-01-01', '1700-01-01', '99', '\u202bنام', 'a\u0007b', ' a ', ['x', 'x']];
const persian = (s) => s.replace(/\d/g, (d) => String.fromCharCode(0x6f0 + Number(d)));
// As people type it: another form of the same value.
const typed = (v) => (typeof v === 'number' ? persian(String(v)) : typeof v === 'string' ? pick([persian(v), ` ${v} `, `\u200f${v}`]) : typeof v === 'boolean' ? String(v) : Array.isArray(v) ? v.join(',') : v);

function answer(schema, asked, dir, careful) {
  const data = {};
  if (schema.examples.length && chance(0.2)) Object.assign(data, structuredClone(pick(schema.examples)));
  else {
    for (const [name, s] of Object.entries(schema.properties)) {
      const rule = asked.get(name), wanted = rule ? rule.test(data) : true, needed = wanted && (rule ? rule.required : schema.required.includes(name));
      if (careful ? wanted && (needed || chance(0.6)) : chance(wanted ? 0.97 : 0.03)) data[name] = right(s, data, dir);
    }
  }
  if (!careful || chance(0.2)) {
    const name = pick(Object.keys(schema.properties)), act = below(6);
    if (act === 0) delete data[name];
    else if (act === 1) data[name] = pick(wrong);
    else if (act === 2) data[name] = right(schema.properties[name], data, dir);
    else if (act === 3 && name in data) data[name] = typed(data[name]);
    else if (act === 4 && chance(0.2)) data[pick(['more', '__proto__x', 'tracking'])] = 1;
  }
  return data;
}

// ---- the comparison ----
let failures = 0;
function complain(what, service, data, engine, schema, errors) {
  if (++failures <= 5) console.error(`not ok ${service}: ${what}`, JSON.stringify({ data, engine, schema, errors }, null, 1));
}

async function compare(pack) {
  const driver = spawn(chapar, ['check', pack, '--judge'], { stdio: ['pipe', 'pipe', 'inherit'] });
  driver.on('error', (e) => { console.error(`${chapar}: ${e.message}`); process.exit(1); });
  const lines = createInterface({ input: driver.stdout })[Symbol.asyncIterator]();
  const ask = async (question) => {
    driver.stdin.write(JSON.stringify(question) + '\n');
    for (;;) {
      const { value, done } = await lines.next();
      if (done) throw new Error('the engine ended');
      if (value.startsWith('{')) return JSON.parse(value); // warnings of the compiler go before
    }
  };
  const dir = directory(pack), ajv = validator(dir), { schemas } = await ask({ schemas: true });
  for (const [code, schema] of Object.entries(schemas)) {
    const test = ajv.compile(schema), asked = new Map(), constraints = schema.allOf ?? [];
    for (const rule of constraints)
      if (rule.else) asked.set(Object.keys(rule.else.properties)[0], { test: ajv.compile(rule.if), required: Boolean(rule.then) });
    if (!schema.examples.length || !schema.examples.every((e) => test(e))) complain('an example does not satisfy the schema', code, schema.examples, null, null, test.errors);
    let valid = 0;
    for (let i = 0; i < count; i++) {
      const data = answer(schema, asked, dir, i % 2 === 0), accepted = test(data), errors = test.errors, engine = await ask({ service: code, data });
      if (engine.error) throw new Error(`${code}: ${engine.error}`);
      valid += engine.valid;
      if (accepted && !engine.valid) complain('the schema accepts, the engine refuses', code, data, engine, accepted);
      else if (engine.valid && !test(engine.data)) complain('what the engine gives back does not satisfy the schema', code, data, engine, false, test.errors);
      else if (engine.valid && !accepted && isDeepStrictEqual(engine.data, data)) complain('the engine accepts, the schema refuses', code, data, engine, accepted, errors);
    }
    console.log(`${path.basename(pack)} ${code}: ${count} answers, ${valid} valid`);
    if (valid < count / 20 || valid > count * 0.95) complain(`${valid} of ${count} are valid: the test does not test both sides`, code);
  }
  driver.stdin.end();
}

for (const pack of packs) await compare(pack);
if (failures) console.error(`${failures} disagreements`);
process.exit(failures ? 1 : 0);
