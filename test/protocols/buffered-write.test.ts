/** BufferedWriteHandler: sendAll, its buffer, its high-water mark, and end. */
import { constants, Socket } from '../../lib';
import { POLLIN } from '../../lib/select';
import { Acting } from '../support/acting';
import { onEveryMap } from '../support/maps';
import { Recorder } from '../support/recorder';
import {
  receiveText,
  sendText,
  socketpair,
  streams,
  tcpListener,
  tcpPair,
  untilReady,
} from '../support/streams';
import { expectQuiet, turnUntil } from '../support/turns';

const MEGABYTE = 1 << 20;

/**
 * A pair that keeps message boundaries, so that one recv(2) returns what one send(2) sent. Only
 * streams are simulated.
 */
function messagePair(): [Socket, Socket] {
  return Socket.pair(constants.AF_UNIX, constants.SOCK_SEQPACKET);
}

/** The unread messages, each of one send(2). */
function messagesAt(socket: Socket): string[] {
  const messages: string[] = [];
  for (;;) {
    const text = receiveText(socket);
    if (text === undefined) return messages;
    messages.push(text);
  }
}

onEveryMap('sendAll', (map, { testOnSystem, testWithoutFaults }) => {
  testOnSystem('sends at once outside of callbacks', () => {
    const [ours, theirs] = messagePair();
    const handler = new Recorder(map(), ours);
    expect(handler.sendAll('one')).toBe(true);
    expect(handler.sendAll(Buffer.from('two'))).toBe(true);
    expect(handler.bufferedAmount).toBe(0);
    expect(messagesAt(theirs)).toEqual(['one', 'two']);
    theirs.close();
  });

  testOnSystem('joins all output of a callback into one send when the callback returns', () => {
    const [ours, theirs] = messagePair();
    const handler = new Acting(map(), ours);
    const seen: unknown[] = [];
    handler.on.read = () => {
      for (const piece of ['a', Buffer.from('b'), 'ä', new Uint8Array([0x63])]) {
        seen.push(handler.sendAll(piece));
      }
      seen.push(handler.bufferedAmount, receiveText(theirs));
    };
    sendText(theirs, 'x');
    turnUntil(map(), () => seen.length > 0, 'the callback');
    expect(seen).toEqual([true, true, true, true, 5, undefined]);
    expect(messagesAt(theirs)).toEqual([Buffer.from('abäc').toString('latin1')]);
    expect(handler.bufferedAmount).toBe(0);
    theirs.close();
  });

  testOnSystem('sends only the memory of a view, even if its length property lies', () => {
    class Liar extends Uint8Array {
      override get length(): number {
        return 1000;
      }
      override subarray(): Uint8Array<ArrayBuffer> {
        return new Uint8Array(1000);
      }
    }
    const [ours, theirs] = messagePair();
    const handler = new Recorder(map(), ours);
    handler.sendAll(new Liar([0x61, 0x62]));
    handler.send(new Liar([0x63]));
    expect(messagesAt(theirs)).toEqual(['ab', 'c']);
    theirs.close();
  });

  testOnSystem('joins output that callbacks of other handlers send through a handler', () => {
    const [ours, theirs] = messagePair();
    const target = new Recorder(map(), ours);
    const [otherSocket, otherPeer] = socketpair();
    const other = new Acting(map(), otherSocket);
    other.on.read = () => {
      target.sendAll('to ');
      target.sendAll('all');
    };
    sendText(otherPeer, 'x');
    turnUntil(map(), () => other.received === 'x', 'the callback');
    expect(messagesAt(theirs)).toEqual(['to all']);
    for (const socket of [theirs, otherPeer]) socket.close();
  });

  testOnSystem('joins the output of a timer and a synchronized call', () => {
    const [ours, theirs] = messagePair();
    const handler = new Recorder(map(), ours);
    const sendTwo = (): void => {
      handler.sendAll('1');
      handler.sendAll('2');
    };
    map().callIn(0, sendTwo);
    map().callSynchronized(sendTwo);
    turnUntil(map(), () => handler.bufferedAmount === 0, 'the sends');
    map().poll(0);
    expect(messagesAt(theirs)).toEqual(['12', '12']);
    theirs.close();
  });

  testWithoutFaults('output of a callback is sent even if the callback throws', () => {
    const [ours, theirs] = socketpair();
    const handler = new Acting(map(), ours);
    handler.on.read = () => {
      handler.sendAll('sorry');
      throw new Error('on purpose');
    };
    sendText(theirs, 'x');
    turnUntil(map(), () => handler.events.length === 2, 'the error');
    expect(receiveText(theirs)).toBe('sorry');
    theirs.close();
  });

  testWithoutFaults('copies output that it has to buffer', () => {
    const [ours, theirs] = socketpair();
    const handler = new Acting(map(), ours);
    handler.on.read = () => {
      const bytes = Buffer.from('before');
      handler.sendAll(bytes);
      bytes.write('after!');
    };
    sendText(theirs, 'x');
    turnUntil(map(), () => handler.received === 'x', 'the callback');
    expect(receiveText(theirs)).toBe('before');
    theirs.close();
  });

  test.each(streams)('keeps the order of chunks of all sizes (%s)', (_name, pair) => {
    const [ours, theirs] = pair();
    const handler = new Acting(map(), ours);
    const reader = new Recorder(map(), theirs);
    reader.readBytes = 10_000;
    const sizes = [1, 16_383, 16_384, 16_385, 3, 100_000, 0, 5461, 5462, 2 * MEGABYTE, 7];
    const pieces = sizes.map((size, i) => String.fromCharCode(97 + i).repeat(size));
    let next = 0;
    const sendSome = (count: number): void => {
      for (const piece of pieces.slice(next, next + count)) {
        handler.sendAll(next++ % 2 === 0 ? piece : Buffer.from(piece));
      }
    };
    sendSome(3);
    map().callSynchronized(() => sendSome(6));
    handler.on.drain = () => sendSome(1);
    const expected = pieces.join('');
    const isDone = () => {
      if (handler.bufferedAmount === 0) sendSome(1);
      return reader.received.length === expected.length;
    };
    turnUntil(map(), isDone, 'all of it');
    expect(reader.received === expected).toBe(true);
  });

  testOnSystem('an empty chunk has no effect', () => {
    const [ours, theirs] = messagePair();
    const handler = new Recorder(map(), ours);
    expect(handler.sendAll('')).toBe(true);
    expect(handler.sendAll(new Uint8Array(0))).toBe(true);
    expectQuiet(map());
    expect(messagesAt(theirs)).toEqual([]);
    theirs.close();
  });

  testWithoutFaults('output before connect is sent when the connection is established', () => {
    const listener = tcpListener();
    const handler = new Recorder(map());
    handler.highWaterMark = 10;
    expect(handler.sendAll('0123456789')).toBe(true);
    expect(handler.sendAll('!')).toBe(false);
    expect(handler.bufferedAmount).toBe(11);
    handler.connect(listener.getsockname());
    turnUntil(map(), () => handler.count('drain') === 1, 'it to leave');
    expect(handler.events).toEqual(['connect', 'write', 'drain']);
    const { socket } = listener.accept()!;
    untilReady(socket, POLLIN);
    expect(receiveText(socket)).toBe('0123456789!');
    for (const open of [socket, listener]) open.close();
  });
});

onEveryMap('high-water mark', (map) => {
  test('above it sendAll returns false but accepts output; below it handleDrain is called', () => {
    const [ours, theirs] = tcpPair();
    const handler = new Recorder(map(), ours);
    expect(handler.highWaterMark).toBe(65536);
    expect(handler.sendAll(Buffer.alloc(8 * MEGABYTE))).toBe(false);
    const { bufferedAmount } = handler;
    expect(bufferedAmount).toBeGreaterThan(handler.highWaterMark);
    expect(handler.sendAll('more')).toBe(false);
    expect(handler.bufferedAmount).toBe(bufferedAmount + 4);
    expect(handler.count('drain')).toBe(0);
    const reader = new Recorder(map(), theirs);
    turnUntil(map(), () => reader.received.length === 8 * MEGABYTE + 4, 'all of it');
    expectQuiet(map());
    expect(handler.count('drain')).toBe(1);
    expect(handler.bufferedAmount).toBe(0);
    expect(handler.sendAll('again')).toBe(true);
    expectQuiet(map());
    expect(handler.count('drain')).toBe(1);
  });

  test('handleDrain can continue a stream', () => {
    const [ours, theirs] = socketpair();
    const handler = new Acting(map(), ours);
    const reader = new Recorder(map(), theirs);
    let left = 5;
    handler.on.drain = () => {
      if (left-- > 0) handler.sendAll(Buffer.alloc(MEGABYTE));
      else handler.end();
    };
    handler.sendAll(Buffer.alloc(MEGABYTE));
    turnUntil(map(), () => reader.closed, 'the end');
    expect(reader.received.length).toBe(6 * MEGABYTE);
  });

  test('handleDrain is not called if sendAll never returned false', () => {
    const [ours, theirs] = socketpair();
    const handler = new Recorder(map(), ours);
    handler.highWaterMark = Infinity;
    expect(handler.sendAll(Buffer.alloc(4 * MEGABYTE))).toBe(true);
    const reader = new Recorder(map(), theirs);
    turnUntil(map(), () => reader.received.length === 4 * MEGABYTE, 'all of it');
    expectQuiet(map());
    expect(handler.count('drain')).toBe(0);
  });
});

onEveryMap('end', (map, { testWithoutFaults }) => {
  test.each(streams)(
    'sends all output, the argument of end() included, then closes (%s)',
    (_name, pair) => {
      const [ours, theirs] = pair();
      const handler = new Recorder(map(), ours);
      handler.sendAll(Buffer.alloc(4 * MEGABYTE, 'x'));
      handler.end('bye');
      expect(handler.closed).toBe(false);
      const reader = new Recorder(map(), theirs);
      turnUntil(map(), () => reader.closed && handler.closed, 'both to end');
      expect(reader.received.length).toBe(4 * MEGABYTE + 3);
      expect(reader.received.endsWith('xbye')).toBe(true);
      expect(reader.events.slice(-2)).toEqual(['close', 'cleanup']);
      expect(handler.events.filter((event) => event !== 'write')).toEqual(['cleanup']);
    },
  );

  testWithoutFaults.each(streams)(
    'discards further bytes of the peer, without a reset (%s)',
    (_n, pair) => {
      const [ours, theirs] = pair();
      const handler = new Recorder(map(), ours);
      sendText(theirs, 'unread');
      handler.end('bye');
      sendText(theirs, 'too late');
      turnUntil(map(), () => receiveText(theirs) === 'bye', 'the last words');
      sendText(theirs, 'much too late');
      expectQuiet(map());
      expect(receiveText(theirs)).toBe('');
      theirs.close();
      turnUntil(map(), () => handler.closed, 'the end');
      expect(handler.events).toEqual(['cleanup']);
    },
  );

  test('sendAll after end() throws, a second end() has no effect', () => {
    const [ours, theirs] = socketpair();
    const handler = new Recorder(map(), ours);
    handler.end();
    expect(() => handler.sendAll('late')).toThrow(/was ended/);
    handler.end();
    expect(() => handler.end('late')).toThrow(/was ended/);
    theirs.close();
    turnUntil(map(), () => handler.closed, 'the end');
    handler.end();
    expect(() => handler.sendAll('late')).toThrow(/is closed/);
    expect(handler.count('cleanup')).toBe(1);
  });

  testWithoutFaults('before the connection is established, end() waits for it', () => {
    const listener = tcpListener();
    const handler = new Recorder(map());
    handler.connect(listener.getsockname());
    handler.end('all I have to say');
    expect(handler.closed).toBe(false);
    turnUntil(map(), () => handler.bufferedAmount === 0, 'it to leave');
    const { socket } = listener.accept()!;
    untilReady(socket, POLLIN);
    expect(receiveText(socket)).toBe('all I have to say');
    for (const open of [socket, listener]) open.close();
    turnUntil(map(), () => handler.closed, 'the end');
    expect(handler.events.filter((event) => event !== 'write')).toEqual(['connect', 'cleanup']);
  });

  test('without a socket end() closes at once', () => {
    const handler = new Recorder(map());
    handler.end();
    expect(handler.events).toEqual(['cleanup']);
  });

  test('close() drops buffered output', () => {
    const [ours, theirs] = socketpair();
    const handler = new Recorder(map(), ours);
    handler.sendAll(Buffer.alloc(4 * MEGABYTE));
    handler.close();
    expect(handler.bufferedAmount).toBe(0);
    expect(handler.events).toEqual(['cleanup']);
    theirs.close();
  });

  test.each([NaN, -1, undefined, 'abc'])('sendAll throws for a highWaterMark of %p', (mark) => {
    const [ours, theirs] = socketpair();
    const handler = new Recorder(map(), ours);
    handler.highWaterMark = mark as number;
    expect(() => handler.sendAll('x')).toThrow(
      /highWaterMark must be a number of bytes, 0 or more/,
    );
    expect(handler.bufferedAmount).toBe(0);
    expect(receiveText(theirs)).toBeUndefined();
    theirs.close();
  });

  test('clearing write interest does not stop buffered output', () => {
    const [ours, theirs] = socketpair();
    const handler = new Recorder(map(), ours);
    handler.sendAll(Buffer.alloc(3_000_000));
    handler.setWritable(false);
    map().delWriter(handler);
    let count = 0;
    const isAllThere = (): boolean => {
      count += receiveText(theirs)?.length ?? 0;
      return count === 3_000_000;
    };
    turnUntil(map(), isAllThere, 'all that was buffered');
    expect(handler.bufferedAmount).toBe(0);
    theirs.close();
  });
});
