/** A descriptor that is closed behind a handler's back, or passes from one map to another (rule 6). */
import { closeSync, fstatSync, openSync } from 'node:fs';

import { type Socket } from '../../lib';
import { candidates, EpollSocketMap } from '../../lib/maps';
import { onEveryMap } from '../support/maps';
import { Recorder } from '../support/recorder';
import { sendText, socketpair } from '../support/streams';
import { expectQuiet, turnUntil, until } from '../support/turns';

onEveryMap('behind its back', (map) => {
  test('rule 6: a socket that is closed directly leaves its number to the next handler', () => {
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

// Only epoll is told so: to poll and select a number is whatever has it.
test('epoll: rule 6: a number that a stranger has by now is not closed with the handler', () => {
  const map = new EpollSocketMap();
  const [ours, theirs] = socketpair();
  const handler = new Recorder(map, ours);
  handler.setReadable(false);
  map.poll(0);
  const fd = handler.fileno();
  closeSync(fd);
  // Lower numbers may be free as well, and are given out first.
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
  '%s: rule 6: an event is not told to the handler that another running map has put in its place',
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
      // A map that is left running keeps the process alive.
      first.close();
      second.close();
      await Promise.all(running);
    }
    for (const socket of [pull, ...kept]) socket.close();
  },
);
