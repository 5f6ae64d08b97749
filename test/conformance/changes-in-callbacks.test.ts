/** Removing, closing or changing any handler from any callback (rules 6 and 7). */
import { AcceptHandler } from '../../lib';
import { Acting, callbackNames } from '../support/acting';
import { onEveryMap } from '../support/maps';
import { closeKept, isTold, keep, provoke } from '../support/provoke';
import { Recorder } from '../support/recorder';
import { receiveText, sendText, socketpair } from '../support/streams';
import { expectQuiet, turnUntil } from '../support/turns';

onEveryMap('changes in callbacks', (map) => {
  afterEach(() => closeKept(map()));

  describe.each(callbackNames)('from the callback %s', (name) => {
    function provoked(action: (handler: Acting) => void): Acting {
      const handler = provoke[name](map());
      handler.on[name] = () => action(handler);
      turnUntil(map(), () => isTold(handler, name), name);
      return handler;
    }

    test('rules 3, 6: a handler closes itself', () => {
      const handler = provoked((it) => it.close());
      if (handler.events.at(-1) !== 'cleanup') throw new Error(handler.events.join());
      expectQuiet(map());
      expect(handler.count('cleanup')).toBe(1);
      expect(handler.events.at(-1)).toBe('cleanup');
    });

    test('rule 6: a handler closes another handler, and creates a new one', () => {
      const [otherSocket, otherPeer] = socketpair();
      const other = new Recorder(map(), otherSocket);
      const [newSocket, newPeer] = socketpair();
      let made: Recorder | undefined;
      provoked(() => {
        if (made !== undefined) return;
        other.close();
        made = new Recorder(map(), newSocket);
      });
      expect(other.events).toEqual(['cleanup']);
      sendText(newPeer, 'hello');
      turnUntil(map(), () => made?.received === 'hello', 'the new one to read');
      otherPeer.close();
      newPeer.close();
    });

    test('rule 6: a handler deregisters itself', () => {
      const handler = provoked((it) => map().delHandler(it));
      const told = handler.events.length;
      expectQuiet(map());
      if (!handler.closed) expect(handler.events.length).toBe(told);
      handler.close();
      expect(handler.count('cleanup')).toBe(1);
    });

    test('rule 6: a handler deregisters another handler and registers it again', () => {
      const [ours, theirs] = socketpair();
      const other = new Recorder(map(), ours);
      sendText(theirs, 'x');
      let isDone = false;
      provoked(() => {
        if (isDone) return;
        isDone = true;
        map().delHandler(other);
        map().addHandler(other);
      });
      turnUntil(map(), () => other.received === 'x', 'what the other is sent');
      expectQuiet(map());
      expect(other.events).toEqual(['read x']);
      theirs.close();
    });

    test('rule 17: a handler closes the map', () => {
      const [ours, theirs] = socketpair();
      const other = new Recorder(map(), ours);
      const handler = provoked(() => map().close());
      expect(map().closed).toBe(true);
      expect(handler.events.at(-1)).toBe('cleanup');
      expect(handler.count('cleanup')).toBe(1);
      expect(other.events).toEqual(['cleanup']);
      theirs.close();
    });
  });

  test('rule 6: a listener that closes itself in handleAccept accepts no more connections', () => {
    const accepted: unknown[] = [];
    class Once extends AcceptHandler {
      override handleAccept(socket: { close(): void }): void {
        accepted.push(socket);
        socket.close();
        this.close();
      }
    }
    const server = new Once(map());
    server.bind(['127.0.0.1', 0]);
    server.listen(8);
    const address = server.socket.getsockname();
    const clients = [0, 1, 2].map(() => {
      const client = new Recorder(map());
      client.connect(address);
      return client;
    });
    turnUntil(map(), () => server.closed, 'the first');
    expectQuiet(map());
    expect(accepted.length).toBe(1);
    for (const client of clients) client.close();
  });
});

onEveryMap('two handlers in one batch', (map, { testWithoutFaults }) => {
  /** Two handlers, both ready: the first to be called does `action` to the other. */
  function both(prepare: (handler: Acting) => void, action: (other: Acting) => void) {
    const pairs = [socketpair(), socketpair()];
    const handlers = pairs.map(([ours, theirs]) => {
      sendText(theirs, 'x');
      return new Acting(map(), ours);
    });
    let first: Acting | undefined;
    for (const [i, handler] of handlers.entries()) {
      prepare(handler);
      handler.on.read = handler.on.write = () => {
        if (first !== undefined) return;
        first = handler;
        action(handlers[1 - i]!);
      };
    }
    expect(map().poll(1)).toBeGreaterThan(0);
    for (const [, theirs] of pairs) keep(map(), theirs);
    const second = handlers.find((handler) => handler !== first);
    return { first: first!, second: second! };
  }

  afterEach(() => closeKept(map()));

  testWithoutFaults('rule 6: a handler closed earlier in the batch gets no event', () => {
    const { first, second } = both(
      () => {},
      (other) => other.close(),
    );
    expectQuiet(map());
    expect(first.events).toEqual(['read x']);
    expect(second.events).toEqual(['cleanup']);
  });

  testWithoutFaults(
    'rule 6: a handler deregistered earlier in the batch gets no event until it is registered again',
    () => {
      const { second } = both(
        () => {},
        (other) => map().delHandler(other),
      );
      expectQuiet(map());
      expect(second.events).toEqual([]);
      map().addHandler(second);
      turnUntil(map(), () => second.received === 'x', 'the other to read');
    },
  );

  testWithoutFaults(
    'rule 7: handleRead is not called in a batch in which another handler paused reading',
    () => {
      const { second } = both(
        () => {},
        (other) => other.setReadable(false),
      );
      expectQuiet(map());
      expect(second.events).toEqual([]);
      second.setReadable(true);
      turnUntil(map(), () => second.received === 'x', 'the other to read');
    },
  );

  test('rule 7: handleWrite is not called in a batch in which another handler cleared write interest', () => {
    const { first, second } = both(
      (handler) => {
        handler.setReadable(false);
        handler.setWritable(true);
      },
      (other) => other.setWritable(false),
    );
    expectQuiet(map());
    expect(first.count('write')).toBeGreaterThan(0);
    expect(second.count('write')).toBe(0);
  });

  testWithoutFaults(
    'rule 7: handleWrite is not called after handleRead cleared write interest',
    () => {
      const [ours, theirs] = socketpair();
      const handler = new Acting(map(), ours);
      handler.setWritable(true);
      handler.on.read = () => handler.setWritable(false);
      sendText(theirs, 'x');
      map().poll(1);
      expectQuiet(map());
      expect(handler.events).toEqual(['read x']);
      theirs.close();
    },
  );

  testWithoutFaults('rule 7: pausing and resuming before the wait changes nothing', () => {
    const [ours, theirs] = socketpair();
    const handler = new Acting(map(), ours);
    handler.setReadable(false);
    handler.setReadable(true);
    sendText(theirs, 'x');
    turnUntil(map(), () => handler.received === 'x', 'the byte');
    handler.sendAll('y');
    expect(receiveText(theirs)).toBe('y');
    theirs.close();
  });
});
