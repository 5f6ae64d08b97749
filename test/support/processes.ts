/** Child processes: our own scripts, and clients such as nc. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import path from 'node:path';

import { until } from './turns';

export const root = path.join(__dirname, '..', '..');

/** Under a sanitizer memory use means little: freed memory is kept in quarantine. */
export const isSanitized = process.env['LD_PRELOAD'] !== undefined;

/** For helper programs: not all run with a sanitizer's library. */
export const plainEnvironment = { ...process.env, LD_PRELOAD: undefined };

/** A program, and its output so far. */
export class Program {
  stdout = '';
  stderr = '';
  /** Null while it runs; then its exit status, or the signal that ended it. */
  status: number | string | null = null;
  readonly child: ChildProcess;

  constructor(command: string, args: readonly string[], env: NodeJS.ProcessEnv = {}) {
    this.child = spawn(command, args, { cwd: root, env: { ...process.env, ...env } });
    this.child.stdout?.on('data', (data: Buffer) => (this.stdout += data.toString()));
    this.child.stderr?.on('data', (data: Buffer) => (this.stderr += data.toString()));
    this.child.on('error', (error) => (this.stderr += error.message));
    this.child.on('close', (code, signal) => (this.status = code ?? signal ?? 'unknown'));
  }

  /** Writes to its standard input. */
  write(text: string): void {
    this.child.stdin?.write(text);
  }

  /** Ends its standard input. */
  endInput(): void {
    this.child.stdin?.end();
  }

  /** Waits until it has written `text` to its standard output. */
  async says(text: string, patienceMs?: number): Promise<void> {
    await until(
      () => this.stdout.includes(text) || this.status !== null,
      () => `'${text}' from a program that wrote: ${this.stdout}${this.stderr}`,
      patienceMs,
    );
    if (!this.stdout.includes(text)) {
      throw new Error(
        `ended (${this.status}) without saying '${text}': ${this.stdout}${this.stderr}`,
      );
    }
  }

  /** Waits until it has ended and returns its status. */
  async ends(patienceMs?: number): Promise<number | string> {
    await until(
      () => this.status !== null,
      () => `the end of a program that wrote: ${this.stdout}${this.stderr}`,
      patienceMs,
    );
    return this.status ?? 'unknown';
  }

  kill(signal: NodeJS.Signals = 'SIGKILL'): void {
    this.child.kill(signal);
  }
}

/** Runs a script of JavaScript in a Node process of its own, against the built package. */
export function runScript(script: string, env: NodeJS.ProcessEnv = {}): Program {
  return new Program(process.execPath, ['-e', script], env);
}

/**
 * Whether a program is installed. If not, its tests are skipped with a message. An error under
 * ASYNCHIA_ALL_TOOLS=1, which `.ci/run` sets; not under CI=true alone, which says nothing of that.
 */
export function isInstalled(command: string): boolean {
  const env = plainEnvironment;
  const found = spawnSync('sh', ['-c', `command -v ${command}`], { env }).status === 0;
  if (!found && process.env['ASYNCHIA_ALL_TOOLS'] === '1') {
    throw new Error(`${command} is not installed, and ASYNCHIA_ALL_TOOLS=1 asks for it`);
  }
  if (!found) process.stderr.write(`${command} is not installed, so its tests are skipped\n`);
  return found;
}
