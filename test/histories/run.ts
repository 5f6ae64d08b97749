/** Lives many random histories: `npm run check -- histories --count 100000 --seed 1 --map epoll`. */
import { setImmediate as turnOfNode } from 'node:timers/promises';

import { Command, InvalidArgumentError, Option } from 'commander';
import fc from 'fast-check';

import { makeProgress } from '../../bench/progress';

import { check } from './check';
import { anyHistory } from './generate';
import { mapClasses } from './life';

/** So many histories come of one seed, and the next of the next: any failure is soon lived again. */
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
    // Node frees what an addon has for its objects when its loop turns.
    await turnOfNode();
  }
  progress.stop();
  const seconds = ((performance.now() - began) / 1000).toFixed(0);
  process.stdout.write(`${done} histories from seed ${seed} on each of ${names}: ${seconds} s\n`);
  return true;
}

const command = new Command('npm run check -- histories')
  .description('Lives random histories on every map, and holds each against the model.')
  .option('--count <n>', 'how many histories', whole, 1000)
  .option('--seed <n>', 'the first seed; another each time where it is left out', whole)
  .addOption(
    new Option('--map <name>', 'one map alone').choices(mapClasses.map(({ backend }) => backend)),
  )
  .parse();
const { seed = Math.floor(Math.random() * 1e8), ...others } = command.opts<Partial<Options>>();
void run({ count: 1000, ...others, seed }).then((isPassed) => {
  process.exitCode = isPassed ? 0 : 1;
});
