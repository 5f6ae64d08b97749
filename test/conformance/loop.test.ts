import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import { Handler, IOHandler, Socket, type SocketMap } from '../../lib';
import { millisecondsOf } from '../support/kernels';
import { onEveryMap, onEverySystemMap } from '../support/maps';
import { Recorder } from '../support/recorder';
import { linesOf, scriptOn } from '../support/scripts';
import { sendText, socketpair } from '../support/streams';
import { turnOver, turnUntil } from '../support/turns';

onEveryMap('waits', (map, { testOnSystem, testWithoutFaults }) => {
  test.each([0.0001, 0.001, 0.0015, 0.0123, 0.05])(
    'rule 10: a wait of %f seconds is never short',
    (seconds) => {
      for (let i = 0; i < 5; i++) {
        expect(millisecondsOf(() => map().poll(seconds))).toBeGreaterThanOrEqual(seconds * 1e3);
      }
    },
  );

  test('rule 10: a wait of 0.1 ms does not take a whole millisecond', () => {
    // On a busy machine each single one may.
    turnOver(() => millisecondsOf(() => map().poll(0.0001)) < 0.9);
  });

  testOnSystem('rule 10: signals neither shorten a wait nor restart it', async () => {
    const program = scriptOn(
      map(),
      `
      let signals = 0;
      process.on('SIGUSR2', () => signals++);
      const map = new DefaultSocketMap();
      say('waiting');
      const start = process.hrtime.bigint();
      const count = map.poll(0.4);
      const isShort = process.hrtime.bigint() - start < 400000000n;
      say('waited');
      // Node learns of a signal only in its own loop.
      const check = setInterval(() => {
        if (signals === 0) return;
        clearInterval(check);
        say(count + (isShort ? ' short' : ' in full'));
        process.exit();
      }, 1);
    `,
    );
    await program.says('waiting');
    // Signals come until the wait ends: a wait restarted by each signal would never end.
    const signalling = setInterval(() => program.kill('SIGUSR2'), 5);
    try {
      await program.says('waited');
    } finally {
      clearInterval(signalling);
    }
    expect(await linesOf(program)).toEqual(['waiting', 'waited', '0 in full']);
  });

  testWithoutFaults(
    'rule 10: bytes that a paused handler leaves unread do not shorten a wait',
    () => {
      const [left, right] = socketpair();
      const recorder = new Recorder(map(), left);
      recorder.setReadable(false);
      sendText(right, 'a');
      expect(millisecondsOf(() => map().poll(0.02))).toBeGreaterThanOrEqual(20);
      recorder.setReadable(true);
      expect(map().poll()).toBe(1);
      expect(recorder.events).toEqual(['read a']);
      right.close();
    },
  );

  testWithoutFaults('a wait of 0 seconds does not block', () => {
    const [left, right] = socketpair();
    const recorder = new Recorder(map(), left);
    sendText(right, 'a');
    expect(map().poll(0)).toBe(1);
    expect(map().poll(0)).toBe(0);
    expect(recorder.received).toBe('a');
    right.close();
  });

  testWithoutFaults('a wait without a time limit ends with an event', () => {
    const [left, right] = socketpair();
    const recorder = new Recorder(map(), left);
    sendText(right, 'a');
    expect(map().poll()).toBe(1);
    right.close();
    expect(map().poll(Infinity)).toBe(1);
    expect(recorder.events).toEqual(['read a', 'close', 'cleanup']);
  });
});

/** Reads one byte at a time, and always has write interest. */
class Greedy extends IOHandler {
  reads = 0;
  writes = 0;

  constructor(socketMap: SocketMap, socket: Socket) {
    super(socketMap, socket);
    this.setReadable(true);
    this.setWritable(true);
  }

  override handleRead(): void {
    this.reads++;
    this.read(1);
  }

  override handleWrite(): void {
    this.writes++;
  }
}

onEveryMap('fairness', (map, { testWithoutFaults }) => {
  testWithoutFaults('rule 12: an iteration calls each callback of a ready handler once', () => {
    const pairs = Array.from({ length: 3 }, () => socketpair());
    const handlers = pairs.map(([left]) => new Greedy(map(), left));
    for (const [, right] of pairs) right.send(Buffer.alloc(1000));
    for (let turn = 1; turn <= 10; turn++) {
      expect(map().poll()).toBe(3);
      for (const handler of handlers) expect([handler.reads, handler.writes]).toEqual([turn, turn]);
    }
    for (const [, right] of pairs) right.close();
  });

  testWithoutFaults(
    'rules 12, 16: when more handlers are ready than one wait can report, each is called in the end',
    () => {
      const pairs = Array.from({ length: 1500 }, () => socketpair());
      const handlers = pairs.map(([left]) => new Greedy(map(), left));
      for (const [, right] of pairs) right.send(Buffer.alloc(100));
      expect(Math.max(...handlers.map((handler) => handler.fileno()))).toBeGreaterThan(1023);
      for (let turn = 1; turn <= 8; turn++) map().poll();
      const reads = handlers.map((handler) => handler.reads);
      expect(Math.max(...reads)).toBeLessThanOrEqual(8);
      expect(Math.min(...reads)).toBeGreaterThan(1);
      for (const [, right] of pairs) right.close();
    },
  );
});

/** Reads a file: recv(2) works on sockets only. */
class FileReader extends Handler {
  text = '';
  writes = 0;

  override handleRead(): void {
    const bytes = Buffer.alloc(4);
    const count = fs.readSync(this.fileno(), bytes, 0, bytes.length, null);
    this.text += bytes.toString('latin1', 0, count);
    if (count === 0) this.close();
  }

  override handleWrite(): void {
    this.writes++;
  }
}

onEverySystemMap('descriptors of every kind', (map) => {
  let directory: string;
  beforeEach(() => {
    directory = fs.mkdtempSync(path.join(os.tmpdir(), 'asynchia-'));
    fs.writeFileSync(path.join(directory, 'file'), 'all that is in it');
  });
  afterEach(() => fs.rmSync(directory, { recursive: true }));

  function openFile(): Socket {
    return Socket.fromFd(fs.openSync(path.join(directory, 'file'), 'r+'));
  }

  test('rule 16: a descriptor above 1023 works', () => {
    const others = Array.from({ length: 600 }, () => socketpair());
    const [left, right] = socketpair();
    expect(left.fileno()).toBeGreaterThan(1023);
    const recorder = new Recorder(map(), left);
    sendText(right, 'from above');
    turnUntil(map(), () => recorder.received !== '', 'bytes');
    recorder.sendAll('to above');
    expect(right.unread()).toBeGreaterThan(0);
    right.close();
    turnUntil(map(), () => recorder.closed, 'the end');
    expect(recorder.events.filter((event) => event !== 'write')).toEqual([
      'read from above',
      'close ECONNRESET',
      'cleanup',
    ]);
    for (const socket of others.flat()) socket.close();
  });

  test('rule 16: a regular file is always ready', () => {
    const reader = new FileReader(map(), openFile());
    reader.setReadable(true);
    for (let turn = 1; turn <= 5; turn++) expect(map().poll()).toBe(1);
    expect(reader.text).toBe('all that is in it');
    expect(map().poll()).toBe(1);
    expect(reader.closed).toBe(true);
    expect(map().isEmpty()).toBe(true);
    expect(map().poll(0)).toBe(0);
  });

  test('rule 16: a regular file without interest does not wake the map', () => {
    const reader = new FileReader(map(), openFile());
    expect(millisecondsOf(() => map().poll(0.02))).toBeGreaterThanOrEqual(20);
    reader.setWritable(true);
    expect(map().poll()).toBe(1);
    expect(reader.writes).toBe(1);
    reader.setWritable(false);
    expect(millisecondsOf(() => map().poll(0.02))).toBeGreaterThanOrEqual(20);
    expect(reader.writes).toBe(1);
  });

  test('rule 16: sockets and timers are served beside a regular file', () => {
    const reader = new FileReader(map(), openFile());
    reader.setWritable(true);
    const [left, right] = socketpair();
    const recorder = new Recorder(map(), left);
    let hasRun = false;
    map().callIn(0.005, () => (hasRun = true));
    sendText(right, 'a');
    expect(map().poll()).toBe(2);
    turnUntil(map(), () => hasRun, 'a timer');
    expect(recorder.received).toBe('a');
    right.close();
  });

  test('rule 16: a regular file is always ready in run(), and Node continues', async () => {
    const reader = new FileReader(map(), openFile());
    reader.setWritable(true);
    setTimeout(() => {
      reader.setReadable(true);
    }, 5);
    reader.handleCleanup = () => map().close();
    await map().run();
    expect(reader.text).toBe('all that is in it');
    expect(reader.writes).toBeGreaterThan(0);
  });
});
