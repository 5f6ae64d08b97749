/** The addon: the only file that loads it, and what it exports. Failure is a negative errno. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

import type { Backend } from './readiness';
import type { SocketAddress } from './sockets/address-types';

/** A backend that can also wait inside Node's own loop. */
export interface NativeBackend extends Backend {
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

/** What a running map tells the waiting native loop through shared memory. */
export const Control = {
  /** When a turn is due without any event, in milliseconds of `monotonicMs`. */
  turnAtMs: 0,
  /** Not 0: changes wait to be flushed. */
  hasChanges: 1,
  fields: 2,
} as const;

interface Binding {
  monotonicMs(): number;

  select(read: Int32Array, write: Int32Array, except: Int32Array, timeoutMs: number): number;
  poll(pairs: Int32Array, timeoutMs: number): number;
  epollCreate(): number;
  epollControl(epollFd: number, operation: number, fd: number, mask: number): number;
  epollWait(epollFd: number, pairs: Int32Array, timeoutMs: number): number;

  createBackend(name: string): NativeBackend | number;

  socket(family: number, type: number, protocol: number): number;
  socketpair(family: number, type: number, pair: Int32Array): number;
  adopt(fd: number): number;
  disown(fd: number): number;
  close(fd: number): number;
  bind(fd: number, packed: Uint8Array): number;
  connect(fd: number, packed: Uint8Array): number;
  listen(fd: number, backlog: number): number;
  accept(fd: number, peer: Int32Array): number;
  acceptedAddress(): SocketAddress;
  shutdown(fd: number, how: number): number;
  getsockname(fd: number): SocketAddress | number;
  getpeername(fd: number): SocketAddress | number;
  getsockopt(fd: number, level: number, option: number, value: Uint8Array): number;
  setsockopt(fd: number, level: number, option: number, value: Uint8Array): number;
  readonly constants: Readonly<Record<string, number>>;

  useSlab(slab: Uint8Array): void;
  recvSlab(fd: number, offset: number, length: number): number;
  sendSlab(fd: number, offset: number, length: number): number;
  recv(fd: number, bytes: Uint8Array, offset: number, length: number, flags: number): number;
  send(fd: number, bytes: Uint8Array, offset: number, length: number, flags: number): number;
  recvWhole(fd: number, bytes: Uint8Array): number;
  sendWhole(fd: number, bytes: Uint8Array): number;
  sendMany(fd: number, parts: readonly Uint8Array[], offset: number): number;
  unread(fd: number): number;

  packInet(host: string, port: number, isName: boolean): Buffer | undefined;
  packUnix(path: Buffer): Buffer | undefined;
  unpackAddress(packed: Buffer): SocketAddress;
  resolve(host: string, wakeupFd: number): (() => Buffer[] | string | undefined) | number;

  createWakeup(): number;
  duplicate(fd: number): number;
  wake(fd: number): number;
  drainWakeup(fd: number): number;
  createInterrupt(): number;
  drainInterrupt(fd: number): number;
}

function packageRoot(): string {
  let directory = __dirname;
  while (!existsSync(path.join(directory, 'binding.gyp'))) directory = path.dirname(directory);
  return directory;
}

const load = createRequire(__filename)('node-gyp-build') as (directory: string) => Binding;

export const binding = load(packageRoot());
