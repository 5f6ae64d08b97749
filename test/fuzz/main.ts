/**
 * The fuzzer: main.js [--minutes 10] [--seed N]. Makes random runs of calls in child processes, two
 * at a time, until the time is up or one fails; then prints the command that repeats the failure.
 */
import { spawn } from 'node:child_process';
import path from 'node:path';
import util from 'node:util';

const CALLS = 1000;
/** Longer than any run takes, even with sanitizers on a busy machine. */
const PATIENCE_MS = 120_000;
const AT_ONCE = 2;

const { values } = util.parseArgs({
  options: { minutes: { type: 'string' }, seed: { type: 'string' } },
});
const endMs = Date.now() + Number(values.minutes ?? 10) * 60_000;
const firstSeed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));
const say = (text: string): boolean => process.stdout.write(`${text}\n`);

/** Why a run failed; undefined if it did not. */
function outcomeOf(args: readonly string[]): Promise<string | undefined> {
  const child = spawn(process.execPath, args, {
    stdio: ['ignore', 'ignore', 'pipe'],
    timeout: PATIENCE_MS,
    killSignal: 'SIGKILL',
  });
  let output = '';
  child.stderr.on('data', (data: Buffer) => (output += data.toString()));
  return new Promise((resolve) => {
    child.on('close', (code, signal) => {
      const isWell = code === 0 && output === '';
      resolve(isWell ? undefined : `ended with ${code ?? signal ?? 'nothing'}\n${output}`);
    });
  });
}

let ran = 0;
let failed = false;

async function worker(face: string): Promise<void> {
  while (!failed && Date.now() < endMs) {
    const seed = firstSeed + ran++;
    const args = ['--expose-gc', path.join(__dirname, 'child.js'), face, `${seed}`, `${CALLS}`];
    const outcome = await outcomeOf(args);
    if (outcome === undefined) continue;
    failed = true;
    say(`${outcome}\nAgain: FUZZ_TRACE=1 node ${args.join(' ')}`);
  }
}

say(`Histories of ${CALLS} calls, from seed ${firstSeed}.`);
void Promise.all(
  Array.from({ length: AT_ONCE }, (_, i) => worker(i % 2 === 0 ? 'native' : 'public')),
).then(() => {
  say(`${ran} histories, ${failed ? 'one failed' : 'none failed'}.`);
  process.exitCode = failed ? 1 : 0;
});
