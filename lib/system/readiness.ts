/** Readiness: poll(2)'s bits, and the seam between the loop and a backend. */

/** There is something to read. */
export const POLLIN = 0x0001;
/** Urgent data. */
export const POLLPRI = 0x0002;
/** A write would not block. */
export const POLLOUT = 0x0004;
/** An error is pending. Reported whatever the interest. */
export const POLLERR = 0x0008;
/** Both directions are closed. Reported whatever the interest. */
export const POLLHUP = 0x0010;
/** The descriptor is not open. Reported whatever the interest. */
export const POLLNVAL = 0x0020;
/** The peer has closed its writing side. */
export const POLLRDHUP = 0x2000;

/** All of them, by name. The addon's are compared with these when it is loaded. */
export const readinessBits = {
  POLLIN,
  POLLPRI,
  POLLOUT,
  POLLERR,
  POLLHUP,
  POLLNVAL,
  POLLRDHUP,
} as const;

/** As text: `POLLIN|POLLRDHUP`. */
export function readinessText(bits: number): string {
  const names = Object.entries(readinessBits).filter(([, bit]) => bits & bit);
  return names.map(([name]) => name).join('|');
}

/** The bits that hint at the end of a stream. */
export const ENDING = POLLRDHUP | POLLHUP | POLLERR;

/**
 * The seam. A backend watches descriptors, level-triggered. Masks are poll(2)'s bits, whatever the
 * mechanism, and never 0. A negative result is an errno.
 */
export interface Backend {
  /** `select`, `poll`, `epoll`. */
  readonly name: string;
  /** Begins to watch; `EEXIST` if the descriptor is watched already. */
  add(fd: number, mask: number): number;
  /** Changes what a descriptor is watched for. */
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
