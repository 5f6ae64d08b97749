/** The end of a stream is delivered after all bytes before it (rules 1 and 2). */
import type { Socket, SocketMap } from '../../lib';
import { transportOf } from '../../lib/handlers/handler';
import { POLLERR, POLLHUP, POLLIN } from '../../lib/select';
import { Acting } from '../support/acting';
import { isFaulty } from '../support/kernels';
import { onEveryMap } from '../support/maps';
import { Recorder } from '../support/recorder';
import { reset, sendText, socketpair, streams, tcpPair, untilReady } from '../support/streams';
import { expectQuiet, turnUntil } from '../support/turns';

interface Ending {
  readonly pair: () => [Socket, Socket];
  readonly leave: (peer: Socket) => void;
  /** The callback after everything is read. */
  readonly told: string;
}

/** How a peer can end the stream after its last bytes. */
const endings: readonly (readonly [string, Ending])[] = [
  ['a unix close', { pair: socketpair, leave: (peer) => peer.close(), told: 'close' }],
  ['a FIN', { pair: tcpPair, leave: (peer) => peer.close(), told: 'close' }],
  ['a half-close', { pair: tcpPair, leave: (peer) => peer.shutdown(1), told: 'close' }],
  ['a reset', { pair: tcpPair, leave: reset, told: 'close ECONNRESET' }],
  [
    // unix(7): closing with unread bytes resets the connection.
    'a unix close with unread bytes',
    {
      pair: () => {
        const [ours, theirs] = socketpair();
        sendText(ours, 'never read');
        untilReady(theirs, POLLIN);
        return [ours, theirs];
      },
      leave: (peer) => peer.close(),
      told: 'close ECONNRESET',
    },
  ],
];

/** A handler whose peer has sent bytes and closed; both have arrived. */
function afterLastWords(map: SocketMap, { pair, leave }: Ending): Recorder {
  const [ours, theirs] = pair();
  sendText(theirs, 'last words');
  leave(theirs);
  untilReady(ours, POLLIN);
  return new Recorder(map, ours);
}

onEveryMap('end of stream', (map, { testWithoutFaults }) => {
  test.each(streams)(
    'rule 1: an end without bytes does not call handleRead (%s)',
    (_name, pair) => {
      const [ours, theirs] = pair();
      const handler = new Recorder(map(), ours);
      theirs.close();
      turnUntil(map(), () => handler.closed, 'the end');
      expect(handler.events).toEqual(['close', 'cleanup']);
    },
  );

  test('rule 3: a reset of which only the error is reported so far calls handleClose with that error', () => {
    const [ours, theirs] = tcpPair();
    const handler = new Acting(map(), ours);
    reset(theirs);
    untilReady(ours, POLLHUP);
    // The kernel sets the error first (tcp_reset): a wait on another core may see only that.
    handler[transportOf].ready(POLLIN | POLLERR);
    turnUntil(map(), () => handler.closed, 'the end');
    expect(handler.events).toEqual(['close ECONNRESET', 'cleanup']);
  });

  test('rule 1: a reset without bytes does not call handleRead', () => {
    const [ours, theirs] = tcpPair();
    const handler = new Recorder(map(), ours);
    reset(theirs);
    turnUntil(map(), () => handler.closed, 'the end');
    expect(handler.events).toEqual(['close ECONNRESET', 'cleanup']);
  });

  testWithoutFaults.each(streams)(
    'rule 1: handleRead is called until all bytes are read (%s)',
    (_name, pair) => {
      const [ours, theirs] = pair();
      const handler = new Recorder(map(), ours);
      handler.readBytes = 2;
      sendText(theirs, 'abcde');
      turnUntil(map(), () => handler.received === 'abcde', 'all bytes');
      expectQuiet(map());
      expect(handler.events).toEqual(['read ab', 'read cd', 'read e']);
    },
  );

  testWithoutFaults('rule 1: handleRead is called in each iteration while bytes are unread', () => {
    const [ours, theirs] = socketpair();
    const handler = new Recorder(map(), ours);
    handler.readBytes = 0;
    sendText(theirs, 'x');
    map().poll(1);
    map().poll(1);
    expect(handler.events).toEqual(['read ', 'read ']);
  });

  describe.each(endings)('before %s', (_name, ending) => {
    test('rule 2: all bytes can be read before handleClose', () => {
      const handler = afterLastWords(map(), ending);
      turnUntil(map(), () => handler.closed, 'the end');
      expect(handler.events).toEqual(['read last words', ending.told, 'cleanup']);
    });

    test('rule 2: all bytes can be read in small parts before handleClose', () => {
      const handler = afterLastWords(map(), ending);
      handler.readBytes = 1;
      turnUntil(map(), () => handler.closed, 'the end');
      const letters = Array.from('last words', (letter) => `read ${letter}`);
      const reads = isFaulty() ? ['read last words'] : letters;
      expect(handler.events).toEqual([...reads, ending.told, 'cleanup']);
    });

    test('rules 2, 5: a paused handler gets no callbacks until setReadable(true)', () => {
      const handler = afterLastWords(map(), ending);
      handler.setReadable(false);
      expectQuiet(map());
      expect(handler.events).toEqual([]);
      handler.setReadable(true);
      turnUntil(map(), () => handler.closed, 'the end');
      expect(handler.events).toEqual(['read last words', ending.told, 'cleanup']);
    });

    test('rules 2, 5: a paused handler gets handleClose after it has read all bytes itself', () => {
      const handler = afterLastWords(map(), ending);
      handler.setReadable(false);
      expectQuiet(map());
      expect(handler.take(5)).toBe('last ');
      expectQuiet(map());
      expect(handler.events).toEqual([]);
      expect(handler.take(5)).toBe('words');
      turnUntil(map(), () => handler.closed, 'the end');
      expect(handler.events).toEqual([ending.told, 'cleanup']);
    });

    test('rule 2: a peek does not count as reading', () => {
      const handler = afterLastWords(map(), ending);
      handler.setReadable(false);
      expectQuiet(map());
      expect(handler.peek(100).toString()).toBe('last words');
      expectQuiet(map());
      expect(handler.events).toEqual([]);
      handler.setReadable(true);
      turnUntil(map(), () => handler.closed, 'the end');
      expect(handler.events).toEqual(['read last words', ending.told, 'cleanup']);
    });

    test('rules 2, 5: pausing, resuming and pausing again loses no bytes', () => {
      const handler = afterLastWords(map(), ending);
      handler.setReadable(false);
      expectQuiet(map());
      handler.setReadable(true);
      handler.setReadable(false);
      expectQuiet(map());
      expect(handler.events).toEqual([]);
      handler.setReadable(true);
      turnUntil(map(), () => handler.closed, 'the end');
      expect(handler.events).toEqual(['read last words', ending.told, 'cleanup']);
    });
  });

  test('rule 2: an end that arrives while bytes are unread is delivered after them', () => {
    const [ours, theirs] = tcpPair();
    const handler = new Recorder(map(), ours);
    handler.setReadable(false);
    sendText(theirs, 'early ');
    expectQuiet(map());
    sendText(theirs, 'late');
    expectQuiet(map());
    theirs.close();
    expectQuiet(map());
    handler.setReadable(true);
    turnUntil(map(), () => handler.closed, 'the end');
    expect(handler.received).toBe('early late');
    expect(handler.events.slice(-2)).toEqual(['close', 'cleanup']);
  });

  test.each(streams)('rule 2: a megabyte before the end arrives completely (%s)', (_name, pair) => {
    const [ours, theirs] = pair();
    const handler = new Recorder(map(), ours);
    const sender = new Recorder(map(), theirs);
    const text = '0123456789abcdef'.repeat(65536);
    sender.end(text);
    turnUntil(map(), () => handler.closed, 'the end');
    expect(handler.received === text).toBe(true);
    expect(handler.events.slice(-2)).toEqual(['close', 'cleanup']);
  });
});
