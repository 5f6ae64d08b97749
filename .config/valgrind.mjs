// Runs the fuzzer's histories and its threads under valgrind's memcheck, on the addon as it is built
// for users. It sees what AddressSanitizer does not: what the kernel is given to write to or read
// from, and values that were never set.
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const SCRIPTS = [
  ['threads.js'],
  ['child.js', 'native', '1', '600'],
  ['child.js', 'public', '1', '600'],
];

let failed = false;
for (const [script, ...args] of SCRIPTS) {
  const { status, signal } = spawnSync(
    'valgrind',
    [
      '--quiet',
      '--error-exitcode=99',
      '--leak-check=full',
      '--errors-for-leak-kinds=definite',
      '--show-leak-kinds=definite',
      // V8 writes code while it runs.
      '--smc-check=all-non-file',
      `--suppressions=${root}/.config/valgrind.supp`,
      process.execPath,
      '--expose-gc',
      path.join(root, 'dist', 'fuzz', script),
      ...args,
    ],
    { stdio: 'inherit' },
  );
  failed ||= status !== 0;
  console.log(
    `valgrind: ${[script, ...args].join(' ')}: ${status === 0 ? 'clean' : (status ?? signal)}`,
  );
}
process.exitCode = failed ? 1 : 0;
