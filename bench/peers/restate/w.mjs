// node --expose-gc w.mjs W3 <n> | W4 <kill at>   restate-server, as it comes (its log is synced), and its service, both ours.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import { measure, out, r, RES, DATA } from '../common/bench.mjs';
const [, , what, count] = process.argv;
const base = DATA + 'restate', effects = DATA + 'effects.log';
fs.rmSync(base, { recursive: true, force: true });
fs.rmSync(effects, { force: true });
const env = {
  ...process.env, EFFECTS: what === 'W4' ? '1' : '', RESTATE_LOGGING: 'ERROR', RUST_LOG: 'warn', DO_NOT_TRACK: '1',
  RESTATE_BIND_IP: '127.0.0.1', RESTATE_LISTEN_MODE: 'tcp', RESTATE_ADMIN__BIND_ADDRESS: '127.0.0.1:19070',
  RESTATE_INGRESS__BIND_ADDRESS: '127.0.0.1:18082', RESTATE_BIND_PORT: '15122', RESTATE_BASE_DIR: base,
};
const sleep = ms => new Promise(done => setTimeout(done, ms));
const up = () => [
  spawn('node_modules/@restatedev/restate-server-linux-x64/bin/restate-server', ['--no-logo'], { env, stdio: 'ignore' }),
  spawn('node', ['svc.mjs'], { env, stdio: 'ignore' }),
];
const agent = new http.Agent({ keepAlive: true, maxSockets: 64 });
const ask = (port, path, method, body) => new Promise(done => {
  const request = http.request({ host: '127.0.0.1', port, path, method, agent, headers: { 'content-type': 'application/json' } }, answer => {
    let text = '';
    answer.on('data', part => text += part);
    answer.on('end', () => done({ status: answer.statusCode, text }));
  });
  request.on('error', () => done({ status: 0, text: '' }));
  request.end(body && JSON.stringify(body));
});
let processes = up();
process.on('exit', () => processes.forEach(p => p.kill('SIGKILL')));
while ((await ask(19070, '/health', 'GET')).status !== 200) await sleep(100);
for (let i = 0; i < 40 && (await ask(19070, '/deployments', 'POST', { uri: 'http://127.0.0.1:19080' })).status >= 300; i++) await sleep(250);

if (what === 'W3') {
  const items = [...Array(1000).keys()];
  const sum = async () => { const { status, text } = await ask(18082, '/fan/run', 'POST', { items }); if (status !== 200 || +text !== 332833500) throw new Error('bad sum ' + status + text); };
  await sum();
  const m = await measure({ n: +count, c: 1, stepsPerRun: 1001, procs: { self: processes.map(p => p.pid) }, fn: sum });
  out(RES + 'w3.jsonl', { engine: 'restate', variant: 'synced', ...m });
} else {
  const lines = () => fs.existsSync(effects) ? fs.readFileSync(effects, 'utf8').split('\n').filter(Boolean) : [];
  const runs = 1000;
  let accepted = 0;
  for (let i = 0; i < runs; i++) ask(18082, '/chain/run/send', 'POST', { id: 'r' + i, seed: i }).then(answer => { if (answer.status >= 200 && answer.status < 300) accepted++; });
  while (accepted < runs || lines().length < +count) await sleep(5);
  processes.forEach(p => p.kill('SIGKILL'));
  await sleep(200);
  const before = lines().length, begun = performance.now();
  let firstMs = null;
  processes = up();
  while (new Set(lines()).size < runs * 10) {
    if (firstMs === null && lines().length > before) firstMs = performance.now() - begun;
    await sleep(10);
  }
  const allMs = performance.now() - begun;
  const times = new Map();
  for (const line of lines()) times.set(line, (times.get(line) ?? 0) + 1);
  out(RES + 'w4.jsonl', { engine: 'restate', variant: 'synced', c: 1, killed_at: before, effects: times.size, twice: [...times.values()].filter(n => n > 1).length, first_s: r(firstMs / 1000, 3), all_s: r(allMs / 1000, 3) });
}
process.exit(0);
