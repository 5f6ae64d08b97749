// Runs the tests on the versions of Node that people run: `npm run check -- nodes [versions…] [tests…]`.
// 24 runs all of them; the others those that depend on the runtime the most. Where tests are named, all
// versions run these. The addon is Node-API, so that one build serves them all.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));

const ALL = [];
/** Rules, sockets, memory, overload, workers. */
const RUNTIME = [
  'test/conformance',
  'test/sockets',
  'test/protocols/line-handler',
  'test/overload',
  'test/process',
  'test/loop/waker',
];
const TESTS = { 20: RUNTIME, 22: RUNTIME, 24: ALL, 26: RUNTIME };

const args = process.argv.slice(2);
const versions = args.filter((each) => /^\d+$/.test(each));
const tests = args.filter((each) => !versions.includes(each));

function run(command, commandArgs) {
  const { error, status } = spawnSync(command, commandArgs, { stdio: 'inherit' });
  if (error) throw error;
  return status ?? 1;
}

/** The newest Node of a major version: the one that runs this, or an npm package that is its program. */
function runtime(version) {
  if (process.versions.node.startsWith(`${version}.`)) return process.execPath;
  const folder = path.resolve('node_modules', '.cache', 'nodes', version);
  const name = `node-linux-${process.arch}`;
  const node = path.join(folder, 'node_modules', name, 'bin', 'node');
  mkdirSync(folder, { recursive: true });
  const options = ['--prefix', folder, '--no-save', '--no-audit', '--no-fund', '--loglevel=error'];
  const status = run('npm', ['install', ...options, `${name}@${version}`]);
  if (status !== 0 && !existsSync(node)) process.exit(status);
  return node;
}

let failed = false;
for (const version of versions.length > 0 ? versions : Object.keys(TESTS)) {
  const node = runtime(version);
  console.log(spawnSync(node, ['-p', '`Node ${process.version}`'], { encoding: 'utf8' }).stdout);
  const chosen = tests.length > 0 ? tests : (TESTS[version] ?? ALL);
  failed = run(node, ['node_modules/jest/bin/jest.js', ...chosen]) !== 0 || failed;
}
process.exitCode = failed ? 1 : 0;
