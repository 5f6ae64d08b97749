/** Output for people: NODE_DEBUG=asynchia, warnings on stderr, util.inspect. */
import util from 'node:util';

import { AcceptHandler, Handler, IOHandler, Socket, socketpair } from '../../lib';
import { candidates, EpollSocketMap } from '../../lib/maps';

import { runScript } from '../support/processes';
import { tcpPair } from '../support/streams';

const PRELUDE = `
  const { Handler, IOHandler, socketpair } = require('asynchia');
  const { DefaultSocketMap } = require('asynchia/maps');
  const { BufferedWriteHandler } = require('asynchia/protocols');
  class Echo extends BufferedWriteHandler {
    constructor(map, socket) { super(map, socket); this.setReadable(true); }
    handleRead() { this.sendAll(this.read(100)); }
    handleError() {}
  }
`;

/** Its trace without what differs between runs: process ids are removed, descriptors become a, b … */
async function traceOf(script: string, env: NodeJS.ProcessEnv): Promise<string[]> {
  const program = runScript(PRELUDE + script, { NODE_DEBUG: 'asynchia', ...env });
  expect(await program.ends()).toBe(0);
  const names = new Map<string, string>();
  const name = (fd: string): string => {
    if (!names.has(fd)) names.set(fd, String.fromCharCode(97 + names.size));
    return names.get(fd)!;
  };
  const lines = program.stderr.split('\n').filter((line) => line !== '');
  expect(lines.filter((line) => !/^ASYNCHIA \d+: /.test(line))).toEqual([]);
  return lines.map((line) =>
    line
      .replace(/^ASYNCHIA \d+: /, '')
      .replace(/\((\d+)\)/, (_all, fd: string) => `(${name(fd)})`)
      .replace(/(?<=turn \d+:.*[ ,])(\d+) (?=[a-z])/g, (_all, fd: string) => `${name(fd)} `),
  );
}

describe.each(candidates.map(({ backend }) => backend))('NODE_DEBUG=asynchia on %s', (backend) => {
  test('a line for each event', async () => {
    const script = `
      const map = new DefaultSocketMap();
      const [ours, theirs] = socketpair();
      new Echo(map, ours);
      theirs.send(Buffer.from('hello'));
      map.poll(0);
      map.callIn(0, function tick() { throw new Error('from a timer'); });
      try { map.poll(0); } catch {}
      map.callSynchronized(() => {});
      map.wakeup();
      map.poll(0);
      theirs.close();
      map.poll(0);
      new IOHandler(map);
      map.close();
    `;
    expect(await traceOf(script, { ASYNCHIA_MAP: backend })).toEqual(
      [
        'Echo(a): added',
        'turn 1: a in',
        'Echo(a): handleRead',
        'Echo(a): received 5',
        'Echo(a): sent 5',
        'callIn in 0 seconds: tick',
        'callIn(tick)',
        'comes out of the loop: Error: from a timer',
        'wakeup',
        'callSynchronized(anonymous)',
        // Closing with unread bytes resets the connection.
        'turn 4: a in|err|hup|rdhup',
        'Echo(a): handleClose: SystemError: recv ECONNRESET: connection reset by peer',
        'Echo(a): taken out',
        'Echo(a): handleCleanup',
        'IOHandler(): added',
        'close',
        'IOHandler(): taken out',
        'IOHandler(): handleCleanup',
      ].map((line) => `${backend} 1: ${line}`),
    );
  });

  test('lines name the map, and errors name the handler', async () => {
    const script = `
      const maps = [new DefaultSocketMap(), new DefaultSocketMap()];
      const [ours, theirs] = socketpair();
      class Throwing extends Echo { handleRead() { throw new Error('thrown'); } }
      new Throwing(maps[1], ours);
      theirs.send(Buffer.from('x'));
      maps[1].poll(0);
      for (const map of maps) map.close();
    `;
    expect(await traceOf(script, { ASYNCHIA_MAP: backend })).toEqual([
      `${backend} 2: Throwing(a): added`,
      `${backend} 2: turn 1: a in`,
      `${backend} 2: Throwing(a): handleRead`,
      `${backend} 2: Throwing(a): handleError: Error: thrown`,
      `${backend} 1: close`,
      `${backend} 2: close`,
      `${backend} 2: Throwing(a): taken out`,
      `${backend} 2: Throwing(a): handleCleanup`,
    ]);
  });

  test('without NODE_DEBUG and without slow handlers there is no output', async () => {
    const script = `
      const map = new DefaultSocketMap({ slowHandlerSeconds: 3600 });
      const [ours, theirs] = socketpair();
      new Echo(map, ours);
      theirs.send(Buffer.from('hello'));
      map.callIn(0, () => map.close());
      map.run();
    `;
    const program = runScript(PRELUDE + script, { ASYNCHIA_MAP: backend, NODE_DEBUG: 'net' });
    expect([await program.ends(), program.stderr]).toEqual([0, '']);
  });

  /** A slow handler; \`start\` runs the map. */
  const slow = (start: string): string => `
    const map = new DefaultSocketMap({ slowHandlerSeconds: 0.01 });
    class Slow extends IOHandler {
      handleRead() {
        const startMs = performance.now();
        while (performance.now() - startMs < 20);
        map.callIn(0, () => map.close());
        this.setReadable(false);
      }
    }
    const [ours, theirs] = socketpair();
    new Slow(map, ours).setReadable(true);
    theirs.send(Buffer.from('x'));
    map.${start}();
  `;
  const HELD = /Slow\.handleRead held the loop for 0\.\d+ seconds \(descriptor \d+, slowHandler/;

  test('a slow handler in run() is a warning on stderr', async () => {
    const program = runScript(PRELUDE + slow('run'), { ASYNCHIA_MAP: backend });
    expect(await program.ends()).toBe(0);
    expect(program.stderr).toMatch(/^\(node:\d+\) \[ASYNCHIA_SLOW_HANDLER\] SlowHandlerWarning: /);
    expect(program.stderr).toMatch(HELD);
  });

  test('a slow handler in runSync() is in the trace, as Node cannot emit a warning then', async () => {
    const env = { ASYNCHIA_MAP: backend, NODE_DEBUG: 'asynchia' };
    const program = runScript(PRELUDE + slow('runSync') + 'process.kill(process.pid)', env);
    expect(await program.ends()).toBe('SIGTERM');
    expect(program.stderr).toMatch(HELD);
    expect(program.stderr).not.toContain('SlowHandlerWarning');
  });
});

describe('util.inspect', () => {
  let map: EpollSocketMap;
  beforeEach(() => {
    map = new EpollSocketMap();
  });
  afterEach(() => map.close());

  class Echo extends IOHandler {
    count = 3;
    names = ['a', { deep: { deeper: { deepest: 1 } } }];
  }

  test('a handler: its class, its state and its own fields', () => {
    const [ours, theirs] = tcpPair();
    const handler = new Echo(map, ours);
    const { port } = theirs.getsockname() as { port: number };
    const facts = `descriptor ${handler.fileno()}, connected, peer 127.0.0.1:${port}`;
    expect(util.inspect(handler)).toBe(
      `Echo (${facts}) { count: 3, names: [ 'a', { deep: [Object] } ] }`,
    );
    expect(util.inspect(handler, { depth: -1 })).toBe(`Echo (${facts})`);
    expect(util.inspect({ handler }, { depth: 0 })).toBe(`{ handler: Echo (${facts}) }`);
    handler.close();
    expect(util.inspect(handler, { depth: 0 })).toBe('Echo (closed) { count: 3, names: [Array] }');
    theirs.close();
  });

  test('a listener, and a handler that has no socket', () => {
    const listener = new AcceptHandler(map);
    listener.bind(['127.0.0.1', 0]);
    listener.listen(1);
    const { port } = listener.socket.getsockname() as { port: number };
    expect(util.inspect(listener)).toBe(
      `AcceptHandler (descriptor ${listener.fileno()}, listening, at 127.0.0.1:${port})`,
    );
    expect(util.inspect(new Handler(map))).toBe('Handler (unconnected)');
  });

  test('handlers that refer to each other', () => {
    class Paired extends IOHandler {
      other: Paired | undefined;
    }
    const [left, right] = [new Paired(map), new Paired(map)];
    left.other = right;
    right.other = left;
    for (const depth of [1, 5, null]) {
      expect(util.inspect(left, { depth })).toBe(
        'Paired (unconnected) { other: Paired (unconnected) { other: Paired (unconnected) } }',
      );
    }
  });

  test('a socket and a map', () => {
    const [left, right] = socketpair();
    expect(util.inspect(left)).toBe(`Socket (descriptor ${left.fileno()}, connected)`);
    left.close();
    right.close();
    expect(util.inspect(left)).toBe('Socket (closed)');
    expect(util.inspect(Socket)).toContain('class Socket');
    new IOHandler(map);
    expect(util.inspect(map)).toBe('EpollSocketMap (open, handlers 1)');
    map.close();
    expect(util.inspect(map)).toBe('EpollSocketMap (closed, handlers 0)');
  });
});
