/** Every errno of connect(2), and of the other calls of a connection attempt. */
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import { constants, Socket, type SocketAddress } from '../../lib';
import { onEverySystemMap } from '../support/maps';
import { Recorder } from '../support/recorder';
import { tcpListener } from '../support/streams';
import { turnUntil } from '../support/turns';

import { codeOf, injectFaults } from './faults';

const faults = injectFaults();

onEverySystemMap('connecting', (map) => {
  let listener: Socket;
  let handler: Recorder;
  beforeEach(() => {
    listener = tcpListener();
    handler = new Recorder(map());
  });
  afterEach(() => {
    map().close();
    listener.close();
  });

  const address = (): SocketAddress => listener.getsockname();

  /** `handleConnectFailed` is called once, after `connect` has returned. */
  function expectFailed(code: string): void {
    expect(handler.events).toEqual([]);
    turnUntil(map(), () => handler.closed, 'the end');
    expect(map().poll(0)).toBe(0);
    expect(handler.events).toEqual([`connectFailed ${code}`, 'cleanup']);
    expect(map().isEmpty()).toBe(true);
  }

  function expectConnected(): void {
    turnUntil(map(), () => handler.events.length > 0, 'handleConnect');
    const accepted = listener.accept()!.socket;
    accepted.close();
    turnUntil(map(), () => handler.closed, 'the end');
    expect(handler.events).toEqual(['connect', 'close', 'cleanup']);
  }

  test.each([
    ...['EACCES', 'EPERM', 'EADDRINUSE', 'EADDRNOTAVAIL', 'EAFNOSUPPORT', 'EAGAIN', 'EALREADY'],
    ...['EBADF', 'ECONNREFUSED', 'EFAULT', 'EISCONN', 'ENETUNREACH', 'ENOTSOCK', 'EPROTOTYPE'],
    ...['ETIMEDOUT', 'EHOSTUNREACH', 'ENOBUFS', 'ENOMEM', 'EINVAL', 'ECONNABORTED', 'ENOENT'],
  ])('rule 8: connect fails with %s', (errno) => {
    faults.fail('connect', errno);
    handler.connect(address());
    expectFailed(codeOf(errno));
  });

  test.each(['EINPROGRESS', 'EINTR'])('rule 8: %s of connect: the attempt is pending', (errno) => {
    faults.fail('connect', errno, { afterwards: true });
    handler.connect(address());
    expectConnected();
  });

  test.each([
    ...['EACCES', 'EAFNOSUPPORT', 'EINVAL', 'EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM'],
    ...['EPROTONOSUPPORT'],
  ])('rule 8: socket fails with %s', (errno) => {
    faults.fail('socket', errno);
    handler.connect(address());
    expectFailed(codeOf(errno));
  });

  test.each(['EINVAL', 'ENOPROTOOPT', 'ENOTSOCK', 'EBADF', 'EFAULT', 'ENOMEM'])(
    'an attempt whose SO_ERROR cannot be read has failed: %s',
    (errno) => {
      faults.fail('getsockopt', errno, { times: Infinity });
      handler.connect(address());
      expectFailed(codeOf(errno));
    },
  );

  test('EAGAIN of a Unix socket whose backlog is full, without injection', () => {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'asynchia-'));
    const server = Socket.create(constants.AF_UNIX);
    server.bind(path.join(folder, 'socket'));
    server.listen(0);
    const first = Socket.create(constants.AF_UNIX);
    first.connect(path.join(folder, 'socket'));
    handler.connect(path.join(folder, 'socket'));
    expectFailed('EAGAIN');
    first.close();
    server.close();
    rmSync(folder, { recursive: true });
  });

  describe('by name', () => {
    const NAME: [string, number] = ['localhost', 0];
    beforeEach(() => {
      const bound = address();
      NAME[1] = 'port' in bound ? bound.port : 0;
    });

    test.each([
      ['eventfd', 'EMFILE', 'EMFILE'],
      ['eventfd', 'ENFILE', 'ENFILE'],
      ['eventfd', 'ENODEV', 'ENODEV'],
      ['eventfd', 'ENOMEM', 'ENOMEM'],
      ['fcntl', 'EMFILE', 'EMFILE'],
      ['pthread_create', 'EAGAIN', 'EAGAIN'],
    ] as const)('rule 8: %s fails with %s', (call, errno, code) => {
      // The check that a descriptor is open calls fcntl(2), too.
      if (call === 'fcntl') map().createWaker().close();
      faults.fail(call, errno);
      handler.connect(NAME);
      expectFailed(code);
    });

    test.each([
      [-2, 'ENOTFOUND'],
      [-3, 'EAI_AGAIN'],
      [-4, 'EAI_FAIL'],
      [-5, 'ENOTFOUND'],
      [-10, 'EAI_MEMORY'],
      [-11, 'EAI_SYSTEM'],
      [-6, 'EAI_FAIL'],
      [-8, 'EAI_FAIL'],
    ])('rule 8: getaddrinfo fails with %i', (status, code) => {
      // The first call checks for a numeric address.
      faults.fail('getaddrinfo', -status, { skip: 1 });
      handler.connect(NAME);
      expectFailed(code);
    });
  });
});
