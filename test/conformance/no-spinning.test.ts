/** Nothing spins: what cannot make progress is not reported again and again (rule 5). */
import { constants, Socket } from '../../lib';
import { POLLERR, POLLIN, POLLPRI } from '../../lib/select';
import { Acting } from '../support/acting';
import { onEveryMap } from '../support/maps';
import { Recorder } from '../support/recorder';
import {
  createSocket,
  deadAddress,
  fill,
  receiveText,
  reset,
  sendText,
  socketpair,
  streams,
  tcpListener,
  tcpPair,
  untilReady,
} from '../support/streams';
import { expectQuiet, turnUntil } from '../support/turns';

/** Half-open handlers keep their write side after the peer has ended its own. */
class HalfOpen extends Recorder {
  override allowHalfOpen = true;
}

onEveryMap('quiet', (map, { testOnSystem, testWithoutFaults }) => {
  test('rule 5: an empty map, and one with idle handlers', () => {
    expect(map().poll(0.02)).toBe(0);
    const [ours, theirs] = socketpair();
    const handlers = [new Recorder(map(), ours), new Recorder(map(), theirs)];
    expect(map().poll(0.02)).toBe(0);
    expect(handlers.flatMap((handler) => handler.events)).toEqual([]);
  });

  test.each(streams)('rule 5: paused with unread bytes (%s)', (_name, pair) => {
    const [ours, theirs] = pair();
    const handler = new Recorder(map(), ours);
    handler.setReadable(false);
    sendText(theirs, 'unread');
    untilReady(ours, POLLIN);
    expectQuiet(map());
    sendText(theirs, ' and more');
    expectQuiet(map());
    expect(handler.events).toEqual([]);
    handler.setReadable(true);
    turnUntil(map(), () => handler.received === 'unread and more', 'all of it');
  });

  test.each(streams)('rule 5: half-open after handleEnd, reading or not (%s)', (_name, pair) => {
    const [ours, theirs] = pair();
    const handler = new HalfOpen(map(), ours);
    theirs.shutdown(constants.SHUT_WR);
    turnUntil(map(), () => handler.count('end') === 1, 'the end');
    expectQuiet(map());
    handler.setReadable(false);
    expectQuiet(map());
    handler.setReadable(true);
    expectQuiet(map());
    expect(handler.events).toEqual(['end']);
    theirs.close();
  });

  test.each(streams)('rule 5: half-closed by the peer, output waiting (%s)', (_name, pair) => {
    const [ours, theirs] = pair();
    const handler = new Recorder(map(), ours);
    handler.sendAll(Buffer.alloc(8 << 20));
    theirs.shutdown(constants.SHUT_WR);
    untilReady(ours, POLLIN);
    expectQuiet(map());
    expect(handler.closed).toBe(false);
    theirs.close();
  });

  test.each(streams)(
    'rule 5: output waiting for a reader that does not read (%s)',
    (_name, pair) => {
      const [ours, theirs] = pair();
      const handler = new Recorder(map(), ours);
      handler.sendAll(Buffer.alloc(8 << 20));
      expectQuiet(map());
      expect(handler.bufferedAmount).toBeGreaterThan(0);
      theirs.close();
    },
  );

  testWithoutFaults.each(streams)(
    'rule 5: paused and hung up, wanting to write (%s)',
    (_name, pair) => {
      const [ours, theirs] = pair();
      const handler = new Recorder(map(), ours);
      handler.setReadable(false);
      handler.setWritable(true);
      handler.handleWrite = (): void => {};
      sendText(theirs, 'unread');
      // Both directions: hung up (POLLHUP), which cannot be masked.
      theirs.shutdown(constants.SHUT_RDWR);
      handler.shutdown(constants.SHUT_WR);
      untilReady(ours, POLLIN);
      expectQuiet(map());
      expect(handler.events).toEqual([]);
      expect(handler.read(100).toString()).toBe('unread');
      turnUntil(map(), () => handler.closed, 'the end');
      expect(handler.events).toEqual(['close', 'cleanup']);
      theirs.close();
    },
  );

  test('rule 5: paused with unread bytes before a reset, output waiting', () => {
    const [ours, theirs] = tcpPair();
    const handler = new Recorder(map(), ours);
    handler.setReadable(false);
    // Above it, the handler would wait for a drain, and be told of the end at once.
    handler.highWaterMark = Infinity;
    handler.sendAll(Buffer.alloc(8 << 20));
    sendText(theirs, 'unread');
    untilReady(ours, POLLIN);
    reset(theirs);
    untilReady(ours, POLLERR);
    expectQuiet(map());
    handler.setReadable(true);
    turnUntil(map(), () => handler.closed, 'the end');
    expect(handler.received).toBe('unread');
    expect(handler.events.at(-2)).toMatch(/^close E(CONNRESET|PIPE)$/);
  });

  testWithoutFaults('rule 5: a send that failed, unread bytes before the end, paused', () => {
    const [ours, theirs] = socketpair();
    const handler = new Recorder(map(), ours);
    handler.setReadable(false);
    sendText(theirs, 'unread');
    theirs.close();
    handler.sendAll('to nobody');
    expectQuiet(map());
    expect(handler.events).toEqual([]);
    handler.setReadable(true);
    turnUntil(map(), () => handler.closed, 'the end');
    expect(handler.events).toEqual(['read unread', 'close EPIPE', 'cleanup']);
  });

  test('rule 5: urgent data that nobody reads, told once', () => {
    const [ours, theirs] = tcpPair();
    const handler = new Acting(map(), ours);
    handler.setReadable(false);
    sendText(theirs, '!', constants.MSG_OOB);
    untilReady(ours, POLLPRI);
    expectQuiet(map());
    expect(handler.events).toEqual(['except']);
    theirs.close();
  });

  test('rule 5: a paused listener with connections waiting', () => {
    const listener = tcpListener();
    const acceptor = new Recorder(map(), listener);
    acceptor.setReadable(false);
    const client = createSocket();
    client.connect(listener.getsockname());
    untilReady(listener, POLLIN);
    expectQuiet(map());
    expect(acceptor.events).toEqual([]);
    client.close();
  });

  testOnSystem('rule 5: a datagram that was refused', () => {
    const socket = Socket.create(constants.AF_INET, constants.SOCK_DGRAM);
    socket.connect(deadAddress());
    const handler = new Acting(map(), socket);
    sendText(socket, 'anybody?');
    turnUntil(map(), () => handler.events.length > 0, 'the refusal');
    expectQuiet(map());
    expect(handler.events).toEqual(['except ECONNREFUSED']);
  });

  test('rule 5: a full socket does not wake a writer until there is room', () => {
    const [ours, theirs] = socketpair();
    const taken = fill(ours);
    const handler = new Recorder(map(), ours);
    handler.setWritable(true);
    expectQuiet(map());
    expect(handler.events).toEqual([]);
    let drained = 0;
    while (drained < taken) drained += receiveText(theirs)?.length ?? 0;
    turnUntil(map(), () => handler.count('write') > 0, 'room');
    theirs.close();
  });
});
