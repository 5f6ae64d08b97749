// Runs tests with the addon under gcc's sanitizers:
//   npm run check -- sanitize address [tests…]    AddressSanitizer with leaks, UndefinedBehaviorSanitizer
//   npm run check -- sanitize thread [tests…]     ThreadSanitizer
// Tests go to jest; a script (….js) and its arguments go to node. Without any: the whole suite, or,
// for threads, what more than one of them has a hand in.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const config = path.join(root, '.config');
const reports = path.join(root, 'build', 'reports');
const common = `log_path=${reports}/report:log_exe_name=1`;

const KINDS = {
  address: {
    sanitizers: 'address,undefined',
    runtime: 'libasan.so',
    runs: [[]],
    env: {
      // A leak changes no program's status: there are those that leak, and are not ours.
      ASAN_OPTIONS: `${common}:abort_on_error=1:exitcode=0`,
      LSAN_OPTIONS: `suppressions=${config}/lsan.supp:print_suppressions=0`,
      UBSAN_OPTIONS: `${common}:print_stacktrace=1:halt_on_error=1`,
    },
  },
  thread: {
    sanitizers: 'thread',
    runtime: 'libtsan.so',
    runs: [
      ['dist/fuzz/threads.js'],
      [
        'test/loop/waker',
        'test/process/worker-threads',
        'test/loop/several-maps',
        'test/conformance/connect',
        'test/sockets/lookups',
      ],
    ],
    env: {
      // Node itself is not instrumented: only what our own code does is looked at.
      TSAN_OPTIONS: `${common}:ignore_noninstrumented_modules=1:halt_on_error=0:exitcode=66`,
    },
  },
};

const jest = path.join(root, 'node_modules', 'jest', 'bin', 'jest.js');
const args = process.argv.slice(2);
const kind = KINDS[args[0] in KINDS ? args.shift() : 'address'];

function run(command, commandArgs, env = {}) {
  const { status } = spawnSync(command, commandArgs, {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, ...env },
  });
  return status ?? 1;
}

/** What any Node process reported: a worker of jest's, say, whose status nobody sees. */
function showReports() {
  const found = readdirSync(reports).filter((name) => name.startsWith('report.node.'));
  for (const name of found) console.log(readFileSync(path.join(reports, name), 'utf8'));
  console.log(`sanitizers: ${found.length} processes reported something.`);
  return found.length === 0;
}

// The Debug configuration is the sanitized one, and is loaded where there is no other.
const gyp = ['--no', 'node-gyp', 'rebuild', '--debug', '--loglevel=error'];
if (run('npx', [...gyp, '--', `-Dsanitizers=${kind.sanitizers}`]) !== 0) process.exit(1);
mkdirSync(reports, { recursive: true });
const runtime = execFileSync('g++', [`-print-file-name=${kind.runtime}`], { encoding: 'utf8' });
const env = { LD_PRELOAD: runtime.trim(), ...kind.env };
const statuses = (args.length > 0 ? [args] : kind.runs).map((what) =>
  // Not by npx, which does not survive ThreadSanitizer.
  run(process.execPath, what[0]?.endsWith('.js') ? what : [jest, ...what], env),
);
process.exitCode = showReports() && statuses.every((status) => status === 0) ? 0 : 1;
// The next program loads the addon that users get.
rmSync(path.join(root, 'build'), { recursive: true });
run('npm', ['run', '--silent', 'build']);
