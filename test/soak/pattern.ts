/** Bytes and decisions from a seed, the same in both processes. */

/** A small random generator (mulberry32): the same seed, the same numbers. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 0;
  }

  /** From 0 (inclusive) to 1 (exclusive). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number from `least` on, at most `most`. */
  whole(least: number, most: number): number {
    return least + Math.floor(this.next() * (most - least + 1));
  }

  /** Log-uniform: each doubling is equally likely. */
  spread(least: number, most: number): number {
    return Math.floor(least * (most / least) ** this.next());
  }

  /** An exponentially distributed time, `mean` on average. */
  interval(mean: number): number {
    return -mean * Math.log(1 - this.next());
  }
}

const BLOCK_BYTES = 2 << 20;

/** The bytes of all messages: any few bytes show their position. */
export function blockOf(seed: number): Buffer {
  const random = new Random(seed);
  const words = Uint32Array.from({ length: BLOCK_BYTES / 4 }, () => random.next() * 2 ** 32);
  return Buffer.from(words.buffer);
}

/** The same without newlines, for lines. */
export function textOf(block: Buffer): Buffer {
  return Buffer.from(block.toString('base64', 0, BLOCK_BYTES / 2), 'latin1');
}

/** Some `count` bytes of a block. */
export function cut(block: Buffer, count: number, random: Random): Buffer {
  const start = random.whole(0, block.length - count);
  return block.subarray(start, start + count);
}
