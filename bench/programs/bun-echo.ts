/** The echo server over Bun.listen; runs in Bun. */
import { obey, printListening } from './shared/control';

interface BunSocket {
  data: Uint8Array | undefined;
  write: (bytes: Uint8Array) => number;
  pause: () => void;
  resume: () => void;
}

declare const Bun: {
  listen: (options: {
    hostname: string;
    port: number;
    socket: {
      open: (socket: BunSocket) => void;
      data: (socket: BunSocket, bytes: Uint8Array) => void;
      drain: (socket: BunSocket) => void;
      error: () => void;
    };
  }) => { port: number };
};

const done = { messages: 0, connections: 0 };

/** Bun gives the bytes for the time of the call only, so what is kept is copied. */
function keep(socket: BunSocket, bytes: Uint8Array): void {
  socket.data = Uint8Array.from(bytes);
  socket.pause();
}

const server = Bun.listen({
  hostname: '127.0.0.1',
  port: 0,
  socket: {
    open() {
      done.connections++;
    },
    data(socket, bytes) {
      done.messages++;
      // What comes while a rest waits goes behind it.
      if (socket.data !== undefined) {
        keep(socket, Buffer.concat([socket.data, bytes]));
        return;
      }
      const sent = Math.max(0, socket.write(bytes));
      if (sent < bytes.length) keep(socket, bytes.subarray(sent));
    },
    drain(socket) {
      const rest = socket.data;
      if (rest === undefined) return;
      const sent = Math.max(0, socket.write(rest));
      socket.data = sent < rest.length ? rest.subarray(sent) : undefined;
      if (socket.data === undefined) socket.resume();
    },
    error() {
      // A peer that has gone.
    },
  },
});
printListening(server.port);
obey('Bun.listen', done);
