/** A native module that turns Node's loop from within a callback. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, renameSync } from 'node:fs';
import path from 'node:path';

import { plainEnvironment, root } from './processes';

/** Builds the module and returns its path. It exports `(mode) => void`: uv_run(3) in that mode. */
export function buildTurner(): string {
  const folder = path.join(root, 'build', 'support');
  const file = path.join(folder, 'turner.node');
  mkdirSync(folder, { recursive: true });
  const unfinished = `${file}.${process.pid}`;
  const options = ['-shared', '-fPIC', '-O1', '-Wall', '-Wextra', '-Werror'];
  const source = path.join(root, 'test', 'support', 'turner.c');
  execFileSync('gcc', [...options, source, '-o', unfinished], { env: plainEnvironment });
  // Another process may build it at the same time.
  renameSync(unfinished, file);
  return file;
}
