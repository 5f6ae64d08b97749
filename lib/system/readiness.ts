/** Readiness: poll(2)'s bits, and the seam between the loop and what tells it readiness. */

/** There is something to read. */
export const POLLIN = 0x0001;
/** Urgent data. */
export const POLLPRI = 0x0002;
/** A write would not block. */
export const POLLOUT = 0x0004;
/** An error is pending; reported unasked. */
export const POLLERR = 0x0008;
/** Both directions are closed; reported unasked. */
export const POLLHUP = 0x0010;
/** The descriptor is not open; reported unasked. */
export const POLLNVAL = 0x0020;
/** The peer has closed its writing side. */
export const POLLRDHUP = 0x2000;

const NAMES = [
  ['in', POLLIN],
  ['pri', POLLPRI],
  ['out', POLLOUT],
  ['err', POLLERR],
  ['hup', POLLHUP],
  ['nval', POLLNVAL],
  ['rdhup', POLLRDHUP],
] as const;

/** For people: `in|rdhup`. */
export function readinessText(bits: number): string {
  return NAMES.filter(([, bit]) => bits & bit)
    .map(([name]) => name)
    .join('|');
}

/** Any hint that the stream has ended. */
export const ENDING = POLLRDHUP | POLLHUP | POLLERR;

/**
 * The seam. A backend watches descriptors, level-triggered, for bits that are poll(2)'s whatever
 * the mechanism; a mask is never 0. Every number that comes back negative is an errno.
 */
export interface Backend {
  /** `select`, `poll`, `epoll`. */
  readonly name: string;
  /** Begins to watch. `EEXIST` where it does already. */
  add(fd: number, mask: number): number;
  /** Changes what is watched for; with the same mask, looks afresh at the descriptor. */
  modify(fd: number, mask: number): number;
  /** Ends watching. */
  remove(fd: number): number;
  /**
   * Waits until something is ready, at most `timeoutMs` milliseconds (rounded up; negative or
   * infinite: without end), fills `ready` with (descriptor, bits) pairs and returns how many.
   */
  wait(timeoutMs: number, ready: Int32Array): number;
  close(): void;
}
