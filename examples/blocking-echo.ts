/**
 * A blocking script, the way asynchia has them: `runSync` owns the thread until the map is closed,
 * and the script goes on with its next line. Echoes lines; stops when a line says `quit`, or when
 * the given number of connections has been served.
 *
 *   node dist/examples/blocking-echo.js [port [connections]]
 */
import { Server, type InetAddress } from 'asynchia';
import { DefaultSocketMap } from 'asynchia/maps';
import { LineHandler } from 'asynchia/protocols';

/** How long the other connections have to finish after `quit`. */
const GRACE_SECONDS = 1;

const port = Number(process.argv[2] ?? 25002);
const mostConnections = Number(process.argv[3] ?? Infinity);
let connections = 0;
let lines = 0;

class Echo extends LineHandler {
  /** A peer that has ended its side still gets its echo: the write side is ended by `handleEnd`. */
  override allowHalfOpen = true;

  override lineReceived(line: Buffer) {
    lines++;
    if (line.toString().trim() === 'quit') {
      this.end('bye\n');
      server.close();
      socketMap.callIn(GRACE_SECONDS, () => socketMap.close());
    } else if (!this.sendLine(line)) {
      // The peer sends and does not read: reading is paused until it does.
      this.setReadable(false);
    }
  }

  override handleDrain() {
    this.setReadable(true);
  }

  override handleEnd() {
    this.end(this.remainder);
  }

  /** The last handler closes the map. */
  override handleCleanup() {
    if (socketMap.isEmpty()) socketMap.close();
  }
}

class EchoServer extends Server<Echo> {
  override newConnection() {
    if (++connections === mostConnections) this.close();
  }
}

const socketMap = new DefaultSocketMap();
const server = new EchoServer(socketMap, Echo);
server.reuseAddr();
server.bind(['127.0.0.1', port]);
server.listen(128);
const address = server.socket.getsockname() as InetAddress;
console.log(`Echo on ${address.host}:${address.port}.`);

// Nothing of Node's runs in here, signal handlers included. Ctrl-C ends the process all the same,
// as long as there is no handler for it.
socketMap.runSync();

console.log(`Served ${connections} connections and ${lines} lines.`);
