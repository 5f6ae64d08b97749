/** Limits of a listener: maxConnections and acceptsPerTurn. */

import type { Socket } from '../../lib';
import { AcceptHandler, Handler, IOHandler, Server, type SocketMap } from '../../lib';
import { BufferedWriteHandler } from '../../lib/protocols';
import { expectRefused, misuse, thrownBy, WRONG } from '../support/bad-values';
import { kernel } from '../support/kernels';
import { onEveryMap } from '../support/maps';
import { createSocket, reset } from '../support/streams';
import { expectQuiet, turnUntil, until } from '../support/turns';

/** Keeps accepted connections, and handles them as the test says. */
class Acceptor extends AcceptHandler {
  readonly accepted: Socket[] = [];
  readonly errors: string[] = [];
  onAccept: (socket: Socket) => void = () => undefined;

  override handleAccept(socket: Socket): void {
    this.accepted.push(socket);
    this.onAccept(socket);
  }

  override handleError(error: unknown): void {
    this.errors.push(error instanceof Error ? error.message : String(error));
  }
}

onEveryMap('limits of a listener', (map, { testWithoutFaults }) => {
  let clients: Socket[];
  let acceptor: Acceptor;
  beforeEach(() => {
    clients = [];
    acceptor = listening(new Acceptor(map()));
  });
  afterEach(() => {
    for (const socket of [...clients, ...acceptor.accepted]) socket.close();
  });

  function listening<A extends AcceptHandler>(listener: A): A {
    listener.bind(['127.0.0.1', 0]);
    listener.listen(100);
    return listener;
  }

  function connect(count: number, to: AcceptHandler = acceptor): void {
    for (let i = 0; i < count; i++) {
      const client = createSocket();
      client.connect(to.socket.getsockname());
      clients.push(client);
    }
  }

  function turnUntilAccepted(count: number): void {
    turnUntil(map(), () => acceptor.accepted.length >= count, `connection ${count}`);
    expectQuiet(map());
    expect(acceptor.accepted.length).toBe(count);
  }

  test('at maxConnections, further connections wait in the backlog, without busy looping', () => {
    acceptor.maxConnections = 3;
    connect(10);
    turnUntilAccepted(3);
  });

  const endings: Record<string, (socket: Socket, client: Socket, map: SocketMap) => void> = {
    'its handler closes': (socket, _client, on) => {
      new IOHandler(on, socket).close();
    },
    'its handler ends': (socket, client, on) => {
      new BufferedWriteHandler(on, socket).end('bye');
      client.close();
    },
    'the peer closes': (socket, client, on) => {
      new IOHandler(on, socket).setReadable(true);
      client.close();
    },
    'the peer resets': (socket, client, on) => {
      new IOHandler(on, socket).setReadable(true);
      reset(client);
    },
    'its handler times out': (socket, _client, on) => {
      new IOHandler(on, socket).idleTimeoutSeconds = 0.001;
    },
    'the socket is closed without a handler': (socket) => socket.close(),
    'the socket is detached': (socket) => kernel().close(socket.detach()),
    'its handler is deregistered and closed': (socket, _client, on) => {
      const handler = new IOHandler(on, socket);
      on.delHandler(handler);
      handler.close();
    },
    'its descriptor is no longer open': (socket, _client, on) => {
      const handler = new (class extends Handler {
        override handleError(): void {}
      })(on, socket);
      handler.setReadable(true);
      on.poll(0);
      kernel().close(handler.fileno());
      handler.setWritable(true);
    },
  };

  testWithoutFaults.each(Object.entries(endings))('accepting continues when %s', (_name, end) => {
    acceptor.maxConnections = 1;
    connect(3);
    for (let count = 1; count <= 3; count++) {
      turnUntilAccepted(count);
      end(acceptor.accepted.at(-1)!, clients[count - 1]!, map());
    }
  });

  test('accepting continues when handleAccept closes the connection or throws, in the same iteration', () => {
    acceptor.maxConnections = 1;
    acceptor.onAccept = (socket) => {
      if (acceptor.accepted.length % 2 === 0) throw new Error('not this one');
      socket.close();
    };
    connect(10);
    turnUntilAccepted(10);
    expect(acceptor.errors).toEqual(Array(5).fill('not this one'));
  });

  test('closing twice, or closing a detached socket, frees one place', () => {
    acceptor.maxConnections = 1;
    connect(3);
    turnUntilAccepted(1);
    const [first] = acceptor.accepted;
    kernel().close(first!.detach());
    first!.close();
    first!.detach();
    turnUntilAccepted(2);
  });

  testWithoutFaults(
    'in run(), every connection is served in the end, never more than the limit at a time',
    async () => {
      let open = 0;
      let most = 0;
      class Once extends BufferedWriteHandler {
        constructor(socketMap: SocketMap, socket?: Socket) {
          super(socketMap, socket);
          most = Math.max(most, ++open);
          this.setReadable(true);
        }
        override handleRead(): void {
          this.end(this.read(10));
        }
        override handleCleanup(): void {
          open--;
        }
      }
      const server = listening(new Server(map(), Once));
      server.maxConnections = 2;
      const answers: string[] = [];
      class Client extends BufferedWriteHandler {
        override handleConnect(): void {
          this.setReadable(true);
          this.sendAll('hello');
        }
        override handleRead(): void {
          answers.push(this.read(10).toString());
        }
      }
      const running = map().run();
      for (let i = 0; i < 20; i++) new Client(map()).connect(server.socket.getsockname());
      await until(() => answers.length === 20, 'all the answers');
      expect(answers).toEqual(Array(20).fill('hello'));
      expect(most).toBe(2);
      map().close();
      await running;
    },
  );

  test('a raised limit takes effect at once', () => {
    acceptor.maxConnections = 1;
    connect(5);
    turnUntilAccepted(1);
    acceptor.maxConnections = 3;
    turnUntilAccepted(3);
    acceptor.maxConnections = Infinity;
    turnUntilAccepted(5);
  });

  test('a lowered limit applies to the next connection', () => {
    acceptor.maxConnections = 3;
    connect(2);
    turnUntilAccepted(2);
    acceptor.maxConnections = 1;
    connect(2);
    expectQuiet(map());
    acceptor.accepted[0]!.close();
    expectQuiet(map());
    expect(acceptor.accepted.length).toBe(2);
    acceptor.accepted[1]!.close();
    turnUntilAccepted(3);
  });

  test('connections accepted before a limit was set do not count', () => {
    connect(3);
    turnUntilAccepted(3);
    acceptor.maxConnections = 1;
    connect(2);
    turnUntilAccepted(4);
    acceptor.accepted[0]!.close();
    expectQuiet(map());
    expect(acceptor.accepted.length).toBe(4);
  });

  test('pausing and resuming the listener keeps the limit', () => {
    acceptor.maxConnections = 1;
    connect(3);
    turnUntilAccepted(1);
    acceptor.setReadable(false);
    acceptor.setReadable(true);
    expectQuiet(map());
    expect(acceptor.accepted.length).toBe(1);
  });

  test('a paused listener stays paused when a connection ends', () => {
    acceptor.maxConnections = 1;
    connect(2);
    turnUntilAccepted(1);
    acceptor.setReadable(false);
    acceptor.accepted[0]!.close();
    expectQuiet(map());
    expect(acceptor.accepted.length).toBe(1);
    acceptor.setReadable(true);
    turnUntilAccepted(2);
  });

  test('connections may be closed after their listener and their map', () => {
    acceptor.maxConnections = 2;
    connect(3);
    turnUntilAccepted(2);
    acceptor.close();
    acceptor.accepted[0]!.close();
    map().close();
    acceptor.accepted[1]!.close();
  });

  test('a subclass may declare both limits as fields', () => {
    class Small extends Acceptor {
      override maxConnections = 2;
      override acceptsPerTurn = 1;
    }
    const small = listening(new Small(map()));
    connect(4, small);
    turnUntil(map(), () => small.accepted.length === 2, 'two connections');
    expectQuiet(map());
    small.accepted[0]!.close();
    turnUntil(map(), () => small.accepted.length === 3, 'one more');
    expectQuiet(map());
    expect(small.accepted.length).toBe(3);
    for (const socket of small.accepted) socket.close();
  });

  testWithoutFaults('an iteration accepts at most acceptsPerTurn connections', () => {
    acceptor.acceptsPerTurn = 5;
    connect(60);
    while (acceptor.accepted.length < 60) {
      const before = acceptor.accepted.length;
      expect(map().poll()).toBe(1);
      const count = acceptor.accepted.length - before;
      expect(count).toBeGreaterThan(0);
      expect(count).toBeLessThanOrEqual(5);
    }
  });

  const NO_LIMIT = [...WRONG, undefined, 'text', '5', [], NaN, -1, 0, 1.5, -Infinity];

  test('invalid limits throw an error that names the option', () => {
    expectRefused(
      misuse('set', 'maxConnections', NO_LIMIT, (value) => (acceptor.maxConnections = value)),
    );
    expect(acceptor.maxConnections).toBe(Infinity);
    for (const [name, values] of [
      ['maxConnections', NO_LIMIT],
      ['acceptsPerTurn', [...NO_LIMIT, Infinity]],
    ] as const) {
      const listen = (value: never): void => {
        const listener = new Acceptor(map());
        // As a class field defines it.
        Object.defineProperty(listener, name, { value });
        listener.bind(['127.0.0.1', 0]);
        listener.listen(1);
      };
      expectRefused(misuse('listen', name, values, listen));
    }
    expect(thrownBy(() => (acceptor.maxConnections = 0)).message).toBe(
      'maxConnections must be an integer, 1 or more, or Infinity; got 0',
    );
  });

  test('a limit changed to an invalid value is reported without busy looping, and can be corrected', () => {
    acceptor.acceptsPerTurn = NaN;
    connect(1);
    turnUntil(map(), () => acceptor.errors.length > 0, 'the error');
    expectQuiet(map());
    acceptor.acceptsPerTurn = 1;
    turnUntilAccepted(1);
    expect(acceptor.errors[0]).toMatch(/^acceptsPerTurn must be .* got NaN$/);
  });
});
