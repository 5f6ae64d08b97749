// Packs the package, checks the tarball, installs it into an empty project, as a user would, and uses
// it from `import`, `require` and TypeScript.
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const typescript = path.join(root, 'node_modules/typescript/bin/tsc');
const folder = mkdtempSync(path.join(os.tmpdir(), 'asynchia-package-'));
const built = builtFiles();
const tarball = pack();
if (builtFiles() !== built) {
  console.error('Packing has changed build/ or dist/, which the tests use.');
  process.exit(1);
}
execFileSync('npx', ['--no', 'publint', '--', '--strict', tarball], {
  cwd: root,
  stdio: 'inherit',
});
execFileSync(
  'npx',
  ['--no', 'attw', '--', '--profile', 'node16', '--format', 'table-flipped', '--no-color', tarball],
  { cwd: root, stdio: 'inherit' },
);

const project = mkdtempSync(path.join(folder, 'project-'));

/** What the tests load, and when it was built. */
function builtFiles() {
  const files = ['build/Release/asynchia.node', 'dist/lib/index.js', 'dist/esm/index.mjs'];
  const stats = files.map((file) => statSync(path.join(root, file), { throwIfNoEntry: false }));
  return JSON.stringify(stats.map((each) => each?.mtimeMs ?? null));
}

/** Packs a copy of the sources: packing rebuilds dist/ and build/, which others may be using. */
function pack() {
  const copy = path.join(folder, 'copy');
  const left = ['.git', 'build', 'dist', 'node_modules', 'prebuilds'];
  cpSync(root, copy, {
    recursive: true,
    filter: (source) => !left.includes(path.relative(root, source)),
  });
  symlinkSync(path.join(root, 'node_modules'), path.join(copy, 'node_modules'));
  const options = ['--silent', '--pack-destination', folder];
  const name = execFileSync('npm', ['pack', ...options], { cwd: copy, encoding: 'utf8' });
  return path.join(folder, name.trim().split('\n').at(-1));
}

const write = (name, text) => writeFileSync(path.join(project, name), text);
const run = (command, ...args) => {
  try {
    return execFileSync(command, args, { cwd: project, encoding: 'utf8', stdio: 'pipe' });
  } catch (error) {
    console.error(`${command} ${args.join(' ')}\n${error.stdout}${error.stderr}`);
    process.exit(1);
  }
};

const USE = `
const map = new DefaultSocketMap();
class Ping extends BufferedWriteHandler {
  handleRead() { console.log(String(this.read(16))); map.close(); }
}
const [ours, theirs] = socketpair();
new Ping(map, ours).setReadable(true);
new BufferedWriteHandler(map, theirs).sendAll('served');
console.log(select([], [theirs], [], 1)[1].length);
map.runSync();
const simulated = new SimSocketMap();
simulated.callIn(3600, () => console.log(simulated.now >= 3600));
simulated.runUntilIdle();
`;

write('package.json', '{ "name": "empty", "private": true }');
// No install script may be needed: current npm does not run a dependency's.
run('npm', 'install', '--ignore-scripts', '--no-audit', '--no-fund', tarball);

const IMPORTS = `
import { socketpair } from 'asynchia';
import { DefaultSocketMap } from 'asynchia/maps';
import { BufferedWriteHandler } from 'asynchia/protocols';
import { select } from 'asynchia/select';
import { SimSocketMap } from 'asynchia/testing';
`;
write('use.mjs', IMPORTS + USE);
write('use.cjs', IMPORTS.replace(/import (.*) from (.*);/g, 'const $1 = require($2);') + USE);
write('use.mts', IMPORTS + USE.replace('handleRead()', 'override handleRead(): void'));
run(
  'node',
  typescript,
  '--strict',
  '--module',
  'nodenext',
  '--target',
  'es2022',
  '--outDir',
  'out',
  'use.mts',
);

function tryPackage() {
  for (const file of ['use.mjs', 'use.cjs', path.join('out', 'use.mjs')]) {
    const said = run('node', file);
    if (said !== '1\nserved\ntrue\n') {
      console.error(`${file} said ${JSON.stringify(said)}`);
      process.exit(1);
    }
  }
}

tryPackage();
console.log('The packed package works from import, require and TypeScript.');

// Where no addon is brought for it, README has one built. The package alone is to be enough.
rmSync(path.join(project, 'node_modules/asynchia/prebuilds'), { recursive: true });
run('sh', '-c', 'cd node_modules/asynchia && npx --yes node-gyp rebuild');
tryPackage();
rmSync(folder, { recursive: true });
console.log('So it does with the addon built from its source.');
