/** Descriptor numbers are reused: a handler gets only the events of its own descriptor (rule 6). */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, fstatSync, openSync } from 'node:fs';

import type { Socket } from '../../lib';
import { candidates, EpollSocketMap } from '../../lib/maps';
import { POLLIN } from '../../lib/select';
import { Acting } from '../support/acting';
import { onEveryMap } from '../support/maps';
import { Recorder } from '../support/recorder';
import {
  createSocket,
  sendText,
  socketpair,
  streams,
  tcpListener,
  untilReady,
} from '../support/streams';
import { expectQuiet, turnUntil, until } from '../support/turns';

/** Occupies every free descriptor below `fd`, so that `fd` is the next one (open(2)). */
function occupyBelow(fd: number): void {
  for (;;) {
    const taken = createSocket();
    if (taken.fileno() >= fd) {
      taken.close();
      return;
    }
    fillers.push(taken);
  }
}

const fillers: Socket[] = [];

onEveryMap('descriptor reuse', (map, { testOnSystem, testWithoutFaults }) => {
  afterEach(() => {
    for (const socket of fillers.splice(0)) socket.close();
  });

  /**
   * Two handlers are ready at once. The first to be called closes the other and lets `successor` use
   * its number; returns that successor, after the batch.
   */
  function replaced(successor: () => Recorder, pair: () => [Socket, Socket] = socketpair) {
    const pairs = [pair(), pair()];
    const handlers = pairs.map(([ours]) => new Acting(map(), ours));
    let made: Recorder | undefined;
    let freed: number | undefined;
    for (const [i, handler] of handlers.entries()) {
      handler.setWritable(true);
      handler.on.read = () => {
        if (made !== undefined) return;
        const other = handlers[1 - i]!;
        freed = other.fileno();
        occupyBelow(freed);
        other.close();
        made = successor();
      };
    }
    for (const [ours, theirs] of pairs) {
      sendText(theirs, 'x');
      untilReady(ours, POLLIN);
    }
    map().poll(1);
    if (made === undefined) throw new Error('nothing was replaced');
    expect(made.fileno()).toBe(freed);
    for (const handler of handlers) if (!handler.closed) handler.close();
    for (const [, theirs] of pairs) theirs.close();
    return made;
  }

  testWithoutFaults.each(streams)(
    'rule 6: a new socket on a reused descriptor gets no stale event (%s)',
    (_n, pair) => {
      let peer: Socket | undefined;
      const handler = replaced(() => {
        const [ours, theirs] = socketpair();
        peer = theirs;
        return new Recorder(map(), ours);
      }, pair);
      expectQuiet(map());
      expect(handler.events).toEqual([]);
      sendText(peer!, 'its own');
      turnUntil(map(), () => handler.received === 'its own', 'its own event');
      peer!.close();
      turnUntil(map(), () => handler.closed, 'its own end');
      expect(handler.events).toEqual(['read its own', 'close', 'cleanup']);
    },
  );

  testWithoutFaults('rule 6: a socket accepted on a reused descriptor gets no stale event', () => {
    const listener = tcpListener();
    const client = createSocket();
    client.connect(listener.getsockname());
    untilReady(listener, POLLIN);
    const handler = replaced(() => new Recorder(map(), listener.accept()!.socket));
    expectQuiet(map());
    expect(handler.events).toEqual([]);
    client.close();
    turnUntil(map(), () => handler.closed, 'its own end');
    expect(handler.events).toEqual(['close', 'cleanup']);
    listener.close();
  });

  testWithoutFaults(
    'rule 6: a pending connection on a reused descriptor is not taken for established',
    () => {
      // One waiting connection fills a backlog of 0; the kernel leaves further attempts unanswered.
      const listener = tcpListener(0);
      const waiting = createSocket();
      waiting.connect(listener.getsockname());
      untilReady(listener, POLLIN);
      const handler = replaced(() => {
        const made = new Recorder(map());
        made.connect(listener.getsockname());
        return made;
      });
      expectQuiet(map());
      expect(handler.events).toEqual([]);
      expect(handler.connected).toBe(false);
      handler.close();
      waiting.close();
      listener.close();
    },
  );

  test('rule 6: a descriptor reused between two waits gets only its own events', () => {
    const [ours, theirs] = socketpair();
    const first = new Recorder(map(), ours);
    map().poll(0);
    sendText(theirs, 'too late');
    const fd = first.fileno();
    occupyBelow(fd);
    first.close();
    const [reused, peer] = socketpair();
    expect(reused.fileno()).toBe(fd);
    const second = new Recorder(map(), reused);
    second.setReadable(false);
    expectQuiet(map());
    sendText(peer, 'paused');
    expectQuiet(map());
    expect(second.events).toEqual([]);
    second.setReadable(true);
    turnUntil(map(), () => second.received === 'paused', 'its own event');
    expect(first.events).toEqual(['cleanup']);
    for (const socket of [theirs, peer]) socket.close();
  });

  testOnSystem(
    'rules 5, 6: a closed descriptor that a child process still has open reports no events',
    async () => {
      const [ours, theirs] = socketpair();
      const first = new Recorder(map(), ours);
      map().poll(0);
      const child = spawn('sleep', ['60'], {
        stdio: ['ignore', 'ignore', 'ignore', ours.fileno()],
      });
      await once(child, 'spawn');
      const fd = first.fileno();
      occupyBelow(fd);
      first.close();
      sendText(theirs, 'for the child');
      const before = performance.now();
      expect(map().poll(0.05)).toBe(0);
      // Rule 10: the wait was not cut short, so no event was reported.
      expect(performance.now() - before).toBeGreaterThanOrEqual(50);
      const [reused, peer] = socketpair();
      expect(reused.fileno()).toBe(fd);
      const second = new Recorder(map(), reused);
      expectQuiet(map());
      expect(second.events).toEqual([]);
      child.kill('SIGKILL');
      await once(child, 'exit');
      for (const socket of [theirs, peer]) socket.close();
    },
  );
});

onEveryMap('a descriptor closed without its handler', (map) => {
  test('rule 6: after a direct close of the socket, the next handler can use its descriptor', () => {
    const [ours, theirs] = socketpair();
    const before = new Recorder(map(), ours);
    map().poll(0);
    const fd = before.fileno();
    ours.close();
    const kept: Socket[] = [];
    while (!kept.some((socket) => socket.fileno() === fd)) kept.push(...socketpair());
    const at = kept.findIndex((socket) => socket.fileno() === fd);
    const [next, peer] = [kept[at]!, kept[at ^ 1]!];
    const after = new Recorder(map(), next);
    sendText(peer, 'hello');
    turnUntil(map(), () => after.received === 'hello', 'what the next one is sent');
    expectQuiet(map());
    expect(before.count('cleanup')).toBe(1);
    expect(after.closed).toBe(false);
    for (const socket of [theirs, ...kept]) socket.close();
  });
});

// Only epoll can detect it: poll(2) and select(2) report on whatever has the number now.
test('epoll: rule 6: a descriptor that now belongs to another file is not closed with the handler', () => {
  const map = new EpollSocketMap();
  const [ours, theirs] = socketpair();
  const handler = new Recorder(map, ours);
  handler.setReadable(false);
  map.poll(0);
  const fd = handler.fileno();
  closeSync(fd);
  // Lower numbers may be free as well; the kernel uses the lowest first.
  const strangers = [openSync('/dev/null', 'r')];
  while (!strangers.includes(fd)) strangers.push(openSync('/dev/null', 'r'));
  handler.setReadable(true);
  turnUntil(map, () => handler.closed, 'the loss of the descriptor');
  map.close();
  expect(handler.events).toEqual([expect.stringContaining('EBADF'), 'cleanup']);
  expect(() => fstatSync(fd)).not.toThrow();
  for (const stranger of strangers) closeSync(stranger);
  theirs.close();
});

test.each(candidates.filter((each) => each.available).map((each) => [each.backend, each] as const))(
  '%s: rule 6: a handler created by another running map on a reused descriptor gets no stale event',
  async (_name, mapClass) => {
    const first = new mapClass();
    const second = new mapClass();
    const [trigger, pull] = socketpair();
    const [ours, theirs] = socketpair();
    const old = new Recorder(second, ours);
    const kept: Socket[] = [];
    const made: Recorder[] = [];
    class Replacing extends Recorder {
      override handleRead(): void {
        this.read(10);
        const fd = old.fileno();
        old.close();
        let next: Socket | undefined;
        while (next === undefined) {
          kept.push(...socketpair());
          next = kept.find((socket) => socket.fileno() === fd);
        }
        made.push(new Recorder(second, next));
      }
    }
    new Replacing(first, trigger);
    const running = [first.run(), second.run()];
    // Both are ready in one wait.
    pull.send(Buffer.from('x'));
    theirs.close();
    try {
      await until(() => old.closed, 'the first map to replace the handler');
      await new Promise((resolve) => setImmediate(resolve));
      expect(made.map((handler) => handler.events)).toEqual([[]]);
    } finally {
      // A running map keeps the process alive.
      first.close();
      second.close();
      await Promise.all(running);
    }
    for (const socket of [pull, ...kept]) socket.close();
  },
);
