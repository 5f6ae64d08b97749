/** Every errno of accept(2), and a listener that cannot be registered with epoll. */
import { AcceptHandler, Socket, type SocketMap, type SystemError } from '../../lib';
import { EpollSocketMap } from '../../lib/maps';
import { onEverySystemMap } from '../support/maps';
import { receiveText, sendText, untilReady } from '../support/streams';
import { expectQuiet, turnUntil } from '../support/turns';
import { POLLIN } from '../../lib/select';

import { codeOf, injectFaults } from './faults';

const faults = injectFaults();

/** Accepts connections, and records errors. */
class Acceptor extends AcceptHandler {
  readonly accepted: Socket[] = [];
  readonly told: string[] = [];

  override handleAccept(socket: Socket): void {
    this.accepted.push(socket);
  }

  override handleAcceptError(error: SystemError): void {
    this.told.push(`${error.syscall} ${error.code}`);
  }

  override handleError(error: unknown): void {
    this.told.push(`error ${String(error)}`);
  }

  override handleCleanup(): void {
    this.told.push('cleanup');
  }
}

function listening(map: SocketMap): Acceptor {
  const acceptor = new Acceptor(map);
  acceptor.bind(['127.0.0.1', 0]);
  acceptor.listen(100);
  return acceptor;
}

function connectTo(acceptor: Acceptor, count = 1): Socket[] {
  return Array.from({ length: count }, () => {
    const client = Socket.create();
    client.connect(acceptor.socket.getsockname());
    return client;
  });
}

/** The first connection works: bytes from its client arrive. */
function expectWhole(client: Socket | undefined, accepted: Socket | undefined): void {
  sendText(client!, 'through');
  untilReady(accepted!, POLLIN);
  expect(receiveText(accepted!)).toBe('through');
}

onEverySystemMap('accept4 fails', (map) => {
  let clients: Socket[];
  let acceptor: Acceptor;
  beforeEach(() => {
    clients = [];
    acceptor = listening(map());
  });
  afterEach(() => {
    for (const socket of [...clients, ...acceptor.accepted]) socket.close();
  });

  test.each(['EAGAIN', 'ECONNABORTED', 'EINTR'])('%s: no callback', (errno) => {
    faults.fail('accept4', errno);
    clients = connectTo(acceptor);
    turnUntil(map(), () => acceptor.accepted.length === 1, 'a connection');
    expectWhole(clients[0], acceptor.accepted[0]);
    expect(faults.faulted('accept4')).toBe(1);
    expect(acceptor.told).toEqual([]);
  });

  test.each([
    ...['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM'],
    ...['EPERM', 'EPROTO', 'ENETDOWN', 'ENOPROTOOPT', 'EHOSTDOWN', 'ENONET', 'EHOSTUNREACH'],
    ...['EOPNOTSUPP', 'ENETUNREACH', 'ETIMEDOUT', 'ESOCKTNOSUPPORT', 'EPROTONOSUPPORT'],
    ...['EBADF', 'EFAULT', 'EINVAL', 'ENOTSOCK', 'EIO'],
  ])(
    'rule 13: %s: handleAcceptError is called, the listener backs off, and accepts again',
    (errno) => {
      faults.fail('accept4', errno);
      clients = connectTo(acceptor);
      turnUntil(map(), () => acceptor.told.length > 0, 'the error');
      // It backs off: the waiting connection does not wake it.
      expect(map().poll(0)).toBe(0);
      turnUntil(map(), () => acceptor.accepted.length === 1, 'a connection');
      expectWhole(clients[0], acceptor.accepted[0]);
      expect(acceptor.told).toEqual([`accept ${codeOf(errno)}`]);
    },
  );

  test('rule 13: accept is retried with back-off, and handleAcceptError is called each time', () => {
    faults.fail('accept4', 'ENFILE', { times: 3 });
    clients = connectTo(acceptor, 5);
    turnUntil(map(), () => acceptor.accepted.length === 5, 'the connections');
    expect(acceptor.told).toEqual(Array(3).fill('accept ENFILE'));
    // For each failure one iteration to fail and one to wake up, then those that accept.
    const waits = faults.trace().filter(({ call }) => /wait|pselect/.test(call)).length;
    expect(waits).toBeLessThanOrEqual(20);
  });

  test('a listener closed during its back-off gets handleCleanup, and no callbacks after that', () => {
    faults.fail('accept4', 'ENFILE');
    clients = connectTo(acceptor);
    turnUntil(map(), () => acceptor.told.length > 0, 'the error');
    acceptor.close();
    expectQuiet(map());
    expect(acceptor.told).toEqual(['accept ENFILE', 'cleanup']);
    expect(map().isEmpty()).toBe(true);
  });

  test('rule 10: repeated EINTR has no effect', () => {
    faults.fail('accept4', 'EINTR', { times: 1000 });
    clients = connectTo(acceptor, 3);
    turnUntil(map(), () => acceptor.accepted.length === 3, 'the connections');
    expect(faults.faulted('accept4')).toBe(1000);
    expect(acceptor.told).toEqual([]);
  });
});

describe('a listener that epoll cannot register', () => {
  let map: EpollSocketMap;
  beforeEach(() => {
    map = new EpollSocketMap();
    // The map's own descriptors are registered.
    map.poll(0);
  });
  afterEach(() => map.close());

  test.each(['ENOMEM', 'ENOSPC'])(
    'rule 13: %s: the listener backs off, and accepts later',
    (errno) => {
      faults.fail('epoll_add', errno, { times: 2 });
      const acceptor = listening(map);
      const clients = connectTo(acceptor);
      turnUntil(map, () => acceptor.accepted.length === 1, 'a connection');
      expectWhole(clients[0], acceptor.accepted[0]);
      expect(acceptor.told).toEqual(Array(2).fill(`epoll registration ${errno}`));
      for (const socket of [...clients, ...acceptor.accepted]) socket.close();
    },
  );

  test('rule 13: out of memory after the back-off, it backs off again', () => {
    const acceptor = listening(map);
    map.poll(0);
    faults.fail('accept4', 'ENOMEM');
    faults.fail('epoll_add', 'ENOMEM');
    const clients = connectTo(acceptor);
    turnUntil(map, () => acceptor.accepted.length === 1, 'a connection');
    expect(acceptor.told).toEqual(['accept ENOMEM', 'epoll registration ENOMEM']);
    for (const socket of [...clients, ...acceptor.accepted]) socket.close();
  });
});
