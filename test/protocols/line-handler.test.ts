/** Cutting what comes into lines. */
import { constants, Socket } from '../../lib';
import { LineHandler } from '../../lib/protocols';

import { Lines } from '../support/lines';
import { onEveryMap } from '../support/maps';
import { receiveText, sendText, socketpair } from '../support/streams';
import { expectQuiet, turnUntil } from '../support/turns';

onEveryMap('LineHandler', (map, { testOnSystem, testWithoutFaults }) => {
  let theirs: Socket;
  let handler: Lines;

  function start(delimiter?: string | Uint8Array): void {
    const [ours, peer] = socketpair();
    theirs = peer;
    handler = new Lines(map(), ours, delimiter);
  }

  /** Sends each chunk in a turn of its own. */
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
    ['a rest without an end', ['one\ntwo'], ['one']],
    ['bytes of all values', ['\0\xff\r\n'], ['\0\xff\r']],
  ])('cuts %s', (_name, chunks, lines) => {
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

  test('long lines arrive whole, split over many reads', () => {
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

  test('lines are the handler’s to keep', () => {
    start();
    const kept: Buffer[] = [];
    handler.lineReceived = (line) => void kept.push(line);
    says('first\nsec', 'ond\nthi', 'rd\n');
    says('fourth\n'.repeat(100));
    expect(kept.slice(0, 4).map(String)).toEqual(['first', 'second', 'third', 'fourth']);
  });

  test('lines come before the end; what has no delimiter is the remainder', () => {
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

  test('rule 2: pausing in lineReceived holds back the other lines and the close', () => {
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

  test('pausing holds back what comes meanwhile, in order', () => {
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

  test.each(['close', 'end'] as const)('after %s() in lineReceived there are no more', (method) => {
    start();
    handler.onLine = () => handler[method]();
    says('one\ntwo\nthree\n');
    theirs.close();
    turnUntil(map(), () => handler.closed, 'the end');
    expect(handler.events).toEqual(['one', '-cleanup']);
  });

  test('a new delimiter holds from the next line on', () => {
    start();
    handler.onLine = (line) => {
      if (line === 'switch') handler.delimiter = ';';
    };
    says('one\nswitch\ntwo;three\nfour;');
    expect(handler.events).toEqual(['one', 'switch', 'two', 'three\nfour']);
  });

  test('rule 9: an error in one line does not lose the next', () => {
    start();
    handler.onLine = (line) => {
      if (line === 'one') throw new Error('on purpose');
    };
    says('one\ntwo\n');
    says('three\n');
    expect(handler.events).toEqual(['one', '-error Error: on purpose', 'two', 'three']);
  });

  test('rule 9: what lineReceived rejects with goes to handleError', async () => {
    start();
    handler.onLine = () => Promise.reject(new Error('later'));
    says('one\n');
    await Promise.resolve();
    await Promise.resolve();
    expect(handler.events).toEqual(['one', '-error Error: later']);
  });

  test.each([
    ['in one chunk', ['0123456789a\nnext\n']],
    ['without an end in sight', ['01234', '56789a']],
    ['after a good line', ['good\n01234', '56789abc\n']],
  ])('a line that is too long is an error and ends the connection: %s', (_name, chunks) => {
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

  test('a line as long as maxLineLength is no error, delimiter of two bytes split', () => {
    start('\r\n');
    handler.maxLineLength = 10;
    says('0123456789', '\r', '\n', '0123456789\r\n');
    expect(handler.events).toEqual(['0123456789', '0123456789']);
  });

  testWithoutFaults('sendLine sends a line and its delimiter, as one', () => {
    start('\r\n');
    handler.onLine = (line) => void handler.sendLine(`${line}!`);
    says('one\r\ntwo\r\n');
    expect(receiveText(theirs)).toBe('one!\r\ntwo!\r\n');
    expect(handler.sendLine('three')).toBe(true);
    expect(receiveText(theirs)).toBe('three\r\n');
  });

  testOnSystem('sendLine outside a callback sends a line and its delimiter in one call', () => {
    // Every send is a record of its own here.
    const [ours, peer] = Socket.pair(constants.AF_UNIX, constants.SOCK_SEQPACKET);
    const line = new LineHandler(map(), ours);
    expect(line.sendLine('one')).toBe(true);
    expect(receiveText(peer)).toBe('one\n');
    line.close();
    peer.close();
  });
});
