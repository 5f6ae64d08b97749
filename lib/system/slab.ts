/**
 * Memory that the addon knows, so that a transfer passes integers only: a slab, which the results of
 * `read` are cut off from, and buffers of the caller. A part that was cut off is never written again,
 * so the caller owns it; a slab that is used up is left to the garbage collector.
 */
import { markAsUntransferable } from 'node:worker_threads';

import { lengthOf } from './arguments';
import { binding, Transfer } from './binding';

const SLAB_BYTES = 128 * 1024;
/** Reads larger than this are cut short: what is left is there for the next one. */
const MOST_BYTES = 1024 * 1024;

/** The memory under a buffer. Its getter is slow, so it is read once. */
export type Memory = Buffer['buffer'];

/** The class that `subarray` makes; making one directly takes less than half the time. */
const { [Symbol.species]: FastBuffer } = Buffer as unknown as {
  readonly [Symbol.species]: new (memory: Memory, offset: number, length: number) => Buffer;
};

/** A part of `memory`, as `subarray` would give it. */
export function slice(memory: Memory, offset: number, length: number): Buffer {
  return new FastBuffer(memory, offset, length);
}

/** Since Node 22, which transfers by them what is marked as untransferable; Node 24 does not. */
const TRANSFERS = ['transfer', 'transferToFixedLength'].filter(
  (method) => method in ArrayBuffer.prototype,
);

function refuseTransfer(): never {
  throw new TypeError(
    'this memory is shared with other reads, which a transfer would empty: copy the bytes ' +
      '(Buffer.from(bytes)), and transfer the copy',
  );
}

/** Transferring one part of the memory, to another thread or to another owner, detaches all others. */
function keepWhole(memory: Memory): void {
  markAsUntransferable(memory);
  for (const method of TRANSFERS) {
    Object.defineProperty(memory, method, { value: refuseTransfer });
  }
}

const { fd: FD, offset: OFFSET, length: LENGTH, result: RESULT } = Transfer;

/** Memory that the addon knows, so that a call carries no more than integers. */
class RegisteredMemory {
  readonly #transfer = new Int32Array(Transfer.fields);
  // Not shared: another copy of this file may run in the same thread, over the same addon.
  readonly #calls = binding.makeSlab(this.#transfer);

  /** recv(2) into it. */
  recv(fd: number, offset: number, length: number): number {
    this.#set(fd, offset, length);
    this.#calls.recv();
    return this.#transfer[RESULT] ?? 0;
  }

  /** send(2) from it. */
  send(fd: number, offset: number, length: number): number {
    this.#set(fd, offset, length);
    this.#calls.send();
    return this.#transfer[RESULT] ?? 0;
  }

  protected use(bytes: Uint8Array): void {
    this.#calls.use(bytes);
  }

  #set(fd: number, offset: number, length: number): void {
    const transfer = this.#transfer;
    transfer[FD] = fd;
    transfer[OFFSET] = offset;
    transfer[LENGTH] = length;
  }
}

export class Slab extends RegisteredMemory {
  /** Registered with the addon, so that a call that receives into it carries nothing. */
  bytes: Buffer = Buffer.alloc(0);
  #memory = this.bytes.buffer;
  /** How many bytes are cut off. */
  offset = 0;
  /** The part that was cut off last, and its offset: sending it on passes integers only. */
  last = this.bytes;
  lastOffset = 0;

  /** Makes room for a read of `wanted` bytes and returns how many of them there is room for. */
  room(wanted: number): number {
    const left = this.bytes.length - this.offset;
    // A slab is replaced before it is full: a short rest would cut reads to pieces.
    const least = Math.min(wanted, MOST_BYTES);
    if (left >= Math.min(least, this.bytes.length >>> 2) && left > 0) return Math.min(wanted, left);
    this.#renew(least);
    return least;
  }

  #renew(least: number): void {
    this.bytes = Buffer.allocUnsafeSlow(Math.max(SLAB_BYTES, least));
    this.#memory = this.bytes.buffer;
    keepWhole(this.#memory);
    this.offset = 0;
    this.last = this.bytes;
    this.lastOffset = 0;
    this.use(this.bytes);
  }

  /** Cuts off the first `count` bytes of the room. */
  take(count: number): Buffer {
    const start = this.offset;
    this.offset = start + count;
    this.lastOffset = start;
    this.last = slice(this.#memory, start, count);
    return this.last;
  }

  /** send(2) of `length` bytes of `last`, from `offset` on. */
  override send(fd: number, offset: number, length: number): number {
    return super.send(fd, this.lastOffset + offset, length);
  }
}

/**
 * A buffer of the caller that is used again and again: it is registered from its second use on. One
 * buffer is kept alive by that, until another is registered.
 */
export class RegisteredBuffer extends RegisteredMemory {
  #bytes: Uint8Array | undefined = undefined;
  #length = 0;
  /** The buffer that was used last, if it is not registered. */
  #candidate: Uint8Array | undefined = undefined;

  /** Whether `bytes` are registered, and their memory was not transferred away meanwhile. */
  has(bytes: Uint8Array): boolean {
    if (bytes !== this.#bytes) return this.#consider(bytes);
    this.#candidate = undefined;
    return lengthOf(bytes) === this.#length;
  }

  #consider(bytes: Uint8Array): boolean {
    const isAgain = bytes === this.#candidate;
    const length = lengthOf(bytes);
    this.#candidate = isAgain || length > MOST_BYTES ? undefined : bytes;
    if (!isAgain || length === 0) return false;
    this.use(bytes);
    this.#bytes = bytes;
    this.#length = length;
    return true;
  }
}
