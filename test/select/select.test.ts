/** The entry point asynchia/select: select(), how long waits last, inherited descriptors. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import { constants, Socket, socketpair } from '../../lib';
import { EpollSocketMap } from '../../lib/maps';
import * as ours from '../../lib/select';
import { Epoll, Poll, POLLIN, POLLOUT, select } from '../../lib/select';
import { NOT_OPEN, runWithDescriptor, Workshop } from '../support/descriptors';
import { millisecondsOf } from '../support/kernels';
import { isInstalled, runScript } from '../support/processes';
import { turnOver } from '../support/turns';

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

  test('returns the same objects that were passed, each in its list', () => {
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

  test('reads a list live: what fileno() takes out of it is not asked for', () => {
    const list: { fileno(): number }[] = [];
    const shrinking = {
      fileno: () => {
        list.pop();
        return near.fileno();
      },
    };
    list.push(...Array.from({ length: 10 }, () => shrinking));
    // As CPython's test_select_mutated has it.
    expect(select([], list, [], 10)).toEqual([[], Array(5).fill(shrinking), []]);
  });

  test('gives back the object that it asked, where fileno() puts another in its place', () => {
    const list: { fileno(): number }[] = [];
    const asked = {
      fileno: () => {
        list[0] = far;
        return near.fileno();
      },
    };
    list.push(asked);
    expect(select([], list, [], 10)[1][0]).toBe(asked);
  });

  test('a wait of 0.1 ms does not take a whole millisecond', () => {
    const wait = (): void => void select([near], [], [], 0.0001);
    turnOver(() => millisecondsOf(wait) < 0.9);
  });

  test('three empty lists after the time-out', () => {
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

  test('works with descriptors above 1023, also at word boundaries of a set', () => {
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

  test('EBADF for a closed descriptor', () => {
    const { reader } = shop.pipe();
    shop.close(reader);
    expect(() => select([near, reader], [near], [], 0)).toThrow(
      expect.objectContaining({ code: 'EBADF', syscall: 'select' }) as Error,
    );
  });

  test('EBADF for a descriptor far above all open ones', () => {
    far.send(Buffer.from('x'));
    const badDescriptor = expect.objectContaining({ code: 'EBADF' }) as Error;
    expect(() => select([NOT_OPEN], [], [], 0)).toThrow(badDescriptor);
    expect(() => select([near, NOT_OPEN], [], [], 0)).toThrow(badDescriptor);
    expect(() => select([], [], [2 ** 31 - 1], 0)).toThrow(badDescriptor);
  });
});

const IN = POLLIN;
const OUT = POLLOUT;

/** The readiness of a descriptor by select, Poll and Epoll, in bits of poll(2). */
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
    // The terminal echoes asynchronously.
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

test('select and poll report a regular file as always ready', () => {
  const file = shop.regularFile();
  expect(ways['select']?.(file, 0)).toBe(IN | OUT);
  expect(ways['poll']?.(file, 0)).toBe(IN | OUT);
});

// Skipped with a message where it is not installed; under ASYNCHIA_ALL_TOOLS=1 that is an error.
const testWithPython = isInstalled('python3') ? test : test.skip;

testWithPython("the constants are those of Python's select module", () => {
  const script =
    'import json, select; print(json.dumps({name: value for name, value in vars(select).items()' +
    ' if isinstance(value, int)}))';
  const told = execFileSync('python3', ['-c', script], { encoding: 'utf8' });
  const theirs = JSON.parse(told) as Record<string, number>;
  // Epoll takes no flags: its descriptor is always close-on-exec.
  delete theirs['EPOLL_CLOEXEC'];
  const same = Object.entries(ours).flatMap(([name, value]) =>
    typeof value === 'number' ? [[name, value >>> 0]] : [],
  );
  expect(Object.fromEntries(same)).toEqual(theirs);
});

/** How long `wait` took, in seconds. */
function lasts(wait: () => unknown): number {
  const start = process.hrtime.bigint();
  wait();
  return Number(process.hrtime.bigint() - start) / 1e9;
}

const [near, far] = socketpair();
const poll = new Poll();
const epoll = new Epoll();
poll.register(near, POLLIN);
epoll.register(near, POLLIN);
afterAll(() => {
  for (const each of [poll, epoll, near, far]) each.close();
});

const waits: [string, (seconds: number) => unknown[]][] = [
  ['select', (seconds) => select([near], [], [], seconds)[0]],
  ['Poll', (seconds) => poll.poll(seconds)],
  ['Epoll', (seconds) => epoll.poll(seconds)],
];

// Only lower bounds: a busy machine may take longer.
describe.each(waits)('time-outs of %s', (name, wait) => {
  test.each([0.0001, 0.00051, 0.0009, 0.0011, 0.00199, 0.0105, 0.0333])(
    'rule 10: a wait of %d seconds is never short',
    (seconds) => {
      for (let i = 0; i < 5; i++) {
        expect(lasts(() => expect(wait(seconds)).toEqual([]))).toBeGreaterThanOrEqual(seconds);
      }
    },
  );

  test.each([Infinity, Number.MAX_VALUE, 2 ** 53, 2 ** 31, 3e6])(
    'a wait of %d seconds ends with an event',
    (seconds) => {
      far.send(Buffer.from('x'));
      expect(wait(seconds)).toHaveLength(1);
      near.recvInto(Buffer.alloc(1));
    },
  );

  test('a wait without a time limit ends with an event', () => {
    far.send(Buffer.from('x'));
    const watcher = name === 'Poll' ? poll : epoll;
    const ready = name === 'select' ? select([near], [], [])[0] : watcher.poll();
    expect(ready).toHaveLength(1);
    near.recvInto(Buffer.alloc(1));
  });
});

/** Waits in a process that gets many signals, and prints for how many seconds. */
function waitUnderSignals(wait: string): string {
  return `
const { select, Poll, Epoll } = require('asynchia/select');
const { spawn } = require('node:child_process');
let caught = 0;
process.on('SIGUSR2', () => caught++);
spawn('sh', ['-c', 'for i in 1 2 3 4 5 6 7 8; do sleep 0.02; kill -USR2 ' + process.pid + '; done']);
const start = process.hrtime.bigint();
const ready = ${wait};
const seconds = Number(process.hrtime.bigint() - start) / 1e9;
const said = setInterval(() => {
  if (caught === 0) return;
  clearInterval(said);
  console.log(JSON.stringify({ ready: ready.flat(), seconds }));
}, 5);`;
}

test.each(['select([], [], [], 0.25)', 'new Poll().poll(0.25)', 'new Epoll().poll(0.25)'])(
  'rule 10: signals do not shorten %s',
  async (wait) => {
    const program = runScript(waitUnderSignals(wait));
    expect(await program.ends()).toBe(0);
    const { ready, seconds } = JSON.parse(program.stdout) as { ready: unknown[]; seconds: number };
    expect(ready).toEqual([]);
    expect(seconds).toBeGreaterThanOrEqual(0.25);
  },
);

/** Prints the readiness of `fd` by select, Poll and Epoll. */
const WATCH = `
const all = { select: () => select([fd], [], [], 0)[0] };
for (const Kind of [Poll, Epoll]) {
  const watcher = new Kind();
  watcher.register(fd, bits.POLLIN);
  all[Kind.name] = (seconds = 0) => watcher.poll(seconds).map(([number]) => number);
}
const report = (when) => {
  const seen = Object.entries(all).map(([name, look]) => name + ' ' + (look()[0] === fd));
  console.log(when + ': ' + seen.join(', '));
};`;

describe('on an inherited descriptor', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'asynchia-'));
  });
  afterEach(() => {
    rmSync(folder, { recursive: true });
  });

  testWithPython('a timerfd becomes readable when it expires', async () => {
    const program = runWithDescriptor(
      'timerfd',
      folder,
      `${WATCH} select([fd], [], [], 10); report('after');`,
    );
    expect(await program.ends()).toBe(0);
    expect(program.stderr).toBe('');
    expect(program.stdout).toBe('after: select true, Poll true, Epoll true\n');
  });

  testWithPython('an inotify descriptor becomes readable when a file is created', async () => {
    const program = runWithDescriptor(
      'inotify',
      folder,
      `${WATCH} report('before'); all.Epoll(10); report('after');`,
    );
    await program.says('before: select false, Poll false, Epoll false\n');
    writeFileSync(path.join(folder, 'news'), '');
    expect(await program.ends()).toBe(0);
    expect(program.stdout).toContain('after: select true, Poll true, Epoll true\n');
  });

  testWithPython('an eventfd becomes readable when it is written', async () => {
    const program = runWithDescriptor(
      'eventfd',
      folder,
      `${WATCH} report('before'); require('fs').writeSync(fd, Buffer.alloc(8, 1)); report('after');`,
    );
    expect(await program.ends()).toBe(0);
    expect(program.stdout).toBe(
      'before: select false, Poll false, Epoll false\nafter: select true, Poll true, Epoll true\n',
    );
  });

  testWithPython('a terminal becomes readable when a line is typed', async () => {
    const program = runWithDescriptor(
      'terminal',
      folder,
      `${WATCH}
       const tty = require('tty').isatty(fd);
       report('before'); require('fs').writeSync(fd - 1, 'typed\\n'); all.Poll(10);
       report('after on a tty: ' + tty);`,
    );
    expect(await program.ends()).toBe(0);
    expect(program.stdout).toBe(
      'before: select false, Poll false, Epoll false\n' +
        'after on a tty: true: select true, Poll true, Epoll true\n',
    );
  });
});
