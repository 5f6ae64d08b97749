/** How a handler ends, and its callbacks then (rules 3 and 4). */
import os from 'node:os';

import { Handler, type Socket, type SocketMap } from '../../lib';
import { POLLIN } from '../../lib/select';
import { Acting } from '../support/acting';
import { kernel } from '../support/kernels';
import { onEveryMap } from '../support/maps';
import { Recorder } from '../support/recorder';
import { reset, sendText, socketpair, streams, tcpPair, untilReady } from '../support/streams';
import { expectQuiet, turnUntil } from '../support/turns';

function isOpen(fd: number): boolean {
  return kernel().getsockname(fd) !== -os.constants.errno.EBADF;
}

/** Every way in which a handler can end, and its callbacks. */
const endings: readonly (readonly [string, (handler: Acting, peer: Socket) => void, string[]])[] = [
  ['the peer closes', (_handler, peer) => peer.close(), ['close', 'cleanup']],
  ['the peer resets', (_handler, peer) => reset(peer), ['close ECONNRESET', 'cleanup']],
  ['close() is called', (handler) => handler.close(), ['cleanup']],
  [
    'end() is called',
    (handler, peer) => {
      handler.end();
      peer.close();
    },
    ['cleanup'],
  ],
  ['the map is closed', (handler) => handler.socketMap.close(), ['cleanup']],
];

onEveryMap('the end of a handler', (map, { testWithoutFaults }) => {
  describe.each(endings)('when %s', (_name, finish, told) => {
    function ended(prepare?: (handler: Acting) => void): Acting {
      const [ours, theirs] = tcpPair();
      const handler = new Acting(map(), ours);
      prepare?.(handler);
      map().poll(0);
      finish(handler, theirs);
      if (!map().closed) turnUntil(map(), () => handler.closed, 'the end');
      theirs.close();
      return handler;
    }

    test('rule 3: handleClose is called for an end by the peer only; then handleCleanup, once', () => {
      const handler = ended();
      if (!map().closed) expectQuiet(map());
      expect(handler.events).toEqual(told);
    });

    test('rule 3: in handleCleanup the descriptor is deregistered and closed', () => {
      let fd = -1;
      const seen: unknown[] = [];
      ended((handler) => {
        fd = handler.fileno();
        handler.on.cleanup = () => {
          seen.push(handler.closed, isOpen(fd), handler.fileno(), handler.socketMap.isEmpty());
        };
      });
      expect(seen).toEqual([true, false, -1, true]);
    });

    test('rule 3: nothing is called after handleCleanup', () => {
      const handler = ended();
      const { length } = handler.events;
      handler.close();
      if (!map().closed) expectQuiet(map());
      map().close();
      expect(handler.events.length).toBe(length);
    });

    test('rule 3: close() in handleCleanup and handleClose has no effect', () => {
      const handler = ended((it) => {
        it.on.cleanup = () => it.close();
        it.on.close = () => it.close();
      });
      expect(handler.events).toEqual(told);
    });
  });

  test('rule 3: handleClose can still get the address of the socket', () => {
    const [ours, theirs] = tcpPair();
    const handler = new Acting(map(), ours);
    const name = ours.getsockname();
    let told: unknown;
    handler.on.close = () => {
      told = handler.socket.getsockname();
    };
    theirs.close();
    turnUntil(map(), () => handler.closed, 'the end');
    expect(told).toEqual(name);
  });

  test('rule 3: a handler that never had a socket gets only handleCleanup', () => {
    const closedByItself = new Recorder(map());
    closedByItself.close();
    const closedByMap = new Recorder(map());
    map().close();
    expect(closedByItself.events).toEqual(['cleanup']);
    expect(closedByMap.events).toEqual(['cleanup']);
  });

  test('rule 3: a deregistered handler can be closed', () => {
    const [ours, theirs] = socketpair();
    const handler = new Recorder(map(), ours);
    map().delHandler(handler);
    theirs.close();
    expectQuiet(map());
    expect(handler.events).toEqual([]);
    handler.close();
    expect(handler.events).toEqual(['cleanup']);
  });

  test('rule 3: a failed send and a reset together call handleClose once', () => {
    const [ours, theirs] = tcpPair();
    const handler = new Recorder(map(), ours);
    reset(theirs);
    untilReady(ours, POLLIN);
    handler.sendAll('to nobody');
    handler.sendAll('to nobody');
    turnUntil(map(), () => handler.closed, 'the end');
    expectQuiet(map());
    expect(handler.events).toEqual([expect.stringMatching(/^close E(CONNRESET|PIPE)$/), 'cleanup']);
  });

  testWithoutFaults(
    'rule 3: the order is handleConnect, reads and writes, handleClose, handleCleanup',
    () => {
      const [ours, theirs] = socketpair();
      const handler = new Acting(map(), ours);
      handler.setWritable(true);
      sendText(theirs, 'hello');
      turnUntil(map(), () => handler.count('write') > 0, 'a write');
      theirs.close();
      turnUntil(map(), () => handler.closed, 'the end');
      expect(handler.events).toEqual(['read hello', 'write', 'close', 'cleanup']);
    },
  );
});

/** A handler without read or write interest. */
class Passive extends Handler {
  readonly events: string[] = [];

  override handleRead(): void {
    this.events.push('read');
  }

  override handleClose(error?: Error & { code?: string }): void {
    this.events.push(`close ${error?.code ?? ''}`);
  }

  override handleCleanup(): void {
    this.events.push('cleanup');
  }
}

onEveryMap('a handler neither readable nor writable', (map) => {
  function passive(socketMap: SocketMap, ours: Socket): Passive {
    const handler = new Passive(socketMap, ours);
    expectQuiet(socketMap);
    return handler;
  }

  test.each(streams)('rule 4: gets handleClose when the peer closes (%s)', (_name, pair) => {
    const [ours, theirs] = pair();
    const handler = passive(map(), ours);
    theirs.close();
    turnUntil(map(), () => handler.closed, 'the end');
    expect(handler.events).toEqual(['close ', 'cleanup']);
  });

  test.each(streams)('rule 4: gets handleClose when the peer half-closes (%s)', (_name, pair) => {
    const [ours, theirs] = pair();
    const handler = passive(map(), ours);
    theirs.shutdown(1);
    turnUntil(map(), () => handler.closed, 'the end');
    expect(handler.events).toEqual(['close ', 'cleanup']);
    theirs.close();
  });

  test('rule 4: gets handleClose with the error when the peer resets', () => {
    const [ours, theirs] = tcpPair();
    const handler = passive(map(), ours);
    reset(theirs);
    turnUntil(map(), () => handler.closed, 'the end');
    expect(handler.events).toEqual(['close ECONNRESET', 'cleanup']);
  });

  test('rule 4: gets handleClose after it was paused', () => {
    const [ours, theirs] = tcpPair();
    const handler = passive(map(), ours);
    handler.setReadable(true);
    handler.setWritable(true);
    map().poll(0);
    handler.setReadable(false);
    handler.setWritable(false);
    expectQuiet(map());
    theirs.close();
    turnUntil(map(), () => handler.closed, 'the end');
    expect(handler.events).toEqual(['close ', 'cleanup']);
  });

  test('rule 4: gets handleClose for a peer that closed before the handler was created', () => {
    const [ours, theirs] = socketpair();
    theirs.close();
    const handler = new Passive(map(), ours);
    turnUntil(map(), () => handler.closed, 'the end');
    expect(handler.events).toEqual(['close ', 'cleanup']);
  });
});
