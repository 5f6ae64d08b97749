/** Wrong arguments to handlers and protocols: errors name the argument; other handlers continue. */
import {
  AcceptHandler,
  constants,
  Handler,
  IOHandler,
  Notifier,
  Server,
  Socket,
  socketpair,
  type SocketMap,
} from '../../lib';
import { EpollSocketMap } from '../../lib/maps';
import { BufferedWriteHandler, LineHandler } from '../../lib/protocols';
import {
  expectRefused,
  misuse,
  NO_ADDRESS,
  NO_COUNT,
  NO_DATA,
  NO_FUNCTION,
  thrownBy,
  WRONG,
} from '../support/bad-values';
import { onEverySystemMap } from '../support/maps';
import { Recorder } from '../support/recorder';
import { turnUntil } from '../support/turns';

let map: SocketMap;
let far: Socket;
let near: Socket;
beforeEach(() => {
  map = new EpollSocketMap();
  [near, far] = socketpair();
});
afterEach(() => {
  map.close();
  near.close();
  far.close();
});

/** The map still works: a sent line is received. */
function expectServes(on: SocketMap = map): void {
  const [end, peer] = socketpair();
  const recorder = new Recorder(on, end);
  peer.send(Buffer.from('still here'));
  turnUntil(on, () => recorder.received === 'still here', 'a message after a wrong argument');
  recorder.close();
  peer.close();
}

const NO_MAP = [...WRONG, undefined, 5, 'text', [], EpollSocketMap];
const NO_SOCKET = [...WRONG, 5, 'text', [], () => 5];
const NO_BOOLEAN = [...WRONG.filter((value) => value !== true), undefined, 0, 1, 'true', []];

describe('constructors of handlers', () => {
  const kinds = { Handler, IOHandler, AcceptHandler, BufferedWriteHandler, LineHandler };
  test.each(Object.entries(kinds))('%s', (_name, Kind) => {
    expectRefused(misuse('new', 'socketMap', NO_MAP, (value) => new Kind(value)));
    expectRefused(misuse('new', 'sock', NO_SOCKET, (value) => new Kind(map, value)));
    expect(map.isEmpty()).toBe(true);
    expectServes();
  });

  test('Server', () => {
    expectRefused(misuse('new', 'socketMap', NO_MAP, (value) => new Server(value, IOHandler)));
    const noClass = [...NO_FUNCTION, () => undefined, Map, Object];
    expectRefused(misuse('new', 'handlerClass', noClass, (value) => new Server(map, value)));
  });

  test('on a closed map: an error that says so', () => {
    map.close();
    expect(thrownBy(() => new IOHandler(map))).toMatchObject({ name: 'SocketMapClosedError' });
    expect(thrownBy(() => new IOHandler(map, near))).toMatchObject({
      code: 'ERR_SOCKET_MAP_CLOSED',
    });
    expect(near.closed).toBe(false);
  });
});

onEverySystemMap('unusable sockets', (mapOf) => {
  test('a closed socket throws', () => {
    near.close();
    expect(thrownBy(() => new IOHandler(mapOf(), near))).toMatchObject({ code: 'EBADF' });
    expect(mapOf().isEmpty()).toBe(true);
    expectServes(mapOf());
  });

  test('a second handler for the same socket throws, and the first stays registered', () => {
    const first = new Recorder(mapOf(), near);
    expect(thrownBy(() => new IOHandler(mapOf(), near)).message).toContain('already');
    far.send(Buffer.from('first'));
    turnUntil(mapOf(), () => first.received === 'first', 'the bytes');
  });

  test.each([['x'], [NaN], [1.5], [2 ** 31], [undefined]])(
    'an object whose fileno() returns %p throws',
    (number) => {
      const standIn = Object.create(near, {
        fileno: { value: () => number },
        recvInto: { value: () => 0 },
        close: { value: () => undefined },
        role: { value: 'connected' },
      }) as Socket;
      expect(() => new IOHandler(mapOf(), standIn)).toThrow();
      expectServes(mapOf());
    },
  );

  test('a descriptor closed without its handler ends only that handler', () => {
    const lost = new Recorder(mapOf(), near);
    const other = new Recorder(mapOf(), far);
    Socket.fromFd(lost.fileno()).close();
    lost.setWritable(true);
    turnUntil(mapOf(), () => lost.closed, 'the lost handler');
    expect(lost.events.at(-1)).toBe('cleanup');
    // Its peer gets the end as with any other close.
    turnUntil(mapOf(), () => other.closed, 'the end of its peer');
    expectServes(mapOf());
  });
});

describe('IOHandler', () => {
  test.each([
    misuse('setReadable', 'readable', NO_BOOLEAN, (value) => open().setReadable(value)),
    misuse('setWritable', 'writable', NO_BOOLEAN, (value) => open().setWritable(value)),
    misuse('read', 'n', [...NO_COUNT, undefined], (value) => open().read(value)),
    misuse('recv', 'n', [...NO_COUNT, undefined], (value) => open().recv(value)),
    misuse('recv flags', 'flags', NO_COUNT, (value) => open().recv(1, value)),
    misuse('peek', 'n', [...NO_COUNT, undefined], (value) => open().peek(value)),
    misuse('recvInto', 'buffer', NO_DATA, (value) => open().recvInto(value)),
    misuse('recvInto offset', 'offset', [-1, 9, 1.5, NaN, 'x', {}], (value) =>
      open().recvInto(Buffer.alloc(8), value),
    ),
    misuse('recvInto length', 'length', [-1, 9, 1.5, NaN, 'x', {}], (value) =>
      open().recvInto(Buffer.alloc(8), 0, value),
    ),
    misuse('send', 'data', NO_DATA, (value) => open().send(value)),
    misuse('send flags', 'flags', NO_COUNT, (value) => open().send('x', value)),
    misuse('shutdown', 'how', [...NO_COUNT, undefined, 3], (value) => open().shutdown(value)),
    misuse('connect', 'address', NO_ADDRESS, (value) => new IOHandler(map).connect(value)),
  ])('$use', expectRefused);

  function open(): IOHandler {
    const [end] = socketpair();
    return new IOHandler(map, end);
  }

  test('after an invalid address the same handler can connect', () => {
    const listener = Socket.create();
    listener.bind(['127.0.0.1', 0]);
    listener.listen(1);
    const client = new Recorder(map);
    expect(() => client.connect(['127.0.0.1', 65536])).toThrow(RangeError);
    client.connect(listener.getsockname());
    turnUntil(map, () => client.connected, 'the connection');
    expect(thrownBy(() => client.connect(listener.getsockname()))).toMatchObject({
      code: 'EISCONN',
    });
    listener.close();
  });

  test('connecting twice at once is EALREADY', () => {
    const client = new Recorder(map);
    client.connect(['127.0.0.1', 1]);
    expect(thrownBy(() => client.connect(['127.0.0.1', 1]))).toMatchObject({ code: 'EALREADY' });
    turnUntil(map, () => client.closed, 'the refusal');
    expect(client.events).toEqual(['connectFailed ECONNREFUSED', 'cleanup']);
  });

  test('an operation that the socket does not support throws, and the handler stays open', () => {
    const [end, peer] = Socket.pair(constants.AF_UNIX, constants.SOCK_DGRAM);
    const handler = new Recorder(map, end);
    expect(thrownBy(() => handler.send('x', constants.MSG_OOB))).toMatchObject({ errno: -95 });
    map.poll(0);
    expect(handler.events).toEqual([]);
    expect(handler.send('x')).toBe(1);
    peer.close();
  });
});

describe('AcceptHandler and Server', () => {
  const NO_BACKLOG = [...NO_COUNT, undefined];

  test('addresses and backlogs', () => {
    const bound = new AcceptHandler(map);
    bound.bind(['127.0.0.1', 0]);
    expectRefused(
      misuse('bind', 'address', NO_ADDRESS, (value) => new AcceptHandler(map).bind(value)),
    );
    expectRefused(misuse('listen', 'backlog', NO_BACKLOG, (value) => bound.listen(value)));
    bound.listen(2 ** 31 - 1);
    expect(bound.readable).toBe(true);
    expectServes();
  });

  test('listen without a socket throws an error that says what is missing', () => {
    expect(thrownBy(() => new AcceptHandler(map).listen(1))).toMatchObject({
      code: 'ERR_NO_SOCKET',
      message: expect.stringContaining('bind') as string,
    });
  });

  test('binding twice is EINVAL, and the listener still works', () => {
    const acceptor = new AcceptHandler(map);
    acceptor.bind(['127.0.0.1', 0]);
    expect(thrownBy(() => acceptor.bind(['127.0.0.1', 0]))).toMatchObject({ code: 'EINVAL' });
    acceptor.listen(1);
  });

  test('after EADDRINUSE, bind can be called again', () => {
    const first = new AcceptHandler(map);
    first.bind(['127.0.0.1', 0]);
    const second = new AcceptHandler(map);
    expect(() => second.bind(first.socket.getsockname())).toThrow('EADDRINUSE');
    second.bind(['127.0.0.1', 0]);
    second.listen(1);
  });

  test('serveForever rejects', async () => {
    for (const [address, backlog] of [
      [5, 1],
      [['127.0.0.1', 0], NaN],
    ]) {
      const server = new Server(map, IOHandler);
      await expect(server.serveForever(address as never, backlog as never)).rejects.toThrow(
        /^(address|backlog) must be/,
      );
      server.close();
    }
    expectServes();
  });
});

describe('protocols', () => {
  test('sendAll, end and sendLine', () => {
    const handler = new LineHandler(map, near);
    expectRefused(misuse('sendAll', 'data', NO_DATA, (value) => handler.sendAll(value)));
    expectRefused(misuse('sendLine', 'data', NO_DATA, (value) => handler.sendLine(value)));
    const noEnd = NO_DATA.filter((value) => value !== undefined);
    expectRefused(misuse('end', 'data', noEnd, (value) => handler.end(value)));
    expect(handler.bufferedAmount).toBe(0);
    handler.sendLine('well');
    const bytes = Buffer.alloc(10);
    expect(far.recvInto(bytes)).toBe(5);
    handler.end();
    expect(thrownBy(() => handler.sendAll('x'))).toMatchObject({ code: 'ERR_WRITE_AFTER_END' });
  });

  test.each([[''], [5], [null], [Buffer.alloc(0)]])(
    'a delimiter of %p goes to handleError',
    (delimiter) => {
      const errors: unknown[] = [];
      class Lines extends LineHandler {
        override handleError(error: unknown): void {
          errors.push(error);
          this.close();
        }
      }
      const handler = new Lines(map, near);
      handler.delimiter = delimiter as never;
      far.send(Buffer.from('a line\n'));
      turnUntil(map, () => errors.length > 0, 'the error');
      expect(String(errors[0])).toContain('delimiter must');
      expectServes();
    },
  );
});

test('a notifier called without a handler throws an error that says so', () => {
  const notifier = new Notifier();
  for (const value of [...WRONG, undefined, 5]) {
    for (const method of ['readObj', 'writeObj', 'connectObj', 'closeObj', 'endObj'] as const) {
      expect(thrownBy(() => notifier[method](value as never))).toBeInstanceOf(TypeError);
    }
  }
});
