/** What a LineHandler cannot cut: it is told once, and the connection is over. */
import type { Socket } from '../../lib';

import { Lines } from '../support/lines';
import { onEveryMap } from '../support/maps';
import { sendText, socketpair } from '../support/streams';
import { expectQuiet, turnUntil } from '../support/turns';

const NO_DELIMITER: readonly [string, unknown][] = [
  ['an empty text', ''],
  ['no bytes', new Uint8Array(0)],
  ['null', null],
  ['undefined', undefined],
  ['a number', 5],
];

const NO_LIMIT: readonly unknown[] = [NaN, undefined, null, 'abc', '100', -1, {}, Symbol('five')];

onEveryMap('LineHandler', (map, { testOnSystem }) => {
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

  /** It is over for one reason, told once; before it came these lines. */
  function expectRefusal(reason: RegExp, lines: readonly string[] = []): void {
    turnUntil(map(), () => handler.closed, 'the end');
    expectQuiet(map());
    const told = expect.stringMatching(reason) as string;
    expect(handler.events).toEqual([...lines, told, '-cleanup']);
    expect(handler.remainder.length).toBe(0);
  }

  const badDelimiter = /^-error (Type|Range)Error: delimiter must be .*; got /;
  const tooLong = /^-error RangeError: a line is longer than maxLineLength/;

  describe('a bad delimiter', () => {
    test.each(NO_DELIMITER)('of %s is told once and ends the connection', (_name, delimiter) => {
      breakDelimiter(delimiter);
      sendText(theirs, 'x'.repeat(1000));
      expectRefusal(badDelimiter);
    });

    test.each(NO_DELIMITER)('of %s does not come out of poll at the end', (_name, delimiter) => {
      sendText(theirs, 'half a line');
      turnUntil(map(), () => handler.remainder.length === 11, 'the half');
      breakDelimiter(delimiter);
      theirs.close();
      expectRefusal(badDelimiter);
    });

    test('that came while paused does not come out of setReadable, nor of poll', () => {
      handler.onLine = () => handler.setReadable(false);
      sendText(theirs, 'one\ntwo\nthree\n');
      turnUntil(map(), () => !handler.readable, 'the pause');
      breakDelimiter();
      handler.setReadable(true);
      expectRefusal(badDelimiter, ['one']);
    });

    test('that came after resuming does not come out of poll', () => {
      handler.onLine = () => handler.setReadable(false);
      sendText(theirs, 'one\ntwo\nthree\n');
      turnUntil(map(), () => !handler.readable, 'the pause');
      handler.setReadable(true);
      breakDelimiter();
      expectRefusal(badDelimiter, ['one']);
    });

    test('rule 5: paused, with an end behind it, nothing spins, and resuming tells it', () => {
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

    test('does not come out of end()', () => {
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

  describe('after a line that is too long nothing is told as a line', () => {
    beforeEach(() => {
      handler.maxLineLength = 5;
    });

    /** The tail of the long line would be short enough. */
    function sendTail(): void {
      turnUntil(map(), () => handler.events.length > 0, 'the error');
      if (!handler.closed) sendText(theirs, 'evil\nmore\n');
    }

    test('where handleError resumes reading', () => {
      handler.onError = () => handler.setReadable(true);
      sendText(theirs, 'too long, and too long');
      sendTail();
      expectRefusal(tooLong);
    });

    test('where a timer resumes reading', () => {
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

    test('where the tail has come already', () => {
      handler.onError = () => handler.setReadable(true);
      sendText(theirs, 'too long, and too long\nevil\nmore\n');
      expectRefusal(tooLong);
    });

    testOnSystem('and what handleError sends still leaves', () => {
      handler.onError = () => void handler.sendLine('sorry');
      sendText(theirs, 'too long, and too long');
      expectRefusal(tooLong);
      const bytes = Buffer.alloc(100);
      expect(bytes.toString('latin1', 0, theirs.recvInto(bytes))).toBe('sorry\n');
    });
  });

  test.each(NO_LIMIT)('a maxLineLength of %p is told, and is no way to have no limit', (limit) => {
    handler.maxLineLength = limit as number;
    sendText(theirs, 'x'.repeat(1000));
    expectRefusal(/^-error (Type|Range)Error: maxLineLength must be a number of bytes.*; got /);
  });

  test('a maxLineLength of Infinity is one', () => {
    handler.maxLineLength = Infinity;
    sendText(theirs, `${'x'.repeat(100_000)}\n`);
    turnUntil(map(), () => handler.events.length > 0, 'the line');
    expect(handler.events[0]?.length).toBe(100_000);
  });

  describe('out of the map no line is told, and back in it those that were held', () => {
    test('taken out in lineReceived', () => {
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

    test('taken out after resuming, before the next turn', () => {
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

    test('paused when it comes back', () => {
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

    test('before the end, which has come meanwhile', () => {
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
