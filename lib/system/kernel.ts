/**
 * The kernel seam: the calls that sockets and the loop make. They take and return integers; a failure
 * is a negative errno. `system-kernel.ts` is this machine's, `asynchia/testing` has a simulated one.
 */
import type { Backend } from './readiness';
import type { SocketAddress } from './address-types';

/** A backend that can also wait inside Node's own loop. */
export interface LoopBackend extends Backend {
  /**
   * Hands the waiting to Node's loop. `control` holds the two doubles that `Control` names;
   * `prepare` is called before a wait when there are changes, `dispatch` with what a wait brought.
   */
  joinLoop(
    ready: Int32Array,
    control: Float64Array,
    prepare: () => void,
    dispatch: (count: number) => void,
  ): number;
  leaveLoop(): void;
}

/** Catches signals of the process. */
export interface SignalSource {
  /** Becomes readable when a signal has arrived. */
  readonly fd: number;
  /** Begins to catch signals of that number. */
  watch(number: number): number;
  unwatch(number: number): void;
  /** Writes the numbers of signals that have arrived, and returns how many. */
  take(numbers: Int32Array): number;
  close(): void;
}

/** The file that bind(2) has made for a Unix path. unix(7) */
export interface SocketFile {
  /** Whether no socket is bound to it any more. */
  isDead(): boolean;
  /** Removes it, unless its path is another file's by now. Returns whether it was removed. */
  remove(): boolean;
}

/** The fields of the memory that a running loop shares with the native one that waits for it. */
export const Control = {
  /** When a turn is due without any event, in milliseconds of `monotonicMs`. */
  turnAtMs: 0,
  /** Not 0: changes wait to be flushed. */
  hasChanges: 1,
  fields: 2,
} as const;

/** How many parts one `sendMany` sends at most. */
export const MOST_PARTS = 64;

export interface Kernel {
  /** The kernel whose descriptors it serves, where it serves one kind of them; it, if undefined. */
  readonly whole?: Kernel;
  monotonicMs(): number;
  createBackend(name: string): LoopBackend | number;

  socket(family: number, type: number, protocol: number): number;
  socketpair(family: number, type: number, pair: Int32Array): number;
  /** Gives a descriptor away: it is no longer closed at exit. */
  disown(fd: number): number;
  close(fd: number): number;
  bind(fd: number, packed: Uint8Array): number;
  connect(fd: number, packed: Uint8Array): number;
  /** The file of a socket at a path; undefined if there is none, or a file of another kind. */
  socketFile(path: string | Buffer): SocketFile | undefined;
  listen(fd: number, backlog: number): number;
  /** Writes the peer's family, host and port to `peer` if it has an IPv4 address. */
  accept(fd: number, peer: Int32Array): number;
  /** The peer of the connection that was accepted last. */
  acceptedAddress(): SocketAddress;
  shutdown(fd: number, how: number): number;
  getsockname(fd: number): SocketAddress | number;
  getpeername(fd: number): SocketAddress | number;
  getsockopt(fd: number, level: number, option: number, value: Uint8Array): number;
  setsockopt(fd: number, level: number, option: number, value: Uint8Array): number;

  /** Receives at most `most` bytes into memory that is not written again. */
  read(fd: number, most: number, flags: number): Buffer | number;
  recv(fd: number, bytes: Uint8Array, offset: number, length: number, flags: number): number;
  send(fd: number, bytes: Uint8Array, offset: number, length: number, flags: number): number;
  sendMany(fd: number, parts: readonly Uint8Array[], offset: number): number;
  /** 1: there are bytes to read; 0: the stream has ended. */
  unread(fd: number): number;
  /** How many sent bytes are not acknowledged. */
  unacknowledged(fd: number): number;

  /** A sockaddr; undefined if `host` is no address, or with `isName`, no known name. */
  packInet(host: string, port: number, isName: boolean): Buffer | undefined;
  /** Begins a look-up that writes to `wakeupFd` when it is done, and returns its number. */
  resolve(host: string, wakeupFd: number): number;
  /** The result of a look-up, returned once; undefined while it is under way. */
  resolved(lookup: number): Buffer[] | string | undefined;
  /** Discards a look-up: its result is not fetched. */
  dropLookup(lookup: number): void;

  createWakeup(): number;
  duplicate(fd: number): number;
  drainWakeup(fd: number): number;
  /** What ends the wait of a thread that does not turn Node's loop, or `signalsFd` is ready. */
  createInterrupt(signalsFd: number): number;
  /** Returns 1 while Node's loop has something pending, whose notifications may be coalesced. */
  drainInterrupt(fd: number): number;
  createSignals(): SignalSource | number;
}
