// Runs tests with the addon under AddressSanitizer and UndefinedBehaviorSanitizer (gcc's).
// Arguments go to jest; without any, the tests that reach furthest into the addon are run.
import { execFileSync, spawnSync } from 'node:child_process';

const tests = process.argv.slice(2);
if (tests.length === 0) {
  tests.push('test/conformance', 'test/native-arguments', 'test/sockets', 'test/worker-threads');
}
const run = (command, args, env = {}) => {
  const { status } = spawnSync(command, args, {
    stdio: 'inherit',
    env: { ...process.env, ...env },
  });
  return status ?? 1;
};

// The Debug configuration is the sanitized one, and is loaded where there is no other.
if (run('npx', ['--no', 'node-gyp', 'rebuild', '--debug', '--loglevel=error']) !== 0)
  process.exit(1);
const runtime = execFileSync('g++', ['-print-file-name=libasan.so'], { encoding: 'utf8' }).trim();
process.exitCode = run('npx', ['--no', 'jest', '--maxWorkers=2', ...tests], {
  LD_PRELOAD: runtime,
  // V8 frees nothing at the end of a process, and would drown a leak of ours.
  ASAN_OPTIONS: 'detect_leaks=0:abort_on_error=1',
  UBSAN_OPTIONS: 'print_stacktrace=1:halt_on_error=1',
});
run('npm', ['run', '--silent', 'build:native']);
