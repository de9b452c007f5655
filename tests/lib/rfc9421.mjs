// An independent implementation of RFC 9421 (npm: http-message-signatures) as a program, for the unit tests of exchange.
//   node rfc9421.mjs check FILE   → "true" when request and answer in FILE are signed as it says
//   node rfc9421.mjs sign FILE    → prints FILE's request and answer, signed by it
// FILE: {"public","private" (PEM), "keyid", "request": {"method","url","headers":{name: value}}, "answer": {"status","headers"}}
import { readFileSync } from 'node:fs';
import { httpbis, createSigner, createVerifier } from 'http-message-signatures';

const [what, file] = process.argv.slice(2);
const f = JSON.parse(readFileSync(file, 'utf8'));
const roads = (m) => Object.keys(m.headers).map((n) => n.toLowerCase()).filter((n) => n.startsWith('x-road-'));
const bound = ['@method;req', '@target-uri;req', 'content-digest;req', 'signature;req;key="xr"'].map((c) => c.replace(/^([^;]+)/, '"$1"'));
if (what === 'check') {
  const keyLookup = async ({ keyid }) => (keyid === f.keyid ? { id: keyid, algs: ['ecdsa-p256-sha256'], verify: createVerifier(f.public, 'ecdsa-p256-sha256') } : null);
  const request = await httpbis.verifyMessage({ keyLookup, requiredFields: ['@method', '@target-uri', 'content-digest', ...roads(f.request)] }, f.request);
  const answer = await httpbis.verifyMessage({ keyLookup }, f.answer, f.request);
  console.log(request === true && answer === true);
} else {
  const key = createSigner(f.private, 'ecdsa-p256-sha256', f.keyid);
  const params = ['created', 'nonce', 'keyid', 'alg', 'tag'];
  const paramValues = () => ({ nonce: Buffer.from(crypto.getRandomValues(new Uint8Array(16))).toString('base64url'), tag: 'x-road-1' });
  const request = await httpbis.signMessage({ key, name: 'xr', params, paramValues: paramValues(), fields: ['@method', '@target-uri', 'content-digest', ...roads(f.request)] }, f.request);
  const answer = await httpbis.signMessage({ key, name: 'xr', params, paramValues: paramValues(), fields: ['@status', 'content-digest', ...roads(f.answer), ...bound] }, f.answer, request);
  console.log(JSON.stringify({ request, answer }));
}
