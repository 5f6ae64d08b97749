/** Errors: system errors like Node's own, and errors of wrong arguments. */
import net from 'node:net';
import util from 'node:util';

import { constants, IOHandler, Socket, SystemError, type Address } from '../../lib';
import { EpollSocketMap } from '../../lib/maps';
import { Workshop } from '../support/descriptors';
import { turnUntil } from '../support/turns';

/** An IPv4 port without a listener: bound here, so that no other program can use it. */
let refused: Socket;
let refusing: { host: string; port: number };
let shop: Workshop;
beforeAll(() => {
  refused = Socket.create();
  refused.bind(['127.0.0.1', 0]);
  refusing = refused.getsockname() as typeof refusing;
  shop = new Workshop();
});
afterAll(() => {
  refused.close();
  shop.dispose();
});

/** The error of a failed connection with `node:net`. */
async function nodesError(options: net.NetConnectOpts): Promise<NodeJS.ErrnoException> {
  return new Promise((resolve) => {
    net.connect(options).once('error', resolve);
  });
}

/** The error of a failed connection with our loop. */
function loopsError(address: Address): SystemError {
  const map = new EpollSocketMap();
  let told: SystemError | undefined;
  class Client extends IOHandler {
    override handleConnectFailed(error: SystemError): void {
      told = error;
    }
  }
  new Client(map).connect(address);
  turnUntil(map, () => told !== undefined, 'the failure');
  map.close();
  return told!;
}

function thrown(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was thrown');
}

const SHARED = ['code', 'errno', 'syscall', 'address', 'port'] as const;

function shapeOf(error: object): object {
  return Object.fromEntries(
    SHARED.filter((key) => key in error).map((key) => [key, error[key as keyof object]]),
  );
}

describe("a SystemError has the shape of Node's own", () => {
  test('refused over IPv4', async () => {
    const { host, port } = refusing;
    const theirs = await nodesError({ host, port });
    const ours = loopsError([host, port]);
    expect(shapeOf(ours)).toEqual(shapeOf(theirs));
    expect(ours).toMatchObject({ code: 'ECONNREFUSED', errno: -111, address: host, port });
    // Node's message, and its meaning.
    expect(ours.message.startsWith(`${theirs.message}: `)).toBe(true);
  });

  test('no such path', async () => {
    const path = `${shop.folder}/nobody`;
    const theirs = await nodesError({ path });
    const ours = loopsError(path);
    expect(shapeOf(ours)).toEqual(shapeOf(theirs));
    expect(ours).toMatchObject({ code: 'ENOENT', address: path });
    expect(shapeOf(thrown(() => Socket.create(constants.AF_UNIX).connect(path)) as object)).toEqual(
      shapeOf(theirs),
    );
  });

  test('a name that does not exist', async () => {
    const host = 'nobody.invalid';
    const theirs = await nodesError({ host, port: 1 });
    const ours = loopsError([host, 1]);
    expect(ours).toMatchObject({ syscall: 'getaddrinfo', hostname: host });
    // The code depends on whether a name server can be reached.
    expect(['ENOTFOUND', 'EAI_AGAIN']).toContain(ours.code);
    expect(ours.code).toBe(theirs.code);
    expect(ours.errno).toBe(theirs.errno);
    expect(ours.message).toBe(theirs.message);
  });

  test('an address in use', () => {
    const second = Socket.create();
    const error = thrown(() => second.bind([refusing.host, refusing.port])) as SystemError;
    second.close();
    expect(error).toBeInstanceOf(SystemError);
    expect(error).toBeInstanceOf(Error);
    expect(shapeOf(error)).toEqual({
      code: 'EADDRINUSE',
      errno: -98,
      syscall: 'bind',
      address: refusing.host,
      port: refusing.port,
    });
  });

  test('without an address the error has no address and no port', () => {
    const error = thrown(() => Socket.fromFd(15_000)) as SystemError;
    expect(shapeOf(error)).toEqual({ code: 'EBADF', errno: -9, syscall: 'fcntl' });
    for (const key of ['address', 'port', 'hostname']) expect(key in error).toBe(false);
  });

  test('an IPv6 host is in brackets before its port', () => {
    const error = new SystemError('connect', -111, { host: '::1', port: 80, family: 'IPv6' });
    expect(error.message).toContain('connect ECONNREFUSED [::1]:80');
    expect(error).toMatchObject({ address: '::1', port: 80 });
  });

  test('its name is SystemError, and its stack shows the call', () => {
    const error = thrown(() => Socket.fromFd(15_000)) as SystemError;
    expect(error.name).toBe('SystemError');
    expect(String(error)).toBe('SystemError: fcntl EBADF: bad file descriptor');
    expect(error.stack).toContain('errors.test');
    expect(util.inspect(error)).toContain("code: 'EBADF'");
  });

  test('every system error number has a name', () => {
    for (const [errno, [code]] of util.getSystemErrorMap()) {
      if (errno > -200) expect(new SystemError('call', errno).code).toBe(code);
    }
    // A number without a text in Node.
    expect(new SystemError('call', -999).code).toBe('E999');
  });
});

describe('misuse names the argument, the value and what was expected', () => {
  const socket = Socket.create();
  afterAll(() => {
    socket.close();
  });

  test('of the wrong type: a TypeError', () => {
    const error = thrown(() => socket.listen('many' as never));
    expect(error).toBeInstanceOf(TypeError);
    expect(error).toMatchObject({
      code: 'ERR_INVALID_ARG_TYPE',
      message: "backlog must be an integer; got 'many'",
    });
  });

  test('out of range: a RangeError', () => {
    const error = thrown(() => socket.bind(['127.0.0.1', 65536]));
    expect(error).toBeInstanceOf(RangeError);
    expect(error).toMatchObject({
      code: 'ERR_OUT_OF_RANGE',
      message: 'address port must be an integer from 0 to 65535; got 65536',
    });
  });

  test('a long value is truncated', () => {
    const error = thrown(() => socket.listen('x'.repeat(10_000) as never)) as Error;
    expect(error.message.length).toBeLessThan(200);
    const deep = thrown(() => socket.listen(Array(10_000).fill({ a: { b: 1 } }) as never)) as Error;
    expect(deep.message.length).toBeLessThan(200);
  });

  test('a value that cannot be formatted does not cause another error', () => {
    const hostile = {
      [util.inspect.custom]: () => {
        throw new Error('not to be seen');
      },
    };
    expect(thrown(() => socket.listen(hostile as never))).toBeInstanceOf(TypeError);
  });
});
