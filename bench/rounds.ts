/** Rounds in turn, and what they come to: medians, spread, and ratios taken pair by pair. */
import type { Contestant, Result, Sample, Standing, Trial } from './trial';

/** The middle of some values, the values themselves, and the spread: the 10th and 90th percentile. */
export interface Summary {
  readonly median: number;
  readonly low: number;
  readonly high: number;
  readonly values: readonly number[];
}

/** The quantile at `fraction`, between two values where it falls between them. */
export function quantile(values: readonly number[], fraction: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const place = fraction * (sorted.length - 1);
  const below = sorted[Math.floor(place)] ?? NaN;
  const above = sorted[Math.ceil(place)] ?? NaN;
  return below + (above - below) * (place - Math.floor(place));
}

export function summarise(values: readonly number[]): Summary {
  return {
    median: quantile(values, 0.5),
    low: quantile(values, 0.1),
    high: quantile(values, 0.9),
    values,
  };
}

/** Each value to the one of the same round, so that what slows a whole round down cancels out. */
export function pairedRatios(mine: readonly number[], theirs: readonly number[]): Summary {
  return summarise(
    mine.slice(0, theirs.length).map((value, round) => value / (theirs[round] ?? NaN)),
  );
}

/** Turned on by one every round, and every second one backwards: nobody always follows the same. */
export function orderOfRound<T>(contestants: readonly T[], round: number): T[] {
  const first = contestants.length === 0 ? 0 : round % contestants.length;
  const order = [...contestants.slice(first), ...contestants.slice(0, first)];
  return round % 2 === 0 ? order : order.reverse();
}

/** Runs the rounds. `measured` is called after every single measurement. */
export async function runTrial(
  trial: Trial,
  rounds: number,
  measured: (contestant: string) => void,
): Promise<Result> {
  const { contestants, ...rest } = trial;
  const samples = new Map<string, Sample[]>(contestants.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const contestant of orderOfRound(contestants, round)) {
      samples.get(contestant.name)?.push(await contestant.measure());
      measured(contestant.name);
    }
  }
  return { ...rest, standings: contestants.map((each) => standingOf(each, trial, samples)) };
}

function standingOf(
  { name, against }: Contestant,
  trial: Trial,
  samples: ReadonlyMap<string, readonly Sample[]>,
): Standing {
  const reference = against ?? trial.reference;
  const valuesOf = (contestant: string, key: string): number[] =>
    (samples.get(contestant) ?? []).flatMap((sample) => sample[key] ?? []);

  const figures: Record<string, Summary> = {};
  const ratios: Record<string, Summary> = {};
  for (const { key, compared } of trial.figures) {
    const mine = valuesOf(name, key);
    if (mine.length === 0) continue;
    figures[key] = summarise(mine);
    const theirs = valuesOf(reference, key);
    if (compared === true && theirs.length > 0) ratios[key] = pairedRatios(mine, theirs);
  }
  return { name, figures, ratios, against: reference };
}
