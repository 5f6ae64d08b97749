/** A deregistered handler gets no callbacks; pending ones are delivered after registration. */
import { constants } from '../../lib';
import { POLLIN } from '../../lib/select';
import { Acting } from '../support/acting';
import { onEveryMap } from '../support/maps';
import { receiveText, sendText, socketpair, untilReady } from '../support/streams';
import { expectQuiet, turnUntil } from '../support/turns';

onEveryMap('a deregistered handler', (map, { testWithoutFaults }) => {
  testWithoutFaults(
    'rule 6: its output is sent at once, and handleDrain is called after it is registered again',
    () => {
      const [ours, theirs] = socketpair();
      const handler = new Acting(map(), ours);
      handler.highWaterMark = 1;
      handler.on.read = () => {
        handler.sendAll('reply');
        map().delHandler(handler);
      };
      sendText(theirs, 'go');
      turnUntil(map(), () => handler.received === 'go', 'the callback');
      untilReady(theirs, POLLIN);
      expectQuiet(map());
      expect(handler.events).toEqual(['read go']);
      map().addHandler(handler);
      turnUntil(map(), () => handler.count('drain') > 0, 'the drain');
      expect(handler.events.filter((event) => event !== 'write')).toEqual(['read go', 'drain']);
      theirs.close();
    },
  );

  testWithoutFaults(
    'rule 6: an end() while deregistered completes after it is registered again',
    () => {
      const [ours, theirs] = socketpair();
      const handler = new Acting(map(), ours);
      handler.on.read = () => {
        handler.end('reply');
        map().delHandler(handler);
      };
      sendText(theirs, 'go');
      map().poll(1);
      expectQuiet(map());
      expect(receiveText(theirs)).toBe('reply');
      theirs.close();
      map().addHandler(handler);
      turnUntil(map(), () => handler.closed, 'the end');
      expect(handler.events).toEqual(['read go', 'cleanup']);
    },
  );

  testWithoutFaults(
    'rule 6: neither handleClose nor handleCleanup is called when its output is sent',
    () => {
      const [ours, theirs] = socketpair();
      const handler = new Acting(map(), ours);
      handler.highWaterMark = 1;
      handler.on.read = () => void handler.sendAll(Buffer.alloc(3_000_000));
      handler.on.drain = () => map().delHandler(handler);
      sendText(theirs, 'go');
      theirs.shutdown(constants.SHUT_WR);
      turnUntil(
        map(),
        () => {
          receiveText(theirs);
          return handler.count('drain') > 0;
        },
        'the drain',
      );
      expectQuiet(map());
      expect(handler.events.filter((event) => event !== 'write')).toEqual(['read go', 'drain']);
      map().addHandler(handler);
      turnUntil(map(), () => handler.closed, 'the end');
      expect(handler.events.slice(-3)).toEqual(['drain', 'close', 'cleanup']);
      theirs.close();
    },
  );

  testWithoutFaults(
    'rule 6: after registration a pending handleDrain comes before a pending handleClose',
    () => {
      const [ours, theirs] = socketpair();
      const handler = new Acting(map(), ours);
      handler.highWaterMark = 1;
      handler.on.read = () => void handler.sendAll(Buffer.alloc(3_000_000));
      handler.on.drain = () => {
        if (handler.count('drain') > 1) return;
        handler.sendAll('more');
        map().delHandler(handler);
      };
      sendText(theirs, 'go');
      theirs.shutdown(constants.SHUT_WR);
      const drained = (): boolean => {
        receiveText(theirs);
        return handler.count('drain') > 0;
      };
      turnUntil(map(), drained, 'the drain');
      expectQuiet(map());
      map().addHandler(handler);
      turnUntil(map(), () => handler.closed, 'the end');
      expect(handler.events.slice(-4)).toEqual(['drain', 'drain', 'close', 'cleanup']);
      theirs.close();
    },
  );
});
