/** Handlers that raise turn after turn without any progress (rules 5 and 9). */
import { AcceptHandler, Handler, WOULD_BLOCK } from '../../lib';
import type { Socket, SocketMap } from '../../lib';
import { Acting } from '../support/acting';
import { onEveryMap } from '../support/maps';
import { createSocket, insist, receiveText, sendText, socketpair } from '../support/streams';
import { expectQuiet, turnUntil, until } from '../support/turns';

/** Far more turns than a handler may raise in without progress. */
const MANY = 60;

function raise(): never {
  throw new Error('raised on purpose');
}

/** Raises in `handleRead`, by default before it has read anything. */
class Raising extends Acting {
  constructor(socketMap: SocketMap, socket?: Socket) {
    super(socketMap, socket);
    this.readBytes = 0;
    this.on.read = raise;
  }

  get errors(): number {
    return this.count('error raised on purpose');
  }
}

onEveryMap('stuck', (map, { testWithoutFaults }) => {
  let warn: jest.SpyInstance;
  let peers: Socket[];

  beforeEach(() => {
    warn = jest.spyOn(process, 'emitWarning').mockImplementation();
    peers = [];
  });
  afterEach(() => {
    for (const peer of peers) peer.close();
    jest.restoreAllMocks();
  });

  function connected(): [ours: Socket, theirs: Socket] {
    const [ours, theirs] = socketpair();
    peers.push(theirs);
    return [ours, theirs];
  }

  /** Turns until the map is quiet; returns how many turns that took. */
  function turnsUntilQuiet(): number {
    for (let turns = 0; turns < MANY; turns++) {
      try {
        if (map().poll(0.2) === 0) return turns;
      } catch (error) {
        expect((error as Error).message).toBe('raised on purpose');
      }
    }
    throw new Error('the map spins');
  }

  test('rule 9: a handleRead that throws before it reads is paused, with one warning', () => {
    const [ours, theirs] = connected();
    const handler = new Raising(map(), ours);
    sendText(theirs, 'unread');
    turnsUntilQuiet();
    expect(handler.errors).toBeGreaterThan(1);
    expect(handler.readable).toBe(false);
    expect(handler.closed).toBe(false);
    expect(warn).toHaveBeenCalledTimes(1);
    expect(warn).toHaveBeenCalledWith(
      expect.stringMatching(/^Raising \(descriptor \d+, connected\).* is paused: /),
      { type: 'StuckHandlerWarning', code: 'ASYNCHIA_STUCK_HANDLER' },
    );
    // Resumed, it works; stuck again, it is paused without another warning.
    handler.setReadable(true);
    turnsUntilQuiet();
    expect(handler.readable).toBe(false);
    delete handler.on.read;
    handler.readBytes = 100;
    handler.setReadable(true);
    turnUntil(map(), () => handler.received === 'unread', 'the bytes');
    expect(warn).toHaveBeenCalledTimes(1);
  });

  test('rule 9: a handleWrite that throws before it sends is paused', () => {
    const [ours] = connected();
    const handler = new Raising(map(), ours);
    handler.handleWrite = raise;
    handler.setWritable(true);
    turnsUntilQuiet();
    expect(handler.writable).toBe(false);
    expect(handler.readable).toBe(true);
    expect(warn).toHaveBeenCalledTimes(1);
  });

  testWithoutFaults('rule 9: a handleWrite that throws with output buffered is paused', () => {
    const [ours, theirs] = connected();
    const handler = new Raising(map(), ours);
    handler.sendAll(Buffer.alloc(4 << 20));
    handler.handleWrite = raise;
    while (receiveText(theirs) !== undefined);
    turnsUntilQuiet();
    expect(handler.bufferedAmount).toBeGreaterThan(0);
    expect(warn).toHaveBeenCalledTimes(1);
  });

  test('rule 9: a handleRead whose promise rejects before it reads is paused', async () => {
    const [ours, theirs] = connected();
    const handler = new Raising(map(), ours);
    handler.on.read = () => Promise.reject(new Error('raised on purpose'));
    sendText(theirs, 'unread');
    const running = map().run();
    await until(() => warn.mock.calls.length > 0, 'the warning');
    expect(handler.readable).toBe(false);
    map().close();
    await running;
  });

  test('rule 9: a handler whose handleError throws is paused', () => {
    const [ours, theirs] = connected();
    const handler = new Raising(map(), ours);
    handler.handleError = raise;
    sendText(theirs, 'unread');
    turnsUntilQuiet();
    expect(handler.readable).toBe(false);
    expect(warn).toHaveBeenCalledTimes(1);
  });

  test('rule 9: a listener that throws before it accepts is paused', () => {
    class Listener extends AcceptHandler {
      override handleRead(): never {
        raise();
      }
    }
    jest.spyOn(console, 'error').mockImplementation();
    const listener = new Listener(map());
    listener.bind(['127.0.0.1', 0]);
    listener.listen(8);
    const client = createSocket();
    peers.push(client);
    client.connect(listener.socket.getsockname());
    turnUntil(map(), () => warn.mock.calls.length > 0, 'the warning');
    turnsUntilQuiet();
    expect(listener.closed).toBe(false);
    expect(listener.readable).toBe(false);
  });

  describe('rule 9: a handler that throws in every turn is not paused where it', () => {
    afterEach(() => expect(warn).not.toHaveBeenCalled());

    test('reads a byte each time', () => {
      const [ours, theirs] = connected();
      const handler = new Raising(map(), ours);
      handler.readBytes = 1;
      sendText(theirs, 'x'.repeat(MANY));
      turnUntil(map(), () => handler.received.length === MANY, 'all bytes');
    });

    testWithoutFaults('sends a byte each time', () => {
      const [ours, theirs] = connected();
      const handler = new Raising(map(), ours);
      let sent = 0;
      handler.handleWrite = () => {
        sent += handler.send('x');
        if (sent === MANY) handler.setWritable(false);
        raise();
      };
      handler.setWritable(true);
      turnUntil(map(), () => sent === MANY, 'all bytes');
      expect(receiveText(theirs)).toBe('x'.repeat(MANY));
    });

    test('accepts a connection each time', () => {
      let accepted = 0;
      class Listener extends AcceptHandler {
        override acceptsPerTurn = 1;
        override handleAccept(): void {
          accepted++;
          raise();
        }
        override handleError(): void {}
      }
      const listener = new Listener(map());
      listener.bind(['127.0.0.1', 0]);
      listener.listen(MANY);
      for (let i = 0; i < MANY; i++) {
        const client = createSocket();
        peers.push(client);
        client.connect(listener.socket.getsockname());
      }
      turnUntil(map(), () => accepted === MANY, 'all connections');
    });

    test('reads all by means of its own', () => {
      const [ours, theirs] = connected();
      let received = '';
      class Plain extends Handler {
        override handleRead(): void {
          received += receiveText(ours) ?? '';
          raise();
        }
        override handleError(): void {}
      }
      new Plain(map(), ours).setReadable(true);
      for (let i = 1; i <= MANY; i++) {
        sendText(theirs, 'x');
        turnUntil(map(), () => received.length === i, 'the byte');
      }
    });

    test('pauses, and is resumed by a timer', () => {
      const [ours, theirs] = connected();
      const handler = new Raising(map(), ours);
      handler.on.error = () => {
        handler.setReadable(false);
        map().callIn(0.001, () => handler.setReadable(true));
      };
      sendText(theirs, 'unread');
      turnUntil(map(), () => handler.errors >= MANY, 'all errors');
    });
  });

  test('rule 9: after the last byte was read, no turn counts', () => {
    const [ours, theirs] = connected();
    const handler = new Raising(map(), ours);
    handler.readBytes = 100;
    for (let i = 1; i <= MANY; i++) {
      expect(insist(() => theirs.send(Buffer.from('x')))).not.toBe(WOULD_BLOCK);
      turnUntil(map(), () => handler.received.length === i, 'the byte');
    }
    expectQuiet(map());
    expect(warn).not.toHaveBeenCalled();
  });
});
