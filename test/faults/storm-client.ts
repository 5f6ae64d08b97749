/** Clients in a storm: node:net, without faults. Each knows every byte that must arrive. */
import net from 'node:net';

import type { Random } from './plan';

/** What a client does besides sending and reading everything. */
type Manner = 'plain' | 'slow' | 'reset';

export class StormClient {
  isClosed = false;
  /** Its port, which identifies it to the server. */
  port = 0;
  /** Received bytes differ from those sent, or are too many. */
  wrong: string | undefined;
  readonly manner: Manner;
  readonly closed: Promise<void>;
  readonly #socket: net.Socket;
  readonly #random: Random;
  readonly #out: Buffer;
  readonly #expected: Buffer;
  #sent = 0;
  #got = 0;

  constructor(port: number, kind: 'echo' | 'lines', random: Random) {
    this.#random = random;
    this.manner = random.pick<Manner>(['plain', 'plain', 'plain', 'plain', 'slow', 'reset']);
    if (kind === 'echo') {
      this.#out = random.bytes(random.pick([0, 1, 500, 20_000, 150_000]));
      this.#expected = this.#out;
    } else {
      const lines = Array.from({ length: random.integer(0, 400) }, () =>
        random.bytes(random.integer(0, 60)).toString('hex'),
      );
      this.#out = Buffer.from(lines.map((line) => `${line}\n`).join(''));
      this.#expected = Buffer.from(lines.map((line, i) => `${i}:${line}\n`).join(''));
    }
    this.#socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    this.#socket.setNoDelay(true);
    this.#socket.on('data', (data) => this.#receive(data));
    this.#socket.on('end', () => this.#socket.end());
    // The server may break the connection; whether that was right is checked at the end.
    this.#socket.on('error', () => undefined);
    this.closed = new Promise((resolve) => {
      this.#socket.on('close', () => {
        this.isClosed = true;
        resolve();
      });
    });
    this.#socket.on('connect', () => {
      this.port = this.#socket.localPort ?? 0;
      this.#send();
    });
  }

  /** Everything has arrived. */
  get isWhole(): boolean {
    return this.#got === this.#expected.length;
  }

  toString(): string {
    const sent = `${this.#sent} of ${this.#out.length} bytes sent`;
    const got = `${this.#got} of ${this.#expected.length} received`;
    return `the ${this.manner} client at port ${this.port}, ${sent}, ${got}`;
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** Sends the next piece, and another one later. */
  #send(): void {
    if (this.#socket.destroyed) return;
    if (this.manner === 'reset' && this.#random.percent(15)) {
      this.#socket.resetAndDestroy();
      return;
    }
    if (this.#sent === this.#out.length) {
      this.#socket.end();
      return;
    }
    const most = this.#random.pick([1, 100, 5000, 60_000]);
    const piece = this.#out.subarray(this.#sent, this.#sent + most);
    this.#sent += piece.length;
    this.#socket.write(piece, () => setImmediate(() => this.#send()));
  }

  #receive(data: Buffer): void {
    const expected = this.#expected.subarray(this.#got, this.#got + data.length);
    if (!expected.equals(data)) {
      this.wrong ??= `what came after ${this.#got} bytes is not what was sent`;
    }
    this.#got += data.length;
    if (this.manner === 'slow') {
      this.#socket.pause();
      setTimeout(() => this.#socket.resume(), 1);
    }
  }
}
