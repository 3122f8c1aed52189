// What both tests need: processes that end with us, and a client made from the .proto files.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import grpc from '@grpc/grpc-js';
import loader from '@grpc/proto-loader';

export const [, , weft, protos] = process.argv;
export const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'weft-foreign-'));
const children = new Set();
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL');
  fs.rmSync(folder, { recursive: true, force: true });
});
setTimeout(() => { console.error('error: it took longer than 100 s'); process.exit(1); }, 100_000).unref();

// Starts weft and resolves with its ready line.
export function start(args, env = {}) {
  const child = spawn(weft, args, { cwd: folder, env: { ...process.env, XDG_STATE_HOME: path.join(folder, 'state'), ...env }, stdio: ['ignore', 'pipe', 'inherit'] });
  children.add(child);
  child.ended = new Promise(resolve => child.on('exit', () => { children.delete(child); resolve(); }));
  return new Promise((resolve, reject) => {
    let out = '';
    child.stdout.on('data', chunk => { out += chunk; if (out.includes('ready')) resolve([child, out]); });
    child.on('exit', () => reject(new Error('weft ' + args.join(' ') + ' ended: ' + out)));
  });
}

const definition = loader.loadSync(['workflows', 'runs', 'traces'].map(name => `weft/v1/${name}.proto`),
  { includeDirs: [protos], keepCase: true, longs: Number, enums: String, oneofs: true });
const v1 = grpc.loadPackageDefinition(definition).weft.v1;
const options = { 'grpc.max_receive_message_length': 64 << 20, 'grpc.max_send_message_length': 64 << 20 };

// A port takes a token with each call: the store's own, unless another is given.
export function connect(address, token = fs.readFileSync(path.join(folder, 'token'), 'utf8').trim()) {
  const metadata = new grpc.Metadata();
  if (token) metadata.set('authorization', 'Bearer ' + token);
  const make = Service => {
    const client = new Service(address, grpc.credentials.createInsecure(), options);
    const call = (method, request) => new Promise((resolve, reject) => {
      client[method](request, metadata, { deadline: Date.now() + 60_000 },
        (error, response) => error ? reject(error) : resolve(response));
    });
    return { call, stream: (method, request) => client[method](request, metadata), close: () => client.close() };
  };
  return { workflows: make(v1.Workflows), runs: make(v1.Runs), traces: make(v1.Traces) };
}

export function check(condition, what) {
  if (condition) return;
  console.error('FAILED: ' + what);
  process.exit(1);
}

// Where the last server that was started listens.
export let address;
export async function serve(sim, more = []) {
  const started = await start(
    ['serve', '--store', path.join(folder, 'weft.db'), '--listen', '127.0.0.1:0', '--http', '127.0.0.1:0', ...more],
    { WEFT_SIM_URL: /url=(\S+)/.exec(sim)[1] });
  address = /grpc=(127\S+)/.exec(started[1])[1];
  return started;
}
