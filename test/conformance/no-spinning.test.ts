/** No busy looping: a state without progress is not reported again and again (rule 5). */
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

/** A handler that keeps its write side open after the peer has half-closed. */
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

  test.each(streams)(
    'rule 5: half-closed by the peer, with buffered output (%s)',
    (_name, pair) => {
      const [ours, theirs] = pair();
      const handler = new Recorder(map(), ours);
      handler.sendAll(Buffer.alloc(8 << 20));
      theirs.shutdown(constants.SHUT_WR);
      untilReady(ours, POLLIN);
      expectQuiet(map());
      expect(handler.closed).toBe(false);
      theirs.close();
    },
  );

  test.each(streams)(
    'rule 5: buffered output for a peer that does not read (%s)',
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
    'rule 5: paused, hung up, with write interest (%s)',
    (_name, pair) => {
      const [ours, theirs] = pair();
      const handler = new Recorder(map(), ours);
      handler.setReadable(false);
      handler.setWritable(true);
      handler.handleWrite = (): void => {};
      sendText(theirs, 'unread');
      // Both directions: POLLHUP, which is reported without interest (poll(2)).
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

  test('rule 5: paused with unread bytes before a reset, with buffered output', () => {
    const [ours, theirs] = tcpPair();
    const handler = new Recorder(map(), ours);
    handler.setReadable(false);
    // Above highWaterMark the handler would wait for a drain, and get handleClose at once.
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

  testWithoutFaults('rule 5: paused after a failed send, with unread bytes before the end', () => {
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

  test('rule 5: unread urgent data calls handleExcept once', () => {
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

  testOnSystem('rule 5: a refused datagram', () => {
    const socket = Socket.create(constants.AF_INET, constants.SOCK_DGRAM);
    socket.connect(deadAddress());
    const handler = new Acting(map(), socket);
    sendText(socket, 'anybody?');
    turnUntil(map(), () => handler.events.length > 0, 'the refusal');
    expectQuiet(map());
    expect(handler.events).toEqual(['except ECONNREFUSED']);
  });

  test('rule 5: write interest on a full socket waits until there is room', () => {
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
