/** What a storm of faults consists of: everything follows from its seed. */
import type { Call, Injector, When } from './injector';

/** Numbers that follow from a seed: mulberry32. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** From 0 to below 1. */
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

  /** True so often in a hundred. */
  percent(often: number): boolean {
    return this.next() * 100 < often;
  }

  bytes(length: number): Buffer {
    const bytes = Buffer.allocUnsafe(length);
    for (let i = 0; i < length; i++) bytes[i] = this.integer(0, 255);
    return bytes;
  }
}

/** What a server is started with. */
export interface StormPlan {
  readonly seed: number;
  readonly backend: string;
}

/** What ends a connection, call by call: its handler is told by `handleClose`. */
const ENDS = {
  recv: ['ECONNRESET', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENOMEM', 'EIO'],
  peek: ['ECONNRESET', 'ENOMEM'],
  send: ['EPIPE', 'ECONNRESET', 'ENOBUFS', 'ENOMEM'],
  sendmsg: ['EPIPE', 'ECONNRESET', 'ENOBUFS', 'ENOMEM'],
  epoll_add: ['ENOMEM', 'ENOSPC'],
  epoll_modify: ['ENOMEM'],
} as const satisfies Partial<Record<Call, readonly string[]>>;

/** What a listener rests after. */
const RESTS = ['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM', 'EPROTO', 'EPERM', 'EHOSTUNREACH'];

/** The codes that a handler may be told because of a plan. */
export const ENDING_CODES: ReadonlySet<string> = new Set(Object.values(ENDS).flat());

/** Lets the storm begin. Which calls are hit follows from the seed and the number of each call. */
export function unleash(faults: Injector, { seed }: StormPlan): void {
  const random = new Random(seed);
  const often = (perMillion: number, more: When = {}): When => ({
    times: Infinity,
    perMillion: Math.round(perMillion),
    ...more,
  });
  const some = (most: number): number => random.next() * most;

  // The shorter the transfers, the more of them a connection takes, and each is to be survivable.
  const most = random.pick([10, 100, 1000, 10_000]);
  for (const [call, errnos] of Object.entries(ENDS) as [Call, readonly string[]][]) {
    const isTransfer = call === 'recv' || call === 'send' || call === 'sendmsg';
    for (const errno of errnos) faults.fail(call, errno, often(some(isTransfer ? most : 15_000)));
  }
  for (const errno of RESTS) faults.fail('accept4', errno, often(some(15_000)));
  faults.fail('accept4', 'ECONNABORTED', often(some(100_000)));
  // Ways of failing that are to make no difference.
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
    // Comes out of run(), which the server calls again.
    faults.fail(call, 'ENOMEM', often(some(5000), { times: 50 }));
  }
  faults.shorten('epoll_wait', random.integer(1, 4), often(some(500_000)));
  for (const errno of ['EINTR', 'EIO']) {
    faults.fail('close', errno, often(some(100_000), { afterwards: true }));
  }
  faults.fail('shutdown', 'ENOTCONN', often(some(100_000), { afterwards: true }));
  faults.fail('eventfd_read', 'EINTR', often(some(100_000)));
}
