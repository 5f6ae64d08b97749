// Runs clang-tidy and gcc's -fanalyzer on native/*.cc with the very flags that binding.gyp gives to
// the compiler.
import { spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));

const TIDY = ['-p', 'build/Release', '--quiet', '--extra-arg=-Wno-unknown-warning-option'];
const ANALYZER = [
  '-fanalyzer',
  '-Werror',
  '-fdiagnostics-path-format=none',
  // Up to gcc 12 it does not know that operator new never returns null,
  '-Wno-analyzer-possible-null-argument',
  '-Wno-analyzer-possible-null-dereference',
  // nor that a result can be built where the caller wants it. (valgrind watches what is unset.)
  '-Wno-analyzer-use-of-uninitialized-value',
];

const has = (command) => !spawnSync(command, ['--version']).error;
const hasTidy = has('clang-tidy');
const hasGcc = has('g++');
for (const missing of [!hasTidy && 'clang-tidy', !hasGcc && 'g++'].filter(Boolean)) {
  // `.ci/run`, which installs them, sets it. CI=true alone says nothing of what is installed.
  const needed = process.env.ASYNCHIA_ALL_TOOLS === '1';
  const outcome = needed ? 'and ASYNCHIA_ALL_TOOLS=1 asks for it' : 'so this step is left out';
  console.log(`${missing} is not installed (Debian package ${missing}), ${outcome}.`);
  if (needed) process.exit(1);
}
if (!hasTidy && !hasGcc) process.exit(0);

const configured = spawnSync(
  'npx',
  ['--no', 'node-gyp', 'configure', '--loglevel=error', '--', '-f', 'compile_commands_json'],
  { stdio: 'inherit' },
);
if (configured.status !== 0) process.exit(1);

const database = JSON.parse(readFileSync('build/Release/compile_commands.json', 'utf8'));
const entries = database.filter(({ file }) => file.includes('/native/'));
const jobs = entries.flatMap(({ file, command, directory }) => [
  ...(hasTidy ? [{ command: 'clang-tidy', args: [...TIDY, file], cwd: '.' }] : []),
  ...(hasGcc ? [{ command: 'sh', args: ['-c', analyzing(command)], cwd: directory }] : []),
]);
const total = jobs.length;
let failed = total === 0;

/** The same call of the compiler, which leaves nothing behind. */
function analyzing(command) {
  const flags = command.replace(/^\S+/, '').replaceAll(/\s-(o|MF)\s+\S+|\s-MMD\b/g, '');
  return `g++ ${flags} ${ANALYZER.join(' ')} -c -o /dev/null`;
}

async function worker() {
  for (let job = jobs.pop(); job !== undefined; job = jobs.pop()) {
    const tool = spawn(job.command, job.args, { cwd: job.cwd });
    let errors = '';
    let report = '';
    tool.stdout.on('data', (data) => (report += data));
    tool.stderr.on('data', (data) => (errors += data));
    const code = await new Promise((resolve) => tool.on('close', resolve));
    if (code !== 0) {
      failed = true;
      console.log(report || errors);
    }
  }
}

await Promise.all(Array.from({ length: availableParallelism() }, worker));
const tools = [hasTidy && 'clang-tidy', hasGcc && '-fanalyzer'].filter(Boolean).join(' and ');
console.log(`${tools}: ${entries.length} files, ${failed ? 'with warnings' : 'clean'}.`);
process.exitCode = failed ? 1 : 0;
