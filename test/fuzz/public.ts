/** The exports of the package, called with random arguments in random order. */
import fc from 'fast-check';

import {
  AcceptHandler,
  type Handler,
  IOHandler,
  Notifier,
  Server,
  Socket,
  socketpair,
  type SocketMap,
  SocketMapClosedError,
  SystemError,
  Waker,
} from '../../lib';
import { candidates } from '../../lib/maps';
import { BufferedWriteHandler, LineHandler } from '../../lib/protocols';
import { Epoll, Poll, select } from '../../lib/select';
import { NO_ADDRESS } from '../support/bad-values';
import { anyCall, type Callable, type Face, Unexpected, valueOf } from './steps';
import { Made, oneOf, owned, PLACES } from './values';

const MOST = 40;
const TICK_SECONDS = 0.002;

/** V8's messages for arguments that were not checked. */
const UNCHECKED = /^(Cannot |Class |.* is not (a function|iterable|a constructor|defined))/;

/** Errors that a caller may see: wrong arguments, system errors, closed or busy objects. */
function isExpected(error: Error): boolean {
  if (error.message === 'a hostile value was asked') return true;
  if (error instanceof SystemError || error instanceof SocketMapClosedError) return true;
  if (error instanceof TypeError || error instanceof RangeError) {
    return !UNCHECKED.test(error.message);
  }
  return (
    'code' in error ||
    /^\w+: (called inside a callback|this map is running|this handler is|descriptor \d+ is in|the socket of)/.test(
      error.message,
    )
  );
}

type Objects = Readonly<Record<string, unknown[]>>;

/** `next` takes the next step, within a callback of this one. */
export function publicFace(next: () => void): Face {
  const live = {
    map: [] as SocketMap[],
    handler: [] as Handler[],
    socket: [] as Socket[],
    waker: [] as Waker[],
    poll: [] as (Poll | Epoll)[],
    timer: [] as { cancel(): void }[],
  } satisfies Objects;

  const keep = <T>(list: T[], one: T, end: (old: T) => void): T => {
    list.push(one);
    if (list.length > MOST) end(list.shift() as T);
    return one;
  };
  const keepSocket = (socket: Socket): void => {
    keep(live.socket, socket, (old) => old.close());
    owned.push(socket.fileno());
    if (owned.length > MOST) owned.shift();
  };

  /** Takes further steps in callbacks, and reports errors that must not be seen there. */
  const withCallbacks = <T extends new (...args: never[]) => Handler>(Class: T): T =>
    ({
      [Class.name]: class extends (Class as unknown as new (...args: unknown[]) => Handler) {
        override handleConnect(): void {
          next();
        }
        override handleError(error: unknown): void {
          if (error instanceof Unexpected || !(error instanceof Error && isExpected(error))) {
            process.emit('uncaughtException', new Unexpected(error));
          }
          next();
        }
        override handleCleanup(): void {
          next();
        }
      },
    })[Class.name] as unknown as T;

  const CLASSES: Readonly<Record<string, new (...args: never[]) => Handler>> = {
    IOHandler: withCallbacks(IOHandler),
    AcceptHandler: withCallbacks(AcceptHandler),
    Server: withCallbacks(Server),
    BufferedWriteHandler: withCallbacks(BufferedWriteHandler),
    LineHandler: withCallbacks(LineHandler),
  };

  const { number, bytes, list, text, fd } = PLACES;
  const bad = fc.constantFrom(...NO_ADDRESS);
  const often = (arbitrary: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> =>
    fc.oneof({ weight: 12, arbitrary }, number, bytes, text, list, bad);
  const map = often(oneOf(live.map));
  const handler = often(oneOf(live.handler));
  const socket = often(oneOf(live.socket));
  const flag = often(fc.boolean());
  const flags = often(fc.constantFrom(0, 0, 1, 2, 0x40));
  const count = often(fc.nat(100_000));
  const seconds = often(fc.constantFrom(0, 0.001, -0, 5e-324));
  const data = often(fc.oneof(bytes, text));
  const callback = often(fc.constant(new Made(() => next)));
  const address = often(
    oneOf(live.socket).map((made) => new Made(() => addressOf(made.make() as Socket | undefined))),
  );
  const descriptor = often(fc.oneof(oneOf(owned), oneOf(live.socket), oneOf(live.poll)));
  const descriptors = often(
    fc
      .array(descriptor, { maxLength: 5 })
      .map(
        (array) => new Made(() => array.map((each) => (each instanceof Made ? each.make() : each))),
      ),
  );
  const option = often(fc.constantFrom(1, 2, 3, 4, 6, 7, 8, 9, 15));

  const HANDLER = { setReadable: [flag], setWritable: [flag], fileno: [], close: [] };
  const IO = {
    ...HANDLER,
    connect: [address],
    recv: [count, flags],
    read: [count],
    peek: [count],
    recvInto: [bytes, count, count, flags],
    send: [data, flags],
    sendAll: [data],
    sendLine: [data],
    end: [data],
    shutdown: [option],
    reuseAddr: [],
    reusePort: [],
    reusePath: [],
    bind: [address],
    listen: [count],
    serveForever: [address, count],
    newConnection: [handler, address],
  };
  /** The methods of each kind of object. */
  const METHODS: Readonly<
    Record<keyof typeof live, Readonly<Record<string, fc.Arbitrary<unknown>[]>>>
  > = {
    map: {
      addHandler: [handler],
      delHandler: [handler],
      addReader: [handler],
      delReader: [handler],
      addWriter: [handler],
      delWriter: [handler],
      poll: [seconds],
      run: [],
      runSync: [],
      callIn: [seconds, callback],
      callAt: [seconds, callback],
      callSynchronized: [callback],
      wakeup: [],
      createWaker: [callback],
      isEmpty: [],
      close: [],
    },
    handler: IO,
    socket: {
      fileno: [],
      close: [],
      detach: [],
      bind: [address],
      listen: [count],
      accept: [],
      connect: [address],
      recvInto: [bytes, count, count, flags],
      send: [bytes, count, count, flags],
      sendMany: [list, count],
      unread: [],
      unacknowledged: [],
      shutdown: [option],
      getsockname: [],
      getpeername: [],
      getsockopt: [option, option, count],
      setsockopt: [option, option, fc.oneof(flag, count, bytes)],
    },
    waker: { wake: [], close: [] },
    poll: {
      register: [descriptor, flags],
      modify: [descriptor, flags],
      unregister: [descriptor],
      poll: [seconds, count],
      fileno: [],
      close: [],
    },
    timer: { cancel: [] },
  };

  /** Ends waits without a time limit. */
  const bound = (target: SocketMap, method: string): void => {
    if (target.closed) return;
    if (method === 'runSync') target.callIn(TICK_SECONDS, () => target.close());
    if (method === 'poll') target.callIn(TICK_SECONDS, () => undefined);
  };

  const call = (
    kind: keyof typeof live,
    target: unknown,
    method: string,
    args: unknown[],
  ): void => {
    if (kind === 'map') bound(target as SocketMap, method);
    if (kind === 'poll' && method === 'poll') args[0] = soon(args[0]);
    const fn = (target as Record<string, Callable | undefined>)[method];
    const result = valueOf(() => fn?.apply(target, args), isExpected);
    if (result instanceof Promise) {
      result.catch((error: unknown) => {
        if (!(error instanceof Error && isExpected(error))) throw new Unexpected(error);
      });
    }
    if (kind === 'map' && method.startsWith('call') && result !== undefined) {
      keep(live.timer, result as { cancel(): void }, (old) => old.cancel());
    }
    if (result instanceof Waker) keep(live.waker, result, (old) => old.close());
    if (kind === 'socket' && method === 'accept' && result !== undefined) {
      keepSocket((result as { socket: Socket }).socket);
    }
  };

  const methods = fc
    .constantFrom(...(Object.keys(live) as (keyof typeof live)[]), 'handler' as const)
    .chain((kind) =>
      fc
        .tuple(oneOf(live[kind]), fc.constantFrom(...Object.keys(METHODS[kind])))
        .chain(([target, method]) =>
          anyCall({ [method]: METHODS[kind][method] ?? [] }, (_name, args) => {
            const object = target.make();
            if (object !== undefined) call(kind, object, method, args);
          }),
        ),
    );

  const MAKERS: Readonly<Record<string, Callable>> = {
    map: (n, ...options) => {
      const Map = candidates[Number(n) % candidates.length] ?? candidates[0];
      keep(live.map, new Map(...(options as [])), (old) => old.close());
    },
    handler: (name, ...args) => {
      const Class = CLASSES[String(name)] ?? CLASSES['IOHandler'];
      if (Class) keep(live.handler, new Class(...(args as never[])), (old) => old.close());
    },
    socketpair: () => socketpair().forEach(keepSocket),
    socket: (family, type) => keepSocket(Socket.create(family as number, type as number)),
    fromFd: (n) => keepSocket(Socket.fromFd(n as number)),
    waker: (waker) => {
      keep(live.waker, new Waker(waker as { descriptor: number }), (old) => old.close());
    },
    poll: () => keep(live.poll, new Poll(), (old) => old.close()),
    epoll: () => keep(live.poll, new Epoll(), (old) => old.close()),
    select: (read, write, except, wait) =>
      select(read as [], write as [], except as [], soon(wait) as number),
    notify: (method, ...args) => {
      const notifier = new Notifier() as unknown as Record<string, Callable>;
      notifier[String(method)]?.(...args);
    },
  };
  const makers = anyCall(
    {
      map: [fc.nat(2), often(fc.constant(undefined))],
      handler: [fc.constantFrom(...Object.keys(CLASSES)), map, socket],
      socketpair: [],
      socket: [often(fc.constantFrom(1, 2, 10)), often(fc.constantFrom(1, 2, 5))],
      fromFd: [fd],
      waker: [often(oneOf(live.waker))],
      poll: [],
      epoll: [],
      select: [descriptors, descriptors, descriptors, seconds],
      notify: [fc.constantFrom('readObj', 'writeObj', 'connectObj', 'closeObj'), handler],
    },
    (name, args) => valueOf(() => MAKERS[name]?.(...args), isExpected),
  );

  return {
    steps: fc.oneof({ weight: 5, arbitrary: methods }, { weight: 2, arbitrary: makers }),
    end: () => {
      for (const each of live.map) each.close();
      for (const each of [...live.handler, ...live.socket, ...live.poll, ...live.waker]) {
        each.close();
      }
    },
  };
}

/** Invalid times stay; long or infinite times are shortened. */
function soon(seconds: unknown): unknown {
  if (seconds === undefined) return 0;
  // A negative time is no limit for `Poll` and `Epoll`.
  const isLong = typeof seconds === 'number' && (seconds > TICK_SECONDS || seconds < 0);
  return isLong ? TICK_SECONDS : seconds;
}

/** The address of the socket, if it has one. */
function addressOf(socket: Socket | undefined): unknown {
  try {
    return socket?.getsockname();
  } catch {
    return undefined;
  }
}
