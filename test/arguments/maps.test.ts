/** Wrong arguments to maps, and calls on closed objects: each throws, and changes nothing. */
import { AcceptHandler, IOHandler, type Handler, type SocketMap, Socket } from '../../lib';
import { candidates } from '../../lib/maps';
import { BufferedWriteHandler, LineHandler } from '../../lib/protocols';
import {
  expectRefused,
  misuse,
  NO_FUNCTION,
  NO_SECONDS,
  thrownBy,
  WRONG,
} from '../support/bad-values';
import { onEveryMap } from '../support/maps';
import { Recorder } from '../support/recorder';
import { sendText, socketpair } from '../support/streams';
import { turnUntil } from '../support/turns';

describe.each(candidates.map((candidate) => [candidate.backend, candidate] as const))(
  'new %s map',
  (_name, Candidate) => {
    test('options', () => {
      const noOptions = [null, true, Symbol('wrong'), 10n, 5, 'text', () => 5];
      expectRefused(misuse('new', 'options', noOptions, (value) => new Candidate(value)));
      const noNotifier = [...WRONG, 5, 'text', []].map((notifier) => ({ notifier }));
      expectRefused(misuse('new', 'notifier', noNotifier, (value) => new Candidate(value)));
    });

    test('an unknown option throws an error that names it and the valid options', () => {
      const error = thrownBy(() => new Candidate({ notifer: undefined } as never));
      expect(error).toBeInstanceOf(TypeError);
      expect(error.message).toMatch(/notifer.*notifier/);
    });
  },
);

onEveryMap('wrong arguments', (map, { testWithoutFaults }) => {
  const NO_HANDLER = [...WRONG, undefined, 5, 'text', []];
  const METHODS = [
    'addHandler',
    'delHandler',
    'addReader',
    'delReader',
    'addWriter',
    'delWriter',
  ] as const;

  test.each(METHODS)('%s throws for a value that is no handler', (method) => {
    expectRefused(misuse(method, 'handler', NO_HANDLER, (value) => map()[method](value)));
  });

  test.each(METHODS)('%s throws for a handler of another map', (method) => {
    const [near, far] = Socket.pair();
    const other = new candidates[0]();
    const handler = new IOHandler(other, near);
    expectRefused(misuse(method, 'handler', [handler], (value) => map()[method](value)));
    other.close();
    far.close();
  });

  test('times and functions', () => {
    // A time in the past is the next turn.
    const noTime = [...WRONG, undefined, 'text', '5', [], NaN, Infinity, -Infinity];
    const nothing = (): void => {};
    for (const each of [
      misuse('poll', 'seconds', NO_SECONDS, (value) => map().poll(value)),
      misuse('callIn', 'seconds', noTime, (value) => map().callIn(value, nothing)),
      misuse('callAt', 'epochSeconds', noTime, (value) => map().callAt(value, nothing)),
      misuse('callIn', 'fn', NO_FUNCTION, (value) => map().callIn(0, value)),
      misuse('callAt', 'fn', NO_FUNCTION, (value) => map().callAt(0, value)),
      misuse('callSynchronized', 'fn', NO_FUNCTION, (value) => map().callSynchronized(value)),
    ]) {
      expectRefused(each);
    }
    expect(map().poll(0)).toBe(0);
  });

  testWithoutFaults('adding a registered handler throws, and it stays registered', () => {
    const [near, far] = socketpair();
    const handler = new Recorder(map(), near);
    expect(thrownBy(() => map().addHandler(handler)).message).toContain('already');
    far.send(Buffer.from('x'));
    turnUntil(map(), () => handler.received === 'x', 'the byte');
    far.close();
  });

  test('adding a closed handler throws', () => {
    const handler = new IOHandler(map(), socketpair()[0]);
    handler.close();
    expect(thrownBy(() => map().addHandler(handler)).message).toContain('closed');
  });

  test('a deregistered handler can be deregistered again, and closed', () => {
    const [near, far] = socketpair();
    const handler = new Recorder(map(), near);
    map().delHandler(handler);
    map().delHandler(handler);
    far.send(Buffer.from('x'));
    expect(map().poll(0)).toBe(0);
    handler.close();
    expect(handler.events).toEqual(['cleanup']);
    far.close();
  });

  test('a wrong argument in one callback does not affect other handlers', () => {
    const [near, far] = socketpair();
    const [near2, far2] = socketpair();
    class Careless extends Recorder {
      override handleRead(): void {
        super.handleRead();
        this.send(5 as never);
      }
    }
    const careless = new Careless(map(), near);
    const other = new Recorder(map(), near2);
    sendText(far, 'x');
    sendText(far2, 'x');
    turnUntil(map(), () => other.received === 'x' && careless.received === 'x', 'both');
    expect(careless.events.join()).toContain('error data must be');
    expect(careless.closed).toBe(false);
    far.close();
    far2.close();
  });
});

describe('closed objects throw an error that says so', () => {
  let map: SocketMap;
  beforeEach(() => {
    map = new candidates[0]();
  });
  afterEach(() => map.close());

  test('a map', async () => {
    const handler = new IOHandler(map);
    map.close();
    map.close();
    const closed = { name: 'SocketMapClosedError', code: 'ERR_SOCKET_MAP_CLOSED' };
    const uses: [string, () => unknown][] = [
      ['poll', () => map.poll(0)],
      ['runSync', () => map.runSync()],
      ['callIn', () => map.callIn(0, () => {})],
      ['callAt', () => map.callAt(0, () => {})],
      ['callSynchronized', () => map.callSynchronized(() => {})],
      ['wakeup', () => map.wakeup()],
      ['createWaker', () => map.createWaker()],
      ['addHandler', () => map.addHandler(handler)],
    ];
    for (const [name, use] of uses) expect(thrownBy(use, name)).toMatchObject(closed);
    await expect(map.run()).rejects.toMatchObject(closed);
    expect([map.closed, map.isEmpty(), handler.closed]).toEqual([true, true, true]);
  });

  const io: [string, (handler: IOHandler) => unknown][] = [
    ['read', (handler) => handler.read(1)],
    ['recv', (handler) => handler.recv(1)],
    ['peek', (handler) => handler.peek(1)],
    ['recvInto', (handler) => handler.recvInto(Buffer.alloc(1))],
    ['send', (handler) => handler.send('x')],
    ['shutdown', (handler) => handler.shutdown(1)],
    ['connect', (handler) => handler.connect(['127.0.0.1', 1])],
    ['socket', (handler) => handler.socket],
    ['setReadable', (handler) => handler.setReadable(true)],
    ['setWritable', (handler) => handler.setWritable(true)],
  ];
  const accepting: [string, (handler: AcceptHandler) => unknown][] = [
    ['bind', (handler) => handler.bind(['127.0.0.1', 0])],
    ['listen', (handler) => handler.listen(1)],
    ['reuseAddr', (handler) => handler.reuseAddr()],
    ['reusePort', (handler) => handler.reusePort()],
    ['reusePath', (handler) => handler.reusePath()],
  ];
  const lines: [string, (handler: LineHandler) => unknown][] = [
    ['sendAll', (handler) => handler.sendAll('x')],
    ['sendLine', (handler) => handler.sendLine('x')],
  ];

  /** Calls every method on a handler that never had a socket, and on a closed one that had. */
  function expectSaid<H extends Handler>(
    make: (() => H)[],
    uses: readonly [string, (handler: H) => unknown][],
  ): void {
    for (const each of make) {
      const handler = each();
      handler.close();
      handler.close();
      for (const [name, use] of uses) {
        expect(thrownBy(() => use(handler), name)).toMatchObject({
          code: 'ERR_CLOSED',
          message: expect.stringContaining(`this ${handler.constructor.name} is closed`) as string,
        });
      }
      expect([handler.closed, handler.connected, handler.fileno()]).toEqual([true, false, -1]);
    }
  }

  test('an IOHandler', () => {
    expectSaid([() => new IOHandler(map), () => new IOHandler(map, socketpair()[0])], io);
  });

  test('an AcceptHandler', () => {
    const bound = (): AcceptHandler => {
      const acceptor = new AcceptHandler(map);
      acceptor.bind(['127.0.0.1', 0]);
      acceptor.listen(1);
      return acceptor;
    };
    expectSaid([() => new AcceptHandler(map), bound], accepting);
  });

  test('a LineHandler, whose end() has no effect', () => {
    expectSaid<LineHandler>(
      [() => new LineHandler(map), () => new LineHandler(map, socketpair()[0])],
      [...io, ...lines],
    );
    const handler = new BufferedWriteHandler(map);
    handler.close();
    handler.end();
    expect(handler.bufferedAmount).toBe(0);
  });

  test('the error names the method that was called', () => {
    const handler = new IOHandler(map);
    const closed = new IOHandler(map);
    closed.close();
    const receiving: [string, (handler: IOHandler) => unknown][] = [
      ['recv', (each) => each.recv(1)],
      ['read', (each) => each.read(1)],
      ['peek', (each) => each.peek(1)],
      ['recvInto', (each) => each.recvInto(Buffer.alloc(1))],
    ];
    for (const [name, use] of receiving) {
      expect(thrownBy(() => use(handler)).message).toMatch(`${name}: this IOHandler has no socket`);
      expect(thrownBy(() => use(closed)).message).toMatch(`${name}: this IOHandler is closed`);
    }
    expect(thrownBy(() => map.addReader(closed)).message).toMatch('setReadable: this');
    expect(thrownBy(() => map.addWriter(closed)).message).toMatch('setWritable: this');
  });

  test('a handler without a socket throws an error that says so', () => {
    const handler = new IOHandler(map);
    for (const [name, use] of io.slice(0, 6)) {
      expect(thrownBy(() => use(handler), name)).toMatchObject({ code: 'ERR_NO_SOCKET' });
    }
    expect(handler.fileno()).toBe(-1);
  });

  test('poll, run and runSync in a callback throw an error with the reason (rule 18)', async () => {
    const told: Error[] = [];
    map.callSynchronized(() => {
      told.push(
        thrownBy(() => map.poll(0)),
        thrownBy(() => map.runSync()),
      );
    });
    map.poll(0);
    expect(told.map(({ message }) => message)).toEqual([
      expect.stringContaining('inside a callback'),
      expect.stringContaining('inside a callback'),
    ]);
    const running = map.run();
    await expect(map.run()).rejects.toThrow('running already');
    map.close();
    await running;
  });
});
