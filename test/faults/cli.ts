/** Storms of faults: `npm run check -- faults --rounds 100 --seed 7 --map epoll`. */
import { rmSync } from 'node:fs';

import { Presets, SingleBar } from 'cli-progress';
import { Command, InvalidArgumentError, Option } from 'commander';

import { candidates } from '../../lib/maps';

import { buildServer, storm, type Weather } from './storm';

interface Given {
  readonly rounds: number;
  readonly seed: number;
  readonly clients: number;
  readonly map?: string;
}

const backends = candidates.filter(({ available }) => available).map(({ backend }) => backend);

function whole(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new InvalidArgumentError('It must be a whole number.');
  }
  return value;
}

/** A progress bar on a terminal, nothing in a pipe. */
function progress(total: number): { step: () => void; stop: () => void } {
  const stream = process.stderr;
  if (!stream.isTTY) return { step() {}, stop() {} };
  const format = ' {bar} {value}/{total} storms | {eta_formatted} left';
  const bar = new SingleBar({ format, stream, hideCursor: true }, Presets.shades_classic);
  bar.start(total, 0);
  return { step: () => bar.increment(), stop: () => bar.stop() };
}

async function run({ rounds, seed, clients, map }: Given): Promise<void> {
  const server = buildServer();
  const bar = progress(rounds);
  const weathers: Weather[] = [];
  try {
    for (let i = 0; i < rounds; i++) {
      // One seed per map, the maps in rotation.
      const backend = map ?? backends[i % backends.length] ?? '';
      weathers.push(await storm(server, { seed: seed + i, backend }, clients));
      bar.step();
    }
  } finally {
    bar.stop();
    rmSync(server, { force: true });
  }
  const sum = (of: (weather: Weather) => number): string =>
    weathers.reduce((total, weather) => total + of(weather), 0).toLocaleString('en');
  const most = (of: (weather: Weather) => number): number => Math.max(...weathers.map(of));
  process.stdout.write(
    `seeds ${seed} to ${seed + rounds - 1}: ${rounds} storms, every promise kept\n` +
      `${sum((w) => w.calls)} system calls, of which ${sum((w) => w.faults)} failed by injection\n` +
      `${sum((w) => w.connections)} connections; ${sum((w) => w.survivors)} survived, every byte ` +
      `intact; ${sum((w) => w.ended)} were ended by a fault or their client's reset, each notified once\n` +
      `idle: at most ${most((w) => w.rest.calls)} system calls and ` +
      `${most((w) => w.rest.cpuMs).toFixed(1)} ms of CPU in ${weathers[0]?.rest.windowMs} ms\n`,
  );
}

const program = new Command('npm run check -- faults')
  .description('Echo and line servers whose system calls fail at random, by a seed, on every map.')
  .addOption(new Option('--rounds <n>', 'how many storms').argParser(whole).default(30))
  .addOption(new Option('--seed <s>', 'the seed of the first').argParser(whole).default(1))
  .addOption(new Option('--clients <n>', 'connections in each').argParser(whole).default(40))
  .addOption(new Option('--map <name>', 'on this map only').choices(backends))
  .action(async (given: Given) => {
    try {
      await run(given);
    } catch (error) {
      process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
      process.exitCode = 1;
    }
  });

void program.parseAsync();
