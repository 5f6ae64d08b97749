import {
  Handler,
  IOHandler,
  Notifier,
  Server,
  type Socket,
  type SocketMap,
  SocketMapClosedError,
} from '../../lib';
import { candidates } from '../../lib/maps';
import { saturate } from '../support/echoing';
import { kernel } from '../support/kernels';
import { onEveryMap } from '../support/maps';
import { Recorder } from '../support/recorder';
import { sendText, socketpair } from '../support/streams';
import { turnUntil, until } from '../support/turns';

/** A handler with `text` to read. Its peer is closed after the test. */
function handlerWith(map: SocketMap, text: string): Recorder {
  const [left, right] = socketpair();
  const recorder = new Recorder(map, left);
  sendText(right, text);
  peers.push(right);
  return recorder;
}

const peers: Socket[] = [];
afterEach(() => {
  for (const peer of peers.splice(0)) peer.close();
});

test.each(candidates.map((each) => [each.backend, each] as const))(
  'rule 17: a notifier that throws does not prevent the cleanup of handlers (%s)',
  (_name, Map) => {
    class Throwing extends Notifier {
      override cleanupObj(handler: Handler): void {
        super.cleanupObj(handler);
        throw new Error(`thrown after ${String(handler.closed)}`);
      }
    }
    const map = new Map({ notifier: new Throwing() });
    const handlers = [1, 2, 3].map((n) => handlerWith(map, `${n}`));
    expect(() => map.close()).toThrow(AggregateError);
    expect(handlers.map(({ events, closed }) => [...events, closed])).toEqual(
      handlers.map(() => ['cleanup', true]),
    );
    map.close();
  },
);

onEveryMap('errors while a map is closed', (map) => {
  /** A handler with a socket whose close throws. */
  function unwilling(): Recorder {
    const recorder = handlerWith(map(), '');
    const { socket } = recorder;
    const close = socket.close.bind(socket);
    socket.close = () => {
      close();
      throw new Error('a socket that throws');
    };
    return recorder;
  }

  test('rules 3, 17: a socket whose close throws does not prevent the cleanup of handlers', () => {
    const recorders = [unwilling(), handlerWith(map(), ''), unwilling()];
    expect(() => map().close()).toThrow(AggregateError);
    expect(recorders.map(({ events }) => events)).toEqual(recorders.map(() => ['cleanup']));
    expect(map().isEmpty()).toBe(true);
    map().close();
  });

  test('rules 3, 17: output that cannot be sent does not prevent the cleanup of handlers', () => {
    const [first, other] = [handlerWith(map(), 'a'), handlerWith(map(), '')];
    first.handleRead = () => {
      first.sendAll('never arrives');
      // Without the handler.
      kernel().close(first.fileno());
      map().close();
    };
    expect(() => turnUntil(map(), () => map().closed, 'the map to close')).toThrow(/EBADF/);
    expect([first.events, other.events]).toEqual([['cleanup'], ['cleanup']]);
    expect([first.closed, map().isEmpty()]).toEqual([true, true]);
  });
});

onEveryMap('a closed map', (map, { testWithoutFaults }) => {
  test('rule 17: waiting on it throws an error that says so', async () => {
    const handler = new IOHandler(map());
    map().close();
    const nothing = (): void => {};
    const attempts: Record<string, () => void> = {
      poll: () => map().poll(0),
      runSync: () => map().runSync(),
      callIn: () => map().callIn(0, nothing),
      callAt: () => map().callAt(Date.now() / 1000, nothing),
      callSynchronized: () => map().callSynchronized(nothing),
      wakeup: () => map().wakeup(),
      createWaker: () => map().createWaker(),
      addHandler: () => map().addHandler(handler),
      'new IOHandler': () => new IOHandler(map()),
    };
    for (const [method, attempt] of Object.entries(attempts)) {
      expect(attempt).toThrow(SocketMapClosedError);
      expect(attempt).toThrow(new RegExp(`^${method === 'callAt' ? 'call' : method}`));
    }
    await expect(map().run()).rejects.toThrow(SocketMapClosedError);
    expect(map().closed).toBe(true);
  });

  test('rule 17: methods of its handlers throw an error that says so; isEmpty and delHandler work', () => {
    const recorder = handlerWith(map(), 'a');
    map().close();
    expect(map().isEmpty()).toBe(true);
    expect(() => map().delHandler(recorder)).not.toThrow();
    expect(recorder.closed).toBe(true);
    expect(recorder.fileno()).toBe(-1);
    for (const attempt of [
      () => recorder.read(1),
      () => recorder.send('a'),
      () => recorder.sendAll('a'),
      () => recorder.connect('/nowhere'),
      () => recorder.setReadable(true),
      () => recorder.socket,
    ]) {
      expect(attempt).toThrow('this Recorder is closed');
    }
    recorder.close();
    expect(recorder.events).toEqual(['cleanup']);
  });

  test('rule 17: a second close has no effect', () => {
    const recorder = handlerWith(map(), '');
    map().close();
    map().close();
    map()[Symbol.dispose]();
    expect(recorder.events).toEqual(['cleanup']);
  });

  test('rule 17: close cleans up every handler, in every state', () => {
    const server = new Server(map(), Recorder);
    server.bind(['127.0.0.1', 0]);
    server.listen(1);
    const address = server.socket.getsockname();
    const states: Record<string, () => Recorder> = {
      'never connected': () => new Recorder(map()),
      connecting: () => {
        const recorder = new Recorder(map());
        recorder.connect(address);
        return recorder;
      },
      resolving: () => {
        const recorder = new Recorder(map());
        recorder.connect(['localhost', 1]);
        return recorder;
      },
      'about to fail': () => {
        const recorder = new Recorder(map());
        recorder.connect('\0nobody listens here');
        return recorder;
      },
      connected: () => handlerWith(map(), 'unread'),
      'neither readable nor writable': () => {
        const recorder = handlerWith(map(), 'unread');
        recorder.setReadable(false);
        return recorder;
      },
      'with much to send': () => {
        const recorder = handlerWith(map(), '');
        recorder.sendAll(Buffer.alloc(10_000_000));
        return recorder;
      },
      'being ended': () => {
        const recorder = handlerWith(map(), '');
        recorder.end('the last of it');
        return recorder;
      },
    };
    const recorders = Object.entries(states).map(([name, make]) => [name, make()] as const);
    map().close();
    expect(recorders.map(([name, recorder]) => [name, recorder.events])).toEqual(
      recorders.map(([name]) => [name, ['cleanup']]),
    );
    expect(recorders.filter(([, recorder]) => !recorder.closed)).toEqual([]);
    expect(server.closed).toBe(true);
  });

  test('rule 17: close leaves deregistered handlers open', () => {
    const recorder = handlerWith(map(), '');
    map().delHandler(recorder);
    map().close();
    expect(recorder.events).toEqual([]);
    expect(recorder.closed).toBe(false);
    recorder.close();
    expect(recorder.events).toEqual(['cleanup']);
  });

  test('pending timers and calls are dropped', () => {
    const ran: string[] = [];
    const timer = map().callIn(0, () => ran.push('timer'));
    map().callSynchronized(() => ran.push('call'));
    map().close();
    timer.cancel();
    expect(timer.pending).toBe(false);
    expect(ran).toEqual([]);
  });

  test('in a handleCleanup of a closing map, calls and timers are taken, and dropped', () => {
    const ran: string[] = [];
    const pending: boolean[] = [];
    const timers: { readonly pending: boolean }[] = [];
    const handler = handlerWith(map(), '');
    handler.handleCleanup = () => {
      map().callSynchronized(() => ran.push('call'));
      map().wakeup();
      timers.push(map().callIn(0, () => ran.push('timer')));
      timers.push(map().callAt(0, () => ran.push('timer')));
      pending.push(map().closed);
    };
    map().close();
    expect(pending).toEqual([true]);
    expect(timers.map((timer) => timer.pending)).toEqual([false, false]);
    expect(() => map().callIn(0, () => undefined)).toThrow(SocketMapClosedError);
    expect(() => map().callSynchronized(() => undefined)).toThrow(SocketMapClosedError);
    expect(ran).toEqual([]);
  });

  test('handleCleanup can close other handlers, and cannot create one', () => {
    const first = handlerWith(map(), '');
    const second = handlerWith(map(), '');
    const told: unknown[] = [];
    first.handleCleanup = () => {
      second.close();
      map().close();
      try {
        new Handler(map());
      } catch (error) {
        told.push(error);
      }
    };
    map().close();
    expect(second.events).toEqual(['cleanup']);
    expect(told).toEqual([expect.any(SocketMapClosedError)]);
  });

  testWithoutFaults(
    'rules 6, 17: handleCleanup can end() other handlers, registered or not',
    () => {
      const first = handlerWith(map(), '');
      const others = [handlerWith(map(), ''), handlerWith(map(), '')];
      map().delHandler(others[1]!);
      first.handleCleanup = () => {
        for (const other of others) other.end('farewell');
      };
      map().close();
      expect([first, ...others].map(({ events }) => events)).toEqual([
        [],
        ['cleanup'],
        ['cleanup'],
      ]);
    },
  );
});

/** Callbacks from which a map is closed. */
const FROM_WITHIN: Record<string, (map: SocketMap, close: () => void) => void> = {
  handleRead: (map, close) => {
    handlerWith(map, 'a').handleRead = close;
  },
  handleWrite: (map, close) => {
    const recorder = handlerWith(map, '');
    recorder.handleWrite = close;
    recorder.setWritable(true);
  },
  handleClose: (map, close) => {
    handlerWith(map, '').handleClose = close;
    peers.at(-1)?.close();
  },
  handleCleanup: (map, close) => {
    handlerWith(map, '').handleCleanup = close;
    peers.at(-1)?.close();
  },
  handleError: (map, close) => {
    const recorder = handlerWith(map, 'a');
    recorder.handleRead = () => {
      throw new Error('to be handled');
    };
    recorder.handleError = close;
  },
  handleConnectFailed: (map, close) => {
    const recorder = new Recorder(map);
    recorder.handleConnectFailed = close;
    recorder.connect('\0nobody listens here');
  },
  timer: (map, close) => void map.callIn(0, close),
  call: (map, close) => {
    map.callSynchronized(close);
  },
};

onEveryMap('a map closed in a callback', (map) => {
  describe.each(Object.entries(FROM_WITHIN))('%s', (_name, arrange) => {
    /** Other handlers are cleaned up once, and get no callbacks after that. */
    function expectAllOver(others: Recorder[]): void {
      expect(map().closed).toBe(true);
      for (const { events } of others) {
        expect(events.indexOf('cleanup')).toBe(events.length - 1);
      }
    }

    function others(): Recorder[] {
      return [handlerWith(map(), 'a'), handlerWith(map(), 'b'), handlerWith(map(), '')];
    }

    test('rule 17: poll returns', () => {
      const before = others();
      arrange(map(), () => map().close());
      const after = others();
      turnUntil(map(), () => map().closed, 'the map to close');
      expectAllOver([...before, ...after]);
    });

    test('rule 17: runSync returns', () => {
      const before = others();
      arrange(map(), () => map().close());
      map().runSync();
      expectAllOver(before);
    });

    test('rule 17: run() settles', async () => {
      const before = others();
      arrange(map(), () => map().close());
      await map().run();
      expectAllOver(before);
    });
  });
});

onEveryMap('a map closed while it runs', (map) => {
  test('rule 17: run() settles when an idle map is closed outside of its callbacks', async () => {
    const recorder = handlerWith(map(), '');
    const idle = map().run();
    setTimeout(() => map().close(), 2);
    await idle;
    expect(recorder.events).toEqual(['cleanup']);
  });

  test('rule 17: run() settles when a busy map is closed outside of its callbacks', async () => {
    const echoing = saturate(map());
    const running = map().run();
    await until(() => echoing.count > 100, 'messages');
    map().close();
    await running;
    expect(echoing.closed).toBe(true);
  });

  test('rule 17: run() settles when handleCleanup, outside of an iteration, closes the map', async () => {
    const recorder = handlerWith(map(), '');
    recorder.handleCleanup = () => map().close();
    let hasSettled = false;
    void map()
      .run()
      .then(() => (hasSettled = true));
    setTimeout(() => recorder.close(), 2);
    await until(() => hasSettled, 'run() to settle');
  });

  test('rule 9: run() rejects with what handleError rethrows while the map is closed', async () => {
    const recorder = handlerWith(map(), '');
    recorder.handleCleanup = () => {
      throw new Error('from a cleanup');
    };
    recorder.handleError = (error) => {
      throw error;
    };
    setTimeout(() => map().close(), 2);
    await expect(map().run()).rejects.toThrow('from a cleanup');
  });

  test('rule 9: close() of a map that does not run throws what handleError rethrows', () => {
    const recorder = handlerWith(map(), '');
    recorder.handleCleanup = () => {
      throw new Error('from a cleanup');
    };
    recorder.handleError = (error) => {
      throw error;
    };
    const other = handlerWith(map(), '');
    expect(() => map().close()).toThrow('from a cleanup');
    expect(map().closed).toBe(true);
    expect(other.events).toEqual(['cleanup']);
  });
});
