/** The asynchronous context of callbacks: that of their handler, or of their caller (rule 20). */
import { AsyncLocalStorage } from 'node:async_hooks';

import { AcceptHandler } from '../../lib';
import type { Handled, Socket, SystemError } from '../../lib';
import { LineHandler } from '../../lib/protocols';
import { type Acting, callbackNames } from '../support/acting';
import { onEveryMap } from '../support/maps';
import { closeKept, isTold, keep, provoke } from '../support/provoke';
import { Recorder } from '../support/recorder';
import { createSocket, sendText, socketpair, tcpListener } from '../support/streams';
import { turnUntil, until } from '../support/turns';

const store = new AsyncLocalStorage<string>();

function failing(): never {
  throw new Error('thrown on purpose');
}

onEveryMap('asynchronous context', (map, { testOnSystem, testWithoutFaults }) => {
  afterEach(() => {
    closeKept(map());
    jest.restoreAllMocks();
  });

  /** A handler that is made in the context `mine`, and notes the context of a callback. */
  function noting(name: (typeof callbackNames)[number], action: () => Handled): [Acting, string[]] {
    const seen: string[] = [];
    const handler = store.run('mine', () => provoke[name](map()));
    handler.on[name] = () => {
      seen.push(String(store.getStore()));
      return action();
    };
    handler.on.error = () => void seen.push(`error ${String(store.getStore())}`);
    return [handler, seen];
  }

  describe.each(callbackNames)('of the callback %s', (name) => {
    test('rule 20: is that in which the handler was made, with what is entered there', () => {
      const [handler, seen] = noting(name, () => store.enterWith('entered'));
      const [other, seenByOther] = noting(name, () => undefined);
      store.run('polling', () => {
        turnUntil(map(), () => isTold(handler, name) && isTold(other, name), name);
        expect(store.getStore()).toBe('polling');
      });
      expect(seen[0]).toBe('mine');
      expect(new Set(seenByOther)).toEqual(new Set(['mine']));
    });

    test('rule 20: and of handleError, for what it throws', () => {
      const [, seen] = noting(name, failing);
      store.run('polling', () => turnUntil(map(), () => seen.length >= 2, name));
      expect(seen.slice(0, 2)).toEqual(['mine', 'error mine']);
    });

    test('rule 20: and of handleError, for what its promise rejects with', async () => {
      const [, seen] = noting(name, () => Promise.reject(new Error('rejected on purpose')));
      store.run('polling', () => turnUntil(map(), () => seen.length >= 1, name));
      await until(() => seen.includes('error mine'), 'the error');
    });
  });

  test('rule 20: handleCleanup is called in that of its handler, whoever closes it', () => {
    const seen: unknown[] = [];
    const made = ['one', 'two'].map((mine) =>
      store.run(mine, () => {
        const [ours, theirs] = socketpair();
        keep(map(), theirs);
        const handler = new Recorder(map(), ours);
        handler.handleCleanup = () => void seen.push(store.getStore());
        return handler;
      }),
    );
    store.run('closing', () => made[0]?.close());
    store.run('closing', () => map().close());
    expect(seen).toEqual(['one', 'two']);
  });

  testWithoutFaults('rule 20: handlers that are made in handleAccept do not see each other', () => {
    let count = 0;
    const seen: unknown[] = [];
    class Connection extends Recorder {
      override handleRead(): void {
        super.handleRead();
        seen.push(store.getStore());
      }
    }
    class Listener extends AcceptHandler {
      override handleAccept(socket: Socket): void {
        store.enterWith(`connection ${++count}`);
        new Connection(map(), socket);
      }
    }
    const listener = new Listener(map());
    listener.bind(['127.0.0.1', 0]);
    listener.listen(8);
    for (let i = 0; i < 3; i++) {
      const client = createSocket();
      keep(map(), client);
      client.connect(listener.socket.getsockname());
      turnUntil(map(), () => count > i, 'the connection');
      sendText(client, 'x');
      turnUntil(map(), () => seen.length > i, 'the byte');
    }
    expect(seen).toEqual(['connection 1', 'connection 2', 'connection 3']);
    expect(store.getStore()).toBeUndefined();
  });

  test('rule 20: lineReceived is called in that of its handler, whoever resumes it', () => {
    const seen: unknown[] = [];
    class Lines extends LineHandler {
      override lineReceived(): void {
        seen.push(store.getStore());
        this.setReadable(false);
      }
    }
    const [ours, theirs] = socketpair();
    keep(map(), theirs);
    const handler = store.run('mine', () => new Lines(map(), ours));
    handler.setReadable(true);
    sendText(theirs, 'one\ntwo\n');
    turnUntil(map(), () => seen.length === 1, 'the first line');
    store.run('resuming', () => handler.setReadable(true));
    turnUntil(map(), () => seen.length === 2, 'the second line');
    expect(seen).toEqual(['mine', 'mine']);
  });

  test('rule 20: a connection by name is told in that of its handler', () => {
    const listener = tcpListener();
    keep(map(), listener);
    const address = listener.getsockname();
    const seen: unknown[] = [];
    class Client extends Recorder {
      override handleConnect(): void {
        seen.push(store.getStore());
      }
      override handleConnectFailed(error: SystemError): void {
        seen.push(error.code);
      }
    }
    const client = store.run('mine', () => new Client(map()));
    const port = 'port' in address ? address.port : 0;
    store.run('connecting', () => client.connect(['localhost', port]));
    turnUntil(map(), () => seen.length > 0, 'the connection');
    expect(seen).toEqual(['mine']);
  });

  test('rule 20: timers and synchronized calls run in that of their caller', () => {
    const seen: unknown[] = [];
    const note = (): void => {
      seen.push(store.getStore());
      store.enterWith('another');
    };
    store.run('callIn', () => map().callIn(0, note));
    store.run('callAt', () => map().callAt(0, note));
    store.run('callSynchronized', () => map().callSynchronized(note));
    map().callSynchronized(note);
    store.run('polling', () => turnUntil(map(), () => seen.length === 4, 'the calls'));
    expect(seen).toEqual(['callIn', 'callAt', 'callSynchronized', undefined]);
  });

  testOnSystem('rule 20: the function of a waker runs in that of its caller', () => {
    const seen: unknown[] = [];
    const wakers = ['one', 'two'].map((mine) =>
      store.run(mine, () => map().createWaker(() => seen.push(store.getStore()))),
    );
    wakers[0]?.wake();
    store.run('polling', () => turnUntil(map(), () => seen.length === 2, 'the wake-up'));
    expect(seen).toEqual(['one', 'two']);
    for (const waker of wakers) waker.close();
  });

  test('rule 20: it is the same under run()', async () => {
    const seen: unknown[] = [];
    const [handler, seenByHandler] = noting('read', () => store.enterWith('entered'));
    store.run('calling', () => map().callIn(0, () => seen.push(store.getStore())));
    const running = store.run('running', () => map().run());
    await until(() => isTold(handler, 'read') && seen.length > 0, 'both');
    map().close();
    await running;
    expect([seenByHandler[0], seen]).toEqual(['mine', ['calling']]);
  });
});
