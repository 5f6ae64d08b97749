import { IOHandler, socketpair } from '../../lib';
import { PollSocketMap } from '../../lib/maps';

import { onEverySystemMap } from '../support/maps';
import { linesOf, scriptOn, scriptWithWorker } from '../support/scripts';
import { buildTurner } from '../support/turner';

/** uv_run(3)'s modes. */
const MODES = `const ONCE = 1, NOWAIT = 2;`;

onEverySystemMap('run() inside Node’s loop', (map) => {
  test('an idle map does not count as work in eventLoopUtilization', async () => {
    const program = scriptOn(
      map(),
      `
      const { performance } = require('node:perf_hooks');
      const map = new DefaultSocketMap();
      const [left, right] = socketpair();
      new Echoing(map, left);
      map.run();
      setTimeout(() => {
        const before = performance.eventLoopUtilization();
        setTimeout(() => {
          const { utilization } = performance.eventLoopUtilization(before);
          say(utilization < 0.2 ? 'idle' : 'utilization ' + utilization);
          map.close();
        }, 300);
      }, 100);`,
    );
    expect(await linesOf(program)).toEqual(['idle']);
  });

  test('nor does the one of a worker', async () => {
    const program = scriptWithWorker(
      map(),
      `
      const worker = startWorker();
      worker.once('message', () => {
        const before = worker.performance.eventLoopUtilization();
        setTimeout(() => {
          const { utilization } = worker.performance.eventLoopUtilization(before);
          say(utilization < 0.2 ? 'idle' : 'utilization ' + utilization);
          worker.terminate();
        }, 300);
      });`,
      `
      const map = new DefaultSocketMap();
      new Echoing(map, socketpair()[0]);
      map.run();
      setTimeout(() => parentPort.postMessage('ready'), 100);`,
    );
    expect(await linesOf(program)).toEqual(['idle']);
  });

  test('rule 18: a callback that turns Node’s loop gets no callback inside it', async () => {
    const program = scriptOn(
      map(),
      `${MODES}
      const turn = require(${JSON.stringify(buildTurner())});
      const { candidates } = require('asynchia/maps');
      const maps = [new DefaultSocketMap(), ...candidates.map((Map) => new Map())];
      let depth = 0, deepest = 0, calls = 0;
      class Turning extends IOHandler {
        handleRead() {
          depth++;
          deepest = Math.max(deepest, depth);
          this.read(1);
          for (let i = 0; i < 3; i++) turn(NOWAIT);
          depth--;
          if (++calls === 20 * maps.length) for (const map of maps) map.close();
        }
      }
      for (const map of maps) {
        const [left, right] = socketpair();
        new Turning(map, left).setReadable(true);
        right.send(Buffer.alloc(20));
        map.run();
      }
      process.on('exit', () => say('calls ' + calls + ', one within another: ' + (deepest - 1)));`,
    );
    expect(await linesOf(program)).toEqual(['calls 80, one within another: 0']);
  });

  test('a nested loop that waits for work of Node does not spin', async () => {
    const program = scriptOn(
      map(),
      `${MODES}
      const turn = require(${JSON.stringify(buildTurner())});
      const map = new DefaultSocketMap();
      const [left, right] = socketpair();
      class Turning extends IOHandler {
        handleRead() {
          let isOver = false, turns = 0;
          setTimeout(() => isOver = true, 200);
          while (!isOver) { turn(ONCE); turns++; }
          say(turns < 50 ? 'waited' : turns + ' turns');
          map.close();
        }
      }
      new Turning(map, left).setReadable(true);
      right.send(Buffer.from('unread'));
      map.run();`,
    );
    expect(await linesOf(program)).toEqual(['waited']);
  });

  test('closing a descriptor that libuv watches for the maps does not end the process', async () => {
    const program = scriptOn(
      map(),
      `
      const fs = require('node:fs');
      const instances = () => fs.readdirSync('/proc/self/fd').filter((fd) => {
        try { return fs.readlinkSync('/proc/self/fd/' + fd).includes('eventpoll'); } catch {}
      });
      const before = instances();
      const runOnce = async () => {
        const map = new DefaultSocketMap();
        map.callIn(0, () => map.close());
        await map.run().finally(() => map.close());
      };
      (async () => {
        await runOnce();
        for (const fd of instances()) if (!before.includes(fd)) fs.closeSync(Number(fd));
        await runOnce().catch((error) => say(error.code));
        setTimeout(() => say('goes on'), 20);
      })();`,
    );
    expect((await linesOf(program)).at(-1)).toBe('goes on');
  });

  test('a loop that is turned with UV_RUN_NOWAIT does not wait', async () => {
    const program = scriptOn(
      map(),
      `${MODES}
      const turn = require(${JSON.stringify(buildTurner())});
      const map = new DefaultSocketMap();
      let isDue = false;
      map.callIn(5, () => isDue = true);
      map.run();
      setTimeout(() => {
        for (let i = 0; i < 10; i++) turn(NOWAIT);
        say(isDue ? 'it waited' : 'at once');
        map.close();
      }, 20);`,
    );
    expect(await linesOf(program)).toEqual(['at once']);
  });

  test('a getter that throws before a wait rejects run(), and others are served', async () => {
    const [left, right] = socketpair();
    const running = map().run();
    Object.defineProperty(new IOHandler(map(), left), 'handleExcept', {
      get() {
        throw new Error('thrown by a getter');
      },
    });
    await expect(running).rejects.toThrow('thrown by a getter');
    right.close();
  });

  test('a worker that cannot end yet does not spin while its descriptors are ready', async () => {
    const program = scriptWithWorker(
      map(),
      `
      const fs = require('node:fs');
      const fifo = require('node:path').join(require('node:os').tmpdir(), 'fifo-' + process.pid);
      require('node:child_process').execFileSync('mkfifo', [fifo]);
      const worker = startWorker(fifo);
      worker.once('message', () => setTimeout(async () => {
        const ended = worker.terminate();
        const before = process.cpuUsage();
        await new Promise((resolve) => setTimeout(resolve, 500));
        const { user, system } = process.cpuUsage(before);
        fs.closeSync(fs.openSync(fifo, 'r+'));
        await ended;
        fs.unlinkSync(fifo);
        say(user + system < 250_000 ? 'quiet' : 'used ' + (user + system) / 1000 + ' ms');
      }, 50));`,
      `
      const map = new DefaultSocketMap();
      saturate(map);
      map.run();
      // Opening a FIFO waits for a writer in a thread of libuv, which cannot be cancelled.
      require('node:fs').open(workerData, 'r', () => {});
      setTimeout(() => parentPort.postMessage('ready'), 50);`,
    );
    expect(await linesOf(program)).toEqual(['quiet']);
  });
});

test('eighty poll maps run in a process that may have 64 descriptors open', async () => {
  const map = new PollSocketMap();
  const program = scriptOn(
    map,
    `
    const maps = Array.from({ length: 80 }, () => new DefaultSocketMap());
    let fired = 0;
    const running = maps.map((map) => map.run());
    for (const map of maps) map.callIn(0.001, () => { fired++; map.close(); });
    Promise.all(running).then(() => say('fired ' + fired));`,
    64,
  );
  map.close();
  expect(await linesOf(program)).toEqual(['fired 80']);
});
