/** The idle time-out: no bytes received or sent for `idleTimeoutSeconds` seconds. */
import { type Handled, IOHandler, type Socket, type SocketMap, type SystemError } from '../../lib';
import { LineHandler } from '../../lib/protocols';
import { expectRefused, misuse, NO_SECONDS } from '../support/bad-values';
import { kernel, pass } from '../support/kernels';
import { onEveryMap } from '../support/maps';
import { Recorder } from '../support/recorder';
import { fill, receiveText, sendText, socketpair, tcpListener, tcpPair } from '../support/streams';
import { expectQuiet, turnUntil, until } from '../support/turns';

/** Records calls of handleTimeout, and when they came. */
class Timed extends Recorder {
  toldAtMs = NaN;
  onTimeout: (() => unknown) | undefined;

  override handleTimeout(): Handled {
    this.events.push('timeout');
    this.toldAtMs = kernel().monotonicMs();
    if (this.onTimeout === undefined) return super.handleTimeout();
    return this.onTimeout() as Handled;
  }
}

onEveryMap('idle time-outs', (map, { testWithoutFaults }) => {
  const peers: Socket[] = [];
  afterEach(() => {
    for (const socket of peers.splice(0)) socket.close();
  });

  function pair(make = socketpair): [Timed, Socket] {
    const [ours, theirs] = make();
    peers.push(theirs);
    return [new Timed(map(), ours), theirs];
  }

  function turnFor(seconds: number): void {
    let isOver = false;
    map().callIn(seconds, () => (isOver = true));
    turnUntil(map(), () => isOver, 'a timer');
  }

  function turnUntilTold(handler: Timed, count = 1): void {
    turnUntil(map(), () => handler.count('timeout') >= count, `time-out ${count}`);
  }

  /**
   * Starts the idle time-outs of handlers, by an iteration or more. On a machine that stalls meanwhile
   * they may expire: the handlers stay open, and their recorded events are cleared.
   */
  function arm(
    handlers: readonly Timed[],
    seconds: number,
    passes = (): void => void map().poll(0),
  ): void {
    for (const handler of handlers) {
      handler.onTimeout = () => undefined;
      handler.idleTimeoutSeconds = seconds;
    }
    passes();
    for (const handler of handlers) {
      handler.onTimeout = undefined;
      handler.events.length = 0;
    }
  }

  const loops: Record<string, (handler: Timed) => Promise<void>> = {
    poll: (handler) => {
      turnUntilTold(handler);
      return Promise.resolve();
    },
    runSync: (handler) => {
      handler.onTimeout = () => map().close();
      map().runSync();
      return Promise.resolve();
    },
    run: async (handler) => {
      const running = map().run();
      await until(() => handler.closed, 'the time-out');
      map().close();
      await running;
    },
  };

  test.each(Object.entries(loops))(
    '%s: handleTimeout is called after idleTimeoutSeconds, never early',
    async (_name, run) => {
      const [handler] = pair();
      const startMs = kernel().monotonicMs();
      handler.idleTimeoutSeconds = 0.05;
      await run(handler);
      expect(handler.toldAtMs - startMs).toBeGreaterThanOrEqual(50);
      // The default handleTimeout closes the handler: no end by the peer, so no handleClose.
      expect(handler.events).toEqual(['timeout', 'cleanup']);
    },
  );

  const activities: Record<string, (handler: Timed, peer: Socket) => void> = {
    'bytes received': (handler, peer) => {
      sendText(peer, 'x');
      turnUntil(map(), () => handler.received === 'x', 'the byte');
    },
    'bytes sent': (handler) => {
      handler.send('x');
    },
    'bytes that sendAll sent': (handler) => {
      handler.sendAll('x');
    },
    'buffered bytes sent': (handler, peer) => {
      handler.sendAll(Buffer.alloc(1 << 20));
      while (handler.bufferedAmount > 0) {
        receiveText(peer);
        map().poll(0);
      }
    },
    'setting idleTimeoutSeconds': (handler) => {
      handler.idleTimeoutSeconds = 0.2;
    },
  };

  testWithoutFaults.each(Object.entries(activities))('%s: restarts the time-out', (_name, act) => {
    const [handler, peer] = pair();
    // Long enough to tell a restarted time-out from the first one.
    arm([handler], 0.2, () => turnFor(0.02));
    const beforeMs = kernel().monotonicMs();
    act(handler, peer);
    turnUntilTold(handler);
    expect(handler.toldAtMs - beforeMs).toBeGreaterThanOrEqual(200);
  });

  testWithoutFaults('activity between iterations counts from its own time', () => {
    const [handler] = pair();
    arm([handler], 0.05);
    // No iteration runs meanwhile: the timer is overdue at the next one.
    pass(60);
    const beforeMs = kernel().monotonicMs();
    handler.send('x');
    turnUntilTold(handler);
    expect(handler.toldAtMs - beforeMs).toBeGreaterThanOrEqual(50);
  });

  test('an active handler sets no timer per message', () => {
    const [handler, peer] = pair();
    handler.idleTimeoutSeconds = 10;
    map().poll(0);
    let timers = 0;
    const callIn = map().callIn.bind(map());
    map().callIn = (seconds, fn): ReturnType<typeof callIn> => {
      timers++;
      return callIn(seconds, fn);
    };
    for (let i = 0; i < 100; i++) {
      sendText(peer, 'x');
      handler.sendAll('y');
      turnUntil(map(), () => handler.received.length === i + 1, 'the byte');
    }
    expect(timers).toBe(0);
  });

  test('a paused handler times out, even with unread bytes', () => {
    const [handler, peer] = pair();
    handler.setReadable(false);
    handler.idleTimeoutSeconds = 0.02;
    sendText(peer, 'unread');
    turnUntilTold(handler);
    expect(handler.events).toEqual(['timeout', 'cleanup']);
  });

  test('a handler whose peer never reads times out', () => {
    const [handler, peer] = pair();
    fill(peer);
    handler.setReadable(false);
    handler.sendAll(Buffer.alloc(1 << 20));
    handler.idleTimeoutSeconds = 0.02;
    turnUntilTold(handler);
    expect(handler.bufferedAmount).toBe(0);
    expect(handler.closed).toBe(true);
  });

  test('an attempt to connect fails with ETIMEDOUT', () => {
    const listener = tcpListener(0);
    peers.push(listener);
    // The backlog is full: the kernel ignores further attempts (tcp(7), tcp_abort_on_overflow).
    const failures: Partial<SystemError>[] = [];
    const handlers = Array.from({ length: 4 }, () => {
      const handler = new (class extends Timed {
        override handleConnectFailed(error: SystemError): void {
          super.handleConnectFailed(error);
          failures.push(error);
        }
      })(map());
      handler.idleTimeoutSeconds = 0.2;
      handler.connect(listener.getsockname());
      return handler;
    });
    turnUntil(map(), () => handlers.every(({ closed }) => closed), 'time-outs');
    const waiting = handlers.filter(({ events }) => !events.includes('connect'));
    expect(waiting.length).toBeGreaterThan(0);
    for (const { events } of waiting) {
      expect(events).toEqual(['timeout', 'connectFailed ETIMEDOUT', 'cleanup']);
    }
    expect(failures[0]).toMatchObject({ syscall: 'connect', address: '127.0.0.1' });
    const served = handlers.filter(({ events }) => events.includes('connect'));
    for (const { events } of served) expect(events).toEqual(['connect', 'timeout', 'cleanup']);
  });

  test('a successful attempt restarts the time-out', () => {
    const listener = tcpListener();
    peers.push(listener);
    const handler = new Timed(map());
    handler.idleTimeoutSeconds = 0.1;
    const startMs = kernel().monotonicMs();
    handler.connect(listener.getsockname());
    turnUntilTold(handler);
    expect(handler.toldAtMs - startMs).toBeGreaterThanOrEqual(100);
    expect(handler.events).toEqual(['connect', 'timeout', 'cleanup']);
  });

  test('without a connection or an attempt there is no time-out', () => {
    const handler = new Timed(map());
    handler.idleTimeoutSeconds = 0.01;
    turnFor(0.05);
    expect(handler.events).toEqual([]);
  });

  const declarations: Record<string, new (socketMap: SocketMap, socket: Socket) => Timed> = {
    'as a field': class extends Timed {
      override idleTimeoutSeconds = 0.02;
    },
    'in the constructor': class extends Timed {
      constructor(socketMap: SocketMap, socket: Socket) {
        super(socketMap, socket);
        this.idleTimeoutSeconds = 0.02;
      }
    },
    'as a getter': class extends Timed {
      // @ts-expect-error JavaScript allows a getter; TypeScript wants a field.
      override get idleTimeoutSeconds(): number {
        return 0.02;
      }
    },
  };

  test.each(Object.entries(declarations))(
    'a class may set idleTimeoutSeconds %s',
    (_name, Kind) => {
      const [ours, theirs] = socketpair();
      peers.push(theirs);
      const handler = new Kind(map(), ours);
      expect(handler.idleTimeoutSeconds).toBe(0.02);
      turnUntilTold(handler);
    },
  );

  test('a changed idleTimeoutSeconds takes effect with the next transfer, or when the old time has passed', () => {
    const [ours, theirs] = socketpair();
    peers.push(theirs);
    const handler = new (class extends Timed {
      override idleTimeoutSeconds = 0;
    })(map(), ours);
    map().poll(0);
    handler.idleTimeoutSeconds = 0.05;
    sendText(theirs, 'x');
    turnUntil(map(), () => handler.received === 'x', 'the byte');
    const beforeMs = kernel().monotonicMs();
    handler.idleTimeoutSeconds = 0.1;
    turnUntilTold(handler);
    expect(handler.toldAtMs - beforeMs).toBeGreaterThanOrEqual(100);
  });

  test('idleTimeoutSeconds may be shortened, extended and removed at any time', () => {
    const [handler] = pair();
    expect(handler.idleTimeoutSeconds).toBe(0);
    handler.idleTimeoutSeconds = 100;
    map().poll(0);
    handler.idleTimeoutSeconds = 0.02;
    handler.onTimeout = () => undefined;
    turnUntilTold(handler);
    handler.idleTimeoutSeconds = 0;
    turnFor(0.06);
    expect(handler.count('timeout')).toBe(1);
    const beforeMs = kernel().monotonicMs();
    handler.idleTimeoutSeconds = 0.1;
    turnUntilTold(handler, 2);
    expect(handler.toldAtMs - beforeMs).toBeGreaterThanOrEqual(100);
  });

  test('idleTimeoutSeconds may be set on a handler that has been registered without one', () => {
    const [handler] = pair();
    turnFor(0.01);
    const beforeMs = kernel().monotonicMs();
    handler.idleTimeoutSeconds = 0.05;
    turnUntilTold(handler);
    expect(handler.toldAtMs - beforeMs).toBeGreaterThanOrEqual(50);
  });

  test('idleTimeoutSeconds may be set during a connection attempt', () => {
    const listener = tcpListener(0);
    peers.push(listener);
    const handlers = Array.from({ length: 4 }, () => {
      const handler = new Timed(map());
      handler.connect(listener.getsockname());
      return handler;
    });
    turnFor(0.01);
    for (const handler of handlers) handler.idleTimeoutSeconds = 0.05;
    turnUntil(map(), () => handlers.every(({ closed }) => closed), 'time-outs');
    expect(handlers.some(({ events }) => events.includes('connectFailed ETIMEDOUT'))).toBe(true);
  });

  test('a handleTimeout that leaves the handler open is called again after the same time', () => {
    const [handler] = pair();
    const toldAtMs: number[] = [];
    handler.onTimeout = () => toldAtMs.push(kernel().monotonicMs());
    handler.idleTimeoutSeconds = 0.03;
    turnUntilTold(handler, 3);
    const gapsMs = toldAtMs.slice(1).map((at, i) => at - toldAtMs[i]!);
    for (const gap of gapsMs) expect(gap).toBeGreaterThanOrEqual(30);
    expect(handler.closed).toBe(false);
  });

  test('a handleTimeout may send a last message', () => {
    const [handler, peer] = pair(tcpPair);
    handler.onTimeout = () => handler.end('too slow\n');
    handler.idleTimeoutSeconds = 0.02;
    turnUntilTold(handler);
    let heard = '';
    turnUntil(
      map(),
      () => {
        heard += receiveText(peer) ?? '';
        return heard === 'too slow\n';
      },
      'the good-bye',
    );
    peer.close();
    turnUntil(map(), () => handler.closed, 'the end');
    // Lingering has a time limit of its own.
    expect(handler.count('timeout')).toBe(1);
  });

  testWithoutFaults(
    'after end() and all output, the lingering time applies instead of idleTimeoutSeconds',
    () => {
      const [handler, peer] = pair();
      handler.idleTimeoutSeconds = 0.02;
      handler.end('bye');
      turnFor(0.08);
      expect(handler.events).toEqual([]);
      peer.close();
      turnUntil(map(), () => handler.closed, 'the end');
      expect(handler.events).toEqual(['cleanup']);
    },
  );

  test('a handler that has ended with unsent output times out', () => {
    const [handler] = pair();
    handler.idleTimeoutSeconds = 0.02;
    handler.sendAll(Buffer.alloc(1 << 20));
    handler.end();
    turnUntil(map(), () => handler.closed, 'the time-out');
    expect(handler.events.slice(-2)).toEqual(['timeout', 'cleanup']);
  });

  test('a closed or deregistered handler does not time out; a handler registered again does', () => {
    const [closed] = pair();
    const [out] = pair();
    arm([closed, out], 0.02);
    closed.close();
    closed.idleTimeoutSeconds = 0.01;
    map().delHandler(out);
    turnFor(0.08);
    expect(closed.events).toEqual(['cleanup']);
    expect(out.events).toEqual([]);
    map().addHandler(out);
    turnUntilTold(out);
  });

  test('a closed handler leaves no timer', () => {
    const [handler] = pair();
    arm([handler], 0.02);
    handler.close();
    const startMs = kernel().monotonicMs();
    map().poll(0.06);
    expect(kernel().monotonicMs() - startMs).toBeGreaterThanOrEqual(60);
  });

  test('a deregistered handler leaves no timer; registration restarts the time-out', () => {
    const [handler] = pair();
    arm([handler], 0.02);
    map().delHandler(handler);
    turnFor(0.08);
    const startMs = kernel().monotonicMs();
    map().poll(0.06);
    expect(kernel().monotonicMs() - startMs).toBeGreaterThanOrEqual(60);
    map().addHandler(handler);
    turnUntilTold(handler);
  });

  test('an exception or rejection in handleTimeout goes to handleError', () => {
    const [handler] = pair();
    handler.idleTimeoutSeconds = 0.02;
    handler.onTimeout = () => {
      throw new Error('thrown');
    };
    turnUntil(map(), () => handler.count('error thrown') > 0, 'the error');
  });

  test('a rejection in handleTimeout goes to handleError', async () => {
    const [handler] = pair();
    handler.idleTimeoutSeconds = 0.02;
    handler.onTimeout = () => {
      handler.idleTimeoutSeconds = 0;
      return Promise.reject(new Error('rejected'));
    };
    const running = map().run();
    await until(() => handler.count('error rejected') > 0, 'the error');
    map().close();
    await running;
  });

  test('an idle map with time-outs makes no iteration before one is due', () => {
    const [handler] = pair();
    handler.idleTimeoutSeconds = 100;
    expectQuiet(map());
    const startMs = kernel().monotonicMs();
    expect(map().poll(0.05)).toBe(0);
    expect(kernel().monotonicMs() - startMs).toBeGreaterThanOrEqual(50);
  });

  testWithoutFaults('a LineHandler gets complete lines until it times out', () => {
    const lines: string[] = [];
    const [ours, theirs] = socketpair();
    peers.push(theirs);
    const handler = new (class extends LineHandler {
      override idleTimeoutSeconds = 0.05;
      override lineReceived(line: Buffer): void {
        lines.push(line.toString());
      }
    })(map(), ours);
    sendText(theirs, 'one\ntwo\nthr');
    turnUntil(map(), () => handler.closed, 'the time-out');
    expect(lines).toEqual(['one', 'two']);
    expect(handler.remainder.toString()).toBe('thr');
  });

  test('an invalid idleTimeoutSeconds throws at the call; as a field, it goes to handleError', () => {
    const [ours, theirs] = socketpair();
    peers.push(theirs);
    const handler = new IOHandler(map(), ours);
    const bad = [...NO_SECONDS, Infinity, undefined];
    expectRefused(
      misuse('set', 'idleTimeoutSeconds', bad, (value) => (handler.idleTimeoutSeconds = value)),
    );
    expect(handler.idleTimeoutSeconds).toBe(0);
    const [field] = pair();
    Object.defineProperty(field, 'idleTimeoutSeconds', { value: -1, writable: true });
    turnUntil(map(), () => field.events.length > 0, 'the error');
    expect(field.events).toEqual([
      'error idleTimeoutSeconds must be a finite number of seconds, 0 or more; got -1',
    ]);
    expectQuiet(map());
  });

  test.each(['set', 'a field'])('the old name idleTimeout works where it is %s', (how) => {
    const [ours, theirs] = socketpair();
    peers.push(theirs);
    const handler = new IOHandler(map(), ours);
    if (how === 'set') {
      (handler as { idleTimeout: number }).idleTimeout = 0.05;
      expect(handler.idleTimeoutSeconds).toBe(0.05);
    } else {
      Object.defineProperty(handler, 'idleTimeout', { value: 0.05, writable: true });
    }
    turnUntil(map(), () => handler.closed, 'the time-out');
  });
});
