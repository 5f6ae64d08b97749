// Builds all that is JavaScript: the library and the examples with tsc, the benchmark and the
// programs of the long checks with esbuild.
import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { build } from 'esbuild';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));

function compile(project) {
  const tsc = path.join(createRequire(import.meta.url).resolve('typescript'), '../../bin/tsc');
  try {
    execFileSync(process.execPath, [tsc, '-p', project], { stdio: 'inherit' });
  } catch {
    process.exit(1);
  }
}

// In this order: the examples are compiled against the declarations of the built library.
compile('tsconfig.json');
compile('examples/tsconfig.json');
await import('../bench/build.mjs');
// The names of its chunks change with what is in them.
rmSync('dist/esm', { recursive: true, force: true });
// For bundlers, which find it by the condition `module`: an ES module that contains CommonJS calls a
// `require` that it does not have. Node itself always loads the CommonJS files, so there is one copy.
await build({
  entryPoints: [
    'lib/index.ts',
    ...['maps', 'protocols', 'testing'].map((folder) => `lib/${folder}/index.ts`),
    'lib/select.ts',
  ],
  outbase: 'lib',
  outdir: 'dist/esm',
  outExtension: { '.js': '.mjs' },
  format: 'esm',
  bundle: true,
  splitting: true,
  // Error messages name classes.
  keepNames: true,
  packages: 'external',
  platform: 'node',
  target: 'node20',
  define: { MODULE_URL: 'import.meta.url' },
  sourcemap: true,
  logLevel: 'warning',
});
await build({
  entryPoints: [
    'test/faults/cli.ts',
    ...['main', 'child', 'threads'].map((name) => `test/fuzz/${name}.ts`),
    'test/histories/run.ts',
    // A scenario's name is of several words.
    'test/overload/*-*.ts',
    'test/overload/run.ts',
    ...['soak', 'server', 'load'].map((name) => `test/soak/${name}.ts`),
  ],
  outbase: 'test',
  outdir: 'dist',
  bundle: true,
  packages: 'external',
  platform: 'node',
  target: 'node20',
  sourcemap: true,
  logLevel: 'warning',
});
