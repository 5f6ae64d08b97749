/**
 * The echo server over asynchia.
 *
 *   asynchia-echo.js [--port 0] [--map select|poll|epoll] [--loop run|runSync]
 *                    [--with read|recvInto|sendAll|lines] [--probe]
 *
 * `--probe` keeps a setTimeout of Node's going meanwhile and tells how late it came.
 */
import { readSync } from 'node:fs';
import { parseArgs } from 'node:util';

import type { SocketMap } from 'asynchia';
import { constants, Handler, IOHandler, Server, Socket } from 'asynchia';
import { candidates } from 'asynchia/maps';
import { BufferedWriteHandler, LineHandler } from 'asynchia/protocols';

import { printListening, printMemory, printTotals } from './shared/control';
import { probe, lateness } from './shared/probe';

/** Room for what a large message brings in one call; small ones cost no more for it. */
const BUFFER_SIZE = 256 * 1024;
const done = { messages: 0, connections: 0 };
const buffer = Buffer.alloc(BUFFER_SIZE);

/** What every kind here does with bytes that the socket does not take at once. */
class Echo extends IOHandler {
  #rest: Uint8Array | undefined = undefined;

  constructor(socketMap: SocketMap, socket: Socket) {
    super(socketMap, socket);
    this.setReadable(true);
  }

  /** Reads no more before these are sent. */
  protected keep(bytes: Uint8Array): void {
    this.#rest = Uint8Array.from(bytes);
    this.setReadable(false);
    this.setWritable(true);
  }

  override handleWrite(): void {
    const rest = this.#rest ?? buffer.subarray(0, 0);
    const sent = this.send(rest);
    this.#rest = sent < rest.length ? rest.subarray(sent) : undefined;
    if (this.#rest !== undefined) return;
    this.setWritable(false);
    this.setReadable(true);
  }
}

class ReadEcho extends Echo {
  override handleRead(): void {
    const bytes = this.read(BUFFER_SIZE);
    done.messages++;
    const sent = this.send(bytes);
    if (sent < bytes.length) this.keep(bytes.subarray(sent));
  }
}

class RecvIntoEcho extends Echo {
  override handleRead(): void {
    const count = this.recvInto(buffer);
    done.messages++;
    // The socket's own send takes a part of the buffer, so that no slice has to be made for it.
    const sent = Math.max(0, this.socket.send(buffer, 0, count));
    if (sent < count) this.keep(buffer.subarray(sent, count));
  }
}

class SendAllEcho extends BufferedWriteHandler {
  constructor(socketMap: SocketMap, socket: Socket) {
    super(socketMap, socket);
    this.setReadable(true);
  }

  override handleRead(): void {
    done.messages++;
    if (!this.sendAll(this.read(BUFFER_SIZE))) this.setReadable(false);
  }

  override handleDrain(): void {
    this.setReadable(true);
  }
}

class LineEcho extends LineHandler {
  override maxLineLength = 64 << 20;

  override lineReceived(line: Buffer): void {
    done.messages++;
    if (!this.sendLine(line)) this.setReadable(false);
  }

  override handleDrain(): void {
    this.setReadable(true);
  }
}

const KINDS = { read: ReadEcho, recvInto: RecvIntoEcho, sendAll: SendAllEcho, lines: LineEcho };

class EchoServer extends Server {
  override newConnection(): void {
    done.connections++;
  }
}

/** Standard input, watched by the map itself: `runSync` leaves nobody else to do it. */
class Control extends Handler {
  override handleRead(): void {
    readSync(this.fileno(), buffer);
    printMemory();
  }

  override handleClose(): void {
    this.socketMap.close();
  }
}

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '0' },
    map: { type: 'string', default: 'epoll' },
    loop: { type: 'string', default: 'run' },
    with: { type: 'string', default: 'read' },
    probe: { type: 'boolean', default: false },
  },
});
const mapClass = candidates.find(({ backend }) => backend === values.map);
const kind = Object.entries(KINDS).find(([name]) => name === values.with)?.[1];
if (mapClass === undefined) throw new RangeError(`--map: there is no '${values.map}'`);
if (kind === undefined) throw new RangeError(`--with: there is no '${values.with}'`);

const socketMap = new mapClass();
const server = new EchoServer(socketMap, kind);
server.reuseAddr();
server.bind(['127.0.0.1', Number(values.port)]);
// Accepted sockets inherit it on Linux, so it costs no call for each connection.
server.socket.setsockopt(constants.IPPROTO_TCP, constants.TCP_NODELAY, true);
server.listen(4096);
new Control(socketMap, Socket.fromFd(0)).setReadable(true);
process.on('SIGTERM', () => socketMap.close());
const address = server.socket.getsockname();
printListening('port' in address ? address.port : 0);

function finish(): void {
  printTotals(mapClass?.backend ?? '', done, values.probe ? lateness() : {});
  process.exit();
}

if (values.probe) probe();
if (values.loop === 'runSync') {
  socketMap.runSync();
  finish();
} else {
  void socketMap.run().then(finish);
}
