// node --expose-gc w.mjs W3|W4|W4R|W5 <pool> <c> <n> [W5: ended runs]   DBOS on PostgreSQL at port 15433 (pg.sh).
import { DBOS } from '@dbos-inc/dbos-sdk';
import { execFileSync } from 'node:child_process';
import { measure, stepFn, expected, effect, out, RES, DATA } from '../common/bench.mjs';
const [, , what, pool, C, N, past] = process.argv;
const c = +C, n = +N, effects = DATA + 'effects.log';
const sql = (query, db = 'dbos_sys') => execFileSync('psql', ['-h', '127.0.0.1', '-p', '15433', '-U', 'postgres', '-d', db, '-Atc', query], { encoding: 'utf8' }).trim();
if (what !== 'W4R') sql('drop database if exists dbos_sys with (force)', 'postgres');
DBOS.setConfig({ name: 'bench', systemDatabaseUrl: 'postgresql://postgres@127.0.0.1:15433/dbos_sys', systemDatabasePoolSize: +pool, logLevel: 'error', applicationVersion: 'v1' });

const chain = DBOS.registerWorkflow(async (id, seed) => {
  let v = seed;
  for (let i = 0; i < 10; i++) {
    v = await DBOS.runStep(async () => { if (what.startsWith('W4')) effect(effects, id + ' ' + i); return stepFn(v, i); }, { name: 's' + i });
  }
  return v;
}, { name: 'chain', maxRecoveryAttempts: 100 });
const one = DBOS.registerWorkflow(async v => DBOS.runStep(async () => stepFn(v, 0), { name: 'one' }), { name: 'one' });
const fan = DBOS.registerWorkflow(async items => {
  const squares = await Promise.all(items.map(x => DBOS.runStep(async () => x * x, { name: 'm' })));
  return DBOS.runStep(async () => squares.reduce((p, q) => p + q, 0), { name: 'join' });
}, { name: 'fan' });
const result = async (workflow, id, ...given) => (await DBOS.startWorkflow(workflow, { workflowID: id })(...given)).getResult();
const run = async (id, seed) => { if (await result(chain, id, id, seed) !== expected(seed)) throw new Error('bad result ' + id); };

await DBOS.launch();
if (what === 'W3') {
  const items = [...Array(1000).keys()];
  const sum = async id => { if (await result(fan, id, items) !== 332833500) throw new Error('bad sum'); };
  await sum('warm');
  const m = await measure({ n, c, stepsPerRun: 1001, fn: i => sum('f' + i) });
  out(RES + 'w3.jsonl', { engine: 'dbos', variant: 'PostgreSQL, synced', ...m });
} else if (what === 'W5') {
  const left = [...Array(+past).keys()];
  await Promise.all(Array.from({ length: 64 }, async () => { while (left.length) { const i = left.pop(); await result(one, 'p' + i, i); } }));
  for (let i = 0; i < 50; i++) await run('warm' + i, i);
  const m = await measure({ n, c, stepsPerRun: 10, fn: i => run('r' + i, i) });
  out(RES + 'w5.jsonl', { engine: 'dbos history', variant: `${past}, PostgreSQL, synced`, ...m });
} else if (what === 'W4') {
  await Promise.all(Array.from({ length: n }, (_, i) => run('r' + i, i)));
} else {  // W4R: launch() takes up what is pending.
  while (sql("select count(*) from dbos.workflow_status where status in ('PENDING','ENQUEUED')") !== '0') await new Promise(done => setTimeout(done, 50));
}
await DBOS.shutdown();
process.exit(0);
