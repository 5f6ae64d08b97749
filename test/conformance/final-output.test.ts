/** Output before a close arrives, and in order, within a callback or outside. */
import { constants, type Socket, SystemError } from '../../lib';
import { Acting } from '../support/acting';
import { onEveryMap } from '../support/maps';
import { POLLIN } from '../../lib/select';
import { receiveText, sendText, streams, tcpPair, untilReady } from '../support/streams';
import { turnUntil } from '../support/turns';

const LARGE = 5 << 20;

onEveryMap('final output', (map, { testWithoutFaults }) => {
  /** Receives until the stream ends. */
  function untilEnd(theirs: Socket): { text: string; ending: string } {
    let text = '';
    let ending = '';
    const isOver = (): boolean => {
      try {
        for (let more; (more = receiveText(theirs)) !== undefined; text += more) {
          if (more === '') ending = 'end';
          if (more === '') return true;
        }
      } catch (error) {
        ending = error instanceof SystemError ? error.code : String(error);
      }
      return ending !== '';
    };
    turnUntil(map(), isOver, 'the end of what is sent');
    return { text, ending };
  }

  describe.each(streams)('%s', (_name, pair) => {
    /** Calls `act` within a callback, or outside of any. */
    const contexts = [
      ['in a callback', (handler: Acting, act: () => void) => (handler.on.read = act)],
      ['outside of callbacks', (_handler: Acting, act: () => void) => act()],
    ] as const;

    describe.each(contexts)('%s', (_context, when) => {
      function made(act: (handler: Acting) => void): { handler: Acting; theirs: Socket } {
        const [ours, theirs] = pair();
        const handler = new Acting(map(), ours);
        sendText(theirs, 'go');
        untilReady(ours, POLLIN);
        when(handler, () => {
          delete handler.on.read;
          act(handler);
        });
        return { handler, theirs };
      }

      test('rule 14: sendAll, then shutdown: the peer gets the output, and the handler stays open', () => {
        const { handler, theirs } = made((it) => {
          it.sendAll('farewell');
          it.shutdown(constants.SHUT_WR);
        });
        expect(untilEnd(theirs)).toEqual({ text: 'farewell', ending: 'end' });
        sendText(theirs, ', but I go on');
        turnUntil(map(), () => handler.received.endsWith('go on'), 'what the peer sends on');
        theirs.close();
        turnUntil(map(), () => handler.closed, 'the end');
        expect(handler.events.slice(-2)).toEqual(['close', 'cleanup']);
      });

      test('rule 14: shutdown waits until buffered output is sent', () => {
        const { handler, theirs } = made((it) => {
          it.sendAll(Buffer.alloc(LARGE, 'x'));
          it.shutdown(constants.SHUT_WR);
          expect(() => it.sendAll('more')).toThrow(/shut down/);
          expect(() => it.send('more')).toThrow(/EPIPE/);
        });
        const { text, ending } = untilEnd(theirs);
        expect([text.length, ending]).toEqual([LARGE, 'end']);
        expect(handler.events.filter((event) => event.startsWith('error'))).toEqual([]);
        theirs.close();
        turnUntil(map(), () => handler.closed, 'the end');
        expect(handler.events.slice(-2)).toEqual(['close', 'cleanup']);
      });

      testWithoutFaults('send goes out after the output of an earlier sendAll', () => {
        const sent: number[] = [];
        const { handler, theirs } = made((it) => {
          it.sendAll('A');
          sent.push(it.send('B'));
        });
        turnUntil(map(), () => sent.length > 0, 'the callback');
        handler.end();
        expect(untilEnd(theirs).text).toBe('AB');
        expect(sent).toEqual([1]);
        theirs.close();
      });

      test('send returns 0 while output of sendAll is buffered', () => {
        const sent: number[] = [];
        const { handler, theirs } = made((it) => {
          it.sendAll(Buffer.alloc(LARGE, 'x'));
          sent.push(it.send('B'));
          expect(() => it.send(7 as never)).toThrow(TypeError);
        });
        turnUntil(map(), () => sent.length > 0, 'the callback');
        handler.end('C');
        const { text } = untilEnd(theirs);
        expect([sent, text.length, text.slice(-2)]).toEqual([[0], LARGE + 1, 'xC']);
        theirs.close();
      });

      testWithoutFaults('sendAll, then close: what the socket takes at once is sent', () => {
        const { handler, theirs } = made((it) => {
          // Closing with bytes unread would reset.
          it.read(100);
          it.sendAll('farewell');
          it.close();
        });
        turnUntil(map(), () => handler.closed, 'close');
        expect(untilEnd(theirs)).toEqual({ text: 'farewell', ending: 'end' });
        theirs.close();
      });
    });

    testWithoutFaults(
      'sendAll, then the map is closed in the same callback: the output is sent',
      () => {
        const [ours, theirs] = pair();
        const handler = new Acting(map(), ours);
        handler.on.read = () => {
          handler.sendAll('farewell');
          map().close();
        };
        sendText(theirs, 'go');
        map().poll(1);
        expect(receiveText(theirs)).toBe('farewell');
        theirs.close();
      },
    );

    test.each([
      ['a little', 5],
      ['much', LARGE],
    ])('rule 14: output of handleClose, %s, reaches a peer that still reads', (_amount, length) => {
      const [ours, theirs] = pair();
      const handler = new Acting(map(), ours);
      handler.on.close = () => void handler.sendAll(Buffer.alloc(length, 'x'));
      sendText(theirs, 'request');
      theirs.shutdown(constants.SHUT_WR);
      const { text, ending } = untilEnd(theirs);
      expect([text.length, ending]).toEqual([length, 'end']);
      turnUntil(map(), () => handler.closed, 'cleanup');
      expect(handler.events).toEqual(['read request', 'close', 'cleanup']);
      theirs.close();
    });

    test('rule 14: the argument of end() in handleClose reaches the peer, and a later send throws', () => {
      const [ours, theirs] = pair();
      const handler = new Acting(map(), ours);
      handler.on.close = () => {
        handler.end('reply');
        handler.sendAll('too late');
      };
      theirs.shutdown(constants.SHUT_WR);
      expect(untilEnd(theirs)).toEqual({ text: 'reply', ending: 'end' });
      expect(handler.events).toEqual(['close', expect.stringMatching(/^error/), 'cleanup']);
      theirs.close();
    });

    test('rule 3: a handler that lingers to send the output of handleClose ends when the peer closes', () => {
      const [ours, theirs] = pair();
      const handler = new Acting(map(), ours);
      handler.on.close = () => void handler.sendAll(Buffer.alloc(LARGE, 'x'));
      theirs.shutdown(constants.SHUT_WR);
      turnUntil(map(), () => handler.count('close') > 0, 'handleClose');
      expect(handler.closed).toBe(false);
      theirs.close();
      turnUntil(map(), () => handler.closed, 'the end');
      expect(handler.events).toEqual(['close', 'cleanup']);
    });
  });

  testWithoutFaults(
    'rule 14: output reaches the peer while an urgent byte from it is unread',
    () => {
      const [ours, theirs] = tcpPair();
      const handler = new Acting(map(), ours);
      handler.on.read = () => void handler.sendAll(Buffer.alloc(LARGE, 'x'));
      sendText(theirs, 'request');
      sendText(theirs, '!', constants.MSG_OOB);
      theirs.shutdown(constants.SHUT_WR);
      const { text, ending } = untilEnd(theirs);
      expect([text.length, ending]).toEqual([LARGE, 'end']);
      turnUntil(map(), () => handler.closed, 'cleanup');
      expect(handler.events.slice(-2)).toEqual(['close', 'cleanup']);
      theirs.close();
    },
  );

  const answers: [string, (handler: Acting, large: Buffer) => void][] = [
    [
      'passed to end() in handleRead',
      (handler, large) => (handler.on.read = () => handler.end(large)),
    ],
    [
      'passed to end() in handleEnd',
      (handler, large) => {
        handler.allowHalfOpen = true;
        handler.on.end = () => handler.end(large);
      },
    ],
    [
      'sent in handleClose',
      (handler, large) => (handler.on.close = () => void handler.sendAll(large)),
    ],
  ];

  testWithoutFaults.each(answers)(
    'rule 14: output %s reaches the peer while an urgent byte from it is unread',
    (_when, answer) => {
      const [ours, theirs] = tcpPair();
      const handler = new Acting(map(), ours);
      answer(handler, Buffer.alloc(LARGE, 'x'));
      sendText(theirs, 'request');
      sendText(theirs, '!', constants.MSG_OOB);
      theirs.shutdown(constants.SHUT_WR);
      const { text, ending } = untilEnd(theirs);
      expect([text.length, ending]).toEqual([LARGE, 'end']);
      theirs.close();
    },
  );
});
