/** Every errno of accept(2), and a listener that cannot be watched. */
import { AcceptHandler, Socket, type SocketMap, type SystemError } from '../../lib';
import { EpollSocketMap } from '../../lib/maps';
import { onEverySystemMap } from '../support/maps';
import { receiveText, sendText, untilReady } from '../support/streams';
import { expectQuiet, turnUntil } from '../support/turns';
import { POLLIN } from '../../lib/select';

import { codeOf, injectFaults } from './faults';

const faults = injectFaults();

/** Accepts, and writes down what goes wrong. */
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

/** The connection that came first is whole: what its client sends arrives. */
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

  test.each(['EAGAIN', 'ECONNABORTED', 'EINTR'])('%s: nobody is told', (errno) => {
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
  ])('rule 13: %s: the listener is told, rests, and goes on by itself', (errno) => {
    faults.fail('accept4', errno);
    clients = connectTo(acceptor);
    turnUntil(map(), () => acceptor.told.length > 0, 'the error');
    // It rests: the connection that waits does not wake it.
    expect(map().poll(0)).toBe(0);
    turnUntil(map(), () => acceptor.accepted.length === 1, 'a connection');
    expectWhole(clients[0], acceptor.accepted[0]);
    expect(acceptor.told).toEqual([`accept ${codeOf(errno)}`]);
  });

  test('rule 13: as long as it fails, it is tried a few times, and each is told', () => {
    faults.fail('accept4', 'ENFILE', { times: 3 });
    clients = connectTo(acceptor, 5);
    turnUntil(map(), () => acceptor.accepted.length === 5, 'the connections');
    expect(acceptor.told).toEqual(Array(3).fill('accept ENFILE'));
    // A turn to fail and one to wake up for each, and those that accept.
    const waits = faults.trace().filter(({ call }) => /wait|pselect/.test(call)).length;
    expect(waits).toBeLessThanOrEqual(20);
  });

  test('a listener that rests when it is closed is cleaned up, and not heard of again', () => {
    faults.fail('accept4', 'ENFILE');
    clients = connectTo(acceptor);
    turnUntil(map(), () => acceptor.told.length > 0, 'the error');
    acceptor.close();
    expectQuiet(map());
    expect(acceptor.told).toEqual(['accept ENFILE', 'cleanup']);
    expect(map().isEmpty()).toBe(true);
  });

  test('rule 10: a burst of EINTR is nothing', () => {
    faults.fail('accept4', 'EINTR', { times: 1000 });
    clients = connectTo(acceptor, 3);
    turnUntil(map(), () => acceptor.accepted.length === 3, 'the connections');
    expect(faults.faulted('accept4')).toBe(1000);
    expect(acceptor.told).toEqual([]);
  });
});

describe('a listener that epoll cannot watch', () => {
  let map: EpollSocketMap;
  beforeEach(() => (map = new EpollSocketMap()));
  afterEach(() => map.close());

  test.each(['ENOMEM', 'ENOSPC'])('rule 13: %s: rests, and accepts later', (errno) => {
    faults.fail('epoll_add', errno, { times: 2 });
    const acceptor = listening(map);
    const clients = connectTo(acceptor);
    turnUntil(map, () => acceptor.accepted.length === 1, 'a connection');
    expectWhole(clients[0], acceptor.accepted[0]);
    expect(acceptor.told).toEqual(Array(2).fill(`epoll registration ${errno}`));
    for (const socket of [...clients, ...acceptor.accepted]) socket.close();
  });

  test('rule 13: out of memory when its rest is over, it rests on', () => {
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
