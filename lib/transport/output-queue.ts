/** Bytes that wait to be sent. They are copies, so that the caller may use its memory again. */
import { WOULD_BLOCK } from '../system/constants';
import { MOST_PARTS } from '../system/kernel';
import type { SocketSurface } from '../sockets/socket';

const BLOCK_BYTES = 16 * 1024;
/** One call sends less than 2 GiB, so no block is longer than it can send. */
const MOST_BLOCK_BYTES = 1024 * 1024 * 1024;
/** Shorter pieces (delimiters, headers) are copied faster by a loop than by a call. */
const SHORT_BYTES = 32;
/** How many empty queues are kept, with a block each. */
const MOST_SPARE_QUEUES = 64;

export class OutputQueue {
  /** Data of this length or more is worth a system call of its own rather than a copy. */
  static readonly blockBytes = BLOCK_BYTES;
  static readonly #spare: OutputQueue[] = [];

  /** An empty queue. A transport has one only while it has something to send. */
  static take(): OutputQueue {
    return OutputQueue.#spare.pop() ?? new OutputQueue();
  }

  /** How many bytes wait. */
  length = 0;
  /** All but the last are filled to their ends. */
  readonly #blocks: Buffer[] = [];
  /** Where the first block's unsent bytes begin. */
  #start = 0;
  /** Where the last block's free room begins. */
  #end = 0;

  append(bytes: Uint8Array): void {
    let from = 0;
    while (from < bytes.length) {
      const left = bytes.length - from;
      const last = this.#blocks[this.#blocks.length - 1];
      const room = last === undefined ? 0 : last.length - this.#end;
      if (last === undefined || room === 0) {
        const length = Math.min(Math.max(left, BLOCK_BYTES), MOST_BLOCK_BYTES);
        this.#blocks.push(Buffer.allocUnsafeSlow(length));
        this.#end = 0;
      } else {
        const count = Math.min(room, left);
        copyInto(last, this.#end, bytes, from, count);
        this.#end += count;
        this.length += count;
        from += count;
      }
    }
  }

  appendText(text: string): void {
    if (this.#blocks.length === 0) this.#blocks.push(Buffer.allocUnsafeSlow(BLOCK_BYTES));
    const last = this.#blocks[this.#blocks.length - 1];
    // UTF-8 takes three bytes at most for each of a string's units.
    if (last === undefined || last.length - this.#end < 3 * text.length) {
      this.append(Buffer.from(text, 'utf8'));
    } else {
      const count = last.write(text, this.#end, 'utf8');
      this.#end += count;
      this.length += count;
    }
  }

  /** Sends what one system call takes. Returns how much that was; 0 where it would block. */
  sendTo(socket: SocketSurface): number {
    const first = this.#blocks[0];
    if (first === undefined || this.length === 0) return 0;
    const count =
      this.#blocks.length === 1
        ? socket.send(first, this.#start, this.#end - this.#start)
        : socket.sendMany(this.#parts(), this.#start);
    if (count === WOULD_BLOCK) return 0;
    this.#consume(count);
    return count;
  }

  /** Empties the queue, and keeps it for the next transport that needs one. */
  giveBack(): void {
    this.#clear();
    if (OutputQueue.#spare.length < MOST_SPARE_QUEUES) OutputQueue.#spare.push(this);
  }

  /** Keeps one block, of the usual size. */
  #clear(): void {
    const kept = this.#blocks[0]?.length === BLOCK_BYTES ? 1 : 0;
    // Setting an array's length is slow, also to the same value.
    if (this.#blocks.length !== kept) this.#blocks.length = kept;
    this.length = 0;
    this.#start = 0;
    this.#end = 0;
  }

  #parts(): Buffer[] {
    const parts = this.#blocks.slice(0, MOST_PARTS);
    if (parts.length === this.#blocks.length) {
      parts.push(...parts.splice(-1).map((last) => last.subarray(0, this.#end)));
    }
    return parts;
  }

  #consume(count: number): void {
    if (count === this.length) {
      this.#clear();
      return;
    }
    this.length -= count;
    let left = this.#start + count;
    for (;;) {
      const first = this.#blocks[0];
      // The last block holds what is left, so there is another behind one that is used up.
      if (first === undefined || left < first.length || this.#blocks.length === 1) break;
      left -= first.length;
      this.#blocks.shift();
    }
    this.#start = left;
  }
}

function copyInto(to: Buffer, at: number, bytes: Uint8Array, from: number, count: number): void {
  if (count < SHORT_BYTES) {
    for (let i = 0; i < count; i++) to[at + i] = bytes[from + i] ?? 0;
  } else {
    to.set(count === bytes.length ? bytes : bytes.subarray(from, from + count), at);
  }
}
