/** inspect(): the state of a map and its handlers, observed or not. */
import type { Handler, Socket } from '../../lib';
import { AcceptHandler, constants, IOHandler } from '../../lib';
import { BufferedWriteHandler, LineHandler } from '../../lib/protocols';
import { POLLIN } from '../../lib/select';
import { Acting } from '../support/acting';
import { pass } from '../support/kernels';
import { onEveryMap } from '../support/maps';
import { Recorder } from '../support/recorder';
import {
  fill,
  reset,
  sendText,
  socketpair,
  tcpListener,
  tcpPair,
  untilReady,
} from '../support/streams';
import { turnUntil } from '../support/turns';

onEveryMap('inspect', (map, { testOnSystem, testWithoutFaults }) => {
  const peers: Socket[] = [];
  afterEach(() => {
    for (const peer of peers.splice(0)) peer.close();
  });

  /** A connected pair; the peer is closed after the test. */
  function pair(make = socketpair): [Socket, Socket] {
    const [ours, theirs] = make();
    peers.push(theirs);
    return [ours, theirs];
  }

  const seen = (handler: Handler) => {
    const found = map()
      .inspect()
      .handlers.filter(({ descriptor }) => descriptor === handler.fileno());
    expect(found.length).toBe(1);
    return found[0]!;
  };

  test('a handler without a socket', () => {
    class Nameless extends IOHandler {}
    new Nameless(map());
    expect(map().inspect().handlers).toEqual([
      expect.objectContaining({
        className: 'Nameless',
        descriptor: -1,
        phase: 'unconnected',
        localAddress: undefined,
        peerAddress: undefined,
        interest: [],
        bufferedBytesIn: 0,
        bufferedBytesOut: 0,
      }),
    ]);
  });

  test('a listener', () => {
    const listener = new AcceptHandler(map());
    listener.bind(['127.0.0.1', 0]);
    expect(seen(listener)).toMatchObject({ phase: 'unconnected', interest: [] });
    listener.listen(1);
    expect(seen(listener)).toMatchObject({
      className: 'AcceptHandler',
      phase: 'listening',
      localAddress: listener.socket.getsockname(),
      peerAddress: undefined,
      interest: ['read'],
    });
  });

  testWithoutFaults('both ends of a connection, with their addresses', () => {
    const listener = tcpListener();
    const client = new IOHandler(map());
    client.connect(listener.getsockname());
    expect(seen(client)).toMatchObject({ phase: 'connecting', interest: ['write'] });
    turnUntil(map(), () => client.connected, 'the connection');
    untilReady(listener, POLLIN);
    const accepted = new IOHandler(map(), listener.accept()!.socket);
    const there = listener.getsockname();
    const here = client.socket.getsockname();
    expect(seen(client)).toMatchObject({ localAddress: here, peerAddress: there });
    expect(seen(accepted)).toMatchObject({ localAddress: there, peerAddress: here });
    expect(seen(accepted)).toMatchObject({ phase: 'connected', interest: [] });
    listener.close();
  });

  test('interest is the set of events that the descriptor is registered for', () => {
    class Urgent extends IOHandler {
      override handleExcept(): void {}
    }
    const handler = new Urgent(map(), pair()[0]);
    expect(seen(handler).interest).toEqual(['urgent']);
    handler.setReadable(true);
    expect(seen(handler).interest).toEqual(['read', 'urgent']);
    handler.setWritable(true);
    expect(seen(handler).interest).toEqual(['read', 'write', 'urgent']);
    handler.setReadable(false);
    expect(seen(handler).interest).toEqual(['write', 'urgent']);
  });

  test('interest is empty for a paused handler with unread bytes before an end', () => {
    const [ours, theirs] = pair();
    const handler = new Recorder(map(), ours);
    handler.setReadable(false);
    sendText(theirs, 'unread');
    theirs.close();
    untilReady(ours, POLLIN);
    map().poll(0);
    expect(seen(handler)).toMatchObject({ phase: 'connected', interest: [] });
  });

  testWithoutFaults('a half-closed connection, and a closing one', () => {
    const [ours, theirs] = pair();
    const handler = new Acting(map(), ours);
    handler.allowHalfOpen = true;
    theirs.shutdown(constants.SHUT_WR);
    turnUntil(map(), () => handler.count('end') === 1, 'the end');
    expect(seen(handler)).toMatchObject({ phase: 'half-closed', interest: [] });

    const ending = new BufferedWriteHandler(map(), pair()[0]);
    ending.end('all');
    expect(seen(ending)).toMatchObject({ phase: 'closing', interest: ['read'] });
  });

  testWithoutFaults('buffered bytes, in both directions', () => {
    const [ours, theirs] = pair();
    const handler = new LineHandler(map(), ours);
    sendText(theirs, 'a line\nits begin');
    untilReady(ours, POLLIN);
    map().poll(0);
    expect(seen(handler)).toMatchObject({ bufferedBytesIn: 9, bufferedBytesOut: 0 });
    fill(ours);
    handler.sendAll(Buffer.alloc(1234));
    expect(seen(handler)).toMatchObject({ bufferedBytesIn: 9, bufferedBytesOut: 1234 });
  });

  test('registered handlers are listed by descriptor, those without one first', () => {
    const pairs = [pair(), pair(), pair(), pair()];
    const handlers = pairs.reverse().map(([ours]) => new IOHandler(map(), ours));
    new IOHandler(map());
    map().delHandler(handlers[0]!);
    handlers[2]!.close();
    const expected = [handlers[1]!.fileno(), handlers[3]!.fileno()].sort((a, b) => a - b);
    expect(
      map()
        .inspect()
        .handlers.map(({ descriptor }) => descriptor),
    ).toEqual([-1, ...expected]);
    handlers[0]!.close();
  });

  testWithoutFaults('the number of iterations, and of events as poll returns them', () => {
    const [ours, theirs] = pair();
    new Recorder(map(), ours);
    let events = map().poll(0);
    sendText(theirs, 'x');
    untilReady(ours, POLLIN);
    events += map().poll(0) + map().poll(0);
    expect(events).toBe(1);
    expect(map().inspect()).toMatchObject({ turns: 3, events, staleEvents: 0, wakeups: 0 });
  });

  testWithoutFaults(
    'stale events: their handler was closed or deregistered in the same batch',
    () => {
      const pairs = [pair(), pair(), pair()];
      const handlers = pairs.map(([ours]) => new Acting(map(), ours));
      for (const handler of handlers) {
        handler.on.read = () => {
          const [first, second] = handlers.filter((other) => other !== handler);
          if (!first!.closed) first!.close();
          map().delHandler(second!);
        };
      }
      for (const [ours, theirs] of pairs) {
        sendText(theirs, 'x');
        untilReady(ours, POLLIN);
      }
      expect(map().poll(0)).toBe(1);
      expect(map().inspect()).toMatchObject({ events: 1, staleEvents: 2 });
      for (const handler of handlers) handler.close();
    },
  );

  testOnSystem('wake-ups by wakeup() and by wakers', () => {
    let woken = 0;
    const waker = map().createWaker(() => woken++);
    map().wakeup();
    expect(map().inspect().wakeups).toBe(1);
    waker.wake();
    turnUntil(map(), () => woken === 1, 'the waker');
    expect(map().inspect().wakeups).toBe(2);
    waker.close();
  });

  test('the age of the map', () => {
    pass(1);
    const before = map().inspect().ageSeconds;
    pass(3);
    const after = map().inspect().ageSeconds;
    expect(before).toBeGreaterThan(0);
    expect(after - before).toBeGreaterThanOrEqual(0.003);
  });

  test('inspect() in a callback: the called handler, and one that it closed', () => {
    const [ours, theirs] = pair();
    const handler = new Acting(map(), ours);
    const other = new IOHandler(map(), pair()[0]);
    let told: number[] = [];
    handler.on.read = () => {
      other.close();
      told = map()
        .inspect()
        .handlers.map(({ descriptor }) => descriptor);
    };
    sendText(theirs, 'x');
    turnUntil(map(), () => handler.count('read x') === 1, 'a read');
    expect(told).toEqual([handler.fileno()]);
  });

  test('a closed map keeps its counts', () => {
    const [ours, theirs] = pair();
    new Recorder(map(), ours);
    sendText(theirs, 'x');
    untilReady(ours, POLLIN);
    map().poll(0);
    map().close();
    expect(map().inspect()).toMatchObject({ closed: true, turns: 1, events: 1, handlers: [] });
  });

  test('inspect() works when getsockname and getpeername fail', () => {
    const [broken] = pair(tcpPair);
    broken.getpeername = () => {
      throw new Error('getpeername is broken');
    };
    broken.getsockname = () => {
      throw new Error('getsockname is broken');
    };
    const [gone, theirs] = pair(tcpPair);
    const handlers = [broken, gone].map((socket) => new IOHandler(map(), socket));
    reset(theirs);
    untilReady(gone, POLLIN);
    expect(seen(handlers[0]!)).toMatchObject({ localAddress: undefined, peerAddress: undefined });
    // The kernel forgets the peer of a connection that was reset.
    expect(seen(handlers[1]!)).toMatchObject({ peerAddress: undefined });
    expect(seen(handlers[1]!).localAddress).toEqual(gone.getsockname());
  });

  test('a handler whose socket was closed directly is still listed, without its descriptor', () => {
    const [ours] = pair();
    const handler = new IOHandler(map(), ours);
    ours.close();
    expect(map().inspect().handlers).toEqual([
      expect.objectContaining({ descriptor: -1, localAddress: undefined, peerAddress: undefined }),
    ]);
    handler.close();
  });

  test('the result is plain data that can be cloned', () => {
    new Recorder(map(), pair()[0]).sendAll('x');
    map().poll(0);
    const inspection = map().inspect();
    expect(structuredClone(inspection)).toEqual(inspection);
    expect(JSON.parse(JSON.stringify(inspection))).toMatchObject({
      backend: map().backend,
      handlers: [{ className: 'Recorder' }],
    });
  });
});
