/** asynchia/select: select(2) by itself, on whatever has a descriptor. */
import { execFileSync } from 'node:child_process';
import { readSync, writeSync } from 'node:fs';

import { constants, Socket, socketpair } from '../../lib';
import { EpollSocketMap } from '../../lib/maps';
import * as ours from '../../lib/select';
import { Epoll, Poll, POLLIN, POLLOUT, select } from '../../lib/select';
import { NOT_OPEN, Workshop } from '../support/descriptors';
import { isInstalled } from '../support/processes';

let shop: Workshop;
beforeEach(() => {
  shop = new Workshop();
});
afterEach(() => {
  shop.dispose();
});

describe('select', () => {
  let near: Socket;
  let far: Socket;
  beforeEach(() => {
    [near, far] = socketpair();
  });
  afterEach(() => {
    near.close();
    far.close();
  });

  test('gives back the very things that are ready, each in the list it was in', () => {
    const wrapped = { name: 'far', fileno: () => far.fileno() };
    far.send(Buffer.from('x'));
    const [readable, writable, exceptional] = select([near, wrapped], [wrapped], [near], 10);
    expect(readable).toEqual([near]);
    expect(writable[0]).toBe(wrapped);
    expect(exceptional).toEqual([]);
  });

  test('takes numbers and objects in one call, and the same descriptor twice', () => {
    far.send(Buffer.from('x'));
    const fd = near.fileno();
    expect(select([fd, near, fd], [fd], [], 10)).toEqual([[fd, near, fd], [fd], []]);
  });

  test('three empty lists when the time goes by', () => {
    expect(select([near], [], [near], 0.01)).toEqual([[], [], []]);
    expect(select([], [], [], 0)).toEqual([[], [], []]);
  });

  test('urgent data is exceptional', () => {
    const listener = Socket.create();
    listener.bind(['127.0.0.1', 0]);
    listener.listen(1);
    const client = Socket.create();
    client.connect(listener.getsockname());
    select([listener], [client], [], 10);
    const { socket } = listener.accept()!;
    client.send(Buffer.from('!'), 0, 1, constants.MSG_OOB);
    expect(select([], [], [socket], 10)[2]).toEqual([socket]);
    for (const each of [listener, client, socket]) each.close();
  });

  test('serves descriptors above 1023, at the ends of the words of a set too', () => {
    shop.occupyTo(1150);
    const pairs = Array.from({ length: 80 }, () => socketpair());
    const ready = pairs.filter((_, i) => i % 3 === 0);
    for (const [, other] of ready) other.send(Buffer.from('x'));
    const ends = pairs.map(([end]) => end);
    expect(Math.min(...ends.map((end) => end.fileno()))).toBeGreaterThan(1023);
    const [readable] = select(ends, [], [], 10);
    expect(readable).toEqual(ready.map(([end]) => end));
    for (const pair of pairs) for (const end of pair) end.close();
  });

  test('EBADF for a descriptor that is closed', () => {
    const { reader } = shop.pipe();
    shop.close(reader);
    expect(() => select([near, reader], [near], [], 0)).toThrow(
      expect.objectContaining({ code: 'EBADF', syscall: 'select' }) as Error,
    );
  });

  test('EBADF for a descriptor that never was open, far above all that are', () => {
    far.send(Buffer.from('x'));
    const badDescriptor = expect.objectContaining({ code: 'EBADF' }) as Error;
    expect(() => select([NOT_OPEN], [], [], 0)).toThrow(badDescriptor);
    expect(() => select([near, NOT_OPEN], [], [], 0)).toThrow(badDescriptor);
    expect(() => select([], [], [2 ** 31 - 1], 0)).toThrow(badDescriptor);
  });
});

const IN = POLLIN;
const OUT = POLLOUT;

/** What is ready on a descriptor, as each of the three tells it: in poll(2)'s bits. */
type Ready = (fd: number, seconds: number, mask?: number) => number;

const ways: Record<string, Ready> = {
  select: (fd, seconds, mask = IN | OUT) => {
    const [readable, writable] = select(mask & IN ? [fd] : [], mask & OUT ? [fd] : [], [], seconds);
    return readable.length * IN + writable.length * OUT;
  },
  poll: (fd, seconds, mask) => watchOnce(new Poll(), fd, seconds, mask),
  epoll: (fd, seconds, mask) => watchOnce(new Epoll(), fd, seconds, mask),
};

function watchOnce(watcher: Poll | Epoll, fd: number, seconds: number, mask = IN | OUT): number {
  watcher.register(fd, mask);
  const [ready] = watcher.poll(seconds);
  watcher.close();
  return ready?.[1] ?? 0;
}

describe.each(Object.entries(ways))('%s on every kind of descriptor', (_name, ready) => {
  test('a socket', () => {
    const [near, far] = socketpair();
    expect(ready(near.fileno(), 0)).toBe(OUT);
    far.send(Buffer.from('x'));
    expect(ready(near.fileno(), 10)).toBe(IN | OUT);
    near.close();
    far.close();
  });

  test('the two ends of a pipe', () => {
    const { reader, writer } = shop.pipe();
    expect(ready(reader, 0)).toBe(0);
    expect(ready(writer, 0)).toBe(OUT);
    writeSync(writer, 'x');
    expect(ready(reader, 10)).toBe(IN);
  });

  test('a pipe that is full', () => {
    const { reader, writer } = shop.pipe();
    const block = Buffer.alloc(65536);
    expect(() => {
      for (;;) writeSync(writer, block);
    }).toThrow('EAGAIN');
    expect(ready(writer, 0)).toBe(0);
    readSync(reader, block);
    expect(ready(writer, 10)).toBe(OUT);
  });

  test('a terminal', () => {
    const master = shop.terminal();
    expect(ready(master, 0)).toBe(OUT);
    writeSync(master, 'typed\n');
    // The echo comes when the kernel finds the time.
    expect(ready(master, 10, IN)).toBe(IN);
    expect(ready(master, 0)).toBe(IN | OUT);
  });

  test('an eventfd', () => {
    const map = new EpollSocketMap();
    const waker = map.createWaker();
    expect(ready(waker.descriptor, 0)).toBe(OUT);
    waker.wake();
    expect(ready(waker.descriptor, 0)).toBe(IN | OUT);
    waker.close();
    map.close();
  });

  test('an epoll instance', () => {
    const [near, far] = socketpair();
    const inner = new Epoll();
    inner.register(near, IN);
    expect(ready(inner.fileno(), 0)).toBe(0);
    far.send(Buffer.from('x'));
    expect(ready(inner.fileno(), 10)).toBe(IN);
    for (const each of [inner, near, far]) each.close();
  });
});

test('select and poll call a regular file always ready', () => {
  const file = shop.regularFile();
  expect(ways['select']?.(file, 0)).toBe(IN | OUT);
  expect(ways['poll']?.(file, 0)).toBe(IN | OUT);
});

// Left out, aloud, where it is not installed; in CI that is an error.
const testWithPython = isInstalled('python3') ? test : test.skip;

testWithPython("the constants are those of Python's select module", () => {
  const script =
    'import json, select; print(json.dumps({name: value for name, value in vars(select).items()' +
    ' if isinstance(value, int)}))';
  const told = execFileSync('python3', ['-c', script], { encoding: 'utf8' });
  const theirs = JSON.parse(told) as Record<string, number>;
  // A flag of a call that takes none here: what Epoll opens is always closed on exec.
  delete theirs['EPOLL_CLOEXEC'];
  const same = Object.entries(ours).flatMap(([name, value]) =>
    typeof value === 'number' ? [[name, value >>> 0]] : [],
  );
  expect(Object.fromEntries(same)).toEqual(theirs);
});
