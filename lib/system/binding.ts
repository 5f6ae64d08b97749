/** The addon: the only file that loads it. */
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

import { Control, type Kernel, MOST_PARTS } from './kernel';
import { readinessBits } from './readiness';
import type { SocketAddress } from './address-types';

/** Where a slab's `recv` and `send` take their integers from, and put what comes of it. */
export const Transfer = { fd: 0, offset: 1, length: 2, result: 3, fields: 4 } as const;

/** Calls whose arguments and results stand in shared memory, so that they carry nothing. */
export interface SlabCalls {
  /** Registers the memory that the next calls receive into and send from. */
  readonly use: (bytes: Uint8Array) => void;
  readonly recv: () => void;
  readonly send: () => void;
}

interface Binding extends Omit<Kernel, 'read'> {
  recvWhole(fd: number, bytes: Uint8Array): number;
  sendWhole(fd: number, bytes: Uint8Array): number;

  select(read: Int32Array, write: Int32Array, except: Int32Array, timeoutMs: number): number;
  poll(pairs: Int32Array, timeoutMs: number): number;
  epollCreate(): number;
  epollControl(epollFd: number, operation: number, fd: number, mask: number): number;
  epollWait(epollFd: number, pairs: Int32Array, timeoutMs: number): number;

  readonly constants: Readonly<Record<string, number>>;
  adopt(fd: number): number;

  /** The calls of descriptors that are no sockets. */
  streamRead(fd: number, bytes: Uint8Array, offset: number, length: number): number;
  streamWrite(fd: number, bytes: Uint8Array, offset: number, length: number): number;
  streamUnread(fd: number): number;
  streamUntaken(fd: number): number;
  /** The type of its file, as in `st_mode` (inode(7)); 0 for an anonymous inode. */
  fileType(fd: number): number;

  /** What the addon and this library have in common: compared when it is loaded. */
  readonly transferLayout: Readonly<Record<string, number>>;
  readonly controlLayout: Readonly<Record<string, number>>;
  readonly readinessBits: Readonly<Record<string, number>>;
  readonly mostParts: number;

  makeSlab(transfer: Int32Array): SlabCalls;

  packUnix(path: Buffer): Buffer | undefined;
  unpackAddress(packed: Buffer): SocketAddress;

  wake(fd: number): number;
}

function isPackage(directory: string): boolean {
  const file = path.join(directory, 'package.json');
  if (!existsSync(file)) return false;
  return (JSON.parse(readFileSync(file, 'utf8')) as { name?: unknown }).name === 'asynchia';
}

function loadAddon(): Binding {
  // From lib/system/ or dist/lib/system/. An ES module, which only a bundler makes of this,
  // has no __dirname.
  const ways = typeof __dirname === 'string' ? ['..', '../..', '../../..'] : [];
  const places = ways.map((way) => path.resolve(__dirname, way));
  const root = places.find(isPackage);
  if (root === undefined) {
    throw new Error(
      "asynchia's addon was not found. Its package was looked for in: " +
        `${places.join(', ') || 'no place, as this is an ES module'}. A bundle does not contain ` +
        'the addon: mark asynchia as external in the bundler, and install it beside the bundle.',
    );
  }
  const load = createRequire(__filename)('node-gyp-build') as (directory: string) => Binding;
  try {
    return load(root);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Error(
      `asynchia's addon was not loaded from ${root}: ${reason.trim()}\n` +
        `Build it from its source: npx node-gyp rebuild --directory ${root}`,
      { cause },
    );
  }
}

/** An addon of another version would read and write shared memory in the wrong places. */
function checkLayouts(addon: Binding): Binding {
  const { controlLayout, mostParts, transferLayout } = addon;
  const theirs = { transferLayout, controlLayout, mostParts, readinessBits: addon.readinessBits };
  const ours = {
    transferLayout: Transfer,
    controlLayout: Control,
    mostParts: MOST_PARTS,
    readinessBits,
  };
  // As text: under jest the addon's objects are of another realm.
  if (JSON.stringify(theirs) === JSON.stringify(ours)) return addon;
  throw new Error(
    "asynchia's addon does not belong to this version of its JavaScript: build it again, " +
      'by npx node-gyp rebuild in its package',
  );
}

// Copied: V8 looks the functions of so large an exports object up by name, call after call.
export const binding: Binding = { ...checkLayouts(loadAddon()) };
