// The service that Restate calls, h2c on 127.0.0.1:19080: chain (W4), fan (W3).
import './polyfill.mjs';
import http2 from 'node:http2';
import * as restate from '@restatedev/restate-sdk';
import { stepFn, effect, DATA } from '../common/bench.mjs';
const effects = process.env.EFFECTS === '1' ? DATA + 'effects.log' : null;
const chain = restate.service({
  name: 'chain', handlers: {
    run: async (ctx, { id, seed }) => {
      let v = seed;
      for (let i = 0; i < 10; i++) { const x = v; v = await ctx.run('s' + i, () => { if (effects) effect(effects, id + ' ' + i); return stepFn(x, i); }); }
      return v;
    },
  },
});
const fan = restate.service({
  name: 'fan', handlers: {
    run: async (ctx, { items }) => {
      const squares = await restate.RestatePromise.all(items.map(x => ctx.run('m', () => x * x)));
      return ctx.run('join', () => squares.reduce((p, q) => p + q, 0));
    },
  },
});
http2.createServer(restate.createEndpointHandler({ services: [chain, fan] })).listen(19080, '127.0.0.1');  // restate.serve would bind 0.0.0.0.
