// What processes take: memory and processor time, which does not depend on who else is busy on the machine.
import { readFileSync, readdirSync } from 'node:fs';

const read = (path) => { try { return readFileSync(path, 'utf8'); } catch { return ''; } }; // '' when it has ended meanwhile
const stat = (pid) => read(`/proc/${pid}/stat`).replace(/^.*\) /s, '').split(' ');
const all = () => readdirSync('/proc').filter((n) => /^\d+$/.test(n));
export function tree(pid) { // a process and all below it
  const children = new Map();
  for (const p of all()) { const parent = stat(p)[1]; children.set(parent, [...(children.get(parent) || []), p]); }
  const below = (p) => [p, ...(children.get(p) || []).flatMap(below)];
  return below(String(pid));
}
export const memory = (pid, name = 'VmRSS') => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(read(`/proc/${pid}/status`))?.[1] || 0) / 1024; // MB
export const resident = (pid) => tree(pid).reduce((n, p) => n + memory(p), 0);
export const spent = (pid) => tree(pid).reduce((n, p) => { const f = stat(p); return n + (f.length > 12 ? (Number(f[11]) + Number(f[12])) / 100 : 0); }, 0); // seconds
export const postmaster = (url) => Number(all().find((p) => { const c = read(`/proc/${p}/cmdline`); return c.includes('postgres') && c.includes(`-p\0${new URL(url).port}`); }) || 0);
