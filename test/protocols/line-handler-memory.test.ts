/** What a LineHandler keeps is little memory of its own, and not the memory that all reads share. */
import v8 from 'node:v8';
import vm from 'node:vm';

import { IOHandler, type Socket, type SocketMap } from '../../lib';

import { Lines } from '../support/lines';
import { onEverySystemMap } from '../support/maps';
import { sendText, socketpair } from '../support/streams';
import { turnUntil } from '../support/turns';

const HANDLERS = 200;
/** More than is left in memory from which a slow sender's few bytes were cut. */
const TRAFFIC = 'x'.repeat(128 * 1024);
/** A small part of what so many would hold that kept 128 KiB each. */
const MOST_BYTES = 4 * 1024 * 1024;

v8.setFlagsFromString('--expose-gc');
const collectGarbage = vm.runInNewContext('gc') as () => void;

/** What is held outside of the heap. */
function heldOutside(): number {
  // The memory of what one collection has found is counted as free at the next.
  collectGarbage();
  collectGarbage();
  return process.memoryUsage().arrayBuffers;
}

class Busy extends IOHandler {
  count = 0;

  override handleRead(): void {
    this.count += this.read(64 * 1024).length;
  }
}

onEverySystemMap('the memory of many LineHandlers', (map: () => SocketMap) => {
  const peers: Socket[] = [];

  afterEach(() => {
    for (const peer of peers.splice(0)) peer.close();
  });

  function pair(): [Socket, Socket] {
    const [ours, peer] = socketpair();
    peers.push(peer);
    return [ours, peer];
  }

  test.each([
    ['in the middle of a line', 'whole\nhalf', 4],
    ['that wait for a first line to end', 'half', 4],
    ['that wait for a line', 'whole\n', 0],
    ['that paused before a line', 'pause\nheld\n', 5],
    ['in the middle of a line, behind a long one', `${'y'.repeat(60_000)}\nhalf`, 4],
  ])('is small for those %s, whatever is read between', (_name, text, rest) => {
    const [ours, peer] = pair();
    const busy = new Busy(map(), ours);
    busy.setReadable(true);
    const handlers: Lines[] = [];
    const before = heldOutside();
    for (let i = 1; i <= HANDLERS; i++) {
      const [near, far] = pair();
      const handler = new Lines(map(), near);
      handler.onLine = (line) => {
        if (line === 'pause') handler.setReadable(false);
        handler.events.length = 0;
      };
      handlers.push(handler);
      // A long line is put together in memory of the handler's own.
      for (const part of [text.slice(0, 30_000), text.slice(30_000)]) {
        sendText(far, part);
        if (part.length > 0) map().poll(1);
      }
      sendText(peer, TRAFFIC);
      turnUntil(map(), () => busy.count === i * TRAFFIC.length, 'the traffic');
    }
    expect(handlers.every(({ remainder }) => remainder.length === rest)).toBe(true);
    expect(heldOutside() - before).toBeLessThan(MOST_BYTES);
  });
});
