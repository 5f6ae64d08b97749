/** The addon: the only file that loads it, and what it exports beside the real kernel's calls. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

import type { Kernel } from './kernel';
import type { SocketAddress } from './sockets/address-types';

/** Where a slab's `recv` and `send` take their integers from, and put what comes of it. */
export const Transfer = { fd: 0, offset: 1, length: 2, result: 3, fields: 4 } as const;

/** Calls whose arguments and results stand in shared memory, so that they carry nothing. */
export interface SlabCalls {
  /** The memory that is received into and sent from, from now on. */
  readonly use: (bytes: Uint8Array) => void;
  readonly recv: () => void;
  readonly send: () => void;
}

interface Binding extends Kernel {
  select(read: Int32Array, write: Int32Array, except: Int32Array, timeoutMs: number): number;
  poll(pairs: Int32Array, timeoutMs: number): number;
  epollCreate(): number;
  epollControl(epollFd: number, operation: number, fd: number, mask: number): number;
  epollWait(epollFd: number, pairs: Int32Array, timeoutMs: number): number;

  readonly constants: Readonly<Record<string, number>>;
  adopt(fd: number): number;

  makeSlab(transfer: Int32Array): SlabCalls;

  packUnix(path: Buffer): Buffer | undefined;
  unpackAddress(packed: Buffer): SocketAddress;

  wake(fd: number): number;
}

function packageRoot(): string {
  let directory = __dirname;
  while (!existsSync(path.join(directory, 'binding.gyp'))) directory = path.dirname(directory);
  return directory;
}

const load = createRequire(__filename)('node-gyp-build') as (directory: string) => Binding;

// Copied: V8 looks the functions of so large an exports object up by name, call after call.
export const binding: Binding = { ...load(packageRoot()) };
