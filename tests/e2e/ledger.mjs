// An independent verifier of the ledger: node's crypto only, nothing of the platform's own code.
// As a module: the exported functions. As a program: node ledger.mjs BASE_URL [TRACKING]
import { createHash, createPublicKey, verify } from 'node:crypto';
import { pathToFileURL } from 'node:url';

const sha256 = (...parts) => parts.reduce((h, p) => h.update(p), createHash('sha256')).digest();
const must = (ok, message) => { if (!ok) throw new Error(message); };
const fromHex = (s) => { must(/^([0-9a-f]{2})*$/.test(s), `not hexadecimal: ${s}`); return Buffer.from(s, 'hex'); };
const fromBase64 = (s) => { const b = Buffer.from(s, 'base64'); must(b.toString('base64') === s, `not base64: ${s}`); return b; };

// ---- keys and notes (C2SP signed-note, tlog-checkpoint, tlog-cosignature) ----

export function parseKey(text) {
  const m = /^([^\s+]+)\+([0-9a-f]{8})\+(\S+)$/.exec(text.trim());
  must(m, 'a verifier key is name+id+key');
  const raw = fromBase64(m[3]), id = sha256(m[1], '\n', raw).subarray(0, 4);
  must(raw.length === 33 && (raw[0] === 1 || raw[0] === 4), 'not an Ed25519 verifier key');
  must(id.toString('hex') === m[2], 'the id of the verifier key is false');
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: raw.subarray(1).toString('base64url') }, format: 'jwk' });
  return { name: m[1], id: m[2], type: raw[0], key, text: text.trim() };
}

export function parseNote(text) {
  const at = text.lastIndexOf('\n\n');
  must(at >= 0 && text.endsWith('\n'), 'not a signed note');
  const lines = text.slice(at + 2).split('\n').slice(0, -1).map((line) => {
    const m = /^— ([^\s+]+) (\S+)$/.exec(line);
    must(m, `not a signature line: ${line}`);
    const raw = fromBase64(m[2]);
    return { line, name: m[1], id: raw.subarray(0, 4).toString('hex'), signature: raw.subarray(4) };
  });
  must(lines.length > 0, 'a note without signatures');
  return { text: text.slice(0, at + 1), lines };
}

export function checkNote(note, key) {
  const mine = note.lines.filter((l) => l.name === key.name && l.id === key.id);
  for (const l of mine) {
    let text = note.text, signature = l.signature;
    if (key.type === 4) {
      text = `cosignature/v1\ntime ${signature.readBigUInt64BE(0)}\n${text}`;
      signature = signature.subarray(8);
    }
    must(verify(null, Buffer.from(text), key.key, signature), `the signature of ${key.name} is false`);
  }
  must(mine.length > 0, `there is no signature of ${key.name}`);
  return mine[0];
}

export function checkCheckpoint(text, key) {
  const note = parseNote(text), [origin, size, root] = note.text.split('\n');
  must(/^(0|[1-9][0-9]*)$/.test(size), 'the size of the checkpoint is not a number');
  must(origin === key.name, `the checkpoint is of ${origin}`);
  checkNote(note, key);
  const hash = fromBase64(root);
  must(hash.length === 32, 'the root of the checkpoint is not a hash');
  return { origin, size: Number(size), root: hash, note };
}

// What a time-stamp of a checkpoint covers, and for openssl ts -verify -data.
export const stampedText = (note, key) => `${note.text}\n${checkNote(note, key).line}\n`;

// ---- the tree (RFC 9162, section 2.1) ----

export const leafBytes = (header, digestHex) => Buffer.from(`chapar-leaf-v1\n${header}\n${digestHex}\n`);
export const digestOf = (saltHex, payload) => sha256(fromHex(saltHex), payload).toString('hex');
export const leafHash = (bytes) => sha256(Buffer.of(0), bytes);
const node = (l, r) => sha256(Buffer.of(1), l, r);

export function rootFromInclusion(hash, index, size, path) {
  must(index >= 0 && index < size, 'the leaf is outside the tree');
  let fn = BigInt(index), sn = BigInt(size) - 1n, r = hash;
  for (const p of path) {
    must(sn > 0n, 'the proof is too long');
    if (fn & 1n || fn === sn) {
      r = node(p, r);
      while (!(fn & 1n) && fn) { fn >>= 1n; sn >>= 1n; }
    } else r = node(r, p);
    fn >>= 1n; sn >>= 1n;
  }
  must(sn === 0n, 'the proof is too short');
  return r;
}

export function checkConsistency(first, second, firstRoot, secondRoot, path) {
  must(first <= second, 'the second tree is smaller');
  if (first === second || first === 0) {
    must(path.length === 0, 'a proof where none is needed');
    must(first === 0 || firstRoot.equals(secondRoot), 'two roots of one size');
    return;
  }
  const list = (first & (first - 1)) === 0 ? [firstRoot, ...path] : [...path];
  must(path.length > 0, 'the proof is empty');
  let fn = BigInt(first) - 1n, sn = BigInt(second) - 1n;
  while (fn & 1n) { fn >>= 1n; sn >>= 1n; }
  let fr = list[0], sr = list[0];
  for (const c of list.slice(1)) {
    must(sn > 0n, 'the proof is too long');
    if (fn & 1n || fn === sn) {
      fr = node(c, fr); sr = node(c, sr);
      while (!(fn & 1n) && fn) { fn >>= 1n; sn >>= 1n; }
    } else sr = node(sr, c);
    fn >>= 1n; sn >>= 1n;
  }
  must(sn === 0n && fr.equals(firstRoot) && sr.equals(secondRoot), 'the consistency proof is false');
}

export function treeRoot(hashes) {
  if (hashes.length === 0) return sha256('');
  if (hashes.length === 1) return hashes[0];
  const k = 2 ** Math.floor(Math.log2(hashes.length - 1));
  return node(treeRoot(hashes.slice(0, k)), treeRoot(hashes.slice(k)));
}

export function tilePath(level, n, width) {
  let name = String(n % 1000).padStart(3, '0');
  for (let rest = Math.floor(n / 1000); rest > 0; rest = Math.floor(rest / 1000)) name = `x${String(rest % 1000).padStart(3, '0')}/${name}`;
  return `/ledger/tile/${level}/${name}${width < 256 ? `.p/${width}` : ''}`;
}

// ---- receipts ----

export function checkPromise(promise, hashHex, key) {
  must(promise.key_id === key.id, `the promise is of key ${promise.key_id}, the log's is ${key.id}`);
  const text = `chapar-promise-v1\n${key.name}\n${hashHex}\n${promise.at}\n${promise.merge_by}\n`;
  must(verify(null, Buffer.from(text), key.key, fromBase64(promise.signature)), 'the signature of the promise is false');
  const wait = Date.parse(promise.merge_by) - Date.parse(promise.at);
  must(wait > 0 && wait <= 60000, 'the promise names a time too far away');
}

const members = new Set(['leaf_hash', 'promise', 'verifier_key', 'leaf_index', 'tree_size', 'audit_path', 'checkpoint', 'timestamp_token', 'leaf']);

// Throws unless everything in the receipt is true; answers whether it holds a proof, and the checkpoint.
export function checkReceipt(receipt, key) {
  const hash = fromHex(receipt.leaf_hash);
  must(hash.length === 32, 'the leaf hash is not a hash');
  for (const name in receipt) must(members.has(name), `a receipt has no member ${name}`);
  must((receipt.verifier_key ?? key.text) === key.text, 'the receipt names another key');
  checkPromise(receipt.promise, receipt.leaf_hash, key);
  if (receipt.leaf) {
    const { header, salt, payload } = receipt.leaf;
    must(leafHash(leafBytes(header, digestOf(salt, payload))).equals(hash), 'the content is not what was promised');
  }
  if (receipt.checkpoint === undefined) return { proved: false };
  const checkpoint = checkCheckpoint(receipt.checkpoint, key);
  must(checkpoint.size === receipt.tree_size, 'receipt and checkpoint differ in size');
  const root = rootFromInclusion(hash, receipt.leaf_index, receipt.tree_size, receipt.audit_path.map(fromHex));
  must(root.equals(checkpoint.root), 'the proof does not lead to the signed root');
  return { proved: true, checkpoint };
}

// ---- a running server ----

async function get(base, path) {
  const answer = await fetch(base.replace(/\/$/, '') + path);
  must(answer.ok, `${path}: ${answer.status} ${answer.ok ? '' : await answer.text()}`);
  return answer;
}
export const getJson = async (base, path) => (await get(base, path)).json();
export const getText = async (base, path) => (await get(base, path)).text();
export const logKey = async (base) => parseKey(await getText(base, '/ledger/key'));

export async function getTile(base, level, n, width) {
  const bytes = Buffer.from(await (await get(base, tilePath(level, n, width))).arrayBuffer());
  must(bytes.length === width * 32, `tile ${level}/${n} has ${bytes.length} bytes`);
  return Array.from({ length: width }, (_, i) => bytes.subarray(i * 32, i * 32 + 32));
}

// Every tile of a signed head: each level follows from the one below, and all of it gives the signed root. Answers the leaf hashes.
export async function checkTiles(base, checkpoint) {
  let level = 0, below = null, leaves = [];
  for (let count = checkpoint.size; count > 0; count = Math.floor(count / 256), level++) {
    const all = [], full = [];
    for (let n = 0; n * 256 < count; n++) {
      const width = Math.min(256, count - n * 256), hashes = await getTile(base, level, n, width);
      all.push(...hashes);
      if (width === 256) full.push(treeRoot(hashes));
    }
    if (below) must(below.length === all.length && below.every((h, i) => h.equals(all[i])), `level ${level} does not follow from the tiles below`);
    if (level === 0) leaves = all;
    below = full;
  }
  must(treeRoot(leaves).equals(checkpoint.root), 'the tiles do not give the signed root');
  return leaves;
}

export async function checkProofs(base, checkpoint, leaves) {
  const some = new Set([0, 1, 2, Math.floor(checkpoint.size / 2), checkpoint.size - 2, checkpoint.size - 1].filter((i) => i >= 0 && i < checkpoint.size));
  for (const i of some) {
    const proof = await getJson(base, `/api/v1/ledger/proof?leaf=${i}&tree_size=${checkpoint.size}`);
    must(proof.leaf_hash === leaves[i].toString('hex'), `leaf ${i} is another in the proof`);
    must(rootFromInclusion(leaves[i], i, checkpoint.size, proof.audit_path.map(fromHex)).equals(checkpoint.root), `the proof of leaf ${i} is false`);
    const first = i + 1, { consistency_path: path } = await getJson(base, `/api/v1/ledger/consistency?first=${first}&second=${checkpoint.size}`);
    checkConsistency(first, checkpoint.size, treeRoot(leaves.slice(0, first)), checkpoint.root, path.map(fromHex));
  }
}

// The whole public face of the log; `before` is a checkpoint seen earlier, which this one must continue.
export async function checkLog(base, { key, before } = {}) {
  key ??= await logKey(base);
  const checkpoint = checkCheckpoint(await getText(base, '/ledger/checkpoint'), key);
  const head = await getJson(base, '/api/v1/ledger/head');
  must(checkCheckpoint(head.checkpoint, key).size === head.tree_size, 'the head and its checkpoint differ');
  const leaves = await checkTiles(base, checkpoint);
  await checkProofs(base, checkpoint, leaves);
  if (before) {
    const { consistency_path: path } = await getJson(base, `/api/v1/ledger/consistency?first=${before.size}&second=${checkpoint.size}`);
    checkConsistency(before.size, checkpoint.size, before.root, checkpoint.root, path.map(fromHex));
  }
  return { key, checkpoint, leaves };
}

// The receipt of a case, asked for until it holds its proof.
export async function caseReceipt(base, tracking, { key, ms = 180000, headers = {} } = {}) {
  key ??= await logKey(base);
  for (const until = Date.now() + ms; ;) {
    const answer = await fetch(`${base.replace(/\/$/, '')}/api/v1/cases/${tracking}/receipt`, { headers });
    must(answer.ok, `the receipt of ${tracking}: ${answer.status}`);
    const receipt = await answer.json(), checked = checkReceipt(receipt, key);
    if (checked.proved || Date.now() > until) return { receipt, ...checked };
    await new Promise((done) => setTimeout(done, 200));
  }
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [base, tracking] = process.argv.slice(2);
  if (!base) {
    console.error('usage: node ledger.mjs BASE_URL [TRACKING]');
    process.exit(2);
  }
  try {
    const { key, checkpoint } = await checkLog(base);
    console.log(`${key.name}: the head of ${checkpoint.size} leaves is signed, and its tiles and proofs agree with it`);
    if (tracking) {
      const { receipt, proved } = await caseReceipt(base, tracking, { key });
      must(proved, 'the receipt holds no proof yet');
      console.log(`${tracking}: leaf ${receipt.leaf_index} of the tree of ${receipt.tree_size}, as promised at ${receipt.promise.at}`);
    }
  } catch (e) {
    console.error(e.message);
    process.exit(1);
  }
}
