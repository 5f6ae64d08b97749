/** Programs that are measured, or that measure: started, listened to, and ended. */
import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';

/** How long a program may keep us waiting for a line that it prints at once. */
const PATIENCE_MS = 20_000;
const GRACE_MS = 2_000;

const running = new Set<ChildProcess>();
// Whatever ends the benchmark, what it has started ends with it.
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});
for (const [signal, status] of Object.entries({ SIGHUP: 129, SIGINT: 130, SIGTERM: 143 })) {
  process.on(signal, () => process.exit(status));
}

/** A program that prints lines. */
export class Program {
  readonly pid: number;
  readonly #command: string;
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #ended: Promise<number | null>;
  #stderr = '';

  constructor(command: readonly string[]) {
    const [file = '', ...args] = command;
    this.#command = command.join(' ');
    this.#child = spawn(file, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    this.pid = this.#child.pid ?? 0;
    const { stdin, stdout, stderr } = this.#child;
    // A program that has ended does not read any more; its status tells why.
    stdin?.on('error', () => undefined);
    stderr?.on('data', (text: Buffer) => (this.#stderr += text.toString()));
    if (stdout === null) throw new Error('a program without standard output');
    this.#lines = createInterface({ input: stdout })[Symbol.asyncIterator]();
    running.add(this.#child);
    this.#ended = new Promise((resolve) => {
      const end = (status: number | null): void => {
        running.delete(this.#child);
        resolve(status);
      };
      this.#child.on('error', (error) => {
        this.#stderr += error.message;
        end(null);
      });
      this.#child.on('close', end);
    });
  }

  /** The next line that it prints. Throws where it ends before, or is silent too long. */
  async line(patienceMs = PATIENCE_MS): Promise<string> {
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), patienceMs);
    const next = await this.#lines.next();
    clearTimeout(timer);
    if (next.done !== true) return next.value;
    const status = await this.#ended;
    throw new Error(`${this.#command} ended (${String(status)}) too early: ${this.#stderr}`);
  }

  /** The next line, which is JSON. */
  async json(patienceMs?: number): Promise<unknown> {
    return JSON.parse(await this.line(patienceMs)) as unknown;
  }

  say(text: string): void {
    this.#child.stdin?.write(`${text}\n`);
  }

  /** Asks it to end, by the end of its input or by `signal`, and sees to it that it does. */
  async end(signal?: NodeJS.Signals): Promise<void> {
    this.#child.stdin?.end();
    if (signal !== undefined) this.#child.kill(signal);
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), GRACE_MS);
    await this.#ended;
    clearTimeout(timer);
  }
}

/** The number at a path of keys of something parsed from JSON. */
export function numberIn(value: unknown, ...keys: readonly string[]): number {
  const found = keys.reduce<unknown>(
    (at, key) => (typeof at === 'object' && at !== null ? Reflect.get(at, key) : undefined),
    value,
  );
  if (typeof found === 'number') return found;
  throw new Error(`no number at ${keys.join('.')} of ${JSON.stringify(value)}`);
}
