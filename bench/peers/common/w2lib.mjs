import { measure, out, RES, r } from './bench.mjs';
// args: <latencyMs> <c> <n>; overhead = run latency - 2*latencyMs
export const [LAT, C, N] = process.argv.slice(-3).map(Number);
export const BASE = `http://127.0.0.1:${process.env.FAKE_LLM_PORT ?? 18181}/lat/${LAT}/v1`;
export const check = s => { if (!String(s).includes('answer is 5')) throw new Error('bad answer ' + s); };
export async function w2(engine, variant, fn, extra = {}) {
  for (let i = 0; i < 20; i++) await fn('w' + i);
  const m = await measure({ n: N, c: C, stepsPerRun: 3, baseMs: 2 * LAT, fn: i => fn('r' + i), ...extra });
  out(RES + 'w2.jsonl', { engine, variant, latMs: LAT, ...m }); process.exit(0);
}
