/** LineHandler: splits received bytes into lines; its limits, its errors, its memory. */
import v8 from 'node:v8';
import vm from 'node:vm';

import { constants, IOHandler, Socket, type SocketMap } from '../../lib';
import { LineHandler } from '../../lib/protocols';
import { Lines } from '../support/lines';
import { onEveryMap, onEverySystemMap } from '../support/maps';
import { insist, receiveText, sendText, socketpair, tcpListener } from '../support/streams';
import { expectQuiet, turnUntil } from '../support/turns';

onEveryMap('LineHandler', (map, { testOnSystem, testWithoutFaults }) => {
  let theirs: Socket;
  let handler: Lines;

  function start(delimiter?: string | Uint8Array): void {
    const [ours, peer] = socketpair();
    theirs = peer;
    handler = new Lines(map(), ours, delimiter);
  }

  /** Sends each chunk in an iteration of its own. */
  function says(...chunks: string[]): void {
    for (const chunk of chunks) {
      sendText(theirs, chunk);
      expectQuiet(map());
    }
  }

  afterEach(() => theirs.close());

  test.each([
    ['one line', ['one\n'], ['one']],
    ['several lines in a chunk', ['one\ntwo\nthree\n'], ['one', 'two', 'three']],
    ['a line in several chunks', ['on', 'e', '\n'], ['one']],
    ['lines across chunks', ['one\ntw', 'o\nth', 'ree\n'], ['one', 'two', 'three']],
    ['empty lines', ['\n\n', '\n'], ['', '', '']],
    ['a remainder without a delimiter', ['one\ntwo'], ['one']],
    ['bytes of all values', ['\0\xff\r\n'], ['\0\xff\r']],
  ])('splits %s', (_name, chunks, lines) => {
    start();
    says(...chunks);
    expect(handler.events).toEqual(lines);
  });

  testWithoutFaults.each([
    ['CRLF', '\r\n', 'one\r\ntwo\r\n', ['one', 'two']],
    ['CRLF, single CR and LF within', '\r\n', 'a\rb\nc\r\r\n\n\r\n', ['a\rb\nc\r', '\n']],
    ['several letters', 'END', 'oneENDtwoENENDEND', ['one', 'twoEN', '']],
    ['bytes', new Uint8Array([0, 255]), 'one\0\xfftwo\xff\0\0\xff', ['one', 'two\xff\0']],
    ['more than one byte a letter', 'ü', 'one\xc3\xbctwo\xc3\xc3\xbc', ['one', 'two\xc3']],
  ])('a delimiter of %s, whole or byte by byte', (_name, delimiter, text, lines) => {
    start(delimiter);
    says(text);
    expect(handler.events).toEqual(lines);
    start(delimiter);
    for (const letter of Array.from(text)) {
      sendText(theirs, letter);
      map().poll(1);
    }
    expect(handler.events).toEqual(lines);
  });

  test.each([
    ['a LineHandler as it is made reads', false],
    ['one that its constructor has paused is deaf until setReadable(true)', true],
  ])('%s', (_name, isPaused) => {
    const lines: string[] = [];
    const [ours, peer] = socketpair();
    theirs = peer;
    const line = new (class extends LineHandler {
      constructor(socketMap: SocketMap, socket: Socket) {
        super(socketMap, socket);
        if (isPaused) this.setReadable(false);
      }
      override lineReceived(text: Buffer): void {
        lines.push(text.toString());
      }
    })(map(), ours);
    expect(line.readable).toBe(!isPaused);
    sendText(theirs, 'one\n');
    if (isPaused) {
      expectQuiet(map());
      expect(lines).toEqual([]);
      line.setReadable(true);
    }
    turnUntil(map(), () => lines.length > 0, 'the line');
    expect(lines).toEqual(['one']);
    line.close();
  });

  test('a LineHandler that connects reads without setReadable', () => {
    const lines: string[] = [];
    class Client extends LineHandler {
      override lineReceived(line: Buffer): void {
        lines.push(line.toString());
      }
    }
    const listener = tcpListener();
    const client = new Client(map());
    client.connect(listener.getsockname());
    turnUntil(map(), () => client.connected, 'the connection');
    theirs = insist(() => listener.accept())!.socket;
    listener.close();
    sendText(theirs, 'welcome\n');
    turnUntil(map(), () => lines.length > 0, 'the line');
    expect(lines).toEqual(['welcome']);
    client.close();
  });

  test('long lines are complete after many reads', () => {
    start();
    handler.maxLineLength = 1 << 20;
    const long = 'x'.repeat(300_000);
    handler.onLine = () => handler.close();
    const bytes = Buffer.from(`${long}\n`);
    let sent = 0;
    const isDone = () => {
      if (!handler.closed) sent += Math.max(theirs.send(bytes, sent), 0);
      return handler.closed;
    };
    turnUntil(map(), isDone, 'the line');
    expect(handler.events[0] === long).toBe(true);
  });

  test('lines stay unchanged', () => {
    start();
    const kept: Buffer[] = [];
    handler.lineReceived = (line) => void kept.push(line);
    says('first\nsec', 'ond\nthi', 'rd\n');
    says('fourth\n'.repeat(100));
    expect(kept.slice(0, 4).map(String)).toEqual(['first', 'second', 'third', 'fourth']);
  });

  test('lines are delivered before the end; text without a delimiter is the remainder', () => {
    start();
    let remainder = '';
    handler.handleClose = () => {
      remainder = handler.remainder.toString();
    };
    sendText(theirs, 'one\ntwo\nrest');
    theirs.close();
    turnUntil(map(), () => handler.closed, 'the end');
    expect(handler.events).toEqual(['one', 'two', '-cleanup']);
    expect(remainder).toBe('rest');
  });

  test('rule 2: pausing in lineReceived delays further lines and handleClose', () => {
    start();
    handler.onLine = () => handler.setReadable(false);
    sendText(theirs, 'one\ntwo\nthree\n');
    theirs.close();
    for (const count of [1, 2, 3]) {
      turnUntil(map(), () => handler.events.length === count, `line ${count}`);
      if (count < 3) expectQuiet(map());
      expect(handler.events).toEqual(['one', 'two', 'three'].slice(0, count));
      handler.setReadable(true);
    }
    turnUntil(map(), () => handler.closed, 'the end');
    expect(handler.events).toEqual(['one', 'two', 'three', '-close', '-cleanup']);
  });

  test('pausing delays later lines, in order', () => {
    start();
    handler.onLine = (line) => {
      if (line === 'stop') handler.setReadable(false);
    };
    says('one\nstop\ntwo\nth', 'ree\n');
    expect(handler.events).toEqual(['one', 'stop']);
    handler.setReadable(true);
    expect(handler.events).toEqual(['one', 'stop']);
    expectQuiet(map());
    turnUntil(map(), () => handler.events.length === 4, 'the rest');
    expect(handler.events).toEqual(['one', 'stop', 'two', 'three']);
  });

  test.each(['close', 'end'] as const)(
    'after %s() in lineReceived no more lines are delivered',
    (method) => {
      start();
      handler.onLine = () => handler[method]();
      says('one\ntwo\nthree\n');
      theirs.close();
      turnUntil(map(), () => handler.closed, 'the end');
      expect(handler.events).toEqual(['one', '-cleanup']);
    },
  );

  test('a new delimiter applies from the next line on', () => {
    start();
    handler.onLine = (line) => {
      if (line === 'switch') handler.delimiter = ';';
    };
    says('one\nswitch\ntwo;three\nfour;');
    expect(handler.events).toEqual(['one', 'switch', 'two', 'three\nfour']);
  });

  test('rule 9: an exception in lineReceived does not lose the next line', () => {
    start();
    handler.onLine = (line) => {
      if (line === 'one') throw new Error('on purpose');
    };
    says('one\ntwo\n');
    says('three\n');
    expect(handler.events).toEqual(['one', '-error Error: on purpose', 'two', 'three']);
  });

  test('rule 9: a rejection of lineReceived goes to handleError', async () => {
    start();
    handler.onLine = () => Promise.reject(new Error('later'));
    says('one\n');
    await Promise.resolve();
    await Promise.resolve();
    expect(handler.events).toEqual(['one', '-error Error: later']);
  });

  test.each([
    ['in one chunk', ['0123456789a\nnext\n']],
    ['without a delimiter', ['01234', '56789a']],
    ['after a valid line', ['good\n01234', '56789abc\n']],
  ])('a line that is too long calls handleError and ends the connection: %s', (_name, chunks) => {
    start();
    handler.maxLineLength = 10;
    for (const chunk of chunks) {
      if (!handler.closed) sendText(theirs, chunk);
      map().poll(1);
    }
    turnUntil(map(), () => handler.closed, 'the end');
    const told = handler.events.filter((event) => event !== 'good');
    expect(told).toEqual([
      expect.stringMatching(/^-error RangeError: .*maxLineLength \(10 bytes\)/),
      '-cleanup',
    ]);
  });

  test('a line of maxLineLength is no error, even with a delimiter split over two reads', () => {
    start('\r\n');
    handler.maxLineLength = 10;
    says('0123456789', '\r', '\n', '0123456789\r\n');
    expect(handler.events).toEqual(['0123456789', '0123456789']);
  });

  testWithoutFaults('sendLine sends a line with its delimiter', () => {
    start('\r\n');
    handler.onLine = (line) => void handler.sendLine(`${line}!`);
    says('one\r\ntwo\r\n');
    expect(receiveText(theirs)).toBe('one!\r\ntwo!\r\n');
    expect(handler.sendLine('three')).toBe(true);
    expect(receiveText(theirs)).toBe('three\r\n');
  });

  testOnSystem('sendLine outside a callback sends a line and its delimiter in one call', () => {
    // SOCK_SEQPACKET: every send is a record of its own.
    const [ours, peer] = Socket.pair(constants.AF_UNIX, constants.SOCK_SEQPACKET);
    const line = new LineHandler(map(), ours);
    expect(line.sendLine('one')).toBe(true);
    expect(receiveText(peer)).toBe('one\n');
    line.close();
    peer.close();
  });
});

const NO_DELIMITER: readonly [string, unknown][] = [
  ['an empty text', ''],
  ['no bytes', new Uint8Array(0)],
  ['null', null],
  ['undefined', undefined],
  ['a number', 5],
];

const NO_LIMIT: readonly unknown[] = [NaN, undefined, null, 'abc', '100', -1, {}, Symbol('five')];

onEveryMap('errors of a LineHandler', (map, { testOnSystem }) => {
  let theirs: Socket;
  let handler: Lines;

  beforeEach(() => {
    const [ours, peer] = socketpair();
    theirs = peer;
    handler = new Lines(map(), ours);
  });

  afterEach(() => theirs.close());

  function breakDelimiter(delimiter: unknown = ''): void {
    handler.delimiter = delimiter as string;
  }

  /** The handler ends with one error, after these lines. */
  function expectRefusal(reason: RegExp, lines: readonly string[] = []): void {
    turnUntil(map(), () => handler.closed, 'the end');
    expectQuiet(map());
    const told = expect.stringMatching(reason) as string;
    expect(handler.events).toEqual([...lines, told, '-cleanup']);
    expect(handler.remainder.length).toBe(0);
  }

  const badDelimiter = /^-error (Type|Range)Error: delimiter must be .*; got /;
  const tooLong = /^-error RangeError: a line is longer than maxLineLength/;

  describe('an invalid delimiter', () => {
    test.each(NO_DELIMITER)(
      'of %s calls handleError once and ends the connection',
      (_name, delimiter) => {
        breakDelimiter(delimiter);
        sendText(theirs, 'x'.repeat(1000));
        expectRefusal(badDelimiter);
      },
    );

    test.each(NO_DELIMITER)('of %s is not thrown by poll at the end', (_name, delimiter) => {
      sendText(theirs, 'half a line');
      turnUntil(map(), () => handler.remainder.length === 11, 'the half');
      breakDelimiter(delimiter);
      theirs.close();
      expectRefusal(badDelimiter);
    });

    test('set while paused is thrown neither by setReadable nor by poll', () => {
      handler.onLine = () => handler.setReadable(false);
      sendText(theirs, 'one\ntwo\nthree\n');
      turnUntil(map(), () => !handler.readable, 'the pause');
      breakDelimiter();
      handler.setReadable(true);
      expectRefusal(badDelimiter, ['one']);
    });

    test('set after resuming is not thrown by poll', () => {
      handler.onLine = () => handler.setReadable(false);
      sendText(theirs, 'one\ntwo\nthree\n');
      turnUntil(map(), () => !handler.readable, 'the pause');
      handler.setReadable(true);
      breakDelimiter();
      expectRefusal(badDelimiter, ['one']);
    });

    test('rule 5: paused, before an end: no busy looping, and resuming calls handleError', () => {
      handler.onLine = () => handler.setReadable(false);
      sendText(theirs, 'one\ntwo\n');
      turnUntil(map(), () => !handler.readable, 'the pause');
      breakDelimiter();
      theirs.close();
      expectQuiet(map());
      expectQuiet(map());
      handler.setReadable(true);
      expectRefusal(badDelimiter, ['one']);
    });

    test('is not thrown by end()', () => {
      handler.onLine = () => handler.setReadable(false);
      sendText(theirs, 'one\ntwo\n');
      turnUntil(map(), () => !handler.readable, 'the pause');
      breakDelimiter();
      handler.end();
      theirs.close();
      turnUntil(map(), () => handler.closed, 'the end');
      expect(handler.events).toEqual(['one', '-cleanup']);
    });
  });

  describe('after a line that is too long no line is delivered', () => {
    beforeEach(() => {
      handler.maxLineLength = 5;
    });

    /** The rest of the long line would be short enough. */
    function sendTail(): void {
      turnUntil(map(), () => handler.events.length > 0, 'the error');
      if (!handler.closed) sendText(theirs, 'evil\nmore\n');
    }

    test('when handleError resumes reading', () => {
      handler.onError = () => handler.setReadable(true);
      sendText(theirs, 'too long, and too long');
      sendTail();
      expectRefusal(tooLong);
    });

    test('when a timer resumes reading', () => {
      const resume = (): void => {
        if (handler.closed) return;
        handler.setReadable(true);
        map().callIn(0, resume);
      };
      map().callIn(0, resume);
      sendText(theirs, 'too long, and too long');
      sendTail();
      expectRefusal(tooLong);
    });

    test('when the rest has arrived already', () => {
      handler.onError = () => handler.setReadable(true);
      sendText(theirs, 'too long, and too long\nevil\nmore\n');
      expectRefusal(tooLong);
    });

    testOnSystem('and the output of handleError is sent', () => {
      handler.onError = () => void handler.sendLine('sorry');
      sendText(theirs, 'too long, and too long');
      expectRefusal(tooLong);
      const bytes = Buffer.alloc(100);
      expect(bytes.toString('latin1', 0, theirs.recvInto(bytes))).toBe('sorry\n');
    });
  });

  test.each(NO_LIMIT)(
    'a maxLineLength of %p calls handleError, and does not remove the limit',
    (limit) => {
      handler.maxLineLength = limit as number;
      sendText(theirs, 'x'.repeat(1000));
      expectRefusal(/^-error (Type|Range)Error: maxLineLength must be a number of bytes.*; got /);
    },
  );

  test('a maxLineLength of Infinity removes the limit', () => {
    handler.maxLineLength = Infinity;
    sendText(theirs, `${'x'.repeat(100_000)}\n`);
    turnUntil(map(), () => handler.events.length > 0, 'the line');
    expect(handler.events[0]?.length).toBe(100_000);
  });

  describe('lines held by a deregistered handler are delivered after registration', () => {
    test('deregistered in lineReceived', () => {
      handler.onLine = (line) => {
        if (line === 'one') map().delHandler(handler);
      };
      sendText(theirs, 'one\ntwo\nthree\n');
      turnUntil(map(), () => handler.events.length > 0, 'the first line');
      expectQuiet(map());
      expect(handler.events).toEqual(['one']);
      map().addHandler(handler);
      expect(handler.events).toEqual(['one']);
      turnUntil(map(), () => handler.events.length === 3, 'the others');
      expect(handler.events).toEqual(['one', 'two', 'three']);
    });

    test('deregistered after resuming, before the next iteration', () => {
      handler.onLine = (line) => {
        if (line === 'one') handler.setReadable(false);
      };
      sendText(theirs, 'one\ntwo\nthree\n');
      turnUntil(map(), () => !handler.readable, 'the pause');
      handler.setReadable(true);
      map().delHandler(handler);
      expectQuiet(map());
      expect(handler.events).toEqual(['one']);
      map().addHandler(handler);
      turnUntil(map(), () => handler.events.length === 3, 'the others');
      expect(handler.events).toEqual(['one', 'two', 'three']);
    });

    test('paused when it is registered again', () => {
      handler.onLine = () => {
        handler.setReadable(false);
        map().delHandler(handler);
      };
      sendText(theirs, 'one\ntwo\n');
      turnUntil(map(), () => !handler.readable, 'the pause');
      map().addHandler(handler);
      expectQuiet(map());
      expect(handler.events).toEqual(['one']);
      handler.setReadable(true);
      turnUntil(map(), () => handler.events.length === 2, 'the other');
    });

    test('before an end that arrived meanwhile', () => {
      handler.onLine = (line) => {
        if (line === 'one') map().delHandler(handler);
      };
      sendText(theirs, 'one\ntwo\nthree\n');
      theirs.close();
      turnUntil(map(), () => handler.events.length > 0, 'the first line');
      expectQuiet(map());
      map().addHandler(handler);
      turnUntil(map(), () => handler.closed, 'the end');
      expect(handler.events).toEqual(['one', 'two', 'three', '-close', '-cleanup']);
    });
  });
});

const HANDLERS = 200;
/** More than the rest of a slab of which the few bytes of a slow sender are a part. */
const TRAFFIC = 'x'.repeat(128 * 1024);
/** A small part of what the handlers would hold if each kept 128 KiB. */
const MOST_BYTES = 4 * 1024 * 1024;

v8.setFlagsFromString('--expose-gc');
const collectGarbage = vm.runInNewContext('gc') as () => void;

/** The memory outside of the heap. */
function heldOutside(): number {
  // Memory found by one collection is counted as free at the next.
  collectGarbage();
  collectGarbage();
  return process.memoryUsage().arrayBuffers;
}

class Busy extends IOHandler {
  count = 0;

  override handleRead(): void {
    this.count += this.read(64 * 1024).length;
  }
}

onEverySystemMap('the memory of many LineHandlers', (map: () => SocketMap) => {
  const peers: Socket[] = [];
  const { poolSize } = Buffer;

  beforeEach(() => {
    // As from Node 24 on: what takes a byte of the pool, and is kept, keeps all of this.
    Buffer.poolSize = 64 * 1024;
  });

  afterEach(() => {
    Buffer.poolSize = poolSize;
    for (const peer of peers.splice(0)) peer.close();
  });

  function pair(): [Socket, Socket] {
    const [ours, peer] = socketpair();
    peers.push(peer);
    return [ours, peer];
  }

  test.each([
    ['in the middle of a line', 'whole\nhalf', 4],
    ['with a partial first line', 'half', 4],
    ['after a complete line', 'whole\n', 0],
    ['paused before a line', 'pause\nheld\n', 5],
    ['in the middle of a line, after a long one', `${'y'.repeat(60_000)}\nhalf`, 4],
  ])('is small for handlers %s, whatever is read between', (_name, text, rest) => {
    const [ours, peer] = pair();
    const busy = new Busy(map(), ours);
    busy.setReadable(true);
    const handlers: Lines[] = [];
    const before = heldOutside();
    for (let i = 1; i <= HANDLERS; i++) {
      const [near, far] = pair();
      const handler = new Lines(map(), near);
      handler.onLine = (line) => {
        if (line === 'pause') handler.setReadable(false);
        handler.events.length = 0;
      };
      handlers.push(handler);
      // A long line is joined in memory of the handler's own.
      for (const part of [text.slice(0, 30_000), text.slice(30_000)]) {
        sendText(far, part);
        if (part.length > 0) map().poll(1);
      }
      sendText(peer, TRAFFIC);
      turnUntil(map(), () => busy.count === i * TRAFFIC.length, 'the traffic');
    }
    expect(handlers.every(({ remainder }) => remainder.length === rest)).toBe(true);
    expect(heldOutside() - before).toBeLessThan(MOST_BYTES);
  });
});
