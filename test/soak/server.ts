/**
 * The server under test: five kinds of handlers on one map, each on a port of its own. Prints its
 * ports, and a sample of itself for each line `sample` on its standard input; ends with that.
 *
 *   server.js [--map epoll] [--seed 1]
 */
import { readdirSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';

import type { HandlerClass, Socket, SocketMap, SystemError, Timer } from 'asynchia';
import { constants, type Handler, Server } from 'asynchia';
import { candidates } from 'asynchia/maps';
import { BufferedWriteHandler, LineHandler } from 'asynchia/protocols';

import { blockOf } from './pattern';
import type { ServerSample, Service } from './protocol';
import { cpuSeconds, Faults, REQUEST_BYTES, tell } from './protocol';
import { Witness } from './witness';

const READ_BYTES = 64 * 1024;
const BACKLOG = 4096;
/** Small, so that a slow reader's bytes are buffered here, where the high-water mark limits them. */
const SEND_BUFFER_BYTES = 32 * 1024;
/** Like a time-out: set again with every message, and seldom due. */
const IDLE_SECONDS = 120;

/** Echoes, and stops reading while its peer does not read. */
class Reading extends BufferedWriteHandler {
  constructor(socketMap: SocketMap, socket: Socket) {
    super(socketMap, socket);
    this.setReadable(true);
  }

  override handleDrain(): void {
    this.setReadable(true);
  }
}

class Echo extends Reading {
  override handleRead(): void {
    if (!this.sendAll(this.read(READ_BYTES))) this.setReadable(false);
  }
}

class Lines extends LineHandler {
  override lineReceived(line: Buffer): void {
    if (!this.sendLine(line)) this.setReadable(false);
  }

  override handleDrain(): void {
    this.setReadable(true);
  }
}

/** Collects requests of a fixed length. */
abstract class Answering extends Reading {
  #request = Buffer.alloc(0);

  override handleRead(): void {
    const missing = REQUEST_BYTES - this.#request.length;
    this.#request = Buffer.concat([this.#request, this.read(missing)]);
    if (this.#request.length < REQUEST_BYTES) return;
    this.answer(this.#request.readUInt32BE(0), this.#request.readUInt32BE(4));
    this.#request = Buffer.alloc(0);
  }

  protected abstract answer(first: number, second: number): void;
}

/** Sends parts of the block, as fast as they are read. */
class Source extends Answering {
  #from = 0;
  #to = 0;

  protected override answer(start: number, count: number): void {
    this.#from = start;
    this.#to = start + count;
    this.setReadable(false);
    this.#sendMore();
  }

  override handleDrain(): void {
    this.#sendMore();
  }

  #sendMore(): void {
    let isBelowMark = true;
    while (isBelowMark && this.#from < this.#to) {
      const end = Math.min(this.#from + READ_BYTES, this.#to);
      isBelowMark = this.sendAll(block.subarray(this.#from, end));
      this.#from = end;
    }
    if (isBelowMark) this.setReadable(true);
  }
}

/** Sends a request back after as many milliseconds as it says. */
class Alarm extends Answering {
  #idle = this.#giveUpLater();
  #pending: Timer | undefined = undefined;

  protected override answer(milliseconds: number, again: number): void {
    this.#idle.cancel();
    this.#idle = this.#giveUpLater();
    this.#pending?.cancel();
    this.#pending = this.socketMap.callIn(milliseconds / 1000, () => {
      const bytes = Buffer.alloc(REQUEST_BYTES);
      bytes.writeUInt32BE(milliseconds, 0);
      bytes.writeUInt32BE(again, 4);
      this.sendAll(bytes);
    });
  }

  override handleCleanup(): void {
    this.#idle.cancel();
    this.#pending?.cancel();
  }

  #giveUpLater(): Timer {
    return this.socketMap.callIn(IDLE_SECONDS, () => {
      faults.add('an alarm was forgotten');
      this.close();
    });
  }
}

/** Collects all bytes until its peer half-closes, and sends them back. */
class Collect extends Reading {
  override allowHalfOpen = true;
  readonly #parts: Buffer[] = [];

  override handleRead(): void {
    this.#parts.push(this.read(READ_BYTES));
  }

  override handleEnd(): void {
    this.end(Buffer.concat(this.#parts));
  }
}

const KINDS: Readonly<Record<Service, HandlerClass<Handler>>> = {
  echo: Echo,
  lines: Lines,
  source: Source,
  alarm: Alarm,
  collect: Collect,
};

class Listener extends Server {
  override newConnection(): void {
    accepted++;
  }

  override handleAcceptError(error: SystemError): void {
    faults.add(String(error));
  }
}

function listen(kind: HandlerClass<Handler>): number {
  const server = new Listener(socketMap, kind);
  server.reuseAddr();
  server.bind(['127.0.0.1', 0]);
  // Accepted sockets inherit both.
  server.socket.setsockopt(constants.IPPROTO_TCP, constants.TCP_NODELAY, true);
  server.socket.setsockopt(constants.SOL_SOCKET, constants.SO_SNDBUF, SEND_BUFFER_BYTES);
  server.listen(BACKLOG);
  const address = server.socket.getsockname();
  return 'port' in address ? address.port : 0;
}

function sample(): ServerSample {
  const { rss } = process.memoryUsage();
  const descriptors = readdirSync('/proc/self/fd').length;
  globalThis.gc?.();
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  const { cleanedUp } = witness;
  const told = { ...faults.tell(), cpuSeconds: cpuSeconds() };
  const handlers = accepted - cleanedUp;
  return { rss, heapUsed, external, descriptors, handlers, accepted, cleanedUp, ...told };
}

const { values } = parseArgs({
  options: {
    map: { type: 'string', default: 'epoll' },
    seed: { type: 'string', default: '1' },
  },
});
const mapClass = candidates.find(({ backend }) => backend === values.map);
if (mapClass === undefined) throw new RangeError(`--map: there is no '${values.map}'`);

const block = blockOf(Number(values.seed));
const faults = new Faults();
const witness = new Witness(faults);
const socketMap = new mapClass({ notifier: witness });
let accepted = 0;

const orders = createInterface({ input: process.stdin });
orders.on('line', () => tell(sample()));
orders.on('close', () => socketMap.close());
// Ctrl-C signals the whole group of the terminal: the conductor ends this process.
process.on('SIGINT', () => undefined);
tell(Object.fromEntries(Object.entries(KINDS).map(([name, kind]) => [name, listen(kind)])));
void socketMap.run();
