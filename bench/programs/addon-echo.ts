/**
 * The echo server over our addon's calls alone: no map, no notifier, no handlers. What a message
 * costs here is the least that it can cost in JavaScript; what it costs more there is the library's.
 *
 *   addon-echo.js [--slices]
 *
 * `--slices` receives into fresh memory, and cuts a Buffer off it for every message, as `read` does.
 */
import { createRequire } from 'node:module';
import path from 'node:path';
import { parseArgs } from 'node:util';

import { constants, Socket } from 'asynchia';

import { obey, printListening } from './shared/control';

/** What of the addon it takes; lib/binding.ts says more. */
interface Addon {
  makeSlab(transfer: Int32Array): { use(bytes: Buffer): void; recv(): void; send(): void };
  epollCreate(): number;
  epollControl(epollFd: number, operation: number, fd: number, mask: number): number;
  epollWait(epollFd: number, pairs: Int32Array, timeoutMs: number): number;
}

const [FD, OFFSET, LENGTH, RESULT] = [0, 1, 2, 3];
const [ADD, REMOVE, MODIFY] = [1, 2, 3];
const [IN, OUT] = [0x001, 0x004];
const WOULD_BLOCK = -11;
const BUFFER_SIZE = 256 * 1024;
/** How long it may wait before Node's loop, where its orders come in, has its turn. */
const WAIT_MS = 50;

const require = createRequire(__filename);
const load = require('node-gyp-build') as (directory: string) => Addon;
const addon = load(path.dirname(require.resolve('asynchia/package.json')));
const transfer = new Int32Array(4);
const slab = addon.makeSlab(transfer);
let buffer = Buffer.alloc(BUFFER_SIZE);
/** Up to here it is cut off. */
let offset = 0;
let slice: Buffer = buffer;
slab.use(buffer);

const { values } = parseArgs({ options: { slices: { type: 'boolean', default: false } } });
/** As quick as a slice can be made. */
const { [Symbol.species]: FastBuffer } = Buffer as unknown as {
  readonly [Symbol.species]: new (memory: ArrayBufferLike, start: number, length: number) => Buffer;
};
let memory = buffer.buffer;

const done = { messages: 0, connections: 0 };
const epoll = addon.epollCreate();
const pairs = new Int32Array(2 * 1024);
/** By descriptor: the connection, and what it could not send yet. */
const connections: ({ socket: Socket; rest?: Buffer } | undefined)[] = [];

const listener = Socket.create(constants.AF_INET, constants.SOCK_STREAM);
listener.setsockopt(constants.IPPROTO_TCP, constants.TCP_NODELAY, true);
listener.bind(['127.0.0.1', 0]);
listener.listen(4096);
const listening = listener.fileno();
addon.epollControl(epoll, ADD, listening, IN);
const address = listener.getsockname();
printListening('port' in address ? address.port : 0);

function accept(): void {
  const accepted = listener.accept();
  if (accepted === undefined) return;
  const { socket } = accepted;
  done.connections++;
  connections[socket.fileno()] = { socket };
  addon.epollControl(epoll, ADD, socket.fileno(), IN);
}

function renew(): void {
  buffer = Buffer.allocUnsafeSlow(BUFFER_SIZE);
  memory = buffer.buffer;
  offset = 0;
  slab.use(buffer);
}

function echo(fd: number): void {
  if (2 * offset > BUFFER_SIZE) renew();
  transfer[FD] = fd;
  transfer[OFFSET] = offset;
  transfer[LENGTH] = BUFFER_SIZE - offset;
  slab.recv();
  const count = transfer[RESULT] ?? 0;
  if (count <= 0) {
    if (count !== WOULD_BLOCK) close(fd);
    return;
  }
  done.messages++;
  const start = offset;
  if (values.slices) {
    slice = new FastBuffer(memory, start, count);
    offset += slice.length;
  }
  transfer[LENGTH] = count;
  slab.send();
  const sent = transfer[RESULT] ?? 0;
  if (sent < count) keep(fd, sent, buffer.subarray(start + Math.max(0, sent), start + count));
}

/** Reads no more before these are sent. */
function keep(fd: number, sent: number, rest: Buffer): void {
  const connection = connections[fd];
  if (connection === undefined || (sent < 0 && sent !== WOULD_BLOCK)) {
    close(fd);
    return;
  }
  connection.rest = Buffer.from(rest);
  addon.epollControl(epoll, MODIFY, fd, OUT);
}

function sendRest(fd: number): void {
  const connection = connections[fd];
  if (connection?.rest === undefined) return;
  try {
    const sent = connection.socket.send(connection.rest);
    if (sent > 0) connection.rest = connection.rest.subarray(sent);
  } catch {
    close(fd);
    return;
  }
  if (connection.rest.length > 0) return;
  delete connection.rest;
  addon.epollControl(epoll, MODIFY, fd, IN);
}

function close(fd: number): void {
  addon.epollControl(epoll, REMOVE, fd, 0);
  connections[fd]?.socket.close();
  connections[fd] = undefined;
}

function turn(): void {
  const endsAt = performance.now() + WAIT_MS;
  do {
    const count = addon.epollWait(epoll, pairs, WAIT_MS);
    for (let i = 0; i < 2 * count; i += 2) {
      const fd = pairs[i] ?? 0;
      if (fd === listening) accept();
      else if ((pairs[i + 1] ?? 0) & OUT) sendRest(fd);
      else echo(fd);
    }
  } while (performance.now() < endsAt);
  setImmediate(turn);
}

obey('addon', done);
turn();
