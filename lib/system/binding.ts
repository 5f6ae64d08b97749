/** The addon: the only file that loads it. */
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

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

interface Binding extends Omit<Kernel, 'read' | 'socketFile'> {
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

/** `import.meta.url` in the ES modules that `.config/build.mjs` makes for bundlers; absent elsewhere. */
declare const MODULE_URL: string;

/** The folder of the package that has the addon: this file's own, or the one installed beside a bundle. */
function findPackage(file: string): string {
  try {
    return path.dirname(createRequire(file).resolve('asynchia/package.json'));
  } catch (cause) {
    const usual =
      'A bundle does not contain the addon: install asynchia in its folder or in one above, by ' +
      'npm install asynchia';
    throw new Error(
      "asynchia's addon was not found: no package asynchia is installed where " +
        `${file} would find it. ${remedyFor(cause, usual)}`,
      { cause },
    );
  }
}

/** What to do about a failure: `usual`, unless an option of Node's is the reason. */
function remedyFor(cause: unknown, usual: string): string {
  if ((cause as NodeJS.ErrnoException).code === 'ERR_DLOPEN_DISABLED') {
    return 'Start Node with --allow-addons beside --permission, or without --no-addons';
  }
  // What may not be read looks as if it were not there.
  const { permission } = process as Partial<NodeJS.Process>;
  if (permission?.has('fs.read') !== false) return usual;
  return 'Start Node with --allow-fs-read for that folder beside --permission, and --allow-addons';
}

function loadAddon(): Binding {
  // An ES module has no __filename; what was bundled as CommonJS has no import.meta.url.
  const file = typeof __filename === 'string' ? __filename : fileURLToPath(MODULE_URL);
  const root = findPackage(file);
  const load = createRequire(path.join(root, 'package.json'))('node-gyp-build') as (
    directory: string,
  ) => Binding;
  try {
    return load(root);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const usual = `Build it from its source: npx node-gyp rebuild --directory ${root}`;
    throw new Error(
      `asynchia's addon was not loaded from ${root}: ${reason.trim()}\n${remedyFor(cause, usual)}`,
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
