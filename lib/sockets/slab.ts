/**
 * The memory that `read` cuts its results off. A part that was handed out is never written again,
 * so the caller owns it; a slab that is used up is left to the garbage collector and its readers.
 */
import { markAsUntransferable } from 'node:worker_threads';

import { binding, Transfer } from '../binding';

const SLAB_BYTES = 128 * 1024;
/** For a read of so much there is always room. */
export const SLAB_ROOM_BYTES = SLAB_BYTES / 4;
/** Reads larger than this are cut short: what is left is there for the next one. */
const MOST_BYTES = 1024 * 1024;

/** What lies under a buffer. Asking a buffer for it is slow, so it is asked once. */
export type Memory = Buffer['buffer'];

/** Where `subarray` gets its result from; asking there at once takes less than half the time. */
const { [Symbol.species]: FastBuffer } = Buffer as unknown as {
  readonly [Symbol.species]: new (memory: Memory, offset: number, length: number) => Buffer;
};

/** A part of `memory`, as `subarray` would give it. */
export function slice(memory: Memory, offset: number, length: number): Buffer {
  return new FastBuffer(memory, offset, length);
}

const { fd: FD, offset: OFFSET, length: LENGTH, result: RESULT } = Transfer;
const transfer = new Int32Array(Transfer.fields);
// Constants of this file, so that the compiler knows what it calls; and this file's own: another
// copy of it may run in the same thread, over the same addon.
const { use, recv, send } = binding.makeSlab(transfer);

export class Slab {
  /** Registered with the addon, so that a call that receives into it carries nothing. */
  bytes: Buffer = Buffer.alloc(0);
  #memory = this.bytes.buffer;
  /** Up to here it is handed out. */
  offset = 0;
  /** What was handed out last, and where it lies: what is sent on needs no more than integers. */
  last = this.bytes;
  lastOffset = 0;

  /** Makes room for a read of `wanted` bytes and returns how many of them there is room for. */
  room(wanted: number): number {
    const left = this.bytes.length - this.offset;
    // A slab is given up before it is full where a short rest would cut reads to pieces.
    const least = Math.min(wanted, MOST_BYTES);
    if (left >= Math.min(least, this.bytes.length >>> 2) && left > 0) return Math.min(wanted, left);
    this.#renew(least);
    return least;
  }

  #renew(least: number): void {
    this.bytes = Buffer.allocUnsafeSlow(Math.max(SLAB_BYTES, least));
    this.#memory = this.bytes.buffer;
    // Whoever transferred one part to another thread would take everybody's.
    markAsUntransferable(this.#memory);
    this.offset = 0;
    this.last = this.bytes;
    this.lastOffset = 0;
    use(this.bytes);
  }

  /** Cuts off the first `count` bytes of the room. */
  take(count: number): Buffer {
    const start = this.offset;
    this.offset = start + count;
    this.lastOffset = start;
    this.last = slice(this.#memory, start, count);
    return this.last;
  }

  /** recv(2) into `bytes`, at `offset`. */
  recv(fd: number, offset: number, length: number): number {
    transfer[FD] = fd;
    transfer[OFFSET] = offset;
    transfer[LENGTH] = length;
    recv();
    return transfer[RESULT] ?? 0;
  }

  /** send(2) of `length` bytes of `last`, from `offset` on. */
  send(fd: number, offset: number, length: number): number {
    transfer[FD] = fd;
    transfer[OFFSET] = this.lastOffset + offset;
    transfer[LENGTH] = length;
    send();
    return transfer[RESULT] ?? 0;
  }
}

/** One a thread: what is being received has been handed out before anything else is. */
export const slab = new Slab();
