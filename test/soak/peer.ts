/** One connection of the load: a net.Socket, independent of the library. */
import { connect, type Socket } from 'node:net';

/** A connection that may receive only the expected bytes. */
export class Peer {
  /** The number of received bytes, all as expected. */
  received = 0;
  /** Called for each received chunk, for slow readers. */
  onPiece: (() => void) | undefined;
  readonly #socket: Socket;
  readonly #closed: Promise<void>;
  #expected: Buffer = Buffer.alloc(0);
  /** How many of the expected bytes have arrived. */
  #arrived = 0;
  #hasEnded = false;
  #fault: Error | undefined;
  #waiting: { resolve: () => void; reject: (error: Error) => void } | undefined;

  private constructor(port: number) {
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true });
    this.#socket.on('connect', () => this.#waiting?.resolve());
    this.#socket.on('data', (bytes) => this.#receive(bytes));
    this.#socket.on('end', () => this.#receiveEnd());
    this.#socket.on('error', (error) => this.#fail(error));
    this.#closed = new Promise((resolve) => this.#socket.on('close', () => resolve()));
  }

  /** Rejects with the error of a failed connection attempt. */
  static async connect(port: number): Promise<Peer> {
    const peer = new Peer(port);
    await peer.#wait();
    return peer;
  }

  send(bytes: Uint8Array): void {
    this.#socket.write(bytes);
  }

  /** Waits until exactly these bytes have arrived; rejects for other bytes, or at the end. */
  expect(bytes: Buffer): Promise<void> {
    this.#expected = bytes;
    this.#arrived = 0;
    return this.#wait();
  }

  /** Ends our side. */
  end(): void {
    this.#hasEnded = true;
    this.#socket.end();
  }

  /** Waits until the server has ended its side too, and sent nothing more before. */
  async ended(): Promise<void> {
    await this.#closed;
    if (this.#fault !== undefined) throw this.#fault;
  }

  /** Breaks the connection: the server gets a reset. */
  async reset(): Promise<void> {
    this.#socket.resetAndDestroy();
    await this.#closed;
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  #wait(): Promise<void> {
    if (this.#fault !== undefined) return Promise.reject(this.#fault);
    return new Promise((resolve, reject) => (this.#waiting = { resolve, reject }));
  }

  #receive(bytes: Buffer): void {
    const start = this.#arrived;
    const end = start + bytes.length;
    if (end > this.#expected.length) {
      this.#fail(new Error(`${end} bytes came where ${this.#expected.length} were expected`));
    } else if (this.#expected.compare(bytes, 0, bytes.length, start, end) !== 0) {
      this.#fail(new Error(`wrong bytes among ${start} to ${end} of ${this.#expected.length}`));
    } else {
      this.#arrived = end;
      this.received += bytes.length;
      this.onPiece?.();
      if (end === this.#expected.length) this.#waiting?.resolve();
    }
  }

  #receiveEnd(): void {
    const { length } = this.#expected;
    if (!this.#hasEnded || this.#arrived < length) {
      this.#fail(new Error(`the server ended after ${this.#arrived} of ${length} bytes`));
    }
  }

  #fail(error: Error): void {
    this.#fault ??= error;
    this.#socket.destroy();
    this.#waiting?.reject(this.#fault);
  }
}
