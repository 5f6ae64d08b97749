/** Descriptors that are no sockets, and descriptors that others share. */
import { spawnSync } from 'node:child_process';
import { constants as fs, openSync, readSync, writeSync } from 'node:fs';

import { AcceptHandler, constants, DefaultSocketMap, Handler, IOHandler, Socket } from '../../lib';
import { binding } from '../../lib/system/binding';
import { flagsOf, Workshop } from '../support/descriptors';
import { onEverySystemMap } from '../support/maps';
import { Program, root } from '../support/processes';
import { Recorder } from '../support/recorder';
import { createSocket, tcpPair } from '../support/streams';
import { expectQuiet, turnUntil, until } from '../support/turns';

// What a thread's maps share is opened before there are numbers that two may close.
beforeAll(async () => {
  const map = new DefaultSocketMap();
  map.callIn(0, () => map.close());
  await map.run();
});

let shop: Workshop;
beforeEach(() => (shop = new Workshop()));
afterEach(() => shop.dispose());

/** Another process that has the descriptor as its standard input clears O_NONBLOCK. */
function clearNonBlocking(fd: number): void {
  const script = 'import fcntl; fcntl.fcntl(0, fcntl.F_SETFL, 0)';
  spawnSync('python3', ['-c', script], { stdio: [fd, 'ignore', 'inherit'] });
  expect(flagsOf(fd).nonBlocking).toBe(false);
}

onEverySystemMap('descriptors that are no sockets', (map) => {
  test('an IOHandler sends and receives over a pipe', () => {
    const { reader, writer } = shop.pipe();
    const input = new Recorder(map(), Socket.borrow(reader));
    const output = new Recorder(map(), Socket.fromFd(writer));
    const BIG = 'pipe '.repeat(100_000);
    output.sendAll(BIG);
    output.end();
    turnUntil(map(), () => input.closed && output.closed, 'both to end');
    expect(input.received === BIG).toBe(true);
    expect(input.events.slice(-2)).toEqual(['close', 'cleanup']);
    expect(output.events.slice(-1)).toEqual(['cleanup']);
    shop.forget(writer);
  });

  test('a paused reader of a pipe gets the end when it has read', () => {
    const { reader, writer } = shop.pipe();
    const input = new Recorder(map(), Socket.borrow(reader));
    input.setReadable(false);
    writeSync(writer, 'unread');
    shop.close(writer);
    expectQuiet(map());
    expect(input.events).toEqual([]);
    input.setReadable(true);
    turnUntil(map(), () => input.closed, 'the end');
    expect(input.events).toEqual(['read unread', 'close', 'cleanup']);
  });

  test('a writer of a pipe whose reader is gone gets write EPIPE', () => {
    const { reader, writer } = shop.pipe();
    const output = new Recorder(map(), Socket.borrow(writer));
    let told: unknown;
    output.handleClose = (error) => void (told = error);
    shop.close(reader);
    turnUntil(map(), () => output.closed, 'the end');
    expect(told).toMatchObject({ syscall: 'write', code: 'EPIPE' });
  });

  test('an IOHandler sends and receives over a terminal', () => {
    const handler = new Recorder(map(), Socket.borrow(shop.terminal()));
    handler.sendAll('echo\n');
    turnUntil(map(), () => handler.received.includes('echo'), 'the echo');
    expectQuiet(map());
    expect(handler.closed).toBe(false);
    handler.close();
  });

  test('a hang-up of a terminal is an end without an error', async () => {
    const reader = `
      const { IOHandler, Socket, DefaultSocketMap } = require('asynchia');
      const map = new DefaultSocketMap();
      class Reader extends IOHandler {
        handleRead() { console.log('read ' + this.read(100).toString().trim()); }
        handleClose(error) { console.log('closed ' + error); }
        handleCleanup() { map.close(); }
      }
      new Reader(map, Socket.fromFd(Number(process.argv[1]))).setReadable(true);
      map.callIn(0, () => console.log('ready'));
      map.runSync();`;
    const terminal = `
import os, subprocess, sys
master, slave = os.openpty()
command = [sys.argv[1], '-e', sys.argv[2], str(slave)]
program = subprocess.Popen(command, pass_fds=[slave], stdout=subprocess.PIPE)
os.close(slave)
program.stdout.readline()
os.write(master, b'text\\n')
program.stdout.readline()
os.close(master)
sys.stdout.write(program.stdout.read().decode())
sys.exit(program.wait())`;
    const args = ['-c', terminal, process.execPath, reader];
    const program = new Program('python3', args, { ASYNCHIA_MAP: map().backend });
    expect(await program.ends()).toBe(0);
    expect(program.stdout).toBe('closed undefined\n');
  });

  test('an IOHandler reads a character device', () => {
    const handler = new Recorder(map(), Socket.borrow(shop.open('/dev/zero', fs.O_RDONLY)));
    handler.readBytes = 4;
    turnUntil(map(), () => handler.received.length >= 4, 'bytes');
    expect(handler.events[0]).toBe('read \0\0\0\0');
    handler.close();
  });

  test('an IOHandler refuses what has no stream of bytes, at construction', () => {
    const file = Socket.borrow(shop.regularFile());
    expect(() => new IOHandler(map(), file)).toThrow(
      /^sock must be .* is a regular file: watch it/,
    );
    const folder = Socket.borrow(shop.open('.', fs.O_RDONLY));
    expect(() => new IOHandler(map(), folder)).toThrow(TypeError);
    expect(map().isEmpty()).toBe(true);
    new Handler(map(), file).close();
  });

  test("a socket's calls say what the descriptor is", () => {
    const { reader } = shop.pipe();
    const pipe = Socket.borrow(reader);
    const handler = new Recorder(map(), pipe);
    const calls = [
      () => pipe.getsockname(),
      () => pipe.getsockopt(constants.SOL_SOCKET, constants.SO_ERROR),
      () => pipe.accept(),
      () => handler.shutdown(constants.SHUT_WR),
      () => handler.peek(1),
    ];
    for (const call of calls) {
      expect(call).toThrow(
        `ENOTSOCK: socket operation on non-socket: descriptor ${reader} is a pipe`,
      );
    }
    handler.close();
  });

  test('a failing transfer names read(2) or write(2)', () => {
    const { reader, writer } = shop.pipe();
    expect(() => Socket.borrow(reader).send(Buffer.from('x'))).toThrow('write EBADF');
    expect(() => Socket.borrow(writer).recvInto(Buffer.alloc(1))).toThrow('read EBADF');
  });
});

onEverySystemMap('descriptors that others share', (map) => {
  test('a listener whose O_NONBLOCK another process clears does not block the loop', () => {
    const listener = new AcceptHandler(map());
    let accepted = 0;
    listener.handleAccept = (socket) => {
      accepted++;
      socket.close();
    };
    listener.bind(['127.0.0.1', 0]);
    listener.listen(8);
    clearNonBlocking(listener.fileno());
    const client = createSocket();
    client.connect(listener.socket.getsockname());
    turnUntil(map(), () => accepted === 1, 'a connection');
    client.close();
    clearNonBlocking(listener.fileno());
    expect(listener.socket.accept()).toBeUndefined();
  });

  test('a pipe whose O_NONBLOCK another process clears does not block the loop', () => {
    const { reader, writer } = shop.pipe();
    const [input, output] = [Socket.borrow(reader), Socket.borrow(writer)];
    clearNonBlocking(reader);
    clearNonBlocking(writer);
    expect(input.recv(1)).toBeUndefined();
    const sent = output.send(Buffer.alloc(1 << 20));
    expect(sent).toBeGreaterThan(0);
    expect(sent).toBeLessThan(1 << 20);
  });

  test.each(['close', 'detach'] as const)('%s restores O_NONBLOCK as it was found', (how) => {
    const { reader } = shop.pipe();
    clearNonBlocking(reader);
    // A second descriptor of the same open file description.
    const second = binding.duplicate(reader);
    const socket = Socket.fromFd(second);
    expect(flagsOf(reader).nonBlocking).toBe(true);
    if (how === 'detach') shop.keep(socket.detach());
    else socket.close();
    expect(flagsOf(reader).nonBlocking).toBe(false);
  });

  test('a borrowed descriptor is watched, and stays open as it was', () => {
    const { reader, writer } = shop.pipe();
    clearNonBlocking(reader);
    class Watching extends Handler {
      text = '';
      override handleRead(): void {
        const bytes = Buffer.alloc(16);
        this.text += bytes.toString('latin1', 0, readSync(reader, bytes));
      }
    }
    const handler = new Watching(map(), Socket.borrow(reader));
    handler.setReadable(true);
    writeSync(writer, 'watched');
    turnUntil(map(), () => handler.text === 'watched', 'bytes');
    handler.close();
    expect(flagsOf(reader).nonBlocking).toBe(false);
    const reading = Socket.borrow(reader);
    expect(reading.recv(1)).toBeUndefined();
    expect(flagsOf(reader).nonBlocking).toBe(true);
    reading.close();
    expect(flagsOf(reader).nonBlocking).toBe(false);
  });

  test('urgent data that a handler reads by means of its own is told again after noteRead()', () => {
    const [ours, theirs] = tcpPair();
    class Urgent extends Handler {
      times = 0;
      override handleExcept(): void {
        this.times++;
        Socket.borrow(this.fileno()).recvInto(Buffer.alloc(8), 0, 1, constants.MSG_OOB);
        this.noteRead();
      }
    }
    const handler = new Urgent(map(), ours);
    for (const times of [1, 2]) {
      theirs.send(Buffer.from('!'), 0, 1, constants.MSG_OOB);
      turnUntil(map(), () => handler.times === times, 'urgent data');
      expectQuiet(map());
    }
    theirs.close();
  });

  test('a change notification is told again and again, and is no end', () => {
    const file = shop.open('/proc/self/mountinfo', fs.O_RDONLY);
    class Mounts extends Handler {
      times = 0;
      ends = 0;
      override handleExcept(): void {
        this.times++;
        readSync(file, Buffer.alloc(4096), 0, 4096, 0);
      }
      override handleClose(): void {
        this.ends++;
      }
    }
    const handler = new Mounts(map(), Socket.borrow(file));
    expectQuiet(map());
    for (const times of [1, 2, 3]) {
      if (!remount(shop.folder)) return;
      turnUntil(map(), () => handler.times >= times, 'the notification');
      expectQuiet(map());
    }
    expect(handler.ends).toBe(0);
    expect(handler.closed).toBe(false);
  });

  test('a change notification is delivered inside Node’s loop, too', async () => {
    const file = shop.open('/proc/self/mountinfo', fs.O_RDONLY);
    let times = 0;
    class Mounts extends Handler {
      override handleExcept(): void {
        times++;
      }
    }
    new Mounts(map(), Socket.borrow(file));
    expectQuiet(map());
    const running = map().run();
    for (const wanted of [1, 2, 3]) {
      if (!remount(shop.folder)) break;
      await until(() => times >= wanted, 'the notification');
    }
    map().close();
    await running;
  });
});

/** Changes the mounts of this process; false where it may not. */
function remount(folder: string): boolean {
  const options = { stdio: 'ignore' } as const;
  if (spawnSync('mount', ['-t', 'tmpfs', 'none', folder], options).status !== 0) {
    process.stderr.write('no right to mount, so change notifications are not tested\n');
    return false;
  }
  spawnSync('umount', [folder], options);
  return true;
}

test.each(['process.exit()', 'handler.close()', '', "process.kill(process.pid, 'SIGTERM')"])(
  'standard input is as it was found when a process has ended by: %s',
  (ending) => {
    const script = `
      const { IOHandler, Socket } = require('asynchia');
      const { PollSocketMap } = require('asynchia/maps');
      const map = new PollSocketMap();
      const handler = new IOHandler(map, Socket.fromFd(0));
      const info = require('node:fs').readFileSync('/proc/self/fdinfo/0', 'utf8');
      if (!(parseInt(/flags:\\s*(\\d+)/.exec(info)[1], 8) & 0o4000)) process.abort();
      ${ending};`;
    const pipe = `${shop.folder}/pipe-0`;
    shop.pipe();
    const fd = shop.keep(openSync(pipe, fs.O_RDWR));
    expect(flagsOf(fd).nonBlocking).toBe(false);
    const stdio = [fd, 'ignore', 'inherit'] as const;
    const child = spawnSync(process.execPath, ['-e', script], { cwd: root, stdio: [...stdio] });
    expect(child.signal).not.toBe('SIGABRT');
    expect(flagsOf(fd).nonBlocking).toBe(false);
  },
);
