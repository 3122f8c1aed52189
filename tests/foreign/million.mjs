// A million tokens: a prompt of 4 MB, an answer of 384,000 tokens, a kill in the middle, and a server below 200 MB.
import fs from 'node:fs';
import path from 'node:path';
import { address, check, connect, folder, serve, start } from './weft.mjs';

const script = path.join(folder, 'script.yaml');
fs.writeFileSync(script, 'sim: 1\nrules: [{reply: {text: "{{ user }}", tokens_per_second: 200000}}]\n');
const [, sim] = await start(['sim', script, '--listen', '127.0.0.1:0']);
let [server] = await serve(sim);
let api = connect(address);
const peak = () => Number(/VmHWM:\s+(\d+)/.exec(fs.readFileSync(`/proc/${server.pid}/status`, 'utf8'))[1]) / 1024;

const text = 'weft: 1\nname: long\ninput: {text: string}\nsteps:\n  echo: {prompt: "{{ input.text }}", max_output: 384000}\n';
await api.workflows.call('Apply', { bundle: { file: 'long.yaml', text: Buffer.from(text) } });
const big = 'All work and no play makes a long prompt. '.repeat(100_000).slice(0, 4 << 20);
const { run_id } = await api.runs.call('Submit', { workflow: 'long', input_json: Buffer.from(JSON.stringify({ text: big })) });

let streamed = 0;
const watch = api.runs.stream('Watch', { run_id, progress: true });
await new Promise(resolve => {
  watch.on('error', resolve);
  watch.on('data', message => {
    streamed += message.progress?.text?.length ?? 0;
    if (streamed > 300_000) resolve();
  });
});
check(streamed > 300_000, 'the answer streams while it comes');
const before = peak();
server.kill('SIGKILL');
await server.ended;
for (const service of Object.values(api)) service.close();

[server] = await serve(sim);
api = connect(address);
const { run } = await api.runs.call('Wait', { run_id });
check(run.status === 'RUN_STATUS_LIMITED', `it ends as cut by its limit: ${run.status}`);
check(run.model_calls_lost === 1, 'the lost call is counted');
const { events } = await api.traces.call('Get', { run_id });
const answer = events.find(event => event.model_call_ended).model_call_ended;
check(answer.usage.output === 384_000, `384,000 tokens came: ${answer.usage.output}`);
const pieces = [];
for await (const piece of api.traces.stream('GetContent', { run_id, sha256: answer.text.blob.sha256 })) pieces.push(piece.bytes);
check(Buffer.concat(pieces).toString() === big.slice(0, 384_000 * 4), 'the answer is whole, byte for byte');
const most = Math.max(before, peak());
console.log(`million: ok, the server's memory was at most ${most.toFixed(0)} MB`);
check(most < 200, 'the server stays below 200 MB');
process.exit(0);
