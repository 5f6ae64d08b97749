/**
 * Injects faults into the system calls of the addon, in this process. Calls of Node, libuv and
 * peers are not affected.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import util from 'node:util';

// The addon must be loaded before its calls can be redirected.
import '../../lib/system/binding';

/** The system calls of the addon. `peek` is recv(2) with MSG_PEEK. */
export type Call =
  | 'accept4'
  | 'bind'
  | 'close'
  | 'connect'
  | 'epoll_create1'
  | 'epoll_add'
  | 'epoll_modify'
  | 'epoll_delete'
  | 'epoll_wait'
  | 'eventfd'
  | 'eventfd_read'
  | 'eventfd_write'
  | 'fcntl'
  | 'getaddrinfo'
  | 'getpeername'
  | 'getsockname'
  | 'getsockopt'
  | 'ioctl'
  | 'listen'
  | 'poll'
  | 'pselect'
  | 'pthread_create'
  | 'recv'
  | 'peek'
  | 'recvmsg'
  | 'send'
  | 'sendmsg'
  | 'setsockopt'
  | 'shutdown'
  | 'socket'
  | 'socketpair';

/** When a fault happens; by default once, at the next call. */
export interface When {
  /** Only for this descriptor. */
  readonly fd?: number;
  /** The number of calls that pass before it. */
  readonly skip?: number;
  /** The number of calls that fail; `Infinity`: all further calls. */
  readonly times?: number;
  /** The probability that a call fails, drawn from the seed and the number of the call. */
  readonly perMillion?: number;
  /** The number of consecutive calls that fail, or pass, together. */
  readonly burst?: number;
  /** The call is made, and then reported as failed. */
  readonly afterwards?: boolean;
}

/** A call, with the result that the addon got. */
export interface Traced {
  readonly call: Call;
  /** The descriptor; for a wait, its time-out in milliseconds. */
  readonly detail: number;
  /** A negative errno for failure. */
  readonly result: number;
}

interface Native {
  attach(): number;
  detach(): void;
  readonly memory: ArrayBuffer;
  readonly calls: readonly Call[];
}

/** The layout of the shared memory; the same as in injector.c. */
const MOST_RULES = 64;
const MOST_CALLS = 32;
const TRACE_LENGTH = 16384;
const RULE_FIELDS = 9;
const TRACE_FIELDS = 3;
const AT = {
  seed: 0,
  ruleCount: 1,
  traceCount: 2,
  made: 3,
  faulted: 3 + MOST_CALLS,
  rules: 3 + 2 * MOST_CALLS,
  trace: 3 + 2 * MOST_CALLS + RULE_FIELDS * MOST_RULES,
} as const;

const root = path.join(__dirname, '..', '..');

/** Builds the injector if needed, and returns its path. */
function build(): string {
  const source = path.join(root, 'test', 'faults', 'injector.c');
  const digest = createHash('sha256').update(readFileSync(source)).digest('hex').slice(0, 8);
  const folder = path.join(root, 'build', 'faults');
  const file = path.join(folder, `injector-${digest}.node`);
  if (existsSync(file)) return file;
  mkdirSync(folder, { recursive: true });
  // The headers that the addon was built with.
  const config = readFileSync(path.join(root, 'build', 'config.gypi'), 'utf8');
  const headers = path.join(/"nodedir": "(.*)"/.exec(config)?.[1] ?? '/usr', 'include', 'node');
  const unfinished = `${file}.${process.pid}`;
  const options = ['-shared', '-fPIC', '-O1', '-Wall', '-Wextra', '-Werror', '-I', headers];
  execFileSync('gcc', [...options, source, '-o', unfinished, '-ldl']);
  // Another process may build it at the same time.
  renameSync(unfinished, file);
  return file;
}

export class Injector {
  readonly #native: Native;
  readonly #memory: Int32Array;

  /** Redirects the addon's calls. Without faults, they pass. */
  constructor(seed = 0) {
    this.#native = createRequire(__filename)(build()) as Native;
    this.#memory = new Int32Array(this.#native.memory);
    if (this.#native.attach() === 0) throw new Error('the addon is not loaded, or makes no calls');
    this.clear();
    this.#memory[AT.seed] = seed;
  }

  /** Makes a call fail. `error` is a name from errno(3); for `getaddrinfo`, its error number. */
  fail(call: Call, error: string | number, when: When = {}): void {
    const errno = typeof error === 'number' ? error : errnoOf(error);
    this.#add(call, errno, 0, when);
  }

  /** Limits a transfer to `most` bytes, or an epoll_wait(2) to `most` events. */
  shorten(call: Call, most: number, when: When = {}): void {
    this.#add(call, 0, most, when);
  }

  /** How often a call was made, failed or not. */
  made(call: Call): number {
    return this.#memory[AT.made + this.#number(call)] ?? 0;
  }

  /** The number of all calls. */
  get madeInAll(): number {
    return this.#memory.subarray(AT.made, AT.made + MOST_CALLS).reduce((sum, n) => sum + n, 0);
  }

  /** How often a call failed by injection. */
  faulted(call: Call): number {
    return this.#memory[AT.faulted + this.#number(call)] ?? 0;
  }

  /** For every call: how often it was made, and how often it failed by injection. */
  counts(): Record<string, [made: number, hit: number]> {
    const made = this.#native.calls.filter((call) => this.made(call) > 0);
    return Object.fromEntries(made.map((call) => [call, [this.made(call), this.faulted(call)]]));
  }

  /** The calls since the last `clear`, as far as they are recorded. */
  trace(): Traced[] {
    const count = this.#memory[AT.traceCount] ?? 0;
    const from = Math.max(0, count - TRACE_LENGTH);
    return Array.from({ length: count - from }, (_, i) => {
      const at = AT.trace + TRACE_FIELDS * ((from + i) % TRACE_LENGTH);
      const [call = 0, detail = 0, result = 0] = this.#memory.subarray(at, at + TRACE_FIELDS);
      return { call: this.#native.calls[call] ?? 'close', detail, result };
    });
  }

  /** Removes all faults, and resets all counts. */
  clear(): void {
    this.#memory.fill(0, AT.ruleCount);
  }

  /** Restores the addon's calls. */
  detach(): void {
    this.clear();
    this.#native.detach();
  }

  #add(call: Call, errno: number, limit: number, when: When): void {
    const index = this.#memory[AT.ruleCount] ?? 0;
    if (index === MOST_RULES) throw new RangeError(`there are ${MOST_RULES} faults at most`);
    const isAfterwards = when.afterwards === true ? 1 : 0;
    const { fd = -1, skip = 0, times = 1, perMillion = 1e6, burst = 1 } = when;
    const count = Math.min(times, 0x7fffffff);
    const fields = [this.#number(call), fd, skip, count, errno, limit, perMillion, burst];
    this.#memory.set([...fields, isAfterwards], AT.rules + RULE_FIELDS * index);
    this.#memory[AT.ruleCount] = index + 1;
  }

  #number(call: Call): number {
    const number = this.#native.calls.indexOf(call);
    if (number < 0) throw new RangeError(`the injector knows no ${call}`);
    return number;
  }
}

/** The number of an errno, by its name in errno(3). */
export function errnoOf(name: string): number {
  const known = (os.constants.errno as Readonly<Record<string, number>>)[name];
  if (known !== undefined) return known;
  const [errno] = [...util.getSystemErrorMap()].find(([, [code]]) => code === name) ?? [];
  if (errno === undefined) throw new RangeError(`${name} is no errno`);
  return -errno;
}
