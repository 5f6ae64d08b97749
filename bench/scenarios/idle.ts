/** Very many connections that do nothing: what each takes, and what one active among them costs. */
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

import type { Bench } from '../bench';
import { EchoServer, sampleOf } from '../load';
import type { ServingPeer } from '../peers';
import { numberIn } from '../processes';
import type { Sample, Trial } from '../trial';

const FIGURES = [
  { key: 'heap', label: 'memory each\nheap and external', unit: 'B', compared: true },
  { key: 'rss', label: 'memory each\nresident', unit: 'B', compared: true },
  { key: 'p50', label: 'one active\np50', unit: 'µs' },
  { key: 'cpu', label: 'one active\nCPU/message', unit: 'µs', compared: true },
];
const PATIENCE_MS = 60_000;
const LOOK_AGAIN_MS = 10;
const FIRST_CONNECTIONS = 10;

export function idle(bench: Bench, names?: readonly string[]): Trial[] {
  const [connections = bench.options.quick ? 100 : 15_000] = bench.options.connections;
  const isAsked = (name: string): boolean => names?.includes(name) ?? bench.wants(name);
  return [
    {
      scenario: 'idle',
      title: `idle: ${connections.toLocaleString('en')} connections, and one active among them`,
      parameters: { connections },
      figures: FIGURES,
      reference: 'node-net',
      contestants: bench
        .servers()
        .filter(({ name }) => isAsked(name))
        .map((peer) => ({ name: peer.name, measure: () => measureIdle(bench, peer, connections) })),
    },
  ];
}

async function measureIdle(bench: Bench, peer: ServingPeer, connections: number): Promise<Sample> {
  const server = await EchoServer.start(bench, peer);
  const open = descriptorsOf(server);
  // What is made once, with the first connections and messages, is nobody's share.
  const first = server.load(bench, { mode: 'stream', connections: FIRST_CONNECTIONS, size: 64 });
  await first.json();
  await first.end();
  // Some runtimes open a few of their own meanwhile, but not as many as there were connections.
  await hasOpen(server, (count) => count < open + FIRST_CONNECTIONS / 2);
  const before = await memoryOf(server);

  const load = server.load(bench, { mode: 'idle', connections, size: 64 });
  await load.line(PATIENCE_MS);
  await hasOpen(server, (count) => count >= open + connections);
  const after = await memoryOf(server);
  load.say('go');
  const { cpu = NaN, p50 = NaN } = sampleOf(await load.json(PATIENCE_MS));
  await load.end();
  await server.end();

  const each = (key: 'heap' | 'rss'): number =>
    ((after[key] ?? NaN) - (before[key] ?? NaN)) / connections;
  return { ...(peer.isNative ? {} : { heap: each('heap') }), rss: each('rss'), cpu, p50 };
}

async function memoryOf({ peer, program }: EchoServer): Promise<Sample> {
  if (peer.isNative) {
    const status = readFileSync(`/proc/${program.pid}/status`, 'utf8');
    return { rss: 1024 * Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) };
  }
  program.say('memory');
  const said = await program.json();
  return { rss: numberIn(said, 'rss'), heap: numberIn(said, 'heap') };
}

/** Waits until the number of the server's descriptors is as it is to be. */
async function hasOpen(server: EchoServer, isRight: (count: number) => boolean): Promise<void> {
  for (let tries = 0; !isRight(descriptorsOf(server)); tries++) {
    if (tries * LOOK_AGAIN_MS > PATIENCE_MS) {
      throw new Error(`${server.peer.name} is stuck at ${descriptorsOf(server)} descriptors`);
    }
    await sleep(LOOK_AGAIN_MS);
  }
}

function descriptorsOf({ program }: EchoServer): number {
  return readdirSync(`/proc/${program.pid}/fd`).length;
}
