/** Connect, one exchange, close: what a connection costs that does not stay. */
import type { Bench } from '../bench';
import type { Load } from '../load';
import { figuresOf, measureLoad } from '../load';
import type { Trial } from '../trial';

export function churn(bench: Bench, names?: readonly string[]): Trial[] {
  const [connections = bench.options.quick ? 4 : 50] = bench.options.connections;
  const [size = 64] = bench.options.sizes;
  const load: Load = { mode: 'churn', connections, size };
  const isAsked = (name: string): boolean => names?.includes(name) ?? bench.wants(name);
  return [
    {
      scenario: 'churn',
      title: `churn: connect, ${size} B there and back, close; ${connections} at a time`,
      parameters: { connections, size },
      figures: figuresOf('connection'),
      reference: 'node-net',
      contestants: bench
        .servers()
        .filter(({ name }) => isAsked(name))
        .map((peer) => ({ name: peer.name, measure: () => measureLoad(bench, peer, load) })),
    },
  ];
}
