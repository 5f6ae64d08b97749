/** Wrong arguments to `asynchia/select` and to sockets: errors name them, and nothing changes. */
import { constants, Socket, socketpair, Waker } from '../../lib';
import { Epoll, Poll, POLLOUT, select } from '../../lib/select';
import {
  expectRefused,
  misuse,
  NO_ADDRESS,
  NO_COUNT,
  NO_DATA,
  NO_SECONDS,
  thrownBy,
  WRONG,
} from '../support/bad-values';
import { NOT_OPEN } from '../support/descriptors';

const { SOL_SOCKET, SO_TYPE, SO_REUSEADDR } = constants;

const [near, far] = socketpair();
const poll = new Poll();
const epoll = new Epoll();
poll.register(near);
epoll.register(near);
afterAll(() => {
  for (const each of [poll, epoll, near, far]) each.close();
});

const NO_LIST = [...WRONG, undefined, 5, 'text', new Set([1]), { length: 1 }];
const NO_DESCRIPTOR = [
  ...NO_COUNT,
  undefined,
  { fileno: 5 },
  { fileno: () => 'x' },
  { fileno: () => -1 },
  { fileno: () => undefined },
];
const listed = NO_DESCRIPTOR.map((value) => [value]);
const NO_BYTES = [...NO_DATA, 'text'];
const bytes = Buffer.alloc(8);

describe('select', () => {
  test.each([
    misuse('read', 'read', NO_LIST, (value) => select(value, [], [], 0)),
    misuse('write', 'write', NO_LIST, (value) => select([], value, [], 0)),
    misuse('except', 'except', NO_LIST, (value) => select([], [], value, 0)),
    misuse('read descriptors', 'read', listed, (value) => select(value, [], [], 0)),
    misuse('write descriptors', 'write', listed, (value) => select([], value, [], 0)),
    misuse('except descriptors', 'except', listed, (value) => select([], [], value, 0)),
    misuse('seconds', 'seconds', NO_SECONDS, (value) => select([], [], [], value)),
  ])('$use', expectRefused);

  test('no arguments', () => {
    expect(() => (select as () => unknown)()).toThrow(TypeError);
  });
});

const watchers = [
  ['Poll', poll],
  ['Epoll', epoll],
] as const;
describe.each(watchers)('%s', (name, watcher: Poll | Epoll) => {
  const noMask = [...WRONG, 'text', [], NaN, 1.5, Infinity, 2 ** 31, -(2 ** 32)];
  test.each([
    misuse('register', 'descriptor', NO_DESCRIPTOR, (value) => watcher.register(value)),
    misuse('modify', 'descriptor', NO_DESCRIPTOR, (value) => watcher.modify(value, 1)),
    misuse('unregister', 'descriptor', NO_DESCRIPTOR, (value) => watcher.unregister(value)),
    misuse('register mask', 'mask', noMask, (value) => watcher.register(far, value)),
    misuse('modify mask', 'mask', [...noMask, undefined], (value) => watcher.modify(near, value)),
    misuse('poll', 'seconds', [...WRONG, 'text', '-1', [], NaN], (value) => watcher.poll(value)),
  ])('$use', expectRefused);

  test('still works afterwards', () => {
    expect(watcher.poll(0)).toEqual([[near.fileno(), POLLOUT]]);
    expect(() => watcher.unregister(far)).toThrow('ENOENT');
    expect(name).toBe(watcher.constructor.name);
  });
});

test('Epoll maxEvents', () => {
  const values = [...NO_COUNT, 0, 65_537];
  expectRefused(misuse('poll', 'maxEvents', values, (value) => epoll.poll(0, value)));
});

test('Poll masks are those of poll(2)', () => {
  expectRefused(misuse('register', 'mask', [-1, 0x8000], (value) => poll.register(far, value)));
});

describe('Socket', () => {
  const noFlags = NO_COUNT;
  const noHow = [...NO_COUNT, undefined, 3];
  const noValue = [
    ...WRONG.filter((value) => value !== true),
    undefined,
    'text',
    NaN,
    1.5,
    2 ** 31,
  ];
  const beyond = [...NO_COUNT, 9];
  test.each([
    misuse('create family', 'family', NO_COUNT, (value) => Socket.create(value)),
    misuse('create type', 'type', NO_COUNT, (value) => Socket.create(2, value)),
    misuse('create protocol', 'protocol', NO_COUNT, (value) => Socket.create(2, 1, value)),
    misuse('pair family', 'family', NO_COUNT, (value) => Socket.pair(value)),
    misuse('pair type', 'type', NO_COUNT, (value) => Socket.pair(1, value)),
    misuse('fromFd', 'fd', [...NO_COUNT, undefined], (value) => Socket.fromFd(value)),
    misuse('bind', 'address', NO_ADDRESS, (value) => near.bind(value)),
    misuse('connect', 'address', NO_ADDRESS, (value) => near.connect(value)),
    misuse('listen', 'backlog', [...NO_COUNT, undefined], (value) => near.listen(value)),
    misuse('shutdown', 'how', noHow, (value) => near.shutdown(value)),
    misuse('recvInto', 'buffer', NO_BYTES, (value) => near.recvInto(value)),
    misuse('recvInto offset', 'offset', beyond, (value) => near.recvInto(bytes, value)),
    misuse('recvInto length', 'length', beyond, (value) => near.recvInto(bytes, 0, value)),
    misuse('recvInto both', 'length', [5, 8], (value) => near.recvInto(bytes, 4, value)),
    misuse('recvInto flags', 'flags', noFlags, (value) => near.recvInto(bytes, 0, 8, value)),
    misuse('send', 'buffer', NO_BYTES, (value) => near.send(value)),
    misuse('send offset', 'offset', beyond, (value) => near.send(bytes, value)),
    misuse('send length', 'length', beyond, (value) => near.send(bytes, 0, value)),
    misuse('send both', 'length', [5, 8], (value) => near.send(bytes, 4, value)),
    misuse('send flags', 'flags', noFlags, (value) => near.send(bytes, 0, 8, value)),
    misuse('sendMany', 'buffers', NO_LIST, (value) => near.sendMany(value)),
    misuse('sendMany part', 'buffers', [[5], [bytes, 'x'], [null]], (value) =>
      near.sendMany(value),
    ),
    misuse('sendMany offset', 'offset', beyond, (value) => near.sendMany([bytes], value)),
    misuse('getsockopt level', 'level', NO_COUNT, (value) => near.getsockopt(value, 1)),
    misuse('getsockopt option', 'option', NO_COUNT, (value) => near.getsockopt(1, value)),
    misuse('getsockopt length', 'length', [...NO_COUNT, 0, 1025], (value) =>
      near.getsockopt(SOL_SOCKET, SO_TYPE, value),
    ),
    misuse('setsockopt level', 'level', NO_COUNT, (value) => near.setsockopt(value, 1, 1)),
    misuse('setsockopt option', 'option', NO_COUNT, (value) => near.setsockopt(1, value, 1)),
    misuse('setsockopt value', 'value', noValue, (value) =>
      near.setsockopt(SOL_SOCKET, SO_REUSEADDR, value),
    ),
  ])('$use', expectRefused);

  test('is unchanged after all errors', () => {
    expect(far.recvInto(Buffer.alloc(1))).toBeLessThan(0);
    far.send(Buffer.from('well'));
    expect(near.recvInto(bytes)).toBe(4);
  });

  test('an offset or length of exactly the available bytes is valid', () => {
    expect(near.send(bytes, 8)).toBe(0);
    expect(near.send(bytes, 8, 0)).toBe(0);
    expect(near.sendMany([bytes], 8)).toBe(0);
    expect(near.sendMany([])).toBe(0);
    expect(() => near.recvInto(bytes, 9, 0)).toThrow(RangeError);
  });
});

/** Every call that needs the descriptor. */
const calls: [string, (socket: Socket) => unknown][] = [
  ['bind', (socket) => socket.bind(['127.0.0.1', 0])],
  ['listen', (socket) => socket.listen(1)],
  ['accept', (socket) => socket.accept()],
  ['connect', (socket) => socket.connect(['127.0.0.1', 1])],
  ['recvInto', (socket) => socket.recvInto(Buffer.alloc(1))],
  ['send', (socket) => socket.send(Buffer.alloc(1))],
  ['sendMany', (socket) => socket.sendMany([Buffer.alloc(1), Buffer.alloc(1)])],
  ['unread', (socket) => socket.unread()],
  ['unacknowledged', (socket) => socket.unacknowledged()],
  ['shutdown', (socket) => socket.shutdown(constants.SHUT_RD)],
  ['getsockname', (socket) => socket.getsockname()],
  ['getpeername', (socket) => socket.getpeername()],
  ['getsockopt', (socket) => socket.getsockopt(SOL_SOCKET, SO_TYPE)],
  ['setsockopt', (socket) => socket.setsockopt(SOL_SOCKET, SO_REUSEADDR, true)],
];

describe('unusable descriptors', () => {
  test.each(calls)('%s of a closed socket is EBADF', (_name, call) => {
    const socket = Socket.create();
    socket.close();
    expect(thrownBy(() => call(socket))).toMatchObject({ name: 'SystemError', code: 'EBADF' });
  });

  test.each(calls)('%s of a detached socket is EBADF', (_name, call) => {
    const socket = Socket.create();
    const again = Socket.fromFd(socket.detach());
    expect(thrownBy(() => call(socket))).toMatchObject({ name: 'SystemError', code: 'EBADF' });
    again.close();
  });

  test.each(calls.filter(([name]) => !name.startsWith('un')))(
    '%s of a descriptor that is no socket is ENOTSOCK',
    (_name, call) => {
      const fd = new Epoll();
      const socket = Socket.fromFd(fd.fileno());
      expect(thrownBy(() => call(socket))).toMatchObject({ name: 'SystemError', code: 'ENOTSOCK' });
      fd.close();
    },
  );

  test('fromFd throws for a descriptor that is not open', () => {
    for (const fd of [NOT_OPEN, 2 ** 31 - 1]) {
      expect(thrownBy(() => Socket.fromFd(fd))).toMatchObject({ code: 'EBADF' });
    }
  });

  test('an unknown family or type is an error of the kernel', () => {
    expect(thrownBy(() => Socket.create(999))).toMatchObject({ code: 'EAFNOSUPPORT' });
    expect(thrownBy(() => Socket.create(2, 15))).toMatchObject({ name: 'SystemError' });
    expect(thrownBy(() => Socket.pair(constants.AF_INET))).toMatchObject({ errno: -95 });
  });

  test("an address of another family is the kernel's error", () => {
    const socket = Socket.create();
    for (const address of ['/nowhere', '\0nowhere', { host: '::1', port: 1 }] as const) {
      expect(thrownBy(() => socket.bind(address)).name).toBe('SystemError');
      expect(thrownBy(() => socket.connect(address)).name).toBe('SystemError');
    }
    socket.close();
  });
});

describe('Waker', () => {
  test('is created from the message of a posted waker', () => {
    const values = [
      null,
      undefined,
      5,
      'text',
      {},
      ...NO_COUNT.map((descriptor) => ({ descriptor })),
    ];
    expectRefused(misuse('new Waker', 'waker', values, (value) => new Waker(value)));
  });

  test('of a descriptor that is not open is EBADF', () => {
    const waker = new Waker({ descriptor: NOT_OPEN });
    expect(thrownBy(() => waker.wake())).toMatchObject({ code: 'EBADF' });
  });

  test('throws an error that says so after close', () => {
    const waker = new Waker({ descriptor: NOT_OPEN });
    waker.close();
    waker.close();
    expect(thrownBy(() => waker.wake())).toMatchObject({
      code: 'ERR_CLOSED',
      message: expect.stringMatching(/^wake: this waker is closed$/i) as string,
    });
  });
});
