/** handleExcept: urgent data, and errors that do not end a connection (rules 3 and 5). */
import { constants, IOHandler, type Socket } from '../../lib';
import { POLLIN, POLLPRI } from '../../lib/select';
import { Acting } from '../support/acting';
import { onEveryMap } from '../support/maps';
import { Recorder } from '../support/recorder';
import { receiveText, sendText, tcpPair, untilReady } from '../support/streams';
import { expectQuiet, turnUntil } from '../support/turns';

function sendUrgent(socket: Socket, text: string): void {
  sendText(socket, text, constants.MSG_OOB);
}

onEveryMap('urgent data', (map, { testWithoutFaults }) => {
  test('rule 3: handleExcept is called for an urgent byte, which recv with MSG_OOB returns', () => {
    const [ours, theirs] = tcpPair();
    const handler = new Acting(map(), ours);
    const fetched: string[] = [];
    handler.on.except = () => {
      fetched.push(handler.recv(1, constants.MSG_OOB).toString());
    };
    sendUrgent(theirs, '!');
    untilReady(ours, POLLPRI);
    turnUntil(map(), () => handler.count('except') === 1, 'the urgent byte');
    expectQuiet(map());
    expect(fetched).toEqual(['!']);
    expect(handler.count('except')).toBe(1);
    theirs.close();
  });

  testWithoutFaults('rule 3: in one iteration handleExcept comes before handleRead', () => {
    const [ours, theirs] = tcpPair();
    sendText(theirs, 'usual');
    sendUrgent(theirs, '!');
    untilReady(ours, POLLPRI);
    const handler = new Acting(map(), ours);
    turnUntil(map(), () => handler.received === 'usual', 'the usual bytes');
    expect(handler.events.slice(0, 2)).toEqual(['except', 'read usual']);
    theirs.close();
  });

  test('rules 3, 5: handleExcept is called again for new urgent data after a read', () => {
    const [ours, theirs] = tcpPair();
    const handler = new Acting(map(), ours);
    sendUrgent(theirs, '1');
    turnUntil(map(), () => handler.count('except') === 1, 'the first');
    expectQuiet(map());
    sendText(theirs, 'between');
    turnUntil(map(), () => handler.received === 'between', 'the bytes between');
    expectQuiet(map());
    sendUrgent(theirs, '2');
    turnUntil(map(), () => handler.count('except') >= 2, 'the second');
    expectQuiet(map());
    expect(handler.count('except')).toBe(2);
    theirs.close();
  });

  test('rule 2: an urgent byte and the end call handleExcept and handleClose', () => {
    const [ours, theirs] = tcpPair();
    sendText(theirs, 'a');
    sendUrgent(theirs, '!');
    theirs.close();
    untilReady(ours, POLLPRI);
    const handler = new Acting(map(), ours);
    turnUntil(map(), () => handler.closed, 'the end');
    expect(handler.events[0]).toBe('except');
    expect(handler.received).toBe('a');
    expect(handler.events.slice(-2)).toEqual(['close', 'cleanup']);
  });

  test('rule 5: urgent data has no effect on a handler without handleExcept', () => {
    const [ours, theirs] = tcpPair();
    const handler = new Recorder(map(), ours);
    sendUrgent(theirs, '!');
    sendText(theirs, 'usual');
    untilReady(ours, POLLIN);
    turnUntil(map(), () => handler.received === 'usual', 'the usual bytes');
    expectQuiet(map());
    theirs.close();
    turnUntil(map(), () => handler.closed, 'the end');
    expect(handler.events).toEqual(['read usual', 'close', 'cleanup']);
  });

  testWithoutFaults('rule 3: with SO_OOBINLINE an urgent byte is read among the others', () => {
    const [ours, theirs] = tcpPair();
    ours.setsockopt(constants.SOL_SOCKET, constants.SO_OOBINLINE, true);
    const handler = new Recorder(map(), ours);
    sendText(theirs, 'a');
    sendUrgent(theirs, '!');
    sendText(theirs, 'b');
    turnUntil(map(), () => handler.received === 'a!b', 'all bytes');
    expectQuiet(map());
    handler.sendAll('still standing');
    untilReady(theirs, POLLIN);
    expect(receiveText(theirs)).toBe('still standing');
    theirs.close();
  });

  describe('urgent data that stays unread', () => {
    const looks: [string, (handler: Looking) => unknown][] = [
      ['peek', (handler) => handler.peek(10)],
      ['an empty receive', (handler) => handler.recvInto(Buffer.alloc(0))],
      ['a receive of nothing', (handler) => handler.recv(0)],
    ];

    class Looking extends IOHandler {
      told = 0;
      look: (handler: Looking) => unknown = () => undefined;
      override handleExcept(): void {
        this.told++;
        this.look(this);
      }
    }

    test.each(looks)('rule 5: %s does not repeat handleExcept', (_name, look) => {
      const [ours, theirs] = tcpPair();
      const handler = new Looking(map(), ours);
      handler.look = look;
      sendText(theirs, 'abc');
      sendUrgent(theirs, '!');
      untilReady(ours, POLLPRI);
      expectQuiet(map());
      expect(handler.told).toBe(1);
      theirs.close();
    });

    test('rule 5: a receive that would block does not repeat handleExcept, paused or not', () => {
      for (const readable of [false, true]) {
        const [ours, theirs] = tcpPair();
        const handler = new Looking(map(), ours);
        handler.setReadable(readable);
        handler.look = (each) => each.read(10);
        sendUrgent(theirs, '!');
        untilReady(ours, POLLPRI);
        expectQuiet(map());
        expect(handler.told).toBe(1);
        handler.close();
        theirs.close();
      }
    });
  });
});
