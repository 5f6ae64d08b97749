/** What a turn costs by the number of descriptors that are watched and have nothing to say. */
import { readFileSync } from 'node:fs';

import type { Bench } from '../bench';
import { program } from '../package';
import { quantile } from '../rounds';
import type { Contestant, Trial } from '../trial';

const WATCHED = [10, 30, 100, 300, 1000, 3000, 10_000, 15_000];
const BACKENDS = ['select', 'poll', 'epoll'];
/** What a process needs besides. */
const SPARE_DESCRIPTORS = 64;
const PATIENCE_MS = 120_000;

export const BACKENDS_FIGURES = [
  { key: 'loop', label: 'event loop', unit: 'µs', compared: true },
  { key: 'turn', label: 'with re-arming', unit: 'µs', compared: true },
];

export interface Chain {
  readonly watched: number;
  readonly active: number;
  readonly writes: number;
  readonly repeat: number;
  /** The loop alone, nothing before it. Of our own program. */
  readonly isSteady?: boolean;
}

export function backends(bench: Bench): Trial[] {
  const { connections, quick } = bench.options;
  const wanted = connections.length > 0 ? connections : quick ? [10, 100] : WATCHED;
  const limit = descriptorLimit() - SPARE_DESCRIPTORS;
  for (const watched of wanted.filter((each) => each > limit)) {
    bench.note(`backends: ${watched} watched are left out: this user may open ${limit} files.`);
  }
  return wanted
    .filter((watched) => watched <= limit)
    .map((each) => {
      const watched = each + (each % 2);
      const repeat = quick ? 3 : watched > 1000 ? 25 : 200;
      return backendsTrial(bench, { watched, active: Math.min(10, watched), writes: 100, repeat });
    });
}

function backendsTrial(bench: Bench, chain: Chain): Trial {
  const { watched, active, writes } = chain;
  const ours = [bench.options.node, program('asynchia-backends')];
  const libevent = bench.native.find('backends_libevent');
  if (libevent === undefined) bench.note('backends: libevent is left out: it is not built.');
  const contestants = BACKENDS.flatMap((backend) => [
    chainOf(bench, `asynchia-${backend}`, `libevent-${backend}`, ours, backend, chain),
    ...(libevent === undefined
      ? []
      : [chainOf(bench, `libevent-${backend}`, undefined, [libevent], backend, chain)]),
  ]);
  return {
    scenario: 'backends',
    title: `backends: ${watched} watched, ${active} active, ${writes} writes`,
    parameters: { watched, active, writes },
    figures: BACKENDS_FIGURES,
    reference: 'libevent-epoll',
    contestants: contestants.filter(({ name }) => bench.wants(name)),
  };
}

/** One contestant, under the options that our program shares with libevent's. */
export function chainOf(
  bench: Bench,
  name: string,
  against: string | undefined,
  command: readonly string[],
  backend: string,
  { watched, active, writes, repeat, isSteady }: Chain,
): Contestant {
  const sizes = { pairs: watched, active, writes, repeat };
  const args = Object.entries(sizes).flatMap(([option, value]) => [`--${option}`, String(value)]);
  args.push('--backend', backend, '--both-ends');
  if (isSteady === true) args.push('--steady');
  return {
    name,
    against: against ?? name,
    async measure() {
      const running = bench.start([...command, ...args]);
      const report = (await running.json(PATIENCE_MS)) as { turn_us: number[]; loop_us: number[] };
      await running.end();
      return { loop: quantile(report.loop_us, 0.5), turn: quantile(report.turn_us, 0.5) };
    },
  };
}

/** How many files a process may have open, once it has asked for all it can get. */
function descriptorLimit(): number {
  const [, hard] =
    /^Max open files +\S+ +(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
  return hard === 'unlimited' ? Infinity : Number(hard);
}
