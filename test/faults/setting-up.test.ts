/** Calls made once: they throw a SystemError that names the call, and leave no descriptor open. */
import { AcceptHandler, constants, Socket, socketpair, type SystemError } from '../../lib';
import { EpollSocketMap, PollSocketMap } from '../../lib/maps';
import { thrownBy } from '../support/bad-values';
import { receiveText, sendText, tcpListener, tcpPair } from '../support/streams';

import { codeOf, injectFaults } from './faults';
import type { Call } from './injector';

const faults = injectFaults();

/** Makes `call` fail with each errno: `use` throws it, and succeeds the next time. */
function expectThrown(
  call: Call,
  errnos: readonly string[],
  use: () => unknown,
  syscall: string = call,
): void {
  for (const errno of errnos) {
    faults.fail(call, errno);
    const error: Partial<SystemError> = thrownBy(use, `${call} with ${errno}`);
    expect([error.syscall, error.code]).toEqual([syscall, codeOf(errno)]);
  }
  use();
}

describe('failures of calls made once are thrown', () => {
  let socket: Socket;
  beforeEach(() => (socket = Socket.create()));
  afterEach(() => socket.close());

  test('socket', () => {
    const errnos = ['EACCES', 'EAFNOSUPPORT', 'EINVAL', 'EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM'];
    expectThrown('socket', [...errnos, 'EPROTONOSUPPORT'], () => Socket.create().close());
  });

  test('socketpair', () => {
    const errnos = ['EAFNOSUPPORT', 'EFAULT', 'EMFILE', 'ENFILE', 'EOPNOTSUPP', 'EPROTONOSUPPORT'];
    expectThrown('socketpair', errnos, () => socketpair().forEach((each) => each.close()));
  });

  test('epoll_create1', () => {
    const use = (): void => new EpollSocketMap().close();
    expectThrown('epoll_create1', ['EINVAL', 'EMFILE', 'ENFILE', 'ENOMEM'], use, 'epoll set-up');
  });

  test('eventfd and dup', () => {
    const map = new PollSocketMap();
    const use = (): void => map.createWaker().close();
    expectThrown('eventfd', ['EINVAL', 'EMFILE', 'ENFILE', 'ENODEV', 'ENOMEM'], use);
    expectThrown('fcntl', ['EMFILE', 'EINVAL'], use, 'dup');
    map.close();
  });

  test('setsockopt and getsockopt', () => {
    const { SOL_SOCKET, SO_KEEPALIVE } = constants;
    const errnos = ['EBADF', 'EFAULT', 'EINVAL', 'ENOPROTOOPT', 'ENOTSOCK', 'ENOMEM'];
    expectThrown('setsockopt', errnos, () => socket.setsockopt(SOL_SOCKET, SO_KEEPALIVE, true));
    expectThrown('getsockopt', errnos, () => socket.getsockopt(SOL_SOCKET, SO_KEEPALIVE));
  });

  test('getsockname and getpeername', () => {
    const [ours, theirs] = tcpPair();
    const errnos = ['EBADF', 'EFAULT', 'EINVAL', 'ENOBUFS', 'ENOTSOCK'];
    expectThrown('getsockname', errnos, () => ours.getsockname());
    expectThrown('getpeername', [...errnos, 'ENOTCONN'], () => ours.getpeername());
    ours.close();
    theirs.close();
  });

  test('shutdown', () => {
    const [ours, theirs] = socketpair();
    const errnos = ['EBADF', 'EINVAL', 'ENOTCONN', 'ENOTSOCK'];
    expectThrown('shutdown', errnos, () => ours.shutdown(constants.SHUT_WR));
    expect(receiveText(theirs)).toBe('');
    ours.close();
    theirs.close();
  });

  test('fcntl of a foreign descriptor, which stays open', () => {
    const listener = tcpListener();
    const fd = listener.fileno();
    for (const skip of [0, 1, 2, 3]) {
      faults.fail('fcntl', 'EBADF', { skip });
      expect(() => Socket.fromFd(fd)).toThrow('fcntl EBADF');
    }
    expect(listener.getsockname()).toMatchObject({ host: '127.0.0.1' });
    listener.close();
  });

  test('bind and listen, after which the listener can still be used', () => {
    const map = new EpollSocketMap();
    const acceptor = new AcceptHandler(map);
    acceptor.reuseAddr();
    const bind = (): void => acceptor.bind(['127.0.0.1', 0]);
    const failing = (call: Call, errnos: readonly string[], use: () => void): void => {
      for (const errno of errnos) {
        faults.fail(call, errno);
        expect(use).toThrow(`${call} ${codeOf(errno)}`);
        expect([acceptor.closed, acceptor.readable]).toEqual([false, false]);
      }
    };
    failing('socket', ['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM'], bind);
    failing('setsockopt', ['ENOPROTOOPT', 'EINVAL'], bind);
    failing(
      'bind',
      [
        ...['EACCES', 'EADDRINUSE', 'EBADF', 'EINVAL', 'ENOTSOCK', 'EADDRNOTAVAIL', 'EFAULT'],
        ...['ELOOP', 'ENAMETOOLONG', 'ENOENT', 'ENOMEM', 'ENOTDIR', 'EROFS'],
      ],
      bind,
    );
    bind();
    failing('listen', ['EADDRINUSE', 'EBADF', 'ENOTSOCK', 'EOPNOTSUPP'], () => acceptor.listen(1));
    acceptor.listen(1);
    const client = Socket.create();
    client.connect(acceptor.socket.getsockname());
    map.poll(1);
    expect(receiveText(client)).toBe('');
    client.close();
    map.close();
  });

  test('a waker that cannot write throws; a full counter (eventfd(2)) is no error', () => {
    const map = new PollSocketMap();
    const waker = map.createWaker();
    faults.fail('eventfd_write', 'EAGAIN');
    waker.wake();
    faults.fail('eventfd_write', 'EIO');
    expect(() => waker.wake()).toThrow('write EIO');
    waker.wake();
    // The write is retried until it succeeds.
    faults.fail('eventfd_read', 'EINTR', { times: 3 });
    let count = 0;
    while (faults.made('eventfd_read') < 4 && count++ < 10) map.poll(1);
    expect([count, map.poll(0)]).toEqual([4, 0]);
    expect(faults.made('eventfd_read')).toBe(4);
    waker.close();
    map.close();
  });

  test('a socket whose role cannot be read counts as connected, and can be used', () => {
    const [ours, theirs] = socketpair();
    faults.fail('getsockopt', 'ENOTSOCK');
    const adopted = Socket.fromFd(ours.detach());
    expect(adopted.role).toBe('connected');
    sendText(adopted, 'x');
    expect(receiveText(theirs)).toBe('x');
    adopted.close();
    theirs.close();
  });
});
