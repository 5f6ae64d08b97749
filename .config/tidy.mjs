// Runs clang-tidy on native/*.cc with the very flags that binding.gyp gives to the compiler.
import { spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));

if (spawnSync('clang-tidy', ['--version']).error) {
  const needed = process.env.CI === 'true';
  const outcome = needed ? 'and CI needs it' : 'so this step is left out';
  console.log(`clang-tidy is not installed (Debian package clang-tidy), ${outcome}.`);
  process.exit(needed ? 1 : 0);
}

const configured = spawnSync(
  'npx',
  ['--no', 'node-gyp', 'configure', '--loglevel=error', '--', '-f', 'compile_commands_json'],
  { stdio: 'inherit' },
);
if (configured.status !== 0) process.exit(1);

const database = JSON.parse(readFileSync('build/Release/compile_commands.json', 'utf8'));
const files = database.map((entry) => entry.file).filter((file) => file.includes('/native/'));
let failed = files.length === 0;

async function worker() {
  for (let file = files.pop(); file !== undefined; file = files.pop()) {
    const args = [
      '-p',
      'build/Release',
      '--quiet',
      '--extra-arg=-Wno-unknown-warning-option',
      file,
    ];
    const tidy = spawn('clang-tidy', args);
    let errors = '';
    let report = '';
    tidy.stdout.on('data', (data) => (report += data));
    tidy.stderr.on('data', (data) => (errors += data));
    const code = await new Promise((resolve) => tidy.on('close', resolve));
    if (code !== 0) {
      failed = true;
      console.log(report || errors);
    }
  }
}

const total = files.length;
await Promise.all(Array.from({ length: availableParallelism() }, worker));
console.log(`clang-tidy: ${total} files, ${failed ? 'with warnings' : 'clean'}.`);
process.exitCode = failed ? 1 : 0;
