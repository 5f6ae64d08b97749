/** Storms, a few of them. `npm run check -- faults` has as many as wanted. */
import { rmSync } from 'node:fs';

import { backends } from '../support/examples';

import { buildServer, storm, type Weather } from './storm';

/** A storm that a thousand faults make, and one of tens of thousands. */
const SEEDS = [1, 8];

let server: string;
beforeAll(() => (server = buildServer()));
afterAll(() => rmSync(server, { force: true }));

describe.each(backends)('%s in a storm of faults', (backend) => {
  const storms = new Map<number, Promise<Weather>>();
  // At once: they wait as much as they work.
  beforeAll(() => {
    for (const seed of SEEDS) {
      const raging = storm(server, { seed, backend }, 20);
      raging.catch(() => undefined);
      storms.set(seed, raging);
    }
  });
  afterAll(() => Promise.allSettled(storms.values()));

  test.each(SEEDS)('nothing is lost, twice told, leaked or spun for: seed %i', async (seed) => {
    const weather = await storms.get(seed);
    expect(weather?.faults).toBeGreaterThan(100);
    expect(weather?.survivors).toBeGreaterThan(0);
  });
});
