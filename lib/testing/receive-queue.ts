/** Bytes that have arrived and were not read yet, one of them perhaps urgent (tcp(7)). */
export class ReceiveQueue {
  /** How many bytes wait, the urgent one included. */
  length = 0;
  /** The urgent byte, for MSG_OOB; undefined if there is none, or it was read. */
  urgent: number | undefined = undefined;
  readonly #chunks: Uint8Array[] = [];
  /** How many bytes of the first chunk were read. */
  #start = 0;
  /** How many bytes are before the urgent one; -1 if there is none. */
  #mark = -1;

  /** Adds bytes. With `isUrgent`, the last of them is urgent. `isInline` is SO_OOBINLINE. */
  push(bytes: Uint8Array, isUrgent: boolean, isInline: boolean): void {
    if (isUrgent) {
      // An older urgent byte at the front is discarded; one further back becomes a usual byte.
      if (this.#mark === 0 && !isInline) this.#drop(1);
      this.#mark = this.length + bytes.length - 1;
      this.urgent = bytes.at(-1);
    }
    this.#chunks.push(bytes);
    this.length += bytes.length;
  }

  /** How many bytes a read can return; the urgent one counts only with `isInline`. */
  available(isInline: boolean): number {
    return this.length - (this.#mark === 0 && !isInline ? 1 : 0);
  }

  /** Reads as recv(2) does: up to the urgent byte or from behind it, never across it. */
  read(into: Uint8Array, isInline: boolean, isPeek: boolean): number {
    const from = this.#mark === 0 && !isInline ? 1 : 0;
    const end = this.#mark > 0 ? this.#mark : this.length;
    const count = Math.max(0, Math.min(into.length, end - from));
    let done = 0;
    let at = from + this.#start;
    for (const chunk of this.#chunks) {
      if (done === count) break;
      if (at < chunk.length) {
        const part = chunk.subarray(at, at + count - done);
        into.set(part, done);
        done += part.length;
      }
      at = Math.max(0, at - chunk.length);
    }
    if (!isPeek) this.#drop(from + count);
    return count;
  }

  clear(): void {
    this.#drop(this.length);
  }

  #drop(count: number): void {
    this.length -= count;
    this.#start += count;
    for (;;) {
      const first = this.#chunks[0];
      if (first === undefined || this.#start < first.length) break;
      this.#start -= first.length;
      this.#chunks.shift();
    }
    if (this.#mark < 0) return;
    this.#mark -= count;
    if (this.#mark >= 0) return;
    this.#mark = -1;
    this.urgent = undefined;
  }
}
