/** The faults of a storm: all follow from its seed. */
import type { Call, Injector, When } from './injector';

/** Random numbers from a seed (mulberry32). */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** From 0 (inclusive) to 1 (exclusive). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number from `least` to `most`. */
  integer(least: number, most: number): number {
    return least + Math.floor(this.next() * (most - least + 1));
  }

  pick<T>(choices: readonly T[]): T {
    return choices[this.integer(0, choices.length - 1)] as T;
  }

  /** True with this probability in percent. */
  percent(often: number): boolean {
    return this.next() * 100 < often;
  }

  bytes(length: number): Buffer {
    const bytes = Buffer.allocUnsafe(length);
    for (let i = 0; i < length; i++) bytes[i] = this.integer(0, 255);
    return bytes;
  }
}

/** The parameters of a server. */
export interface StormPlan {
  readonly seed: number;
  readonly backend: string;
}

/** Errors that end a connection, by call: its handler gets `handleClose`. */
const ENDS = {
  recv: ['ECONNRESET', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENOMEM', 'EIO'],
  peek: ['ECONNRESET', 'ENOMEM'],
  send: ['EPIPE', 'ECONNRESET', 'ENOBUFS', 'ENOMEM'],
  sendmsg: ['EPIPE', 'ECONNRESET', 'ENOBUFS', 'ENOMEM'],
  epoll_add: ['ENOMEM', 'ENOSPC'],
  epoll_modify: ['ENOMEM'],
} as const satisfies Partial<Record<Call, readonly string[]>>;

/** Errors after which a listener backs off. */
const RESTS = ['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM', 'EPROTO', 'EPERM', 'EHOSTUNREACH'];

/** The error codes that a handler may get under a plan. */
export const ENDING_CODES: ReadonlySet<string> = new Set(Object.values(ENDS).flat());

/** Starts the storm. The seed and the number of a call decide whether it fails. */
export function unleash(faults: Injector, { seed }: StormPlan): void {
  const random = new Random(seed);
  const often = (perMillion: number, more: When = {}): When => ({
    times: Infinity,
    perMillion: Math.round(perMillion),
    ...more,
  });
  const some = (most: number): number => random.next() * most;

  // Shorter transfers mean more calls per connection, so each call fails more rarely.
  const most = random.pick([10, 100, 1000, 10_000]);
  for (const [call, errnos] of Object.entries(ENDS) as [Call, readonly string[]][]) {
    const isTransfer = call === 'recv' || call === 'send' || call === 'sendmsg';
    for (const errno of errnos) faults.fail(call, errno, often(some(isTransfer ? most : 15_000)));
  }
  for (const errno of RESTS) faults.fail('accept4', errno, often(some(15_000)));
  faults.fail('accept4', 'ECONNABORTED', often(some(100_000)));
  // Failures that must have no effect.
  for (const call of ['recv', 'send', 'sendmsg', 'accept4', 'peek'] as const) {
    faults.fail(call, 'EINTR', often(some(100_000), { burst: random.integer(1, 20) }));
  }
  for (const call of ['recv', 'send', 'sendmsg'] as const) {
    faults.fail(call, 'EAGAIN', often(some(150_000)));
    faults.shorten(call, most, often(random.pick([1e6, some(1e6)])));
  }
  for (const call of ['epoll_wait', 'poll', 'pselect'] as const) {
    // Each takes a millisecond.
    faults.fail(call, 'EINTR', often(some(50_000), { burst: random.integer(1, 5), times: 300 }));
    // Rejects run(), which the server calls again.
    faults.fail(call, 'ENOMEM', often(some(5000), { times: 50 }));
  }
  faults.shorten('epoll_wait', random.integer(1, 4), often(some(500_000)));
  for (const errno of ['EINTR', 'EIO']) {
    faults.fail('close', errno, often(some(100_000), { afterwards: true }));
  }
  faults.fail('shutdown', 'ENOTCONN', often(some(100_000), { afterwards: true }));
  faults.fail('eventfd_read', 'EINTR', often(some(100_000)));
}
