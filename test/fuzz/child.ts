/**
 * One random run of calls, in a process of its own: child.js FACE SEED CALLS. FUZZ_TRACE=1 writes
 * each call to stderr before it is made: the last one shown ended the process.
 */
import { mkdtempSync, rmSync, writeSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import fc from 'fast-check';

import { DefaultSocketMap } from '../../lib/maps';

import { nativeFace } from './native';
import { publicFace } from './public';
import { Unexpected } from './steps';

const FACES = { native: nativeFace, public: publicFace };
const [faceName = '', seed = '', calls = ''] = process.argv.slice(2);

/** The folder of sockets bound to random paths. */
const folder = mkdtempSync(path.join(os.tmpdir(), 'asynchia-fuzz-'));
process.chdir(folder);
process.on('exit', () => rmSync(folder, { recursive: true }));
// Exceptions in callbacks are expected.
process.on('uncaughtException', (error) => {
  if (error instanceof Unexpected) fail(error);
});
process.on('unhandledRejection', () => undefined);

function fail(error: unknown): void {
  // eslint-disable-next-line no-console -- this is a program
  console.error(error);
  process.exit(1);
}

let taken = 0;
function next(): void {
  const step = history[taken++];
  if (step === undefined) return;
  if (process.env['FUZZ_TRACE'] === '1') writeSync(2, `${taken} ${step.title()}\n`);
  step.run();
}

const face = FACES[faceName as keyof typeof FACES](next);
const history = fc.sample(face.steps, { seed: Number(seed), numRuns: Number(calls) });

async function main(): Promise<void> {
  // What a thread's maps share is opened before there are numbers that the fuzzer closes twice.
  const map = new DefaultSocketMap();
  map.callIn(0, () => map.close());
  await map.run();
  // Ends waits inside Node's loop.
  const pulse = setInterval(() => undefined, 1);
  while (taken < history.length) {
    next();
    if (taken % 16 === 0) await new Promise((resolve) => setImmediate(resolve));
    if (taken % 256 === 0) (globalThis as { gc?: () => void }).gc?.();
  }
  face.end();
  clearInterval(pulse);
}

main().catch(fail);
