/** Every errno of recv(2) and send(2), short counts, and signals, for each kind of handler. */
import { constants, type Socket, socketpair } from '../../lib';
import { BufferedWriteHandler, LineHandler } from '../../lib/protocols';
import { onEverySystemMap } from '../support/maps';
import { Recorder } from '../support/recorder';
import { receiveText, sendText, tcpPair } from '../support/streams';
import { expectQuiet, turnUntil } from '../support/turns';

import { codeOf, injectFaults } from './faults';

const faults = injectFaults();

/** Errors that end a connection: recv(2), send(2), tcp(7), ip(7). */
const BREAKS = [
  ...['ECONNRESET', 'ECONNREFUSED', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH', 'ENETDOWN'],
  ...['ECONNABORTED', 'EPIPE', 'EPROTO', 'EIO', 'ENOMEM', 'ENOBUFS', 'EACCES', 'EPERM'],
];
/** Errors that mean a mistake of the program. */
const MISUSES = ['EBADF', 'EFAULT', 'EINVAL', 'ENOTCONN', 'ENOTSOCK', 'EOPNOTSUPP', 'EDESTADDRREQ'];
/** Further errors in send(2), for sockets of other kinds. */
const OTHERS = ['EALREADY', 'EISCONN', 'EMSGSIZE'];

/** Records its lines, as a Recorder its reads. */
class Lines extends LineHandler {
  readonly events: string[] = [];

  override lineReceived(line: Buffer): void {
    this.events.push(`line ${line.toString()}`);
  }

  override handleError(error: unknown): void {
    this.events.push(`error ${String(error)}`);
  }

  override handleClose(error?: { code: string }): void {
    this.events.push(`close ${error?.code ?? ''}`);
  }

  override handleCleanup(): void {
    this.events.push('cleanup');
  }
}

onEverySystemMap('transfers', (map) => {
  let ours: Socket;
  let theirs: Socket;
  beforeEach(() => ([ours, theirs] = socketpair()));
  afterEach(() => {
    map().close();
    ours.close();
    theirs.close();
  });

  function ended(handler: { closed: boolean; events: string[] }): string[] {
    turnUntil(map(), () => handler.closed, 'the end');
    expect(map().poll(0)).toBe(0);
    return handler.events;
  }

  describe('recv fails', () => {
    test.each([...BREAKS, ...OTHERS])(
      'rules 2, 3: %s: received bytes are read, then handleClose',
      (errno) => {
        const handler = new Recorder(map(), ours);
        sendText(theirs, 'before');
        faults.fail('recv', errno);
        const end = [`close ${codeOf(errno)}`, 'cleanup'];
        expect(ended(handler)).toEqual(['read ', 'read before', ...end]);
      },
    );

    test.each(BREAKS)('rules 2, 3: %s of a broken connection', (errno) => {
      const handler = new Recorder(map(), ours);
      sendText(theirs, 'lost');
      faults.fail('recv', errno);
      faults.fail('peek', errno);
      expect(ended(handler)).toEqual(['read ', `close ${codeOf(errno)}`, 'cleanup']);
    });

    test('a paused handler gets handleClose after it has read the bytes before the error', () => {
      const handler = new Recorder(map(), ours);
      handler.readBytes = 1;
      sendText(theirs, 'ab');
      map().poll(1);
      handler.setReadable(false);
      faults.fail('recv', 'ETIMEDOUT');
      expect(handler.read(1).toString()).toBe('');
      expectQuiet(map());
      handler.setReadable(true);
      expect(ended(handler)).toEqual(['read a', 'read b', 'close ETIMEDOUT', 'cleanup']);
    });

    test.each(MISUSES)('%s is thrown at the call, and the connection stays open', (errno) => {
      const handler = new Recorder(map(), ours);
      sendText(theirs, 'whole');
      faults.fail('recv', errno);
      turnUntil(map(), () => handler.received === 'whole', 'what was sent');
      expect(handler.events).toEqual([
        expect.stringContaining(`error recv ${codeOf(errno)}`),
        'read whole',
      ]);
    });

    test.each(['EAGAIN', 'EINTR'])('rule 10: %s has no effect', (errno) => {
      const handler = new Lines(map(), ours);
      faults.fail('recv', errno, { times: 100 });
      sendText(theirs, 'one\ntwo\n');
      turnUntil(map(), () => handler.events.length === 2, 'lines');
      expect(handler.events).toEqual(['line one', 'line two']);
      expect(faults.faulted('recv')).toBe(100);
    });

    test('complete lines before the error are delivered, then handleClose once', () => {
      const handler = new Lines(map(), ours);
      sendText(theirs, 'one\ntwo\npart');
      turnUntil(map(), () => handler.events.length === 2, 'lines');
      sendText(theirs, 'ial\nmore');
      faults.fail('recv', 'ECONNRESET');
      const lines = ['line one', 'line two', 'line partial'];
      expect(ended(handler)).toEqual([...lines, 'close ECONNRESET', 'cleanup']);
    });

    test('receiving in order to discard after end() may fail, too', () => {
      const handler = new Recorder(map(), ours);
      handler.end('bye');
      sendText(theirs, 'ignored');
      faults.fail('recv', 'ECONNRESET');
      faults.fail('recv', 'ENOMEM');
      turnUntil(map(), () => faults.faulted('recv') === 2, 'the faults');
      theirs.close();
      expect(ended(handler)).toEqual(['cleanup']);
    });
  });

  describe('a peek at unread bytes fails', () => {
    test.each(BREAKS)('rule 3: %s after the peer has ended: handleClose', (errno) => {
      const handler = new Recorder(map(), ours);
      faults.fail('peek', errno);
      theirs.close();
      expect(ended(handler)).toEqual([`close ${codeOf(errno)}`, 'cleanup']);
    });

    test('rule 10: EINTR has no effect', () => {
      const handler = new Recorder(map(), ours);
      sendText(theirs, 'last');
      theirs.close();
      faults.fail('peek', 'EINTR', { times: 100 });
      expect(ended(handler)).toEqual(['read last', 'close', 'cleanup']);
      expect(faults.faulted('peek')).toBe(100);
    });
  });

  describe('send fails', () => {
    test.each([...BREAKS, ...OTHERS])('rule 15: %s: send returns 0, then handleClose', (errno) => {
      const handler = new Recorder(map(), ours);
      faults.fail('send', errno);
      expect(handler.send('x')).toBe(0);
      expect(handler.send('y')).toBe(0);
      expect(handler.events).toEqual([]);
      expect(ended(handler)).toEqual([`close ${codeOf(errno)}`, 'cleanup']);
      expect(receiveText(theirs)).toBe('');
    });

    test.each(BREAKS)('rules 2, 15: %s: bytes of the peer are read before handleClose', (errno) => {
      const handler = new Recorder(map(), ours);
      sendText(theirs, 'before');
      faults.fail('send', errno);
      handler.sendAll('x');
      expect(handler.bufferedAmount).toBe(0);
      expect(ended(handler)).toEqual(['read before', `close ${codeOf(errno)}`, 'cleanup']);
    });

    test.each(MISUSES)('%s is thrown at the call', (errno) => {
      const handler = new Recorder(map(), ours);
      faults.fail('send', errno);
      expect(() => handler.send('x')).toThrow(`send ${codeOf(errno)}`);
      expect(handler.send('y')).toBe(1);
      expectQuiet(map());
      expect(handler.events).toEqual([]);
    });

    test.each(['ENOBUFS', 'EPIPE'])('%s of sendmsg, with several buffers', (errno) => {
      const handler = new Recorder(map(), ours);
      faults.fail('send', 'EAGAIN');
      faults.fail('sendmsg', errno);
      handler.sendAll(Buffer.alloc(60_000));
      handler.sendAll(Buffer.alloc(60_000));
      handler.sendAll(Buffer.alloc(60_000));
      expect(ended(handler)).toEqual([`close ${errno}`, 'cleanup']);
      expect(faults.faulted('sendmsg')).toBe(1);
    });

    test.each(['EPIPE', 'ETIMEDOUT'])(
      'a failed send after the peer has half-closed gives handleClose the error: %s',
      (errno) => {
        const handler = new Recorder(map(), ours);
        faults.fail('send', 'EAGAIN');
        handler.sendAll('lost');
        theirs.shutdown(constants.SHUT_WR);
        faults.fail('send', errno, { skip: 1 });
        faults.shorten('send', 1);
        expect(ended(handler)).toEqual(['write', 'write', `close ${errno}`, 'cleanup']);
        expect(receiveText(theirs)).toBe('l');
      },
    );

    test('an echo that pauses until handleDrain gets handleClose if the connection ends first', () => {
      class Echo extends Recorder {
        override highWaterMark = 0;

        override handleRead(): void {
          if (!this.sendAll(this.read(10))) this.setReadable(false);
        }

        override handleDrain(): void {
          this.setReadable(true);
        }
      }
      const handler = new Echo(map(), ours);
      sendText(theirs, 'ten bytes.'.repeat(10));
      faults.shorten('send', 1);
      faults.fail('send', 'ETIMEDOUT');
      expect(ended(handler)).toEqual(['write', 'close ETIMEDOUT', 'cleanup']);
    });

    test('a handler that does not pause reads all bytes', () => {
      const handler = new Recorder(map(), ours);
      handler.readBytes = 1;
      sendText(theirs, 'abc');
      faults.fail('send', 'ETIMEDOUT');
      expect([handler.sendAll('x'), handler.sendAll('y')]).toEqual([true, false]);
      expect(ended(handler)).toEqual(['read a', 'read b', 'read c', 'close ETIMEDOUT', 'cleanup']);
    });

    test('after end(), the handler gets handleCleanup, without handleClose', () => {
      const handler = new Recorder(map(), ours);
      faults.fail('send', 'EAGAIN');
      handler.end('bye');
      faults.fail('send', 'ECONNRESET');
      expect(ended(handler)).toEqual(['write', 'close ECONNRESET', 'cleanup']);
    });
  });

  describe('would block, interrupted, short', () => {
    /** Sends a text without repetitions, and compares what arrives. */
    function expectArrives(Handler: typeof BufferedWriteHandler, pieces: string[]): void {
      const handler = new Handler(map(), ours);
      const reader = new Recorder(map(), theirs);
      for (const piece of pieces) handler.sendAll(piece);
      handler.end();
      turnUntil(map(), () => reader.closed && handler.closed, 'all of it');
      expect(reader.received).toBe(pieces.join(''));
    }
    const pieces = (count: number, length: number): string[] =>
      Array.from({ length: count }, (_, i) => `${i} `.repeat(length).slice(0, length));

    test.each([['socketpair'], ['tcp']])('one byte at a time in both directions: %s', (kind) => {
      if (kind === 'tcp') {
        ours.close();
        theirs.close();
        [ours, theirs] = tcpPair();
      }
      for (const call of ['recv', 'send', 'sendmsg'] as const) {
        faults.shorten(call, 1, { times: Infinity });
      }
      expectArrives(BufferedWriteHandler, pieces(20, 37));
    });

    test('random false would-blocks, interruptions and short counts', () => {
      for (const call of ['recv', 'send', 'sendmsg'] as const) {
        faults.fail(call, 'EINTR', { times: Infinity, perMillion: 200_000, burst: 7 });
        faults.fail(call, 'EAGAIN', { times: Infinity, perMillion: 200_000 });
        faults.shorten(call, 3000, { times: Infinity, perMillion: 700_000 });
      }
      expectArrives(BufferedWriteHandler, pieces(40, 20_000));
      expect(faults.faulted('sendmsg')).toBeGreaterThan(0);
    });

    test('lines arrive completely, one byte at a time', () => {
      faults.shorten('recv', 1, { times: Infinity });
      const handler = new Lines(map(), ours);
      sendText(theirs, 'one\n\nthree\nrest');
      theirs.shutdown(constants.SHUT_WR);
      const lines = ['line one', 'line ', 'line three'];
      expect(ended(handler)).toEqual([...lines, 'close ', 'cleanup']);
      expect(handler.remainder.toString()).toBe('rest');
    });
  });

  test('ENOTCONN of shutdown(2): the connection broke before, and handleClose reports it', () => {
    const handler = new Recorder(map(), ours);
    faults.fail('shutdown', 'ENOTCONN');
    handler.end('bye');
    theirs.close();
    expect(ended(handler)).toEqual(['cleanup']);
    expect(faults.faulted('shutdown')).toBe(1);
  });

  test.each(['EINTR', 'EIO', 'ENOSPC'])(
    '%s of close(2): the descriptor is closed, and handleCleanup is called once',
    (errno) => {
      faults.fail('close', errno, { afterwards: true, times: 2 });
      const handler = new Recorder(map(), ours);
      handler.close();
      theirs.close();
      handler.close();
      expect(handler.events).toEqual(['cleanup']);
    },
  );
});
