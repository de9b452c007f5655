// Certificates as PDF a second, beside Chromium printing the same two pages in the same run: node bench/certificates.mjs
// Needs: Node.js 18 or newer, `ninja -C build bench-papers`, Chromium (CHROMIUM names it), `npm ci` in tests/. SECONDS=10: length of each part.
// Chromium keeps one page for each worker open and is only given the text anew: starting it is not counted.
import { readFileSync, writeFileSync, rmSync, mkdtempSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { loadavg, tmpdir } from 'node:os';
import { join, dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..'), seconds = Number(process.env.SECONDS || 10);
const { chromium } = createRequire(join(root, 'tests/e2e/x.mjs'))('playwright-core');
const papers = process.env.PAPERS_BIN || join(root, 'build/bench-papers');
const dir = mkdtempSync(join(tmpdir(), 'chapar-bench-'));
process.on('exit', () => rmSync(dir, { recursive: true, force: true }));
const words = (file) => execFileSync('pdftotext', ['-layout', file, '-'], { encoding: 'utf8' });
const own = (threads, file) => JSON.parse(execFileSync(papers, [String(threads), String(seconds), ...(file ? [file] : [])], { cwd: root, encoding: 'utf8' }));

const sample = join(dir, 'one.pdf');
own(1, sample); // to warm up, and one paper
const pages = words(sample).split('\f').filter((x) => x.trim());
const font = (name) => readFileSync(join(root, `assets/font/vazirmatn-${name}.woff2`)).toString('base64');
const qr = Array.from({ length: 37 }, (_, y) => Array.from({ length: 37 }, (_, x) => ((x * 7 + y * 13 + x * y) % 5 < 2 ? `M${x} ${y}h1v1h-1z` : '')).join('')).join('');
const escape = (s) => s.replace(/[&<>]/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;' })[c]);
const body = (n) => pages.map((p, i) => `<section dir="${i ? 'ltr' : 'rtl'}">${p.split('\n').filter((x) => x.trim()).map((x) => `<p>${escape(x.trim())}</p>`).join('')}<p>${n}</p><svg viewBox="0 0 37 37"><path d="${qr}"/></svg></section>`).join('');
const html = `<!doctype html><meta charset="utf-8"><style>@font-face{font-family:V;src:url(data:font/woff2;base64,${font('arabic')});font-weight:100 900;unicode-range:U+600-6FF,U+200C-200E,U+2066-2069}
@font-face{font-family:V;src:url(data:font/woff2;base64,${font('latin')});font-weight:100 900}
body{font:11pt V;margin:0}section{break-after:page;border:2pt solid #0a5a63;padding:10mm;min-height:240mm}p:nth-child(3){font:700 21pt V}svg{width:32mm}</style><body></body>`;

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || '/usr/bin/chromium', args: ['--no-sandbox'] });
async function peer(workers) {
  const opened = await Promise.all(Array.from({ length: workers }, async () => { const p = await browser.newPage(); await p.setContent(html); await p.evaluate(() => document.fonts.ready); return p; }));
  let made = 0, size = 0, over = false;
  const one = async (page) => {
    await page.evaluate((b) => { document.body.innerHTML = b; return document.fonts.ready; }, body(made));
    const pdf = await page.pdf({ format: 'A4', preferCSSPageSize: false });
    size = pdf.length;
    if (!made) writeFileSync(join(dir, 'peer.pdf'), pdf);
    made++;
  };
  await Promise.all(opened.map(one));
  made = 0;
  const began = performance.now();
  await Promise.all(opened.map(async (page) => { while (!over) { await one(page); over = performance.now() - began > seconds * 1000; } }));
  const rate = made / ((performance.now() - began) / 1000);
  await Promise.all(opened.map((p) => p.close()));
  return { per_second: rate, bytes: size };
}
const version = browser.version();
console.log(`load ${loadavg()[0].toFixed(1)}; two pages each: Chapar ${own(1).bytes} bytes; peer Chromium ${version}`);
for (const n of [1, 2]) {
  const a = own(n), b = await peer(n), c = own(n);
  const mean = (a.per_second + c.per_second) / 2;
  console.log(`${n} at once: Chapar ${a.per_second} and ${c.per_second} a second (${a.processor_ms} and ${c.processor_ms} ms of processor each), Chromium ${b.per_second.toFixed(1)} a second, ${b.bytes} bytes; ratio ${(mean / b.per_second).toFixed(1)}`);
}
await browser.close();
console.log(`load ${loadavg()[0].toFixed(1)} at the end`);
process.exit(0);
