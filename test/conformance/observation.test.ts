/** Observed maps: counted bytes, timed callbacks, warnings about slow handlers. */
import { AcceptHandler, type Handler, IOHandler, Notifier, type SocketMap } from '../../lib';
import { Socket, socketpair } from '../../lib';
import { systemKernel } from '../../lib/system/system-kernel';
import { ObservedNotifier } from '../../lib/inspection/observed-notifier';
import type { SocketMapOptions } from '../../lib/maps';
import { candidates, EpollSocketMap } from '../../lib/maps';
import { BufferedWriteHandler } from '../../lib/protocols';
import { POLLIN } from '../../lib/select';
import { Acting } from '../support/acting';
import { Recorder } from '../support/recorder';
import {
  deadAddress,
  receiveText,
  sendText,
  streams,
  tcpPair,
  untilReady,
} from '../support/streams';
import { turnUntil } from '../support/turns';

const aNumber: unknown = expect.any(Number);

/** The time of the maps' clock while it is stopped. */
let clockMs: number | undefined;

/** From now on only `hold` moves the clock: the load of the machine has no influence. */
function stopClock(): void {
  const stoppedMs = systemKernel.monotonicMs();
  clockMs = stoppedMs;
  jest.spyOn(systemKernel, 'monotonicMs').mockImplementation(() => clockMs ?? stoppedMs);
}

/** Blocks the loop, by the maps' clock. */
function hold(milliseconds: number): void {
  if (clockMs !== undefined) {
    clockMs += milliseconds;
    return;
  }
  const startMs = performance.now();
  while (performance.now() - startMs < milliseconds);
}

describe.each(candidates.map((candidate) => [candidate.backend, candidate] as const))(
  '%s: observed',
  (_name, Candidate) => {
    const opened: (SocketMap | Socket)[] = [];
    afterEach(() => {
      for (const each of opened.splice(0)) each.close();
      jest.restoreAllMocks();
      clockMs = undefined;
    });

    function observed(options: SocketMapOptions = { observed: true }): SocketMap {
      const map = new Candidate(options);
      opened.push(map);
      return map;
    }

    function connected(map: SocketMap, pair = socketpair): [Acting, Socket] {
      const [ours, theirs] = pair();
      opened.push(theirs);
      return [new Acting(map, ours), theirs];
    }

    function seen(handler: Handler) {
      const { handlers } = handler.socketMap.inspect();
      return handlers.find(({ descriptor }) => descriptor === handler.fileno())!;
    }

    /** Triggers handleRead of `handler`. */
    function provoke(handler: Handler, peer: Socket): void {
      sendText(peer, 'x');
      const { events } = handler.socketMap.inspect();
      turnUntil(handler.socketMap, () => handler.socketMap.inspect().events > events, 'a read');
    }

    test('a map is observed only with an option', () => {
      expect(observed().inspect().observed).toBe(true);
      expect(observed({ slowHandlerSeconds: 1 }).inspect().observed).toBe(true);
      for (const options of [{}, { observed: false }]) {
        const map = observed(options);
        const [handler, peer] = connected(map);
        provoke(handler, peer);
        expect(map.inspect()).toMatchObject({
          observed: false,
          callbackSeconds: undefined,
          longestCallback: undefined,
        });
        expect(seen(handler)).toMatchObject({
          bytesIn: undefined,
          bytesOut: undefined,
          ageSeconds: undefined,
          lastEvent: undefined,
        });
      }
    });

    test.each(streams)('bytes received, and bytes accepted by the kernel (%s)', (_n, pair) => {
      const [handler, peer] = connected(observed(), pair);
      expect(seen(handler)).toMatchObject({ bytesIn: 0, bytesOut: 0 });
      handler.readBytes = 3;
      handler.on.read = () => void handler.peek(100);
      sendText(peer, 'seven b');
      turnUntil(handler.socketMap, () => handler.received === 'seven b', 'the bytes');
      expect(seen(handler)).toMatchObject({ bytesIn: 7, bytesOut: 0 });
      expect(handler.send('four')).toBe(4);
      handler.sendAll('and');
      handler.sendAll(' nine');
      expect(seen(handler)).toMatchObject({ bytesIn: 7, bytesOut: 12 });
    });

    test('bytes of a transfer of many calls', () => {
      const [handler, peer] = connected(observed());
      for (let i = 0; i < 200; i++) handler.sendAll(Buffer.alloc(10_000));
      expect(seen(handler).bytesOut! + handler.bufferedAmount).toBe(2_000_000);
      let received = 0;
      const drained = (): boolean => {
        for (let text = receiveText(peer); text !== undefined; text = receiveText(peer)) {
          received += text.length;
        }
        return received === 2_000_000;
      };
      turnUntil(handler.socketMap, drained, 'all of it');
      expect(seen(handler)).toMatchObject({ bytesOut: 2_000_000, bufferedBytesOut: 0 });
    });

    test('bytes are counted once when sendMany of a replaced socket calls send', () => {
      const [ours, theirs] = socketpair();
      opened.push(theirs);
      ours.sendMany = (buffers) => buffers.reduce((sum, buffer) => sum + ours.send(buffer), 0);
      const handler = new BufferedWriteHandler(observed(), ours);
      expect(handler.socket.sendMany([Buffer.from('abc'), Buffer.from('de')])).toBe(5);
      expect(handler.socket.send(Buffer.from('f'))).toBe(1);
      expect(seen(handler).bytesOut).toBe(6);
    });

    test('a handler registered again continues its counts, without counting twice', () => {
      const [handler, peer] = connected(observed());
      provoke(handler, peer);
      handler.socketMap.delHandler(handler);
      hold(2);
      handler.socketMap.addHandler(handler);
      provoke(handler, peer);
      expect(seen(handler).bytesIn).toBe(2);
      expect(seen(handler).ageSeconds).toBeGreaterThanOrEqual(0.002);
    });

    test('handler.socket is the socket passed to the constructor', () => {
      const [ours, theirs] = socketpair();
      opened.push(theirs);
      const handler = new IOHandler(observed(), ours);
      expect(handler.socket).toBe(ours);
      expect(handler.socket).toBeInstanceOf(Socket);
    });

    test('age, and the last event', () => {
      const [handler, peer] = connected(observed());
      expect(seen(handler).lastEvent).toBeUndefined();
      handler.on.read = () => {
        // Sending the remaining output after the callback is no event of its own.
        handler.sendAll('answer');
        hold(2);
      };
      provoke(handler, peer);
      hold(2);
      const { ageSeconds, lastEvent } = seen(handler);
      expect(lastEvent).toEqual({ callback: 'handleRead', secondsAgo: aNumber });
      expect(lastEvent!.secondsAgo).toBeGreaterThanOrEqual(0.004);
      expect(ageSeconds).toBeGreaterThan(lastEvent!.secondsAgo);
    });

    test('lastEvent names each callback', () => {
      const map = observed();
      const told: (string | undefined)[] = [];
      const tell = (handler: Acting) => () => void told.push(seen(handler).lastEvent?.callback);
      const listener = new AcceptHandler(map);
      listener.bind(['127.0.0.1', 0]);
      listener.listen(1);
      const client = new Acting(map);
      client.on.connect = tell(client);
      client.connect(listener.socket.getsockname());
      turnUntil(map, () => client.count('connect') === 1, 'the connection');
      expect(seen(client).peerAddress).toEqual(listener.socket.getsockname());
      expect(seen(listener).lastEvent?.callback).toBe('handleRead');

      const [handler, peer] = connected(map);
      handler.allowHalfOpen = true;
      for (const name of ['read', 'end'] as const) handler.on[name] = tell(handler);
      handler.on.write = () => {
        tell(handler)();
        handler.setWritable(false);
      };
      handler.setWritable(true);
      turnUntil(map, () => handler.count('write') > 0, 'a write');
      provoke(handler, peer);
      peer.shutdown(1);
      turnUntil(map, () => handler.count('end') > 0, 'the end');
      const [left, leaving] = connected(map);
      left.on.close = tell(left);
      leaving.close();
      turnUntil(map, () => left.closed, 'the close');
      expect(told).toEqual([
        'handleConnect',
        'handleWrite',
        'handleRead',
        'handleEnd',
        'handleClose',
      ]);
    });

    test('time in callbacks, and the longest callback', () => {
      stopClock();
      const map = observed();
      expect(map.inspect()).toMatchObject({ callbackSeconds: 0, longestCallback: undefined });
      const [quick, itsPeer] = connected(map);
      const [slow, peer] = connected(map, tcpPair);
      slow.on.read = () => hold(40);
      quick.on.read = () => hold(1);
      provoke(slow, peer);
      provoke(quick, itsPeer);
      const { callbackSeconds, longestCallback } = map.inspect();
      expect(longestCallback).toEqual({
        className: 'Acting',
        callback: 'handleRead',
        descriptor: slow.fileno(),
        peerAddress: peer.getsockname(),
        seconds: aNumber,
      });
      expect(longestCallback!.seconds).toBeCloseTo(0.04, 9);
      expect(callbackSeconds).toBeCloseTo(0.041, 9);
    });

    test('a nested callback is timed separately, and a closed handler is still named', () => {
      stopClock();
      const map = observed();
      const [outer, peer] = connected(map);
      const [inner, theirs] = connected(map, tcpPair);
      const descriptor = inner.fileno();
      const peerAddress = theirs.getsockname();
      outer.on.read = () => {
        hold(20);
        inner.close();
        hold(20);
      };
      inner.on.cleanup = () => hold(80);
      provoke(outer, peer);
      const { callbackSeconds, longestCallback } = map.inspect();
      expect(longestCallback).toMatchObject({ callback: 'handleCleanup', descriptor, peerAddress });
      // The nested callback is not counted twice.
      expect(callbackSeconds).toBeCloseTo(0.12, 9);
    });

    test('functions passed to the map are timed, too', () => {
      stopClock();
      const map = observed();
      let called = 0;
      map.callSynchronized(function soon() {
        called++;
      });
      map.callIn(0, function tick() {
        called++;
        hold(40);
      });
      turnUntil(map, () => called === 2, 'the calls');
      expect(map.inspect().longestCallback).toEqual({
        className: undefined,
        callback: 'callIn(tick)',
        descriptor: -1,
        peerAddress: undefined,
        seconds: aNumber,
      });
    });

    test('a slow callback causes a warning with its name', () => {
      const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
      const map = observed({ slowHandlerSeconds: 0.02 });
      class Slow extends Acting {}
      const [ours, theirs] = tcpPair();
      opened.push(theirs);
      const slow = new Slow(map, ours);
      slow.on.read = () => hold(25);
      provoke(slow, theirs);
      const { host, port } = theirs.getsockname() as { host: string; port: number };
      expect(warn).toHaveBeenCalledWith(
        expect.stringMatching(
          new RegExp(
            `^Slow\\.handleRead held the loop for [\\d.]+ seconds \\(descriptor ${slow.fileno()}, ` +
              `peer ${host}:${port}, slowHandlerSeconds is 0\\.02\\)$`,
          ),
        ),
        { type: 'SlowHandlerWarning', code: 'ASYNCHIA_SLOW_HANDLER' },
      );
      map.callIn(0, () => hold(25));
      const before = warn.mock.calls.length;
      turnUntil(map, () => warn.mock.calls.length > before, 'the timer');
      expect(String(warn.mock.calls.at(-1)![0])).toMatch(
        /^callIn\(anonymous\) held the loop for [\d.]+ seconds \(slowHandlerSeconds is 0\.02\)$/,
      );
    });

    test('a callback under the limit causes no warning', () => {
      const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
      for (const options of [{ slowHandlerSeconds: 3600 }, { observed: true }]) {
        const map = observed(options);
        const [handler, peer] = connected(map);
        handler.on.read = () => hold(25);
        provoke(handler, peer);
        expect(map.inspect().longestCallback?.seconds).toBeGreaterThanOrEqual(0.025);
      }
      expect(warn).not.toHaveBeenCalled();
    });

    test("the user's own notifier is called, and gets what callbacks throw", async () => {
      const calls: string[] = [];
      class Own extends Notifier {
        override readObj(handler: Handler): void {
          calls.push('readObj');
          super.readObj(handler);
        }
        override errorObj(handler: Handler, error: unknown): void {
          calls.push(`errorObj ${String(error)}`);
          super.errorObj(handler, error);
        }
        override cleanupObj(handler: Handler): void {
          calls.push('cleanupObj');
          super.cleanupObj(handler);
        }
      }
      const map = observed({ observed: true, notifier: new Own() });
      const [handler, peer] = connected(map);
      handler.on.read = () => {
        throw new Error('thrown');
      };
      provoke(handler, peer);
      handler.on.read = () => Promise.reject(new Error('rejected'));
      provoke(handler, peer);
      await Promise.resolve();
      expect(seen(handler).lastEvent?.callback).toBe('handleError');
      handler.close();
      expect(calls).toEqual([
        'readObj',
        'errorObj Error: thrown',
        'readObj',
        'errorObj Error: rejected',
        'cleanupObj',
      ]);
      expect(handler.events.filter((event) => event.startsWith('error'))).toEqual([
        'error thrown',
        'error rejected',
      ]);
    });

    test('the loop throws what a notifier throws, and timing continues', () => {
      class Broken extends Notifier {
        override readObj(): void {
          throw new Error('a broken notifier');
        }
      }
      const map = observed({ observed: true, notifier: new Broken() });
      const [, peer] = connected(map);
      sendText(peer, 'x');
      expect(() => map.poll(1)).toThrow('a broken notifier');
      const before = map.inspect().callbackSeconds!;
      const [other] = connected(map);
      other.on.cleanup = () => hold(3);
      other.close();
      expect(map.inspect().callbackSeconds! - before).toBeGreaterThanOrEqual(0.003);
    });

    test('a failed connection attempt is counted under its last descriptor', () => {
      const map = observed();
      const client = new Recorder(map);
      client.connect(deadAddress());
      turnUntil(map, () => client.closed, 'the refusal');
      expect(client.events).toEqual(['connectFailed ECONNREFUSED', 'cleanup']);
      expect(map.inspect().longestCallback?.descriptor).toBeGreaterThan(0);
    });

    test('a connection to a name with several addresses has the peer that accepted it', () => {
      const map = observed();
      const listener = Socket.create();
      opened.push(listener);
      listener.bind(['127.0.0.1', 0]);
      listener.listen(1);
      const address = listener.getsockname() as { port: number };
      const client = new Acting(map);
      client.on.connect = () => hold(30);
      client.connect(['localhost', address.port]);
      turnUntil(map, () => client.connected, 'the connection');
      expect(map.inspect().longestCallback).toMatchObject({
        callback: 'handleConnect',
        descriptor: client.fileno(),
        peerAddress: address,
      });
      untilReady(listener, POLLIN);
    });
  },
);

test('an observed notifier overrides every method of Notifier', () => {
  const methodsOf = (prototype: object) => Object.getOwnPropertyNames(prototype).sort();
  expect(methodsOf(ObservedNotifier.prototype)).toEqual(methodsOf(Notifier.prototype));
});

test('the options of observation are checked', () => {
  for (const observed of [null, 1, 'yes']) {
    expect(() => new EpollSocketMap({ observed: observed as never })).toThrow(TypeError);
  }
  for (const seconds of [null, 'one', -1, NaN, Infinity]) {
    expect(() => new EpollSocketMap({ slowHandlerSeconds: seconds as never })).toThrow(
      /^slowHandlerSeconds must be /,
    );
  }
});
