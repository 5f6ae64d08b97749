/** A socket that is closed, given away or shared past its handler (rules 3, 6 and 19). */
import { closeSync } from 'node:fs';

import { AcceptHandler, IOHandler, Server } from '../../lib';
import type { Handler, Socket, SocketMap } from '../../lib';
import { EpollSocketMap } from '../../lib/maps';
import { loopOf } from '../../lib/transport/loop';
import { SimSocketMap } from '../../lib/testing';
import { Acting } from '../support/acting';
import { onEveryMap } from '../support/maps';
import { closeKept, keep } from '../support/provoke';
import { Recorder } from '../support/recorder';
import { kernel } from '../support/kernels';
import { receiveText, sendText, socketpair, tcpListener } from '../support/streams';
import { expectQuiet, turnUntil } from '../support/turns';

const LOST = ['error poll EBADF: bad file descriptor', 'cleanup'];

onEveryMap('a socket', (map, { testWithoutFaults }) => {
  afterEach(() => closeKept(map()));

  function connected(): [ours: Socket, theirs: Socket] {
    const [ours, theirs] = socketpair();
    keep(map(), theirs);
    return [ours, theirs];
  }

  const takings: Readonly<Record<string, (handler: Handler) => void>> = {
    'socket.close()': (handler) => handler.socket.close(),
    'socket.detach()': (handler) => void kernel().close(handler.socket.detach()),
  };

  describe.each(Object.entries(takings))('%s of a handler', (_name, take) => {
    test('rules 3, 19: ends an idle handler', () => {
      const handler = new Recorder(map(), connected()[0]);
      map().poll(0);
      take(handler);
      turnUntil(map(), () => handler.closed, 'the end');
      expectQuiet(map());
      expect(handler.events).toEqual(LOST);
      expect(map().isEmpty()).toBe(true);
    });

    test('rules 3, 19: ends a handler with bytes unread and output buffered, in its callback', () => {
      const [ours, theirs] = connected();
      const handler = new Acting(map(), ours);
      handler.sendAll(Buffer.alloc(4 << 20));
      handler.on.read = () => {
        handler.sendAll('more');
        take(handler);
      };
      sendText(theirs, 'x');
      turnUntil(map(), () => handler.closed, 'the end');
      expectQuiet(map());
      expect(handler.events.slice(-3)).toEqual(['read x', ...LOST]);
    });

    testWithoutFaults('rule 6: a handler on the same number, in the same turn, is another', () => {
      const handler = new Recorder(map(), connected()[0]);
      map().poll(0);
      const fd = handler.fileno();
      take(handler);
      const pair = connected();
      expect(pair.map((socket) => socket.fileno())).toContain(fd);
      const nexts = pair.map((socket) => new Recorder(map(), socket));
      nexts[0]?.sendAll('hello');
      turnUntil(map(), () => nexts[1]?.received === 'hello', 'what the next one is sent');
      expect(handler.events).toEqual(LOST);
    });

    test('rules 3, 19: ends a listener', () => {
      const events: string[] = [];
      class Listener extends AcceptHandler {
        override handleError(error: unknown): void {
          events.push(`error ${(error as Error).message}`);
        }
        override handleCleanup(): void {
          events.push('cleanup');
        }
      }
      const listener = new Listener(map(), tcpListener());
      listener.setReadable(true);
      map().poll(0);
      take(listener);
      turnUntil(map(), () => listener.closed, 'the end');
      expectQuiet(map());
      expect(events).toEqual(LOST);
    });

    test('rules 3, 6: ends a deregistered handler when it is added again', () => {
      const handler = new Recorder(map(), connected()[0]);
      map().delHandler(handler);
      take(handler);
      expectQuiet(map());
      expect(handler.events).toEqual([]);
      map().addHandler(handler);
      turnUntil(map(), () => handler.closed, 'the end');
      expect(handler.events).toEqual(LOST);
    });

    test('rule 3: in handleClose has no further effect', () => {
      const [ours, theirs] = socketpair();
      const handler = new Acting(map(), ours);
      handler.on.close = () => take(handler);
      theirs.close();
      turnUntil(map(), () => handler.closed, 'the end');
      expectQuiet(map());
      expect(handler.events).toEqual(['close', 'cleanup']);
    });
  });

  test('is refused in handlers of two maps, and the first stays registered', () => {
    const [ours, theirs] = connected();
    const first = new Recorder(map(), ours);
    const other = new (map().constructor as new () => SocketMap)();
    if (other[loopOf].kernel === kernel()) {
      expect(() => new IOHandler(other, ours)).toThrow('has a handler already');
      expect(other.isEmpty()).toBe(true);
    }
    other.close();
    sendText(theirs, 'hello');
    turnUntil(map(), () => first.received === 'hello', 'the bytes');
  });

  test('can be taken over from a handler that was deregistered, which then cannot come back', () => {
    const [ours, theirs] = connected();
    const first = new Recorder(map(), ours);
    map().delHandler(first);
    const second = new Recorder(map(), ours);
    expect(() => map().addHandler(first)).toThrow('has a handler already');
    sendText(theirs, 'hello');
    turnUntil(map(), () => second.received === 'hello', 'the bytes');
    second.end('bye');
    let received = '';
    turnUntil(map(), () => (received += receiveText(theirs) ?? '') === 'bye', 'the answer');
    expect(first.events).toEqual([]);
  });
});

test('a simulated map does not take the socket of another simulated map', () => {
  const maps = [new SimSocketMap(), new SimSocketMap()] as const;
  const [ours] = maps[0].socketpair();
  new Recorder(maps[0], ours);
  expect(() => new Recorder(maps[1], ours)).toThrow('of the same kernel');
  for (const each of maps) each.close();
});

describe('serveForever', () => {
  test('closes its listener when run() rejects', async () => {
    const map = new EpollSocketMap();
    const server = new Server(map, IOHandler);
    map.callIn(0, () => {
      throw new Error('out of the loop');
    });
    await expect(server.serveForever(['127.0.0.1', 0], 8)).rejects.toThrow('out of the loop');
    expect(server.closed).toBe(true);
    expect(map.isEmpty()).toBe(true);
    map.close();
  });

  test('closes its listener when the map runs already', async () => {
    const map = new EpollSocketMap();
    const running = map.run();
    const server = new Server(map, IOHandler);
    await expect(server.serveForever(['127.0.0.1', 0], 8)).rejects.toThrow('running already');
    expect(server.closed).toBe(true);
    map.close();
    await running;
  });
});

test('a descriptor that was given away stays open', () => {
  const map = new EpollSocketMap();
  const [ours, theirs] = socketpair();
  const handler = new Recorder(map, ours);
  const fd = ours.detach();
  turnUntil(map, () => handler.closed, 'the end');
  map.close();
  expect(() => closeSync(fd)).not.toThrow();
  theirs.close();
});
