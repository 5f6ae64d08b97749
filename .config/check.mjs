// Runs one of the long checks: `npm run check -- NAME [arguments…]`.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

import { Command } from 'commander';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));

const program = new Command('npm run check --')
  .description('Runs one of the long checks. Arguments after its name are passed on.')
  .usage('<check> [arguments…]')
  .enablePositionalOptions()
  .helpCommand(false);

function check(name, summary, nodeArguments, { needsBuild = true } = {}) {
  program
    .command(name)
    .summary(summary)
    .argument('[arguments...]')
    .usage('[arguments…]')
    // All options are the check's own, --help included.
    .helpOption(false)
    .allowUnknownOption()
    .passThroughOptions()
    .action((args) => {
      if (needsBuild) run('npm', ['run', '--silent', 'build']);
      run(process.execPath, [...nodeArguments, ...args]);
    });
}

/** Runs a program; ends this one where it fails. */
function run(command, args) {
  const { status } = spawnSync(command, args, { stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}

check('analyze', 'clang-tidy and gcc -fanalyzer on native/', ['.config/analyze.mjs'], {
  needsBuild: false,
});
check('faults', 'servers whose system calls fail at random', ['dist/faults/cli.js']);
check('fuzz', 'the fuzzer under AddressSanitizer: --minutes 10', [
  '.config/sanitize.mjs',
  'address',
  'dist/fuzz/main.js',
]);
check('histories', 'random histories against the model: --count 100000', [
  '--enable-source-maps',
  'dist/histories/run.js',
]);
check('nodes', 'the tests on Node 20, 22, 24 and 26', ['.config/nodes.mjs']);
check('overload', 'servers under more load than they can serve', ['dist/overload/run.js']);
check('package', 'packs, installs and uses the package', ['.config/package.mjs'], {
  needsBuild: false,
});
check('sanitize', "tests under gcc's sanitizers: address [tests…], thread [tests…]", [
  '.config/sanitize.mjs',
]);
check('soak', 'one server under mixed load: --minutes 60', ['dist/soak/soak.js']);
check('valgrind', 'the fuzzer and threads under memcheck', ['.config/valgrind.mjs']);

program.parse();
