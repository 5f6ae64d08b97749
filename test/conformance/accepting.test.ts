import net from 'node:net';

import type { Socket } from '../../lib';
import {
  AcceptHandler,
  type Address,
  constants,
  type Handled,
  Server,
  type SocketMap,
} from '../../lib';
import type { SystemError } from '../../lib';
import { DefaultSocketMap } from '../../lib/maps';
import { onEveryMap, onEverySystemMap } from '../support/maps';
import type { Program } from '../support/processes';
import { Recorder } from '../support/recorder';
import { scriptOn } from '../support/scripts';
import { createSocket, socketpair } from '../support/streams';
import { expectQuiet, turnUntil, until } from '../support/turns';

const { SO_LINGER, SOL_SOCKET } = constants;

/** Keeps accepted connections, and does what the test says. */
class Acceptor extends AcceptHandler {
  readonly accepted: Socket[] = [];
  readonly errors: string[] = [];
  onAccept: (socket: Socket) => Handled = () => {};
  cleanups = 0;

  constructor(socketMap: SocketMap) {
    super(socketMap);
    this.bind(['127.0.0.1', 0]);
    this.listen(1000);
  }

  override handleAccept(socket: Socket): Handled {
    this.accepted.push(socket);
    return this.onAccept(socket);
  }

  override handleAcceptError(error: SystemError): void {
    this.errors.push(error.code);
  }

  override handleError(error: unknown): void {
    this.errors.push(error instanceof Error ? error.message : String(error));
  }

  override handleCleanup(): void {
    this.cleanups++;
  }
}

onEveryMap('accepting', (map, { testOnSystem, testWithoutFaults }) => {
  let acceptor: Acceptor;
  let clients: Socket[];
  beforeEach(() => {
    acceptor = new Acceptor(map());
    clients = [];
  });
  afterEach(() => {
    for (const socket of [...clients, ...acceptor.accepted]) socket.close();
  });

  function connect(count: number): void {
    for (let i = 0; i < count; i++) {
      const client = createSocket();
      client.connect(acceptor.socket.getsockname());
      clients.push(client);
    }
  }

  testWithoutFaults(
    'rule 12: an iteration accepts a bounded number of connections, and other handlers are called',
    () => {
      const CLIENTS = 300;
      connect(CLIENTS);
      const [left, right] = socketpair();
      const recorder = new Recorder(map(), left);
      recorder.readBytes = 1;
      right.send(Buffer.alloc(1000));
      let turns = 0;
      let before = 0;
      while (acceptor.accepted.length < CLIENTS) {
        turns++;
        expect(map().poll()).toBe(2);
        expect(acceptor.accepted.length - before).toBeGreaterThan(0);
        expect(acceptor.accepted.length - before).toBeLessThanOrEqual(CLIENTS / 3);
        expect(recorder.received.length).toBe(turns);
        before = acceptor.accepted.length;
      }
      right.close();
    },
  );

  test('a listener paused in handleAccept stops accepting until it is resumed', () => {
    acceptor.onAccept = () => {
      if (acceptor.accepted.length === 10) acceptor.setReadable(false);
    };
    connect(40);
    turnUntil(map(), () => acceptor.accepted.length >= 10, 'connections');
    expectQuiet(map());
    expect(acceptor.accepted.length).toBe(10);
    acceptor.setReadable(true);
    turnUntil(map(), () => acceptor.accepted.length === 40, 'the other connections');
  });

  test('a listener closed in handleAccept accepts no more connections', () => {
    acceptor.onAccept = () => {
      if (acceptor.accepted.length === 10) acceptor.close();
    };
    connect(40);
    turnUntil(map(), () => acceptor.closed, 'the listener to close');
    expect(map().poll(0)).toBe(0);
    expect([acceptor.accepted.length, acceptor.cleanups]).toEqual([10, 1]);
    expect(map().isEmpty()).toBe(true);
  });

  test('a connection whose handleAccept throws is closed, and accepting continues', () => {
    acceptor.onAccept = () => {
      if (acceptor.accepted.length === 2) throw new Error('not this one');
    };
    connect(3);
    turnUntil(map(), () => acceptor.accepted.length === 3, 'connections');
    expect(acceptor.errors).toEqual(['not this one']);
    expect(acceptor.accepted.map((socket) => socket.closed)).toEqual([false, true, false]);
  });

  test('rule 9: a connection whose handleAccept rejects is closed, unless a handler owns it', async () => {
    acceptor.onAccept = async (socket) => {
      const isTaken = acceptor.accepted.length === 2;
      if (isTaken) new Recorder(map(), socket);
      await Promise.resolve();
      throw new Error('not this one');
    };
    connect(2);
    turnUntil(map(), () => acceptor.accepted.length === 2, 'connections');
    await until(() => acceptor.errors.length === 2, 'the rejections');
    expect(acceptor.accepted.map((socket) => socket.closed)).toEqual([true, false]);
  });

  test('rules 6, 7: a listener deregistered in handleAccept accepts no more connections', () => {
    // A listener that stays ready accepts several connections in one iteration.
    acceptor.onAccept = () => {
      if (acceptor.accepted.length === 3) map().delHandler(acceptor);
    };
    connect(20);
    turnUntil(map(), () => acceptor.accepted.length >= 3, 'connections');
    expectQuiet(map());
    expect(acceptor.accepted.length).toBe(3);
    map().addHandler(acceptor);
    turnUntil(map(), () => acceptor.accepted.length === 20, 'the others');
  });

  test('a connection that a handler owns stays open when handleAccept throws', () => {
    acceptor.onAccept = (socket) => {
      new Recorder(map(), socket);
      throw new Error('afterwards');
    };
    connect(1);
    turnUntil(map(), () => acceptor.accepted.length === 1, 'a connection');
    expect(acceptor.errors).toEqual(['afterwards']);
    expect(acceptor.accepted[0]?.closed).toBe(false);
  });

  const failures: [string, () => Handled][] = [
    [
      'throws',
      () => {
        throw new Error('afterwards');
      },
    ],
    ['rejects', () => Promise.reject(new Error('afterwards'))],
  ];

  test.each(failures)(
    'rule 9: where handleAccept %s, a deregistered handler keeps its connection',
    async (_how, fail) => {
      acceptor.onAccept = (socket) => {
        map().delHandler(new Recorder(map(), socket));
        return fail();
      };
      connect(1);
      turnUntil(map(), () => acceptor.accepted.length === 1, 'a connection');
      await until(() => acceptor.errors.length === 1, 'the error');
      expect(acceptor.accepted[0]?.closed).toBe(false);
    },
  );

  testOnSystem.each(failures)(
    'rule 9: where handleAccept %s, a handler of another map keeps its connection',
    async (_how, fail) => {
      const other = new DefaultSocketMap();
      acceptor.onAccept = (socket) => {
        new Recorder(other, socket);
        return fail();
      };
      connect(1);
      turnUntil(map(), () => acceptor.accepted.length === 1, 'a connection');
      await until(() => acceptor.errors.length === 1, 'the error');
      expect(acceptor.accepted[0]?.closed).toBe(false);
      other.close();
    },
  );

  test('a handler whose constructor throws is closed', () => {
    const made: Recorder[] = [];
    const told: unknown[] = [];
    class HalfMade extends Recorder {
      constructor(socketMap: SocketMap, socket: Socket) {
        super(socketMap, socket);
        made.push(this);
        throw new Error('no database');
      }
    }
    const server = new Server(map(), HalfMade);
    server.handleError = (error) => void told.push(error);
    server.bind(['127.0.0.1', 0]);
    server.listen(10);
    const client = new Recorder(map());
    client.connect(server.socket.getsockname());
    turnUntil(map(), () => client.closed, 'the end of the client');
    expect(client.events).toEqual(['connect', 'close', 'cleanup']);
    expect(made.map(({ closed }) => closed)).toEqual([true]);
    expect(told).toEqual([new Error('no database')]);
  });

  test('connections without a handler are closed', () => {
    const plain = new AcceptHandler(map());
    plain.bind(['127.0.0.1', 0]);
    plain.listen(10);
    const client = new Recorder(map());
    client.connect(plain.socket.getsockname());
    turnUntil(map(), () => client.closed, 'the end of the client');
    expect(client.events).toEqual(['connect', 'close', 'cleanup']);
  });

  testWithoutFaults(
    'a client that disconnects before it is accepted does not affect other clients',
    () => {
      connect(3);
      clients[1]?.setsockopt(SOL_SOCKET, SO_LINGER, Buffer.from(Int32Array.of(1, 0).buffer));
      clients[1]?.close();
      turnUntil(map(), () => acceptor.accepted.length === 3, 'connections');
      expectQuiet(map());
      expect(acceptor.errors).toEqual([]);
    },
  );
});

onEveryMap('a listener that is shut down', (map) => {
  const addresses: [string, Address][] = [
    ['TCP', ['127.0.0.1', 0]],
    ['Unix', `\0asynchia-shut-down-${process.pid}`],
  ];

  class Told extends AcceptHandler {
    readonly errors: string[] = [];
    accepted = 0;

    override handleAccept(socket: Socket): void {
      this.accepted++;
      socket.close();
    }

    override handleAcceptError(error: SystemError): void {
      this.errors.push(`${error.syscall} ${error.code}`);
    }
  }

  test.each(addresses)('rules 5, 13: handleAcceptError, and it rests (%s)', (_name, address) => {
    const listener = new Told(map());
    listener.bind(address);
    listener.listen(8);
    expectQuiet(map());
    listener.socket.shutdown(constants.SHUT_RD);
    turnUntil(map(), () => listener.errors.length > 0, 'the error');
    expectQuiet(map());
    expect(listener.closed).toBe(false);
    // It tries again.
    turnUntil(map(), () => listener.errors.length > 1, 'the next error');
    expect(new Set(listener.errors)).toEqual(new Set(['accept EINVAL']));
    listener.close();
  });

  test('rule 13: a TCP listener that listens again accepts again', () => {
    const listener = new Told(map());
    listener.bind(['127.0.0.1', 0]);
    listener.listen(8);
    listener.socket.shutdown(constants.SHUT_RD);
    turnUntil(map(), () => listener.errors.length > 0, 'the error');
    listener.socket.listen(8);
    const client = createSocket();
    // A port that the kernel had chosen is another one now.
    client.connect(listener.socket.getsockname());
    turnUntil(map(), () => listener.accepted === 1, 'a connection');
    client.close();
  });

  test.each(addresses)(
    'rule 5: a handler that accepts by itself is told, and closed (%s)',
    (_name, address) => {
      const listener = createSocket(
        typeof address === 'string' ? constants.AF_UNIX : constants.AF_INET,
      );
      listener.bind(address);
      listener.listen(8);
      const handler = new Recorder(map(), listener);
      listener.shutdown(constants.SHUT_RD);
      turnUntil(map(), () => handler.closed, 'the end');
      expect(handler.events).toEqual([
        expect.stringMatching(/^error accept EINVAL/) as string,
        'cleanup',
      ]);
    },
  );
});

/** A server that runs out of descriptors, and gets some back later. */
const EXHAUSTED = `
  const fs = require('node:fs');
  const map = new DefaultSocketMap();
  const WINDOW = 0.4;
  const held = [];
  let errors = 0;
  class Acceptor extends AcceptHandler {
    handleAccept(socket) {
      const echo = new Echoing(map, socket);
      if (held.length > 0) return;
      try { for (;;) held.push(fs.openSync('/dev/null')); } catch (error) { say(error.code); }
    }
    handleAcceptError(error) {
      if (errors++ > 0) return;
      const before = process.cpuUsage();
      say('told ' + error.code);
      map.callIn(WINDOW, () => {
        const { user, system } = process.cpuUsage(before);
        say('busy ' + ((user + system) / 1e6 > WINDOW / 4) + ' often ' + (errors > 20));
        for (const fd of held) fs.closeSync(fd);
      });
    }
  }
  const acceptor = new Acceptor(map);
  acceptor.bind(['127.0.0.1', 0]);
  acceptor.listen(100);
  say('port ' + acceptor.socket.getsockname().port);
`;

onEverySystemMap('out of descriptors', (map) => {
  const sockets: net.Socket[] = [];
  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.destroy();
  });

  /** A client, and the answers it has received. */
  function client(program: Program): { socket: net.Socket; answered: () => string } {
    const port = Number(/port (\d+)/.exec(program.stdout)?.[1]);
    let text = '';
    const socket = net.connect(port, '127.0.0.1');
    socket.on('data', (data) => (text += data.toString()));
    socket.on('error', (error) => (text += error.message));
    sockets.push(socket);
    return { socket, answered: () => text };
  }

  test.each(['map.run();', 'map.runSync();'])(
    'rule 13: the listener backs off, connections are served, clients are accepted later: %s',
    async (run) => {
      const program = scriptOn(map(), EXHAUSTED + run, 64);
      await program.says('port');
      const first = client(program);
      await program.says('EMFILE');
      const others = Array.from({ length: 5 }, () => client(program));
      for (const { socket } of others) socket.write('waited');
      await program.says('told EMFILE');
      // The listener backs off; open connections are served as before.
      first.socket.write('here');
      await until(() => first.answered() === 'here', 'an answer while descriptors are out');
      await program.says('busy false often false');
      for (const { answered } of others) {
        await until(() => answered() === 'waited', 'an answer once there are descriptors again');
      }
      // The listener has recovered: new clients are accepted.
      const last = client(program);
      last.socket.write('late');
      await until(() => last.answered() === 'late', 'an answer to a client that connected later');
    },
  );
});
