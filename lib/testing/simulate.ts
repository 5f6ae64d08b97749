import { randomInt } from 'node:crypto';

import { checkInteger } from '../system/arguments';

import { harmlessFaults } from './faults';
import { SEEDS, SimSocketMap, type SimSocketMapOptions } from './sim-socket-map';

/** How `simulate` runs a scenario. */
export interface SimulateOptions extends SimSocketMapOptions {
  /** How many seeds it tries, `seed` and those after it: 100 unless told otherwise. */
  readonly runs?: number;
}

/**
 * Runs `scenario` on one simulated map after another, each with a seed of its own, under
 * `harmlessFaults` unless told otherwise; closes each when its scenario has returned or its promise
 * is settled. What a scenario throws is thrown on as the `cause` of an error that names the seed.
 *
 * With the environment variable `ASYNCHIA_SEED` that seed alone is run.
 */
export async function simulate(
  scenario: (map: SimSocketMap) => unknown,
  options: SimulateOptions = {},
): Promise<void> {
  const { runs = 100, seed: first = randomInt(SEEDS), ...rest } = options;
  checkInteger('runs', runs, 1);
  for (const seed of seedsOf(first, runs)) {
    const map = new SimSocketMap({ faults: harmlessFaults, ...rest, seed });
    try {
      try {
        await scenario(map);
      } catch (error) {
        closeQuietly(map);
        throw error;
      }
      map.close();
    } catch (error) {
      throw new Error(`seed ${seed} (ASYNCHIA_SEED=${seed} repeats it): ${textOf(error)}`, {
        cause: error,
      });
    }
  }
}

/** What the scenario threw is the failure, and not what comes of it. */
function closeQuietly(map: SimSocketMap): void {
  try {
    map.close();
  } catch {
    // Told by the scenario's own error, or after it.
  }
}

function seedsOf(first: number, runs: number): number[] {
  const asked = process.env['ASYNCHIA_SEED'];
  if (asked === undefined || asked === '') {
    return Array.from({ length: runs }, (_, run) => (first + run) % SEEDS);
  }
  checkInteger('ASYNCHIA_SEED', Number(asked), 0, SEEDS - 1);
  return [Number(asked)];
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
