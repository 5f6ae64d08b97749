/** Every errno of epoll_ctl(2): adding, changing and removing a descriptor. */
import { AcceptHandler, Socket, socketpair } from '../../lib';
import { EpollSocketMap } from '../../lib/maps';
import { Epoll } from '../../lib/select';
import { Recorder } from '../support/recorder';
import { sendText, tcpListener } from '../support/streams';
import { expectQuiet, turnUntil } from '../support/turns';

import { codeOf, injectFaults } from './faults';

const faults = injectFaults();

// Not EPERM: epoll_ctl(2) returns it for a regular file, which is always ready.
const ERRNOS = ['EBADF', 'EEXIST', 'EINVAL', 'ELOOP', 'ENOENT', 'ENOMEM', 'ENOSPC'];

describe('epoll_ctl', () => {
  let map: EpollSocketMap;
  let theirs: Socket;
  let handler: Recorder;
  beforeEach(() => {
    map = new EpollSocketMap();
    const [ours, other] = socketpair();
    theirs = other;
    handler = new Recorder(map, ours);
  });
  afterEach(() => {
    map.close();
    theirs.close();
  });

  /** The handler has ended with `error`, and its descriptor is closed. */
  function expectEnded(events: string[]): void {
    turnUntil(map, () => handler.closed, 'the end');
    expect(map.poll(0)).toBe(0);
    expect(handler.events).toEqual(events);
    expect(handler.fileno()).toBe(-1);
  }

  describe('EPOLL_CTL_ADD fails', () => {
    test.each(ERRNOS.filter((errno) => errno !== 'EBADF'))('%s: the handler is closed', (errno) => {
      faults.fail('epoll_add', errno);
      expectEnded([`close ${codeOf(errno)}`, 'cleanup']);
    });

    test('a handler with unread bytes that cannot be registered gets handleClose', () => {
      sendText(theirs, 'unread');
      faults.fail('epoll_add', 'ENOSPC', { times: Infinity });
      expectEnded(['close ENOSPC', 'cleanup']);
    });

    test('a paused handler that cannot be registered gets handleClose', () => {
      sendText(theirs, 'unread');
      handler.setReadable(false);
      faults.fail('epoll_add', 'ENOMEM', { times: Infinity });
      expectEnded(['close ENOMEM', 'cleanup']);
    });

    test('a handler whose send failed before gets handleClose, with the unread bytes', () => {
      sendText(theirs, 'unread');
      map.poll(1);
      handler.setReadable(false);
      sendText(theirs, 'more');
      faults.fail('send', 'ECONNRESET');
      handler.send('x');
      expectQuiet(map);
      faults.fail('epoll_add', 'ENOMEM', { times: Infinity });
      handler.setReadable(true);
      expectEnded(['read unread', 'close ECONNRESET', 'cleanup']);
    });

    test.each(ERRNOS.filter((errno) => errno !== 'EBADF'))(
      '%s while it connects: handleConnectFailed',
      (errno) => {
        const listener = tcpListener();
        handler.close();
        handler = new Recorder(map);
        faults.fail('epoll_add', errno);
        handler.connect(listener.getsockname());
        expectEnded([`connectFailed ${codeOf(errno)}`, 'cleanup']);
        listener.close();
      },
    );

    test('for a listener: an exception in handleAcceptError goes to handleError', () => {
      const told: string[] = [];
      class Listener extends AcceptHandler {
        override handleAcceptError(): void {
          throw new Error('mine');
        }
        override handleError(error: unknown): void {
          told.push(String(error));
        }
      }
      const listener = new Listener(map);
      listener.bind(['127.0.0.1', 0]);
      listener.listen(5);
      handler.close();
      faults.fail('epoll_add', 'ENOSPC');
      turnUntil(map, () => told.length > 0, 'the error');
      expect(told).toEqual(['Error: mine']);
    });

    test.each(['ENOMEM', 'ENOSPC'])('%s for a waker: createWaker throws', (errno) => {
      map.poll(0);
      faults.fail('epoll_add', errno);
      expect(() => map.createWaker()).toThrow(`epoll registration ${errno}`);
      const waker = map.createWaker();
      waker.wake();
      expect(map.poll(1)).toBe(0);
      waker.close();
    });

    test.each(['ENOMEM', 'ENOSPC'])(
      "%s for Node's loop: run() rejects, and can be called again",
      async (errno) => {
        map.poll(0);
        faults.fail('epoll_add', errno);
        await expect(map.run()).rejects.toThrow(`epoll registration ${errno}`);
        map.callIn(0, () => map.close());
        await map.run();
      },
    );

    test.each(ERRNOS)('%s: Epoll.register throws', (errno) => {
      const epoll = new Epoll();
      faults.fail('epoll_add', errno);
      expect(() => epoll.register(theirs)).toThrow(`epoll_ctl ${codeOf(errno)}`);
      epoll.register(theirs);
      expect(epoll.poll(0)).toHaveLength(1);
      epoll.close();
    });
  });

  describe('EPOLL_CTL_MOD fails', () => {
    beforeEach(() => map.poll(0));

    test.each(['EBADF', 'ENOENT', 'EPERM'])(
      '%s: the descriptor now belongs to another file, and is not closed',
      (errno) => {
        const stranger = Socket.fromFd(handler.fileno());
        faults.fail('epoll_modify', errno);
        handler.setWritable(true);
        turnUntil(map, () => handler.closed, 'the end');
        expect(handler.events).toEqual(['error poll EBADF: bad file descriptor', 'cleanup']);
        stranger.close();
      },
    );

    test('out of memory: the handler and its descriptor are closed', () => {
      faults.fail('epoll_modify', 'ENOMEM');
      handler.setWritable(true);
      expectEnded(['close ENOMEM', 'cleanup']);
    });
  });

  describe('EPOLL_CTL_DEL fails', () => {
    test.each(['EBADF', 'ENOENT', 'EINVAL'])('%s: no callback', (errno) => {
      map.poll(0);
      faults.fail('epoll_delete', errno);
      handler.close();
      expectEnded(['cleanup']);
    });
  });

  test('a connection accepted when no descriptor can be registered gets handleClose', () => {
    const listener = tcpListener();
    const client = Socket.create();
    client.connect(listener.getsockname());
    sendText(client, 'first');
    const accepted = listener.accept()!.socket;
    faults.fail('epoll_add', 'ENOSPC', { fd: accepted.fileno() });
    const served = new Recorder(map, accepted);
    turnUntil(map, () => served.closed, 'the end');
    expect(served.events).toEqual(['close ENOSPC', 'cleanup']);
    client.close();
    listener.close();
  });
});
