/** A few storms. `npm run check -- faults` runs more. */
import { rmSync } from 'node:fs';

import { backends } from '../support/examples';

import { buildServer, storm, type Weather } from './storm';

/** A storm of a thousand faults, and one of tens of thousands. */
const SEEDS = [1, 8];

let server: string;
beforeAll(() => (server = buildServer()));
afterAll(() => rmSync(server, { force: true }));

describe.each(backends)('%s in a storm of faults', (backend) => {
  const storms = new Map<number, Promise<Weather>>();
  // At the same time: they wait as much as they work.
  beforeAll(() => {
    for (const seed of SEEDS) {
      const raging = storm(server, { seed, backend }, 20);
      raging.catch(() => undefined);
      storms.set(seed, raging);
    }
  });
  afterAll(() => Promise.allSettled(storms.values()));

  test.each(SEEDS)(
    'no lost bytes, no repeated callbacks, no leaked descriptors, no busy looping: seed %i',
    async (seed) => {
      const weather = await storms.get(seed);
      expect(weather?.faults).toBeGreaterThan(100);
      expect(weather?.survivors).toBeGreaterThan(0);
    },
  );
});
