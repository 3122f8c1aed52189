// W4 of an engine whose runs go on in another process: node recovery.mjs <engine> <variant> <kill at> <start…> -- <recover…>
// Each step writes one line `run step` outside first. The first program is killed with so many lines written; the second
// one ends when all runs have ended. A peer's row: what was written twice, when the first new line came, when all was done.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { DATA, RES, out, r } from './bench.mjs';
const [engine, variant, killAt, ...commands] = process.argv.slice(2);
const cut = commands.indexOf('--');
const file = DATA + 'effects.log';
fs.rmSync(file, { force: true });
const text = () => fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : '';
const lines = () => text().split('\n').filter(Boolean);
const sleep = ms => new Promise(done => setTimeout(done, ms));
const start = ([program, ...rest]) => spawn(program, rest, { stdio: ['ignore', 'ignore', 'inherit'] });

const first = start(commands.slice(0, cut));
while (lines().length < +killAt && first.exitCode === null) await sleep(5);
first.kill('SIGKILL');
await sleep(200);
const before = lines().length, begun = performance.now();
const second = start(commands.slice(cut + 1));
let firstMs = null;
while (second.exitCode === null && second.signalCode === null) {
  if (firstMs === null && lines().length > before) firstMs = performance.now() - begun;
  await sleep(5);
}
const allMs = performance.now() - begun;
if (second.exitCode !== 0) throw new Error('the recovering program failed');
const times = new Map();
for (const line of lines()) times.set(line, (times.get(line) ?? 0) + 1);
out(RES + 'w4.jsonl', {
  engine, variant, c: 1, killed_at: before, effects: times.size,
  twice: [...times.values()].filter(n => n > 1).length, first_s: r(firstMs / 1000, 3), all_s: r(allMs / 1000, 3),
});
