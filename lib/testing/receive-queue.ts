/** Bytes that have come and were not read yet, with the urgent one among them (tcp(7)). */
export class ReceiveQueue {
  length = 0;
  /** The urgent byte, to be fetched by itself; undefined where there is none, or was fetched. */
  urgent: number | undefined = undefined;
  readonly #chunks: Uint8Array[] = [];
  /** How much of the first chunk is read. */
  #start = 0;
  /** How many bytes lie before the urgent one; -1 where there is none. */
  #mark = -1;

  push(bytes: Uint8Array, isUrgent: boolean, isInline: boolean): void {
    if (isUrgent) {
      // An urgent byte that was passed by is not to be read as any other; one further on is.
      if (this.#mark === 0 && !isInline) this.#drop(1);
      this.#mark = this.length + bytes.length - 1;
      this.urgent = bytes.at(-1);
    }
    this.#chunks.push(bytes);
    this.length += bytes.length;
  }

  /** How many bytes a read can bring, with `isInline` the urgent one as well. */
  available(isInline: boolean): number {
    return this.length - (this.#mark === 0 && !isInline ? 1 : 0);
  }

  /** Reads as recv(2) does: up to the urgent byte, or from behind it, never across. */
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
