/** Runs scenarios from beginning to end. */
import type { Bench, Scenario } from './bench';
import type { Verdict } from './check/budgets';
import type { Machine } from './machine';
import { packageVersion } from './package';
import type { Progress } from './progress';
import { runTrial } from './rounds';
import { backends } from './scenarios/backends';
import { churn } from './scenarios/churn';
import { echo } from './scenarios/echo';
import { idle } from './scenarios/idle';
import { timers } from './scenarios/timers';
import type { Result, Trial } from './trial';

export const SCENARIOS = { backends, echo, churn, idle, timers } satisfies Record<string, Scenario>;
export type ScenarioName = keyof typeof SCENARIOS;

/** All that a run tells: what `--json` prints, and the reports are made of. */
export interface Report {
  readonly asynchia: string;
  readonly date: string;
  readonly machine: Machine;
  readonly versions: Readonly<Record<string, string>>;
  readonly rounds: number;
  readonly seconds: number;
  readonly quick: boolean;
  readonly notes: readonly string[];
  readonly results: readonly Result[];
  /** Of `check`. */
  readonly verdicts?: readonly Verdict[];
}

export async function runTrials(
  bench: Bench,
  trials: readonly Trial[],
  progress: Progress,
): Promise<Result[]> {
  const { rounds } = bench.options;
  const measurements = trials.reduce((sum, trial) => sum + trial.contestants.length * rounds, 0);
  progress.start(measurements);
  const results: Result[] = [];
  for (const trial of trials.filter(({ contestants }) => contestants.length > 0)) {
    results.push(await runTrial(trial, rounds, (name) => progress.step(`${trial.title}, ${name}`)));
  }
  progress.stop();
  return results;
}

export function makeReport(bench: Bench, results: readonly Result[]): Report {
  const { rounds, seconds, quick } = bench.options;
  return {
    asynchia: packageVersion,
    date: new Date().toISOString(),
    machine: bench.machine,
    versions: bench.versions,
    rounds,
    seconds,
    quick,
    notes: bench.notes,
    results,
  };
}
