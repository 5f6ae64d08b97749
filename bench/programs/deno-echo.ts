/** The echo server over Deno.listen; runs in Deno. */
import { obey, printListening } from './shared/control';

interface DenoConnection {
  read: (buffer: Uint8Array) => Promise<number | null>;
  write: (bytes: Uint8Array) => Promise<number>;
  close: () => void;
  setNoDelay: (on: boolean) => void;
}

interface DenoListener extends AsyncIterable<DenoConnection> {
  readonly addr: { readonly port: number };
}

declare const Deno: {
  listen: (options: { hostname: string; port: number; tcpBacklog?: number }) => DenoListener;
};

const BUFFER_SIZE = 65536;
const done = { messages: 0, connections: 0 };

async function echo(connection: DenoConnection): Promise<void> {
  connection.setNoDelay(true);
  const buffer = new Uint8Array(BUFFER_SIZE);
  for (;;) {
    const count = await connection.read(buffer);
    if (count === null) break;
    done.messages++;
    for (let sent = 0; sent < count;) {
      sent += await connection.write(buffer.subarray(sent, count));
    }
  }
  connection.close();
}

async function serve(listener: DenoListener): Promise<void> {
  for await (const connection of listener) {
    done.connections++;
    echo(connection).catch(() => connection.close());
  }
}

const listener = Deno.listen({ hostname: '127.0.0.1', port: 0, tcpBacklog: 4096 });
printListening(listener.addr.port);
obey('Deno.listen', done);
void serve(listener);
