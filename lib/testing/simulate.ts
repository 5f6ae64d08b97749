import { randomInt } from 'node:crypto';

import { checkInteger } from '../system/arguments';

import { harmlessFaults } from './faults';
import { SEEDS, SimSocketMap, type SimSocketMapOptions } from './sim-socket-map';

/** The options of `simulate`. */
export interface SimulateOptions extends SimSocketMapOptions {
  /** How many seeds are run: `seed` and the integers after it. 1 or more; 100 if omitted. */
  readonly runs?: number;
}

/**
 * Runs a scenario many times, each time on a new simulated map with another seed. The first failure
 * ends it. If the environment variable `ASYNCHIA_SEED` is set, only that seed is run.
 *
 * @param scenario - Called with each map. The map is closed when it has returned, or its promise is
 * settled.
 * @param options - The options of the maps; `faults` is `harmlessFaults` if omitted.
 * @returns A promise that is fulfilled when all runs have passed. It rejects with an `Error` that
 * names the seed, with what the scenario threw as its `cause`.
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

/** Closes the map of a scenario that failed: the failure is the scenario's own error alone. */
function closeQuietly(map: SimSocketMap): void {
  try {
    map.close();
  } catch {
    // A consequence of the scenario's error.
  }
}

/** The seeds to run: `ASYNCHIA_SEED` alone if it is set. */
function seedsOf(first: number, runs: number): number[] {
  const wanted = process.env['ASYNCHIA_SEED'];
  if (wanted === undefined || wanted === '') {
    return Array.from({ length: runs }, (_, run) => (first + run) % SEEDS);
  }
  checkInteger('ASYNCHIA_SEED', Number(wanted), 0, SEEDS - 1);
  return [Number(wanted)];
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
