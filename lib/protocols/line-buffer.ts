/** Bytes that are cut into lines. */
import { type Memory, slice } from '../system/slab';

const NOTHING = Buffer.alloc(0);
const NO_MEMORY: Memory = NOTHING.buffer;
const LEAST_CAPACITY = 256;

export class LineBuffer {
  /** Bytes that are not cut yet lie between `#start` and `#end`. */
  #bytes: Buffer = NOTHING;
  /** What lies under them, and where they begin in it. */
  #memory = NO_MEMORY;
  #offset = 0;
  #start = 0;
  #end = 0;
  /** Up to here there is no delimiter, or none like the one that was looked for last. */
  #scanned = 0;
  #delimiter: Buffer = NOTHING;
  /** The bytes are ours to write behind; otherwise they are a chunk that somebody read. */
  #isOwn = false;

  get length(): number {
    return this.#end - this.#start;
  }

  /**
   * Nothing more is cut for now: what is left moves out of memory that is the chunk's, or far too
   * large. A read's memory is everybody's, and a few bytes of it would keep all of it.
   */
  settle(): void {
    const { length } = this;
    if (length === 0) {
      this.clear();
    } else if (!this.#isOwn || this.#bytes.length > Math.max(LEAST_CAPACITY, 4 * length)) {
      this.#move(0);
    }
  }

  push(chunk: Buffer): void {
    if (this.length === 0) {
      this.#hold(chunk);
      this.#isOwn = false;
      this.#start = 0;
      this.#end = chunk.length;
      this.#scanned = 0;
      return;
    }
    this.#reserve(chunk.length);
    this.#end += chunk.copy(this.#bytes, this.#end);
  }

  /** Cuts off the first line, without its delimiter; undefined where there is no whole one. */
  next(delimiter: Buffer): Buffer | undefined {
    const found = this.#find(delimiter);
    if (found < 0) {
      // A delimiter may have begun at the very end.
      this.#scanned = Math.max(this.#start, this.#end - delimiter.length + 1);
      return undefined;
    }
    const line = slice(this.#memory, this.#offset + this.#start, found - this.#start);
    this.#start = found + delimiter.length;
    this.#scanned = this.#start;
    return line;
  }

  has(delimiter: Buffer): boolean {
    return this.#find(delimiter) >= 0;
  }

  /** What is left, uncut. */
  rest(): Buffer {
    return this.#bytes.subarray(this.#start, this.#end);
  }

  clear(): void {
    // Without asking: most chunks end with a line, and this is what they come to.
    this.#bytes = NOTHING;
    this.#memory = NO_MEMORY;
    this.#offset = 0;
    this.#start = 0;
    this.#end = 0;
    this.#scanned = 0;
  }

  #hold(bytes: Buffer): void {
    this.#bytes = bytes;
    this.#memory = bytes.buffer;
    this.#offset = bytes.byteOffset;
  }

  #find(delimiter: Buffer): number {
    if (delimiter !== this.#delimiter) this.#scanned = this.#start;
    this.#delimiter = delimiter;
    const bytes =
      this.#end === this.#bytes.length ? this.#bytes : this.#bytes.subarray(0, this.#end);
    // Looking for one byte is several times as fast as looking for a buffer of one.
    return bytes.indexOf(delimiter.length === 1 ? (delimiter[0] ?? 0) : delimiter, this.#scanned);
  }

  #reserve(more: number): void {
    if (!this.#isOwn || this.#end + more > this.#bytes.length) this.#move(more);
  }

  /** Lines that were handed out are slices, so bytes are moved and never overwritten in place. */
  #move(more: number): void {
    const { length } = this;
    // Doubling: a line that arrives byte by byte is copied a constant number of times.
    const bytes = Buffer.allocUnsafeSlow(Math.max(LEAST_CAPACITY, 2 * (length + more)));
    this.#bytes.copy(bytes, 0, this.#start, this.#end);
    this.#hold(bytes);
    this.#isOwn = true;
    this.#scanned = Math.max(0, this.#scanned - this.#start);
    this.#start = 0;
    this.#end = length;
  }
}
