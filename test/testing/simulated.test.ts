/** The simulated map: what its seed decides, and what is independent of it. */
import {
  constants,
  Handler,
  IOHandler,
  Server,
  type Socket,
  type SocketMap,
  socketpair,
} from '../../lib';
import { EpollSocketMap } from '../../lib/maps';
import {
  harmlessFaults,
  simulate,
  SimSocketMap,
  type SimSocketMapOptions,
} from '../../lib/testing';

import { expectRefused, misuse, NO_COUNT, NO_FUNCTION } from '../support/bad-values';
import { useKernel } from '../support/kernels';
import { loopOf } from '../../lib/transport/loop';
import { Recorder } from '../support/recorder';
import { receiveText, sendText, tcpPair } from '../support/streams';
import { until } from '../support/turns';

const SEED = 20;

afterEach(() => useKernel());

/** Echoes everything, and ends when its peer does. */
class Echo extends Recorder {
  override handleRead(): void {
    this.sendAll(this.read(1000));
  }
}

class Client extends Recorder {
  constructor(
    map: SocketMap,
    readonly text: string,
  ) {
    super(map);
  }

  override handleConnect(): void {
    super.handleConnect();
    this.sendAll(this.text);
  }

  override handleRead(): void {
    super.handleRead();
    if (this.received.length >= this.text.length) this.end();
  }
}

/** Clients that each send their own text to an echo server. */
function echoes(map: SimSocketMap, bytes = 2000): Client[] {
  const server = new Server(map, Echo);
  server.bind(['127.0.0.1', 7]);
  server.listen(2);
  const clients = ['a', 'b', 'c', 'd'].map((letter) => new Client(map, letter.repeat(bytes)));
  for (const client of clients) client.connect(['localhost', 7]);
  map.runUntilIdle();
  return clients;
}

function traceOf(options: SimSocketMapOptions): string[] {
  const calls: string[] = [];
  const map = new SimSocketMap({ ...options, trace: (call) => calls.push(call) });
  echoes(map);
  map.close();
  return calls;
}

describe('seeds', () => {
  test('the same seed gives the same trace, call for call', () => {
    const faults = { ...harmlessFaults, resets: 0.02 };
    const trace = traceOf({ seed: SEED, faults });
    expect(trace.length).toBeGreaterThan(100);
    expect(traceOf({ seed: SEED, faults })).toEqual(trace);
    expect(traceOf({ seed: SEED + 1, faults })).not.toEqual(trace);
  });

  test('a map has its seed as a property', () => {
    const faults = harmlessFaults;
    const map = new SimSocketMap({ faults });
    const { seed } = map;
    map.close();
    expect(traceOf({ seed, faults })).toEqual(traceOf({ seed, faults }));
  });

  test('without faults the seed has no influence', () => {
    expect(traceOf({ seed: 1 })).toEqual(traceOf({ seed: 2 }));
  });

  test('a trace looks like that of strace', () => {
    const trace = traceOf({ seed: SEED, faults: { wouldBlock: 1 } });
    expect(trace[0]).toMatch(/^0\.000000 socket\(2\) = 3$/);
    expect(trace.join('\n')).toMatch(/ = EAGAIN\n/);
    expect(trace.join('\n')).toMatch(/ wait\(\) = \d+ POLLIN/);
  });
});

describe('faults', () => {
  test('harmless faults lose, duplicate and reorder nothing, and repeat no callback', () =>
    simulate(
      (map) => {
        for (const { events, received, text } of echoes(map)) {
          expect(received).toBe(text);
          const told = events.filter((event) => !/^(read|write)/.test(event));
          expect(told).toEqual(['connect', 'cleanup']);
        }
      },
      { seed: SEED, runs: 100 },
    ));

  const each = Object.keys(harmlessFaults).filter((name) => name !== 'resets');

  test.each(each)('%s at every call does not prevent an echo', (name) => {
    const map = new SimSocketMap({ seed: SEED, faults: { [name]: 1 } });
    for (const { received, text } of echoes(map)) expect(received).toBe(text);
    map.close();
  });

  test.each(each)('%s occurs', (name) => {
    const calm = traceOf({ seed: SEED });
    expect(traceOf({ seed: SEED, faults: { [name]: 0.5 } })).not.toEqual(calm);
  });

  test('a reset is delivered once to both ends, after the bytes before it', () =>
    simulate(
      (map) => {
        const clients = echoes(map, 5000);
        for (const { events, received, text } of clients) {
          expect(text.startsWith(received)).toBe(true);
          const told = events.filter((event) => !/^(read|write)/.test(event));
          if (received !== text) {
            expect(told.at(-2)).toMatch(/^close E(CONNRESET|PIPE)$/);
          }
          expect(told.filter((event) => event === 'cleanup').length).toBe(1);
        }
      },
      { seed: SEED, runs: 50, faults: { ...harmlessFaults, resets: 0.05 } },
    ));

  test('out of descriptors, a listener gets handleAcceptError, backs off, and accepts later', () => {
    const told: string[] = [];
    const map = new SimSocketMap({ seed: SEED, faults: { outOfDescriptors: 1 } });
    class Told extends Server {
      override handleAcceptError(error: { code: string }): void {
        told.push(error.code);
      }
    }
    const server = new Told(map, Echo);
    server.bind(['127.0.0.1', 7]);
    server.listen(8);
    const client = new Client(map, 'hello');
    client.connect(['127.0.0.1', 7]);
    map.runUntilIdle();
    expect(told).toEqual(['EMFILE']);
    expect(client.received).toBe('hello');
    expect(map.now).toBeGreaterThanOrEqual(0.05);
    map.close();
  });
});

describe('time', () => {
  let map: SimSocketMap;
  beforeEach(() => {
    map = new SimSocketMap({ seed: SEED });
    useKernel(map[loopOf].kernel);
  });
  afterEach(() => map.close());

  test('a simulated day takes no time, in poll, runSync and run()', async () => {
    const at: number[] = [];
    map.callIn(86_400, () => at.push(map.now));
    map.poll();
    map.callIn(86_400, () => at.push(map.now));
    map.callIn(2 * 86_400, () => map.close());
    await map.run();
    expect(at[0]).toBeGreaterThanOrEqual(86_400);
    expect(at[1]).toBeGreaterThanOrEqual(2 * 86_400);
    expect(map.now).toBeLessThan(3 * 86_400 + 1);
  });

  test('a wait that cannot end throws an error that names the seed', () => {
    const [ours] = map.socketpair();
    new IOHandler(map, ours).setReadable(true);
    const idle = /the simulation stands still: .*\(seed 20\)/;
    expect(() => map.poll()).toThrow(idle);
    expect(() => map.runSync()).toThrow(idle);
    expect(map.poll(5)).toBe(0);
    expect(map.now).toBeGreaterThanOrEqual(5);
  });

  test('runUntilIdle throws when a scenario does not end', () => {
    const again = (): void => void map.callIn(1, again);
    again();
    expect(() => map.runUntilIdle()).toThrow(/not idle after 100000 turns \(seed 20\)/);
  });

  test('runUntilIdle throws what a callback throws', () => {
    map.callIn(1, () => {
      throw new Error('from a timer');
    });
    expect(() => map.runUntilIdle()).toThrow('from a timer');
  });

  test('an idle run() waits for Node', async () => {
    const [ours, theirs] = map.socketpair();
    const handler = new Recorder(map, ours);
    const running = map.run();
    setTimeout(() => sendText(theirs, 'from Node'), 5);
    await until(() => handler.received === 'from Node', 'the bytes');
    map.close();
    await running;
  });

  test('a connection to a full backlog is retried, and times out after two minutes', () => {
    const listener = map.createSocket();
    listener.bind(['127.0.0.1', 80]);
    listener.listen(0);
    map.createSocket().connect(['127.0.0.1', 80]);
    const handler = new Recorder(map);
    handler.connect(['127.0.0.1', 80]);
    map.runUntilIdle();
    expect(handler.events).toEqual(['connectFailed ETIMEDOUT', 'cleanup']);
    expect(map.now).toBeCloseTo(127, 0);
  });
});

describe('the simulated kernel', () => {
  let map: SimSocketMap;
  beforeEach(() => {
    map = new SimSocketMap({ seed: SEED });
    useKernel(map[loopOf].kernel);
  });
  afterEach(() => map.close());

  test('sockets of another kernel throw, in both directions', () => {
    const os = new EpollSocketMap();
    const [real, peer] = socketpair();
    const message = /sock must be of the same kernel/;
    expect(() => new IOHandler(map, real)).toThrow(message);
    expect(() => new IOHandler(os, map.socketpair()[0])).toThrow(message);
    for (const socket of [real, peer, os]) socket.close();
  });

  test('descriptor numbers are reused, the lowest first', () => {
    const [a, b, c] = [0, 1, 2].map(() => map.createSocket()) as [Socket, Socket, Socket];
    expect([a, b, c].map((socket) => socket.fileno())).toEqual([3, 4, 5]);
    b.close();
    a.close();
    expect([map.createSocket().fileno(), map.createSocket().fileno()]).toEqual([3, 4]);
  });

  test('an address belongs to one socket, unless all set SO_REUSEPORT', () => {
    const [a, b, c] = [0, 1, 2].map(() => map.createSocket()) as [Socket, Socket, Socket];
    a.bind(['127.0.0.1', 80]);
    expect(() => b.bind(['127.0.0.1', 80])).toThrow(/EADDRINUSE/);
    expect(() => b.bind(['0.0.0.0', 80])).toThrow(/EADDRINUSE/);
    a.close();
    for (const socket of [b, c]) {
      socket.setsockopt(constants.SOL_SOCKET, constants.SO_REUSEPORT, true);
      socket.bind(['0.0.0.0', 80]);
    }
  });

  test('errors are those of the kernel', () => {
    const fresh = map.createSocket();
    expect(() => fresh.recvInto(Buffer.alloc(1))).toThrow(/ENOTCONN/);
    expect(() => fresh.send(Buffer.alloc(1))).toThrow(/EPIPE/);
    expect(() => fresh.accept()).toThrow(/EINVAL/);
    expect(() => fresh.getpeername()).toThrow(/ENOTCONN/);
    fresh.close();
    expect(() => fresh.listen(1)).toThrow(/EBADF/);
    expect(() => map.createWaker()).toThrow(/ENOSYS/);
  });

  test('small buffers fill, and drain', () => {
    const [ours, theirs] = tcpPair();
    ours.setsockopt(constants.SOL_SOCKET, constants.SO_SNDBUF, 4096);
    expect(ours.send(Buffer.alloc(10_000, 'x'))).toBe(8192);
    expect(ours.send(Buffer.alloc(1))).toBeLessThan(0);
    expect(receiveText(theirs)).toBe('x'.repeat(8192));
    expect(ours.send(Buffer.alloc(1))).toBe(1);
  });
});

describe('options', () => {
  test('are checked, and errors name them', () => {
    const wrong = [...NO_COUNT.filter((value) => value !== 2 ** 31), 2 ** 32];
    expectRefused(misuse('seed', 'seed', wrong, (seed) => new SimSocketMap({ seed })));
    expectRefused(
      misuse('trace', 'trace', NO_FUNCTION.slice(0, 6), (trace) => new SimSocketMap({ trace })),
    );
    for (const value of [-0.1, 1.1, NaN, '1']) {
      const faults = { delays: value as number };
      expect(() => new SimSocketMap({ faults })).toThrow(/^faults\.delays must be/);
    }
    const misspelt = { faults: { delay: 1 } } as SimSocketMapOptions;
    expect(() => new SimSocketMap(misspelt)).toThrow(/unknown option 'delay'/);
  });
});

describe('simulate', () => {
  const { ASYNCHIA_SEED } = process.env;
  afterEach(() => {
    if (ASYNCHIA_SEED === undefined) delete process.env['ASYNCHIA_SEED'];
    else process.env['ASYNCHIA_SEED'] = ASYNCHIA_SEED;
  });

  test('runs one seed after another, and closes each map', async () => {
    const maps: SimSocketMap[] = [];
    await simulate((map) => maps.push(map), { seed: 5, runs: 3 });
    expect(maps.map(({ seed }) => seed)).toEqual([5, 6, 7]);
    expect(maps.every(({ closed }) => closed)).toBe(true);
  });

  test('names the seed and the scenario’s error, even if closing the map throws', async () => {
    class Unclean extends Handler {
      override handleCleanup(): void {
        throw new Error('unclean');
      }
      override handleError(error: unknown): void {
        throw error;
      }
    }
    const leave = (map: SimSocketMap) => new Unclean(map, map.socketpair()[0]);
    await expect(simulate(leave, { seed: 3 })).rejects.toThrow(/^seed 3 .*: unclean/);
    const fail = (map: SimSocketMap): void => {
      leave(map);
      throw new Error('odd');
    };
    await expect(simulate(fail, { seed: 3 })).rejects.toThrow(/^seed 3 .*: odd/);
  });

  test('names the seed that failed; ASYNCHIA_SEED repeats it alone', async () => {
    const ran: number[] = [];
    const cause = new Error('odd');
    const scenario = async (map: SimSocketMap): Promise<void> => {
      ran.push(map.seed);
      await Promise.resolve();
      if (map.seed === 9) throw cause;
    };
    const failure = { message: 'seed 9 (ASYNCHIA_SEED=9 repeats it): odd', cause };
    await expect(simulate(scenario, { seed: 7 })).rejects.toMatchObject(failure);
    process.env['ASYNCHIA_SEED'] = '9';
    await expect(simulate(scenario)).rejects.toMatchObject(failure);
    expect(ran).toEqual([7, 8, 9, 9]);
    process.env['ASYNCHIA_SEED'] = 'nine';
    await expect(simulate(scenario)).rejects.toThrow(/^ASYNCHIA_SEED must be/);
  });
});
