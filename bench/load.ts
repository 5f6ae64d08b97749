/** One echo server, and the load on it. */
import type { Bench } from './bench';
import type { ServingPeer } from './peers';
import { numberIn, type Program } from './processes';
import { quantile } from './rounds';
import type { Figure, Sample } from './trial';

export interface Load {
  readonly mode: 'stream' | 'churn' | 'idle';
  readonly connections: number;
  readonly size: number;
  readonly pipeline?: number;
  readonly rate?: number | undefined;
  /** Without it, as long as the options say. */
  readonly seconds?: number;
}

/** A server that listens. */
export class EchoServer {
  private constructor(
    readonly peer: ServingPeer,
    readonly program: Program,
    readonly port: number,
  ) {}

  static async start(bench: Bench, peer: ServingPeer, ...args: string[]): Promise<EchoServer> {
    const program = bench.start([...peer.command, ...args]);
    const [, port] = /^listening (\d+)$/.exec(await program.line()) ?? [];
    return new EchoServer(peer, program, Number(port));
  }

  /** Starts a load that tells the CPU time of this server. */
  load(bench: Bench, load: Load): Program {
    const { seconds, warmup } = bench.options;
    const given = { seconds, warmup, ...load, port: this.port, pid: this.program.pid };
    const args = Object.entries(given)
      .filter(([, value]) => value !== undefined)
      .flatMap(([name, value]) => [`--${name}`, String(value)]);
    if (this.peer.speaksLines) args.push('--line');
    return bench.start([bench.native.find('load') ?? 'load', ...args], 'load');
  }

  async end(): Promise<void> {
    await this.program.end(this.peer.isNative ? 'SIGTERM' : undefined);
  }
}

/** What a load tells of itself and of the server's CPU, per message. */
export function sampleOf(report: unknown): Sample {
  const messages = numberIn(report, 'messages');
  const user = numberIn(report, 'server_cpu', 'user_seconds');
  const system = numberIn(report, 'server_cpu', 'system_seconds');
  const perMessage = (seconds: number): number => (1e6 * seconds) / Math.max(1, messages);
  return {
    rate: messages / numberIn(report, 'seconds'),
    p50: numberIn(report, 'latency_us', 'p50'),
    p99: numberIn(report, 'latency_us', 'p99'),
    cpu: perMessage(user + system),
    user: perMessage(user),
    errors: numberIn(report, 'errors') + numberIn(report, 'unanswered'),
  };
}

export function figuresOf(what: 'message' | 'connection'): readonly Figure[] {
  return [
    { key: 'rate', label: `${what}s/s`, unit: '', compared: true },
    { key: 'p50', label: 'p50', unit: 'µs' },
    { key: 'p99', label: 'p99', unit: 'µs', compared: true },
    { key: 'cpu', label: `CPU/${what}`, unit: 'µs', compared: true },
    { key: 'user', label: 'of it user', unit: 'µs', compared: true },
  ];
}

/**
 * Starts a server, measures it under a load, and ends it. Of several windows each figure is the
 * median: a stall of the whole machine, which is all that a p99 would tell, falls into one of them.
 */
export async function measureLoad(
  bench: Bench,
  peer: ServingPeer,
  load: Load,
  windows = 1,
): Promise<Sample> {
  const server = await EchoServer.start(bench, peer);
  const samples: Sample[] = [];
  for (let window = 0; window < windows; window++) {
    const program = server.load(bench, load);
    const { seconds, warmup } = bench.options;
    samples.push(sampleOf(await program.json(1000 * (seconds + warmup) + 60_000)));
    await program.end();
  }
  await server.end();
  const errors = samples.reduce((sum, sample) => sum + (sample['errors'] ?? 0), 0);
  if (errors > 0) bench.note(`${peer.name}: ${errors} errors or unanswered messages in a round.`);
  return medians(samples);
}

function medians(samples: readonly Sample[]): Sample {
  const middle = (key: string): number =>
    quantile(
      samples.map((sample) => sample[key] ?? NaN),
      0.5,
    );
  return Object.fromEntries(Object.keys(samples[0] ?? {}).map((key) => [key, middle(key)]));
}
