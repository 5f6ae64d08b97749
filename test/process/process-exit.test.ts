import { onEverySystemMap } from '../support/maps';
import { runScript } from '../support/processes';
import { linesOf, scriptOn, scriptWithWorker } from '../support/scripts';

/** A map with a listener, connections, a connection attempt, look-ups and a timer. */
const OPEN_MAP = `
  const map = new DefaultSocketMap();
  const acceptor = new AcceptHandler(map);
  acceptor.bind(['127.0.0.1', 0]);
  acceptor.listen(5);
  saturate(map);
  new IOHandler(map).connect(acceptor.socket.getsockname());
  new IOHandler(map).connect(['localhost', 1]);
  map.createWaker();
  map.callIn(60, () => {});
`;

/** How a process exits itself with an open map; each with status 7. */
const EXITS: Record<string, string> = {
  'before the first wait on the map': `process.exit(7);`,
  'after an iteration': `map.poll(); process.exit(7);`,
  'in a callback of poll': `map.callIn(0, () => process.exit(7)); for (;;) map.poll();`,
  'in a callback of runSync': `map.callIn(0, () => process.exit(7)); map.runSync();`,
  'in a callback of run()': `map.callIn(0.01, () => process.exit(7)); map.run();`,
  'in process.nextTick between batches': `
    map.callIn(0, () => process.nextTick(() => process.exit(7)));
    map.run();`,
  'in a timer of Node while the map runs': `setTimeout(() => process.exit(7), 10); map.run();`,
  'with an exit listener that closes the map': `
    process.on('exit', () => map.close());
    map.callIn(0.01, () => process.exit(7));
    map.run();`,
  'while several maps run': `
    const { candidates } = require('asynchia/maps');
    for (const Map of candidates) saturate(new Map()).socketMap.run();
    map.callIn(0.01, () => process.exit(7));
    map.run();`,
  'by an uncaught error': `
    process.on('uncaughtException', () => process.exit(7));
    map.callIn(0, () => { throw new Error('nobody catches this'); });
    map.runSync();`,
};

const WAITS: Record<string, string> = {
  'run(), busy': `saturate(map); map.run();`,
  'run(), idle': `map.run();`,
  'poll()': `for (;;) map.poll();`,
  'runSync()': `map.runSync();`,
};

onEverySystemMap('a process that ends with an open map', (map) => {
  test.each(Object.entries(EXITS))('%s', async (_name, exit) => {
    const program = scriptOn(map(), OPEN_MAP + exit);
    expect([await program.ends(), program.stdout, program.stderr]).toEqual([7, '', '']);
  });

  test('because no work is left', async () => {
    expect(await linesOf(scriptOn(map(), `${OPEN_MAP} map.poll();`))).toEqual([]);
  });

  test.each(['map.run();', 'map.runSync();', 'for (;;) map.poll();'])(
    'by a signal without a handler, in %s',
    async (wait) => {
      const program = scriptOn(map(), `${OPEN_MAP} map.callIn(0, () => say('waits')); ${wait}`);
      await program.says('waits');
      program.kill('SIGTERM');
      expect([await program.ends(), program.stderr]).toEqual(['SIGTERM', '']);
    },
  );

  test.each(Object.entries(WAITS))('with workers in %s', async (_name, wait) => {
    const program = scriptWithWorker(
      map(),
      `
      let started = 0;
      for (let i = 0; i < 3; i++) {
        startWorker().once('message', () => { if (++started === 3) process.exit(7); });
      }
      const map = new DefaultSocketMap();
      saturate(map);
      map.run();`,
      `
      const map = new DefaultSocketMap();
      map.callIn(0, () => parentPort.postMessage('waiting'));
      ${wait}`,
    );
    expect([await program.ends(), program.stderr]).toEqual([7, '']);
  });
});

describe('an exception in handleError after its map was closed', () => {
  const FAIL = `
    const { IOHandler, socketpair } = require('asynchia');
    const map = new (require('asynchia/maps').DefaultSocketMap)();
    class Failing extends IOHandler {
      handleError(error) { throw error; }
    }`;

  test.each([
    [
      'from a promise',
      `class Reading extends Failing {
        async handleRead() {
          this.read(1);
          await null;
          map.close();
          throw new Error('too late');
        }
      }
      const [ours, theirs] = socketpair();
      new Reading(map, ours).setReadable(true);
      theirs.send(Buffer.from('x'));
      map.run();`,
    ],
    [
      'from handleCleanup of a deregistered handler',
      `class Unclean extends Failing {
        handleCleanup() { throw new Error('too late'); }
      }
      const handler = new Unclean(map, socketpair()[0]);
      map.delHandler(handler);
      map.close();
      handler.close();`,
    ],
  ])('rule 9: is an uncaught exception (%s)', async (_what, script) => {
    const program = runScript(FAIL + script);
    expect(await program.ends()).toBe(1);
    expect(program.stderr).toContain('Error: too late');
  });
});

describe('ASYNCHIA_MAP', () => {
  const SAY = `console.log(new (require('asynchia/maps').DefaultSocketMap)().backend)`;

  test.each(['select', 'poll', 'epoll'])('chooses %s', async (name) => {
    expect(await linesOf(runScript(SAY, { ASYNCHIA_MAP: name }))).toEqual([name]);
  });

  test.each(['kqueue', 'EPOLL', ' epoll', ''])(
    'of %p throws an error that names the valid values',
    async (name) => {
      const program = runScript(SAY, { ASYNCHIA_MAP: name });
      expect(await program.ends()).toBe(1);
      expect(program.stderr).toContain(
        `RangeError: ASYNCHIA_MAP must be one of epoll, poll, select; got '${name}'`,
      );
    },
  );
});
