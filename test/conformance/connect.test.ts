/** Connecting: the loop delivers success and failure (rule 8). */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import type { Socket } from '../../lib';
import { type Address, constants, type SystemError } from '../../lib';
import { POLLIN } from '../../lib/select';
import { Acting } from '../support/acting';
import { onEveryMap } from '../support/maps';
import { Recorder } from '../support/recorder';
import {
  createSocket,
  deadAddress,
  receiveText,
  tcpListener,
  untilReady,
} from '../support/streams';
import { expectQuiet, turnUntil } from '../support/turns';

/** Keeps the whole error. */
class Failing extends Recorder {
  error: SystemError | undefined;

  override handleConnectFailed(error: SystemError): void {
    super.handleConnectFailed(error);
    this.error = error;
  }
}

onEveryMap('connect', (map, { testWithoutFaults }) => {
  let directory: string;
  beforeAll(() => {
    directory = mkdtempSync(path.join(tmpdir(), 'asynchia-'));
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  function failed(address: Address): Failing {
    const handler = new Failing(map());
    handler.connect(address);
    expect(handler.events).toEqual([]);
    turnUntil(map(), () => handler.closed, 'the failure');
    expectQuiet(map());
    return handler;
  }

  function unixListener(address: string, backlog = 8): Socket {
    const listener = createSocket(constants.AF_UNIX);
    listener.bind(address);
    listener.listen(backlog);
    return listener;
  }

  test.each([
    ['an array', (port: number) => ['127.0.0.1', port] as const],
    ['an object', (port: number) => ({ host: '127.0.0.1', port })],
    ['a name with an IPv4 listener only', (port: number) => ['localhost', port] as const],
  ])('rule 8: success calls handleConnect (%s)', (_name, addressOf) => {
    const listener = tcpListener();
    const bound = listener.getsockname();
    const handler = new Recorder(map());
    handler.connect(addressOf('port' in bound ? bound.port : 0));
    expect(handler.events).toEqual([]);
    expect(handler.connected).toBe(false);
    turnUntil(map(), () => handler.connected, 'the connection');
    expectQuiet(map());
    expect(handler.events).toEqual(['connect']);
    expect(handler.socket.getpeername()).toEqual(bound);
    listener.close();
  });

  test.each([
    ['a path', () => path.join(directory, `${map().backend}-listens`)],
    ['an abstract name', () => `\0asynchia-${process.pid}-${map().backend}`],
  ])(
    'rule 8: a unix socket connects at once, and the loop calls handleConnect (%s)',
    (_name, address) => {
      const listener = unixListener(address());
      const handler = new Recorder(map());
      handler.connect(address());
      expect(handler.events).toEqual([]);
      turnUntil(map(), () => handler.connected, 'the connection');
      expectQuiet(map());
      expect(handler.events).toEqual(['connect']);
      listener.close();
    },
  );

  test('rule 8: a refusal calls handleConnectFailed with an error that names the address', () => {
    const [host, port] = deadAddress();
    const handler = failed([host, port]);
    expect(handler.events).toEqual(['connectFailed ECONNREFUSED', 'cleanup']);
    expect(handler.error).toMatchObject({ syscall: 'connect', address: host, port });
    expect(handler.error!.errno).toBeLessThan(0);
  });

  test.each([
    ['a refusal', (): Address => deadAddress()],
    ['an unknown path', (): Address => path.join(directory, 'missing')],
    ['an unknown name', (): Address => ['no-such-host.invalid', 80]],
  ])(
    'rule 8: after %s, a second connect throws, and its message says what to do',
    (_name, address) => {
      const handler = new Acting(map());
      handler.on.connectFailed = () => handler.connect(tcpListener().getsockname());
      handler.connect(address());
      turnUntil(map(), () => handler.closed, 'the failure');
      expectQuiet(map());
      expect(handler.events).toEqual([
        expect.stringMatching(/^connectFailed E/),
        expect.stringMatching(/^error connect: this Acting is ending; make a new handler/),
        'cleanup',
      ]);
    },
  );

  test('rule 8: a socket passed to the constructor is not replaced when a name has several addresses', () => {
    const { SOL_SOCKET, SO_KEEPALIVE } = constants;
    const own = createSocket();
    own.setsockopt(SOL_SOCKET, SO_KEEPALIVE, true);
    const handler = new Recorder(map(), own);
    const listener = tcpListener();
    const bound = listener.getsockname();
    handler.connect(['localhost', 'port' in bound ? bound.port : 0]);
    turnUntil(map(), () => handler.connected || handler.closed, 'the connection');
    expect(handler.events).toEqual(['connect']);
    expect(handler.socket).toBe(own);
    expect(own.getsockopt(SOL_SOCKET, SO_KEEPALIVE)).toBe(1);
    listener.close();
    const refused = new Recorder(map(), createSocket());
    refused.connect(['localhost', deadAddress()[1]]);
    turnUntil(map(), () => refused.closed, 'the failure');
    expect(refused.events).toEqual(['connectFailed ECONNREFUSED', 'cleanup']);
  });

  test('rule 8: a name whose addresses all refuse calls handleConnectFailed once', () => {
    const handler = failed(['localhost', deadAddress()[1]]);
    expect(handler.events).toEqual(['connectFailed ECONNREFUSED', 'cleanup']);
  });

  test('rule 8: an unknown name calls handleConnectFailed', () => {
    const handler = failed(['no-such-host.invalid', 80]);
    expect(handler.events).toEqual([
      // Without a name server the look-up fails with another code.
      expect.stringMatching(/^connectFailed (ENOTFOUND|EAI_AGAIN|EAI_FAIL)$/),
      'cleanup',
    ]);
    expect(handler.error).toMatchObject({
      syscall: 'getaddrinfo',
      hostname: 'no-such-host.invalid',
    });
  });

  test('rule 8: an address without a route calls handleConnectFailed', () => {
    // tcp(7): connect(2) to a multicast address fails at once.
    const handler = failed(['224.0.0.1', 80]);
    expect(handler.events).toEqual(['connectFailed ENETUNREACH', 'cleanup']);
  });

  test('rule 8: a unix path that does not exist, or has no listener', () => {
    expect(failed(path.join(directory, 'missing')).events).toEqual([
      'connectFailed ENOENT',
      'cleanup',
    ]);
    const abandoned = path.join(directory, `${map().backend}-abandoned`);
    unixListener(abandoned).close();
    expect(failed(abandoned).events).toEqual(['connectFailed ECONNREFUSED', 'cleanup']);
  });

  test('rule 8: a unix listener whose backlog is full', () => {
    const address = path.join(directory, `${map().backend}-full`);
    const listener = unixListener(address, 0);
    const waiting = createSocket(constants.AF_UNIX);
    waiting.connect(address);
    expect(failed(address).events).toEqual(['connectFailed EAGAIN', 'cleanup']);
    waiting.close();
    listener.close();
  });

  test('rule 8: an attempt without an answer times out', () => {
    const listener = tcpListener(0);
    const waiting = createSocket();
    waiting.connect(listener.getsockname());
    untilReady(listener, POLLIN);
    const socket = createSocket();
    socket.setsockopt(constants.IPPROTO_TCP, constants.TCP_USER_TIMEOUT, 1);
    socket.setsockopt(constants.IPPROTO_TCP, constants.TCP_SYNCNT, 1);
    const handler = new Recorder(map(), socket);
    handler.connect(listener.getsockname());
    turnUntil(map(), () => handler.closed, 'the time-out');
    expect(handler.events).toEqual(['connectFailed ETIMEDOUT', 'cleanup']);
    waiting.close();
    listener.close();
  });

  test.each([
    ['no address', undefined],
    ['a number', 80],
    ['a port that is too large', ['127.0.0.1', 65536]],
    ['a port that is no number', ['127.0.0.1', '80']],
    ['a host that is no string', { host: 1, port: 80 }],
    ['a name with a space', ['no such host', 80]],
    ['an empty path', ''],
    ['a path that is too long', `/${'x'.repeat(108)}`],
  ])('rule 8: an invalid address throws at the call (%s)', (_name, address) => {
    const handler = new Recorder(map());
    expect(() => handler.connect(address as Address)).toThrow(/address/);
    expectQuiet(map());
    expect(handler.events).toEqual([]);
    // The handler can still connect.
    expect(failed(deadAddress()).events[0]).toBe('connectFailed ECONNREFUSED');
    handler.connect(deadAddress());
    turnUntil(map(), () => handler.closed, 'the failure');
  });

  test.each([
    ['an address', (): Address => deadAddress()],
    ['a name', (): Address => ['localhost', 9]],
    ['an unknown name', (): Address => ['no-such-host.invalid', 9]],
    ['an address that fails at once', (): Address => path.join(directory, 'missing')],
  ])('rules 3, 8: close() while connecting to %s calls handleCleanup alone', (_name, address) => {
    const handler = new Recorder(map());
    handler.connect(address());
    handler.close();
    expect(handler.events).toEqual(['cleanup']);
    expectQuiet(map());
    expect(handler.events).toEqual(['cleanup']);
    expect(map().isEmpty()).toBe(true);
  });

  test('rule 8: connecting twice throws, and the first attempt continues', () => {
    const listener = tcpListener();
    const handler = new Recorder(map());
    handler.connect(listener.getsockname());
    expect(() => handler.connect(listener.getsockname())).toThrow(/EALREADY/);
    turnUntil(map(), () => handler.connected, 'the connection');
    expect(() => handler.connect(listener.getsockname())).toThrow(/EISCONN/);
    expect(handler.events).toEqual(['connect']);
    listener.close();
  });

  testWithoutFaults(
    'rules 3, 8: interest and output set while connecting wait for the connection',
    () => {
      const listener = tcpListener();
      const handler = new Acting(map());
      handler.setWritable(true);
      handler.sendAll('early ');
      handler.connect(listener.getsockname());
      expect(handler.sendAll('bird')).toBe(true);
      expect(handler.bufferedAmount).toBe(10);
      turnUntil(map(), () => handler.bufferedAmount === 0, 'it to be sent');
      expect(handler.events[0]).toBe('connect');
      const { socket } = listener.accept()!;
      untilReady(socket, POLLIN);
      expect(receiveText(socket)).toBe('early bird');
      socket.close();
      listener.close();
    },
  );

  const transfers: Record<string, (handler: Failing) => unknown> = {
    send: (handler) => handler.send('early'),
    recv: (handler) => handler.recv(1),
    recvInto: (handler) => handler.recvInto(Buffer.alloc(1)),
    peek: (handler) => handler.peek(1),
  };

  test.each(Object.entries(transfers))(
    'rule 8: a refused attempt calls handleConnectFailed, even after %s',
    (_name, transfer) => {
      const handler = new Failing(map());
      handler.connect(deadAddress());
      transfer(handler);
      turnUntil(map(), () => handler.closed, 'the refusal');
      expect(handler.events).toEqual(['connectFailed ECONNREFUSED', 'cleanup']);
      expect(handler.error).toMatchObject({ syscall: 'connect', address: '127.0.0.1' });
    },
  );

  test.each(Object.entries(transfers))(
    'rule 8: %s before any attempt throws, and a later attempt succeeds',
    (_name, transfer) => {
      const listener = tcpListener();
      const handler = new Failing(map(), createSocket());
      expect(() => transfer(handler)).toThrow(/ENOTCONN/);
      handler.connect(listener.getsockname());
      turnUntil(map(), () => handler.count('connect') > 0, 'the connection');
      expect(handler.events).toEqual(['connect']);
      listener.close();
    },
  );
});
