/** asynchia/select: the objects Poll and Epoll, and their registrations. */
import { spawn } from 'node:child_process';
import { writeSync } from 'node:fs';

import { socketpair, type Socket } from '../../lib';
import {
  Epoll,
  EPOLLERR,
  EPOLLET,
  EPOLLHUP,
  EPOLLIN,
  EPOLLONESHOT,
  EPOLLOUT,
  EPOLLRDHUP,
  Poll,
  POLLHUP,
  POLLIN,
  POLLNVAL,
  POLLOUT,
  POLLRDHUP,
} from '../../lib/select';
import { flagsOf, NOT_OPEN, Workshop } from '../support/descriptors';
import { millisecondsOf } from '../support/kernels';
import { turnOver } from '../support/turns';

let shop: Workshop;
let near: Socket;
let far: Socket;
beforeEach(() => {
  shop = new Workshop();
  [near, far] = socketpair();
});
afterEach(() => {
  near.close();
  far.close();
  shop.dispose();
});

function failing(code: string): Error {
  return expect.objectContaining({ name: 'SystemError', code }) as Error;
}

describe.each([
  ['Poll', () => new Poll()],
  ['Epoll', () => new Epoll()],
] as const)('%s', (name, make) => {
  let watcher: Poll | Epoll;
  beforeEach(() => {
    watcher = make();
  });
  afterEach(() => watcher.close());

  test('reports a ready descriptor with its bits, at every poll', () => {
    watcher.register(near, POLLIN | POLLOUT);
    far.send(Buffer.from('x'));
    const expected = [[near.fileno(), POLLIN | POLLOUT]];
    expect(watcher.poll(10)).toEqual(expected);
    expect(watcher.poll(10)).toEqual(expected);
  });

  test('registers for reading, urgent data and writing by default', () => {
    watcher.register(near);
    expect(watcher.poll(10)).toEqual([[near.fileno(), POLLOUT]]);
  });

  test('reports only requested events', () => {
    watcher.register(near.fileno(), POLLIN);
    expect(watcher.poll(0)).toEqual([]);
    watcher.modify(near, POLLOUT);
    expect(watcher.poll(10)).toEqual([[near.fileno(), POLLOUT]]);
    watcher.modify(near, POLLIN);
    expect(watcher.poll(0)).toEqual([]);
  });

  test('does not report an unregistered descriptor', () => {
    watcher.register(near, POLLOUT);
    watcher.register({ fileno: () => far.fileno() }, POLLOUT);
    expect(watcher.poll(10)).toHaveLength(2);
    watcher.unregister(near);
    expect(watcher.poll(10)).toEqual([[far.fileno(), POLLOUT]]);
  });

  test('a wait of 0.1 ms does not take a whole millisecond', () => {
    watcher.register(near, POLLIN);
    const wait = (): void => void watcher.poll(0.0001);
    turnOver(() => millisecondsOf(wait) < 0.9);
  });

  test.each([-1, -0.001, -Infinity])('a time of %d is no limit, as in Python', (seconds) => {
    const { reader, writer } = shop.pipe();
    watcher.register(reader, POLLIN);
    // A child writes while this thread waits.
    const child = spawn('sh', ['-c', 'sleep 0.1; echo >&3'], {
      stdio: ['ignore', 'ignore', 'ignore', writer],
    });
    expect(watcher.poll(seconds)).toEqual([[reader, POLLIN]]);
    child.kill();
  });

  test('an empty list after the time-out, also without registrations', () => {
    expect(watcher.poll(0)).toEqual([]);
    expect(watcher.poll(0.01)).toEqual([]);
  });

  test('reports the end of a stream, and a hang-up without interest', () => {
    const { reader, writer } = shop.pipe();
    watcher.register(near, POLLRDHUP);
    watcher.register(reader, POLLIN);
    writeSync(writer, 'x');
    shop.close(writer);
    far.shutdown(1);
    expect(watcher.poll(10).sort(([a], [b]) => a - b)).toEqual(
      [
        [near.fileno(), POLLRDHUP],
        [reader, POLLIN | POLLHUP],
      ].sort(([a = 0], [b = 0]) => a - b),
    );
  });

  test('ENOENT for a descriptor that is not registered', () => {
    expect(() => watcher.modify(near, POLLIN)).toThrow(failing('ENOENT'));
    expect(() => watcher.unregister(near)).toThrow(failing('ENOENT'));
    watcher.register(near);
    watcher.unregister(near);
    expect(() => watcher.unregister(near)).toThrow(failing('ENOENT'));
  });

  test('a second close has no effect', () => {
    expect(watcher.closed).toBe(false);
    watcher.close();
    watcher.close();
    expect(watcher.closed).toBe(true);
    expect(watcher.fileno()).toBe(-1);
  });

  test('after close, methods throw an error that says so', () => {
    watcher.close();
    const uses: [string, () => unknown][] = [
      ['register', () => watcher.register(near)],
      ['modify', () => watcher.modify(near, POLLIN)],
      ['unregister', () => watcher.unregister(near)],
      ['poll', () => watcher.poll(0)],
    ];
    for (const [method, use] of uses) {
      expect(use).toThrow(
        expect.objectContaining({
          code: 'ERR_CLOSED',
          message: `${method}: this ${name} is closed`,
        }) as Error,
      );
    }
  });

  test('is closed at the end of a block with using', () => {
    watcher[Symbol.dispose]();
    expect(watcher.closed).toBe(true);
  });
});

describe('Poll alone', () => {
  test('registering again replaces the mask', () => {
    const poll = new Poll();
    poll.register(near, POLLIN);
    poll.register(near, POLLOUT);
    expect(poll.poll(10)).toEqual([[near.fileno(), POLLOUT]]);
  });

  test('POLLNVAL for a descriptor that is not open', () => {
    const poll = new Poll();
    poll.register(NOT_OPEN, POLLIN);
    expect(poll.poll(10)).toEqual([[NOT_OPEN, POLLNVAL]]);
  });

  test('has no descriptor of its own', () => {
    expect(new Poll().fileno()).toBe(-1);
  });
});

describe('Epoll alone', () => {
  let epoll: Epoll;
  beforeEach(() => {
    epoll = new Epoll();
  });
  afterEach(() => epoll.close());

  test('has a descriptor, closed on exec', () => {
    expect(flagsOf(epoll.fileno()).closeOnExec).toBe(true);
  });

  test('EEXIST for a registered descriptor', () => {
    epoll.register(near);
    expect(() => epoll.register(near)).toThrow(failing('EEXIST'));
    expect(() => epoll.register(near.fileno())).toThrow(failing('EEXIST'));
  });

  test('EBADF for a descriptor that is not open', () => {
    for (const fd of [NOT_OPEN, 2 ** 31 - 1]) {
      expect(() => epoll.register(fd)).toThrow(failing('EBADF'));
      expect(() => epoll.modify(fd, EPOLLIN)).toThrow(failing('EBADF'));
      expect(() => epoll.unregister(fd)).toThrow(failing('EBADF'));
    }
  });

  test('EPERM for a regular file', () => {
    expect(() => epoll.register(shop.regularFile())).toThrow(failing('EPERM'));
  });

  test('EINVAL for itself', () => {
    expect(() => epoll.register(epoll)).toThrow(failing('EINVAL'));
  });

  test('EPOLLET reports changes only', () => {
    epoll.register(near, EPOLLIN | EPOLLET);
    far.send(Buffer.from('x'));
    expect(epoll.poll(10)).toEqual([[near.fileno(), EPOLLIN]]);
    expect(epoll.poll(0)).toEqual([]);
    far.send(Buffer.from('y'));
    expect(epoll.poll(10)).toEqual([[near.fileno(), EPOLLIN]]);
  });

  test('EPOLLONESHOT reports once, then nothing until modify', () => {
    epoll.register(near, EPOLLIN | EPOLLONESHOT);
    far.send(Buffer.from('x'));
    expect(epoll.poll(10)).toEqual([[near.fileno(), EPOLLIN]]);
    far.send(Buffer.from('y'));
    expect(epoll.poll(0)).toEqual([]);
    epoll.modify(near, EPOLLIN | EPOLLONESHOT);
    expect(epoll.poll(10)).toEqual([[near.fileno(), EPOLLIN]]);
  });

  test('a closed peer is reported with all its bits', () => {
    epoll.register(near, EPOLLIN | EPOLLOUT | EPOLLRDHUP);
    near.send(Buffer.from('never read'));
    far.close();
    const [[, bits] = [0, 0]] = epoll.poll(10);
    expect(bits).toBe(EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP | EPOLLERR);
  });

  test('maxEvents limits a batch; the rest is in the next', () => {
    epoll.register(near, EPOLLOUT);
    epoll.register(far, EPOLLOUT);
    const first = epoll.poll(10, 1);
    expect(first).toHaveLength(1);
    const seen = new Set([...first, ...epoll.poll(10, 1)].map(([fd]) => fd));
    expect(seen).toEqual(new Set([near.fileno(), far.fileno()]));
  });
});
