/** After end() a handler lingers for a limited time only. */
import { constants, type SocketMap } from '../../lib';
import { candidates } from '../../lib/maps';
import { SimSocketMap } from '../../lib/testing';
import { useKernel } from '../support/kernels';
import { loopOf } from '../../lib/transport/loop';
import { Recorder } from '../support/recorder';
import { receiveText, socketpair, tcpPair } from '../support/streams';
import { turnUntil } from '../support/turns';

test('rule 3: after end(), a connection whose peer keeps sending and does not end is closed', () => {
  // All maps at the same time: the wait takes seconds.
  const ends = candidates
    .filter((candidate) => candidate.available)
    .map((candidate) => {
      const map = new candidate();
      const [ours, theirs] = socketpair();
      const handler = new Recorder(map, ours);
      handler.end('bye');
      return { map, theirs, handler };
    });
  for (const { map, theirs, handler } of ends) {
    const sendsOn = () => {
      if (!handler.closed) theirs.send(Buffer.from('and another thing'));
      return handler.closed;
    };
    turnUntil(map, sendsOn, 'the handler to give up');
    expect(receiveText(theirs)).toBe('bye');
    expect(handler.events).toEqual(['cleanup']);
    theirs.close();
    map.close();
  }
});

/** The kernel accepts most of the output at once; the peer takes seven seconds to read it. */
const PIECE_BYTES = 4000;
const PIECES = 350;
const PIECE_SECONDS = 0.02;

/** A peer with a small buffer that reads a piece from time to time, and sends meanwhile. */
function readSlowly(map: SocketMap): { isEnded: boolean; finish: () => void } {
  const [ours, theirs] = tcpPair();
  const { SOL_SOCKET, SO_RCVBUF, SO_SNDBUF } = constants;
  theirs.setsockopt(SOL_SOCKET, SO_RCVBUF, 65536);
  ours.setsockopt(SOL_SOCKET, SO_SNDBUF, 4 * PIECES * PIECE_BYTES);
  const handler = new Recorder(map, ours);
  handler.sendAll(Buffer.alloc(PIECES * PIECE_BYTES, 'x'));
  handler.end();
  let length = 0;
  const piece = Buffer.alloc(PIECE_BYTES);
  const reader = {
    isEnded: false,
    finish: () => {
      expect(length).toBe(PIECES * PIECE_BYTES);
      expect(handler.events).toEqual([]);
      theirs.close();
      turnUntil(map, () => handler.closed, 'cleanup');
      expect(handler.events).toEqual(['cleanup']);
      map.close();
    },
  };
  const readOn = (): void => {
    const count = theirs.recvInto(piece);
    if (count > 0) length += count;
    reader.isEnded = count === 0;
    if (reader.isEnded) return;
    theirs.send(Buffer.from('wait'));
    map.callIn(PIECE_SECONDS, readOn);
  };
  readOn();
  return reader;
}

test('after end() a peer that keeps reading gets all output, however slowly', () => {
  // All maps at the same time: the wait takes seconds.
  const maps = candidates.filter(({ available }) => available).map((each) => new each());
  const readers = maps.map(readSlowly);
  const turnAll = (): boolean => {
    for (const map of maps) map.poll(0);
    return readers.every(({ isEnded }) => isEnded);
  };
  turnUntil(maps[0]!, turnAll, 'all of it');
  for (const { finish } of readers) finish();
});

test('the same on the simulated map', () => {
  const map = new SimSocketMap();
  useKernel(map[loopOf].kernel);
  const reader = readSlowly(map);
  turnUntil(map, () => reader.isEnded, 'all of it');
  reader.finish();
  useKernel();
});
