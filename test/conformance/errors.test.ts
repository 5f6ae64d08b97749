/** Exceptions and rejections in callbacks (rule 9). */
import { AcceptHandler, type Handled, Handler, Notifier } from '../../lib';
import type { Socket, SocketMap, SystemError } from '../../lib';
import { candidates } from '../../lib/maps';
import { Acting, callbackNames } from '../support/acting';
import { onEveryMap } from '../support/maps';
import { runScript } from '../support/processes';
import { closeKept, isTold, keep, provoke } from '../support/provoke';
import { Recorder } from '../support/recorder';
import { receiveText, sendText, socketpair, tcpListener, tcpPair } from '../support/streams';
import { expectQuiet, turnUntil, until } from '../support/turns';

/** A handler with bytes to read; its peer stays open. */
function readyHandler(map: SocketMap): Acting {
  return provoke.read(map);
}

function failing(message: string): () => never {
  return () => {
    throw new Error(message);
  };
}

/** Throws every error from the loop. */
class Unforgiving extends Acting {
  override handleError(error: unknown): void {
    super.handleError(error);
    throw error;
  }
}

function unforgiving(map: SocketMap, message: string): Unforgiving {
  const [ours, theirs] = socketpair();
  sendText(theirs, 'x');
  keep(map, theirs);
  const handler = new Unforgiving(map, ours);
  handler.on.read = failing(message);
  return handler;
}

onEveryMap('errors', (map, { testOnSystem, testWithoutFaults }) => {
  afterEach(() => {
    closeKept(map());
    jest.restoreAllMocks();
  });

  describe.each(callbackNames)('in the callback %s', (name) => {
    /** Triggers the callback once, with `action`; returns the callbacks from then on. */
    function toldFrom(action: () => Handled): { told: string[]; handler: Acting } {
      const handler = provoke[name](map());
      let from = -1;
      handler.on[name] = () => {
        if (from >= 0) return;
        from = handler.events.length;
        return action();
      };
      turnUntil(map(), () => isTold(handler, name), name);
      return { told: handler.events.slice(from), handler };
    }

    test('rule 9: an exception goes to handleError', () => {
      const { told } = toldFrom(failing('thrown on purpose'));
      expect(told[0]).toBe('error thrown on purpose');
    });

    test('rules 3, 9: a handler whose callback throws stays open, or ends, as without the exception', () => {
      const { handler } = toldFrom(failing('thrown on purpose'));
      const isEnd = name === 'close' || name === 'connectFailed' || name === 'cleanup';
      expect(handler.closed).toBe(isEnd);
      expect(handler.count('cleanup')).toBe(isEnd ? 1 : 0);
    });

    test('rule 9: by default the error is printed once, and the handler closed', async () => {
      const print = jest.spyOn(console, 'error').mockImplementation();
      const rejected = Promise.reject(new Error('rejected'));
      rejected.catch(() => undefined);
      for (const result of [failing('thrown'), () => rejected]) {
        print.mockClear();
        const handler = provoke[name](map());
        // eslint-disable-next-line @typescript-eslint/no-misused-promises -- the one of Handler
        handler.handleError = Handler.prototype.handleError;
        handler.on[name] = result;
        turnUntil(map(), () => isTold(handler, name), name);
        await until(() => handler.closed && print.mock.calls.length > 0, 'the end');
        expectQuiet(map());
        expect(print).toHaveBeenCalledTimes(1);
        expect(handler.count('cleanup')).toBe(1);
      }
    });

    test('rule 9: a rejection goes to handleError', async () => {
      const { handler } = toldFrom(async () => {
        await Promise.resolve();
        throw new Error('rejected on purpose');
      });
      await until(() => handler.count('error rejected on purpose') === 1, 'the error');
    });
  });

  test('rule 9: an exception in handleAccept goes to handleError, and accepting continues', () => {
    const told: unknown[] = [];
    class Listener extends AcceptHandler {
      override handleAccept(): void {
        throw new Error('not welcome');
      }
      override handleError(error: unknown): void {
        told.push((error as Error).message);
      }
    }
    const server = new Listener(map());
    server.bind(['127.0.0.1', 0]);
    server.listen(8);
    const clients = [new Recorder(map()), new Recorder(map())];
    for (const client of clients) client.connect(server.socket.getsockname());
    // A socket without a handler is closed.
    turnUntil(map(), () => clients.every((client) => client.closed), 'both to be turned away');
    expect(told).toEqual(['not welcome', 'not welcome']);
  });

  test('rule 9: a listener whose handleAccept throws stays open, and the accepted socket is closed', () => {
    const print = jest.spyOn(console, 'error').mockImplementation();
    class Listener extends AcceptHandler {
      override handleAccept(): void {
        throw new Error('not welcome');
      }
    }
    const server = new Listener(map());
    server.bind(['127.0.0.1', 0]);
    server.listen(8);
    const clients = [new Recorder(map()), new Recorder(map())];
    for (const client of clients) client.connect(server.socket.getsockname());
    turnUntil(map(), () => clients.every((client) => client.closed), 'both to be turned away');
    expect(print).toHaveBeenCalledTimes(2);
    expect(server.closed).toBe(false);
  });

  test('rule 9: a thrown value that is no Error goes to handleError unchanged', () => {
    const handler = readyHandler(map());
    handler.on.read = () => {
      // eslint-disable-next-line @typescript-eslint/only-throw-error -- users do
      throw 'a text';
    };
    turnUntil(map(), () => isTold(handler, 'read'), 'the read');
    expect(handler.events).toEqual(['read x', 'error a text']);
  });

  testWithoutFaults(
    'rule 9: poll throws what handleError throws, and other handlers lose no events',
    () => {
      const before = readyHandler(map());
      unforgiving(map(), 'unforgiven');
      const after = readyHandler(map());
      let isCalled = false;
      map().callSynchronized(() => (isCalled = true));
      expect(() => map().poll(1)).toThrow('unforgiven');
      expect(before.events).toEqual(['read x']);
      expect(after.events).toEqual(['read x']);
      expect(isCalled).toBe(true);
      // The map can still be used.
      expect(map().poll(0)).toBe(0);
    },
  );

  testWithoutFaults('rule 9: several such errors in one iteration are thrown together', () => {
    unforgiving(map(), 'one');
    const between = readyHandler(map());
    unforgiving(map(), 'two');
    let thrown: unknown;
    try {
      map().poll(1);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(AggregateError);
    const { errors } = thrown as AggregateError;
    expect(errors.map((error: unknown) => (error as Error).message).sort()).toEqual(['one', 'two']);
    expect(between.events).toEqual(['read x']);
  });

  testWithoutFaults('rule 9: runSync throws what handleError throws', () => {
    const other = readyHandler(map());
    unforgiving(map(), 'unforgiven');
    expect(() => map().runSync()).toThrow('unforgiven');
    expect(other.events).toEqual(['read x']);
    expect(map().closed).toBe(false);
  });

  testWithoutFaults(
    'rule 9: run() rejects with what handleError throws, and can be called again',
    async () => {
      const other = readyHandler(map());
      unforgiving(map(), 'unforgiven');
      await expect(map().run()).rejects.toThrow('unforgiven');
      expect(other.events).toEqual(['read x']);
      const next = readyHandler(map());
      next.on.read = () => map().close();
      await map().run();
      expect(next.events).toEqual(['read x', 'cleanup']);
    },
  );

  testWithoutFaults(
    'rule 9: the next poll throws what handleError throws about a rejection',
    async () => {
      const handler = unforgiving(map(), '');
      handler.on.read = () => Promise.reject(new Error('late'));
      map().poll(1);
      await until(() => handler.count('error late') === 1, 'the error');
      expect(() => map().poll(1)).toThrow('late');
    },
  );

  test('rule 9: a rejection while the map runs rejects run(), where handleError rethrows it', async () => {
    const handler = unforgiving(map(), '');
    handler.on.read = async () => {
      await new Promise((resolve) => setTimeout(resolve, 1));
      throw new Error('late');
    };
    await expect(map().run()).rejects.toThrow('late');
  });

  test('rules 3, 9: close() throws what handleCleanup and its handleError throw', () => {
    const [ours, theirs] = tcpPair();
    keep(map(), theirs);
    const handler = new Unforgiving(map(), ours);
    handler.on.cleanup = failing('at the end');
    handler.close();
    expect(handler.events).toEqual(['cleanup', 'error at the end']);
    expect(() => map().poll(0)).toThrow('at the end');
  });

  test('rule 9: close() of the map cleans up all handlers, even if one throws', () => {
    const first = new Unforgiving(map(), tcpListener());
    first.on.cleanup = failing('at the end');
    const second = readyHandler(map());
    expect(() => map().close()).toThrow('at the end');
    expect(second.events).toEqual(['cleanup']);
    expect(map().closed).toBe(true);
  });

  testOnSystem(
    'rule 9: the default handleError prints the stack to stderr, and the program goes on',
    async () => {
      const program = runScript(
        `const { IOHandler, socketpair } = require('asynchia');
       const { DefaultSocketMap } = require('asynchia/maps');
       class Careless extends IOHandler {
         handleRead() { this.read(1); this.mistake(); }
         handleCleanup() { console.log('cleaned up'); }
       }
       const map = new DefaultSocketMap();
       const [ours, theirs] = socketpair();
       const handler = new Careless(map, ours);
       handler.setReadable(true);
       theirs.send(Buffer.from('x'));
       map.poll(1);
       console.log(handler.closed, map.poll(0));
       map.close();`,
        { ASYNCHIA_MAP: map().backend },
      );
      expect(await program.ends()).toBe(0);
      expect(program.stderr).toMatch(
        /Careless: .*TypeError: this\.mistake is not a function\n +at /s,
      );
      expect(program.stdout).toBe('cleaned up\ntrue 0\n');
    },
  );
});

const mapClasses = candidates.map((each) => [each.backend, each] as const);

describe.each(mapClasses)('%s: a notifier that throws', (_name, Map) => {
  let victim: Recorder | undefined;
  let map: SocketMap;
  let peers: Socket[];

  /** Throws before it calls the handler. */
  class Broken extends Notifier {
    override drainObj(handler: Handler): void {
      if (handler === victim) throw new Error('a broken notifier');
      super.drainObj(handler);
    }
    override connectFailedObj(handler: Handler, error: SystemError): void {
      if (handler === victim) throw new Error('a broken notifier');
      super.connectFailedObj(handler, error);
    }
  }

  beforeEach(() => {
    map = new Map({ notifier: new Broken() });
    peers = [];
  });
  afterEach(() => {
    victim = undefined;
    map.close();
    for (const peer of peers) peer.close();
  });

  test('rule 9: does not prevent the output of other handlers', () => {
    const recorders = [1, 2, 3].map(() => {
      const [ours, theirs] = socketpair();
      peers.push(theirs);
      return new Recorder(map, ours);
    });
    [victim] = recorders;
    // So that a drain is due.
    for (const recorder of recorders) recorder.highWaterMark = 0;
    map.callIn(0, () => {
      for (const recorder of recorders) recorder.sendAll('sent');
    });
    expect(() => turnUntil(map, () => false, 'the error')).toThrow('a broken notifier');
    expect(peers.slice(1).map((peer) => receiveText(peer))).toEqual(['sent', 'sent']);
  });

  test('rule 9: does not prevent handleConnectFailed of other handlers', () => {
    const recorders = [1, 2, 3].map(() => new Recorder(map));
    [victim] = recorders;
    for (const recorder of recorders) recorder.connect('/no/such/path');
    expect(() => turnUntil(map, () => false, 'the error')).toThrow('a broken notifier');
    const told = recorders.map(({ events }) => events);
    expect(told).toEqual([
      ['cleanup'],
      ['connectFailed ENOENT', 'cleanup'],
      ['connectFailed ENOENT', 'cleanup'],
    ]);
  });
});
