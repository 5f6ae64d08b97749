/** `npm run check -- overload`: runs scenarios one after the other, and prints the results. */
import path from 'node:path';

import { Argument, Command } from 'commander';

import { makeProgress } from '../../bench/progress';
import { Program } from '../support/processes';
import { until } from '../support/turns';

import { SCENARIOS, type ScenarioName, scenarioNames } from './scenarios';
import { drawOutcomes, hasHeld, type Outcome } from './stage';

interface Given {
  readonly full?: true;
  readonly json?: true;
}

const PATIENCE_MS = 600_000;

/** Runs one scenario in a process of its own. Throws if it gives no result. */
async function outcomeOf(name: ScenarioName, { full }: Given): Promise<Outcome> {
  const args = [path.join(__dirname, `${name}.js`), '--json', ...(full === true ? ['--full'] : [])];
  const program = new Program(process.execPath, args);
  await until(() => program.status !== null, `the end of ${name}`, PATIENCE_MS);
  const [line = ''] = program.stdout.split('\n');
  if (line === '') throw new Error(`${name} ended (${program.status}): ${program.stderr}`);
  return JSON.parse(line) as Outcome;
}

async function run(names: readonly ScenarioName[], given: Given): Promise<void> {
  const outcomes: Outcome[] = [];
  const progress = makeProgress();
  const chosen = names.length === 0 ? scenarioNames : names;
  progress.start(chosen.length);
  for (const name of chosen) {
    outcomes.push(await outcomeOf(name, given));
    progress.step(name);
  }
  progress.stop();
  process.stdout.write(
    `${given.json === true ? JSON.stringify(outcomes) : drawOutcomes(outcomes)}\n`,
  );
  process.exitCode = outcomes.every(hasHeld) ? 0 : 1;
}

new Command('npm run check -- overload')
  .description('Overloads servers in one way after the other, and prints which promises were kept.')
  .addArgument(
    new Argument('[scenarios...]', 'the scenarios (default: all)').choices(scenarioNames),
  )
  .option('--full', 'the full forms, some minutes in all; the short ones are what CI runs')
  .option('--json', 'JSON in place of the table')
  .addHelpText(
    'after',
    ['', 'Scenarios:', ...scenarioNames.map((name) => `  ${name.padEnd(20)}${SCENARIOS[name]}`), '']
      .join('\n')
      .concat('\nASYNCHIA_MAP chooses the map.'),
  )
  .action(run)
  .parseAsync()
  .catch((error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(1);
  });
