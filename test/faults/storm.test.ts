/** Storms, a few of them. `npm run faults` has as many as wanted. */
import { rmSync } from 'node:fs';

import { backends } from '../support/examples';

import { buildServer, storm } from './storm';

describe.each(backends)('%s in a storm of faults', (backend) => {
  let server: string;
  beforeAll(() => (server = buildServer()));
  afterAll(() => rmSync(server, { force: true }));

  test.each([1, 8])('nothing is lost, twice told, leaked or spun for: seed %i', async (seed) => {
    const weather = await storm(server, { seed, backend }, 20);
    expect(weather.faults).toBeGreaterThan(100);
    expect(weather.survivors).toBeGreaterThan(0);
  });
});
