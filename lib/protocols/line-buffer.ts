/** LineBuffer: cuts bytes into lines. */
import { type Memory, slice } from '../system/slab';

const NOTHING = Buffer.alloc(0);
const NO_MEMORY: Memory = NOTHING.buffer;
const LEAST_CAPACITY = 256;

export class LineBuffer {
  /** Bytes that are not cut yet lie between `#start` and `#end`. */
  #bytes: Buffer = NOTHING;
  /** The memory under them, and where they begin in it. */
  #memory = NO_MEMORY;
  #offset = 0;
  #start = 0;
  #end = 0;
  /** No delimiter begins before this position: the search goes on from here. */
  #scanned = 0;
  #delimiter: Buffer = NOTHING;
  /** Whether the buffer owns its memory and may append to it; if not, it is that of a read. */
  #isOwn = false;

  get length(): number {
    return this.#end - this.#start;
  }

  /**
   * To be called when no more lines are cut for now. The rest moves to small memory of its own: a few
   * bytes would keep all the memory of their read alive.
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
    // Unconditionally: most chunks end with a line, so this is the usual case.
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
    // A search for a number is several times as fast as one for a buffer of one byte.
    return bytes.indexOf(delimiter.length === 1 ? (delimiter[0] ?? 0) : delimiter, this.#scanned);
  }

  #reserve(more: number): void {
    if (!this.#isOwn || this.#end + more > this.#bytes.length) this.#move(more);
  }

  /** Delivered lines are slices of the old memory, so bytes are copied, never overwritten. */
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
