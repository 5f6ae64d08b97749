// Bundles the benchmark into dist/bench, so that the package needs nothing more at run time. The
// library stays outside: the programs load what the package exports, as its users do.
import { chmodSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

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

const [{ metafile }] = await Promise.all([
  build({
    ...common,
    entryPoints: { command: 'bench/cli.ts' },
    outdir: 'dist/bench',
    minify: true,
    keepNames: true,
    metafile: true,
  }),
  build({
    ...common,
    entryPoints: ['bench/programs/*.ts'],
    outdir: 'dist/bench/programs',
  }),
]);

// A file of its own: what is bundled has texts in it that tools take for import statements.
const command = 'dist/bench/cli.js';
writeFileSync(command, "#!/usr/bin/env node\n'use strict';\nrequire('./command.js');\n");
chmodSync(command, 0o755);

// What is bundled is distributed, and its licenses with it.
const packages = new Set(
  Object.keys(metafile.inputs).flatMap(
    (input) => /^.*node_modules\/(@[^/]+\/)?[^/]+/.exec(input)?.[0] ?? [],
  ),
);
const notices = [...packages].sort().map((folder) => {
  const { name, version, license } = JSON.parse(
    readFileSync(path.join(folder, 'package.json'), 'utf8'),
  );
  const file = readdirSync(folder).find((each) => /^licen[cs]e/i.test(each));
  const text = file === undefined ? '' : readFileSync(path.join(folder, file), 'utf8').trim();
  const notice = existsSync(path.join(folder, 'NOTICE'))
    ? `\n\n${readFileSync(path.join(folder, 'NOTICE'), 'utf8').trim()}`
    : '';
  return `${name} ${version} (${license})\n\n${text}${notice}\n`;
});
writeFileSync('dist/bench/LICENSES.txt', notices.join(`\n${'-'.repeat(80)}\n\n`));
