/**
 * The echo server over node:net.
 *
 *   node-net-echo.js [--port 0] [--with data|lines|corked]
 */
import net from 'node:net';
import { parseArgs } from 'node:util';

import { obey, printListening } from './shared/control';

const NEWLINE = 10;
const done = { messages: 0, connections: 0 };

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '0' },
    with: { type: 'string', default: 'data' },
  },
});

function echoData(socket: net.Socket): void {
  socket.on('data', (bytes) => {
    done.messages++;
    if (!socket.write(bytes)) socket.pause();
  });
}

/** Line by line. Corked, what one read brought is sent as one: the best that `net.Socket` offers. */
function echoLines(socket: net.Socket, isCorked: boolean): void {
  let rest: Buffer = Buffer.alloc(0);
  socket.on('data', (bytes) => {
    rest = rest.length === 0 ? bytes : Buffer.concat([rest, bytes]);
    let isDrained = true;
    if (isCorked) socket.cork();
    for (let end = rest.indexOf(NEWLINE); end >= 0; end = rest.indexOf(NEWLINE)) {
      done.messages++;
      isDrained = socket.write(rest.subarray(0, end + 1));
      rest = rest.subarray(end + 1);
    }
    if (isCorked) socket.uncork();
    if (!isDrained) socket.pause();
  });
}

const server = net.createServer({ noDelay: true }, (socket) => {
  done.connections++;
  if (values.with === 'data') echoData(socket);
  else echoLines(socket, values.with === 'corked');
  socket.on('drain', () => socket.resume());
  socket.on('error', () => socket.destroy());
});
server.listen({ host: '127.0.0.1', port: Number(values.port), backlog: 4096 }, () => {
  const address = server.address();
  printListening(typeof address === 'object' ? (address?.port ?? 0) : 0);
});
obey('node:net', done);
