// Fake OpenAI-compatible chat server. node fake-llm.mjs [port]   (127.0.0.1 only; port 0 picks one)
// POST /lat/<ms>/v1/chat/completions   (latency before first byte; default 0 without /lat/<ms>)
// Rule: if no message with role "tool" is present -> one tool_call to tools[0] with {"a":2,"b":3}; else final text "The answer is 5."
// stream:true -> SSE, 8 content chunks (or 1 tool_call chunk), no delay between chunks, usage in last chunk when include_usage.
// GET /stats -> {calls, stream, maxInflight}; GET /reset
import http from 'node:http';
const port = +(process.argv[2] ?? process.env.PORT ?? 18181);
let calls = 0, streamed = 0, inflight = 0, maxInflight = 0, id = 0, waits = 0, lateMs = 0;
const usage = { prompt_tokens: 120, completion_tokens: 12, total_tokens: 132, prompt_tokens_details: { cached_tokens: 64 } };
const srv = http.createServer((req, res) => {
  if (req.method === 'GET') {
    if (req.url === '/reset') { calls = streamed = maxInflight = 0; }
    res.setHeader('content-type', 'application/json');
    return res.end(JSON.stringify({ calls, streamed, maxInflight }));
  }
  const m = /^\/lat\/(\d+(?:\.\d+)?)\//.exec(req.url);
  const lat = m ? +m[1] : 0;
  let body = '';
  req.setEncoding('utf8');
  req.on('data', d => body += d);
  req.on('end', () => {
    inflight++; if (inflight > maxInflight) maxInflight = inflight;
    const from = performance.now();
    const go = () => { waits++; lateMs += performance.now() - from - lat; inflight--; calls++; reply(JSON.parse(body), res); };
    lat > 0 ? setTimeout(go, lat) : go();
  });
});
function reply(b, res) {
  const cid = 'chatcmpl-' + (++id), created = 1700000000, model = b.model ?? 'fake';
  const hasTool = b.messages.some(x => x.role === 'tool');
  const wantTool = !hasTool && b.tools?.length;
  const tc = wantTool && [{ id: 'call_' + id, type: 'function', function: { name: b.tools[0].function.name, arguments: '{"a":2,"b":3}' } }];
  if (!b.stream) {
    const message = wantTool ? { role: 'assistant', content: null, tool_calls: tc } : { role: 'assistant', content: 'The answer is 5.' };
    const s = JSON.stringify({ id: cid, object: 'chat.completion', created, model, choices: [{ index: 0, message, finish_reason: wantTool ? 'tool_calls' : 'stop', logprobs: null }], usage });
    res.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(s) });
    return res.end(s);
  }
  streamed++;
  res.writeHead(200, { 'content-type': 'text/event-stream' });
  const ev = (delta, fr = null) => 'data: ' + JSON.stringify({ id: cid, object: 'chat.completion.chunk', created, model, choices: [{ index: 0, delta, finish_reason: fr }] }) + '\n\n';
  let out = ev({ role: 'assistant', content: '' });
  if (wantTool) { out += ev({ tool_calls: [{ index: 0, ...tc[0] }] }) + ev({}, 'tool_calls'); }
  else { for (const w of ['The', ' answer', ' is', ' 5', '.', '', '', '']) out += ev({ content: w }); out += ev({}, 'stop'); }
  if (b.stream_options?.include_usage) out += 'data: ' + JSON.stringify({ id: cid, object: 'chat.completion.chunk', created, model, choices: [], usage }) + '\n\n';
  res.end(out + 'data: [DONE]\n\n');
}
srv.keepAliveTimeout = 60000;
srv.listen(port, '127.0.0.1', 4096, () => console.log('fake-llm on ' + srv.address().port));
// SIGUSR2: says how much later than asked the answers since the last time left, on average. Timers of Node are late by up to 1 ms.
process.on('SIGUSR2', () => { console.log('fake-llm late ' + (waits ? lateMs / waits : 0).toFixed(3)); waits = lateMs = 0; });
