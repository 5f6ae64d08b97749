/** Never a stale event: descriptors' numbers are used again (rule 6). */
import { spawn } from 'node:child_process';
import { once } from 'node:events';

import type { Socket } from '../../lib';
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
import { expectQuiet, turnUntil } from '../support/turns';

/** Takes every free descriptor below `fd`, so that `fd` is the next that the kernel hands out. */
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
   * Two handlers are ready at once. Whichever comes first closes the other and has `successor` use
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
    'rule 6: a new socket on a closed number has no old event (%s)',
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

  testWithoutFaults('rule 6: a socket accepted on a closed number has no old event', () => {
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
    'rule 6: a connection under way on a closed number is not taken for standing',
    () => {
      // One that waits fills a backlog of 0; the kernel then leaves what else comes unanswered.
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

  test('rule 6: a number that is used again between two waits has only its own events', () => {
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
    'rules 5, 6: a closed descriptor that lives on in a child reports no more',
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
      // Rule 10: it has waited, so there was nothing that ended the wait.
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
