// Bundles the command behind `npm run faults`, and runs it.
import { buildSync } from 'esbuild';

buildSync({
  entryPoints: ['test/faults/cli.ts'],
  outfile: 'build/faults/cli.js',
  bundle: true,
  platform: 'node',
  target: 'node20',
  packages: 'external',
  logLevel: 'warning',
});
await import('../../build/faults/cli.js');
