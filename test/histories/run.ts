/** Plays many random histories: `npm run check -- histories --count 100000 --seed 1 --map epoll`. */
import { setImmediate as turnOfNode } from 'node:timers/promises';

import { Command, InvalidArgumentError, Option } from 'commander';
import fc from 'fast-check';

import { makeProgress } from '../../bench/progress';

import { check } from './check';
import { anyHistory } from './generate';
import { mapClasses } from './real-stage';

/** Histories per seed; the next come from the next seed, so that a failure is quickly repeated. */
const PER_SEED = 100;

interface Options {
  readonly count: number;
  readonly seed: number;
  readonly map?: string;
}

function whole(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('expected a number from 0 on.');
  return Number(text);
}

async function run({ count, seed, map }: Options): Promise<boolean> {
  const maps = mapClasses.filter(({ backend }) => (map ?? backend) === backend);
  const names = maps.map(({ backend }) => backend).join(', ');
  const progress = makeProgress();
  const began = performance.now();
  progress.start(count);
  let done = 0;
  for (let at = seed; done < count; at++) {
    const numRuns = Math.min(PER_SEED, count - done);
    const details = fc.check(
      fc.property(anyHistory, (history) => {
        for (const mapClass of maps) check(history, mapClass);
        progress.step(`seed ${at}`);
      }),
      { seed: at, numRuns },
    );
    if (details.failed) {
      progress.stop();
      const error = details.errorInstance;
      const why = error instanceof Error ? error.message : String(error);
      const replay = `npm run check -- histories --count ${PER_SEED} --seed ${at}`;
      process.stdout.write(`${why}\n\nafter ${done} histories; again: ${replay}\n`);
      return false;
    }
    done += numRuns;
    // Node frees the memory of an addon's objects only in its loop.
    await turnOfNode();
  }
  progress.stop();
  const seconds = ((performance.now() - began) / 1000).toFixed(0);
  process.stdout.write(`${done} histories from seed ${seed} on each of ${names}: ${seconds} s\n`);
  return true;
}

const command = new Command('npm run check -- histories')
  .description('Plays random histories on every map, and compares each with the model.')
  .option('--count <n>', 'how many histories', whole, 1000)
  .option('--seed <n>', 'the first seed (default: a random one)', whole)
  .addOption(
    new Option('--map <name>', 'one map only').choices(mapClasses.map(({ backend }) => backend)),
  )
  .parse();
const { seed = Math.floor(Math.random() * 1e8), ...others } = command.opts<Partial<Options>>();
void run({ count: 1000, ...others, seed }).then((isPassed) => {
  process.exitCode = isPassed ? 0 : 1;
});
