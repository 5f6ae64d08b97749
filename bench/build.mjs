// Bundles the benchmark into dist/bench, so that the package needs nothing more at run time. The
// library stays outside: the programs load what the package exports, as its users do.
import { build } from 'esbuild';

const common = {
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  external: ['asynchia', 'asynchia/*'],
  legalComments: 'none',
  logLevel: 'warning',
};

await Promise.all([
  build({
    ...common,
    entryPoints: ['bench/cli.ts'],
    outdir: 'dist/bench',
    banner: { js: '#!/usr/bin/env node' },
    minify: true,
    keepNames: true,
  }),
  build({
    ...common,
    entryPoints: ['bench/programs/*.ts'],
    outdir: 'dist/bench/programs',
  }),
]);
