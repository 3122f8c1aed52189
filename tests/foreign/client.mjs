// Apply, submit, watch, wait, trace, errors: as somebody would who has the .proto files and nothing else.
import { address, check, connect, serve, start } from './weft.mjs';

const [, sim] = await start(['sim', '--listen', '127.0.0.1:0']);
await serve(sim);
const { workflows, runs, traces } = connect(address);
for (const token of ['', 'weft_wrong']) {
  const closed = await connect(address, token).runs.call('Get', { run_id: '@latest' }).catch(error => error);
  check(closed.code === 16 && closed.details.includes('Bearer TOKEN'), 'a port without a token that fits is UNAUTHENTICATED');
}

const text = 'weft: 1\nname: hello\ninput: {name: string}\nsteps:\n  greet: {prompt: "Greet {{ input.name }}"}\n';
const { workflow } = await workflows.call('Apply', { bundle: { file: 'hello.yaml', text: Buffer.from(text) } });
check(workflow.name === 'hello' && workflow.version === 1, 'Apply answers with the version');

const wrong = await workflows.call('Check', { bundle: { file: 'wrong.yaml', text: Buffer.from('weft: 1\nname: x\nstep: {}\n') } });
check(wrong.diagnostics.some(one => one.code === 'unknown-key' && one.line === 3), 'Check names the line of an unknown key');

const request = { workflow: 'hello', input_json: Buffer.from('{"name":"Ada"}'), request_id: 'node-1' };
const first = await runs.call('Submit', request);
const second = await runs.call('Submit', request);
check(first.run_id === second.run_id && second.existing, 'the same request id is the same run');
const other = await runs.call('Submit', { ...request, input_json: Buffer.from('{"name":"Bob"}') }).catch(error => error);
check(other.code === 6, 'another payload under it is ALREADY_EXISTS');

const events = [];
let ended;
for await (const message of runs.stream('Watch', { run_id: first.run_id, from_seq: 1 })) {
  if (message.event) events.push(message.event);
  if (message.ended) ended = message.ended;
}
check(events.every((event, i) => event.seq === i + 1), 'Watch sends every event in order');
check(ended?.status === 'RUN_STATUS_SUCCEEDED', 'Watch says when it ends');
check(ended.output_json.inline.toString() === '"Greet Ada"', 'the output is JSON bytes');
check(ended.cost.simulated && ended.cost.pico_usd > 0, 'its cost is labelled simulated');

const { run } = await runs.call('Wait', { run_id: first.run_id.slice(0, 20) });
check(run.id === first.run_id, 'a unique prefix names a run');
const trace = await traces.call('Get', { run_id: first.run_id });
check(trace.events.length === events.length, 'the trace is the events');
const missing = await runs.call('Get', { run_id: 'nobody' }).catch(error => error);
check(missing.code === 5, 'an unknown run is NOT_FOUND');
check(missing.metadata.get('grpc-status-details-bin').length === 1, 'errors carry google.rpc.Status');
const unfit = await runs.call('Submit', { workflow: 'hello', input_json: Buffer.from('{"nam":"Ada"}') }).catch(error => error);
check(unfit.code === 3 && unfit.details.includes('name'), 'a wrong input is INVALID_ARGUMENT and names the nearest');
console.log('client: ok');
process.exit(0);
