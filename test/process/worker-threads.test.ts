import { onEverySystemMap } from '../support/maps';
import { linesOf, scriptWithWorker } from '../support/scripts';

/** What a worker may be doing when it is terminated; each says `ready` just before. */
const BUSY_WITH: Record<string, string> = {
  'run(), idle': `map.run(); ready();`,
  'run(), busy': `saturate(map); map.run(); ready();`,
  'run() of several maps': `
    saturate(map);
    map.run();
    const { candidates } = require('asynchia/maps');
    for (const Map of candidates) new Map().run();
    ready();`,
  'poll()': `ready(); map.poll();`,
  'runSync(), idle': `ready(); map.runSync();`,
  'runSync(), busy': `saturate(map); ready(); map.runSync();`,
  'run() with look-ups in flight': `
    for (let i = 0; i < 20; i++) new IOHandler(map).connect(['localhost', 1]);
    map.run();
    ready();`,
  'runSync() with look-ups in flight': `
    for (let i = 0; i < 20; i++) new IOHandler(map).connect(['localhost', 1]);
    ready();
    map.runSync();`,
  'other work, with a map that does not wait': `
    saturate(map);
    map.poll();
    setInterval(() => {}, 1000);
    ready();`,
};

/** A worker's map, with everything that has a descriptor. */
const OPEN_MAP = `
  const map = new DefaultSocketMap();
  const acceptor = new AcceptHandler(map);
  acceptor.bind(['127.0.0.1', 0]);
  acceptor.listen(5);
  new IOHandler(map).connect(acceptor.socket.getsockname());
  new IOHandler(map, socketpair()[0]);
  const ready = () => parentPort.postMessage('ready');
`;

/** The same, and then the script of the worker. */
const WORKER = `
  ${OPEN_MAP}
  const actions = ${JSON.stringify(BUSY_WITH)};
  eval(actions[workerData]);
`;

/** `endOne` terminates a worker just before `action`, or some time after its start. */
const END_WORKERS = `
  const openDescriptors = () => require('node:fs').readdirSync('/proc/self/fd').length;
  // A look-up that cannot be cancelled goes on for a moment, and getaddrinfo(3) has sockets of its own.
  async function leftOpen(before) {
    for (let tries = 0; tries < 1000 && openDescriptors() > before; tries++) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    return openDescriptors() - before;
  }
  async function endOne(action, delay) {
    const worker = startWorker(action);
    await new Promise((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
    });
    await new Promise((resolve) => setTimeout(resolve, delay));
    await worker.terminate();
  }
`;

onEverySystemMap('a worker that is terminated', (map) => {
  test('ends and leaves no descriptor open, whatever its map is doing', async () => {
    const actions = Object.keys(BUSY_WITH);
    const program = scriptWithWorker(
      map(),
      `${END_WORKERS}
      (async () => {
        for (const action of ${JSON.stringify(actions)}) {
          // What Node itself keeps open is open after the first.
          await endOne(action, 0);
          const before = openDescriptors();
          await Promise.all([0, 1, 5].map((delay) => endOne(action, delay)));
          say(action + ': ' + (await leftOpen(before)) + ' left open');
        }
      })();`,
      WORKER,
    );
    expect(await linesOf(program)).toEqual(actions.map((action) => `${action}: 0 left open`));
  });

  test('twenty times, leaves no descriptor open', async () => {
    const program = scriptWithWorker(
      map(),
      `${END_WORKERS}
      (async () => {
        await endOne('run(), busy', 0);
        const before = openDescriptors();
        for (let round = 0; round < 20; round++) await endOne('run(), busy', round % 4);
        say('descriptors left open: ' + (openDescriptors() - before));
      })();`,
      WORKER,
    );
    expect(await linesOf(program)).toEqual(['descriptors left open: 0']);
  });

  test('ends while it blocks, with undelivered messages', async () => {
    const program = scriptWithWorker(
      map(),
      `
      const worker = startWorker();
      worker.once('message', async () => {
        for (let i = 0; i < 100; i++) {
          worker.postMessage('never taken');
          await new Promise((resolve) => setImmediate(resolve));
        }
        await worker.terminate();
        say('ended');
      });`,
      `${OPEN_MAP} parentPort.on('message', () => {}); ready(); map.runSync();`,
    );
    expect(await linesOf(program)).toEqual(['ended']);
  });
});

/** A request to a thread whose loop does not turn stays pending, and libuv coalesces further ones. */
const BLOCKED = ['ready(); map.runSync();', 'ready(); for (;;) map.poll();'];

onEverySystemMap('a blocked worker that was asked for a heap snapshot', (map) => {
  test.each(BLOCKED)('is terminated: %s', async (wait) => {
    const program = scriptWithWorker(
      map(),
      `
      const worker = startWorker();
      worker.once('message', async () => {
        for (let i = 0; i < 3; i++) {
          worker.getHeapSnapshot().catch(() => {});
          await new Promise((resolve) => setTimeout(resolve, 30));
        }
        await worker.terminate();
        say('ended');
      });`,
      OPEN_MAP + wait,
    );
    // Not its status: Node crashes later, as the requested snapshot has no worker any more.
    await program.says('ended');
  });

  test.each(BLOCKED)('does not keep process.exit() from ending the process: %s', async (wait) => {
    const program = scriptWithWorker(
      map(),
      `
      const worker = startWorker();
      worker.once('message', async () => {
        for (let i = 0; i < 3; i++) {
          worker.getHeapSnapshot().catch(() => {});
          await new Promise((resolve) => setTimeout(resolve, 30));
        }
        say('exits');
        process.exit(0);
      });`,
      OPEN_MAP + wait,
    );
    expect(await linesOf(program)).toEqual(['exits']);
  });
});

/** A server in a worker, which posts its port. */
const SERVER = `
  const map = new DefaultSocketMap();
  class Acceptor extends AcceptHandler {
    handleAccept(socket) { new Echoing(map, socket).handleClose = () => map.close(); }
  }
  const acceptor = new Acceptor(map);
  acceptor.bind(['127.0.0.1', 0]);
  acceptor.listen(5);
  parentPort.postMessage(acceptor.socket.getsockname());
`;

/** A client in the main thread, on a map of its own. */
const CLIENT = `
  const map = new DefaultSocketMap();
  class Client extends IOHandler {
    handleConnect() { this.setReadable(true); this.send('hello'); }
    handleRead() { say('main was answered ' + this.read(100)); this.close(); map.close(); }
  }
  const worker = startWorker();
  worker.once('message', (address) => { new Client(map).connect(address); map.run(); });
  worker.once('exit', (status) => say('worker ended with ' + status));
`;

onEverySystemMap('in a worker', (map) => {
  test.each([
    'map.run();',
    'map.runSync();',
    'while (!map.closed) map.poll();',
    'while (!map.closed) map.poll(0.001);',
  ])('a server is served by %s', async (wait) => {
    const lines = await linesOf(scriptWithWorker(map(), CLIENT, SERVER + wait));
    expect(lines.sort()).toEqual(['main was answered hello', 'worker ended with 0']);
  });

  test('rule 10: a wait is not short when the main thread sends messages meanwhile', async () => {
    const program = scriptWithWorker(
      map(),
      `
      const worker = startWorker();
      const sending = setInterval(() => worker.postMessage('a message'), 5);
      worker.on('exit', () => clearInterval(sending));`,
      `
      const map = new DefaultSocketMap();
      // The first message shows that the main thread is sending.
      parentPort.once('message', () => {
        const start = process.hrtime.bigint();
        map.poll(0.1);
        say(process.hrtime.bigint() - start < 100000000n ? 'short' : 'in full');
        parentPort.once('message', () => { say('messages came'); process.exit(); });
      });`,
    );
    expect(await linesOf(program)).toEqual(['in full', 'messages came']);
  });

  test('messages are delivered while a busy map runs', async () => {
    const program = scriptWithWorker(
      map(),
      `
      const worker = startWorker();
      worker.once('message', () => worker.postMessage('close'));
      worker.once('exit', (status) => say('worker ended with ' + status));`,
      `${OPEN_MAP}
      saturate(map);
      parentPort.once('message', (message) => map[message]());
      map.run().then(() => say('settled'));
      ready();`,
    );
    expect(await linesOf(program)).toEqual(['settled', 'worker ended with 0']);
  });

  test('an open map does not keep the worker alive', async () => {
    const program = scriptWithWorker(
      map(),
      `startWorker().once('exit', (status) => say('worker ended with ' + status));`,
      `${OPEN_MAP} saturate(map); map.callIn(60, () => {}); map.poll();`,
    );
    expect(await linesOf(program)).toEqual(['worker ended with 0']);
  });

  test.each(['map.run();', 'map.runSync();', 'map.poll();'])(
    'process.exit() in a callback of %s ends only the worker',
    async (wait) => {
      const program = scriptWithWorker(
        map(),
        `startWorker().once('exit', (status) => say('worker ended with ' + status));`,
        `${OPEN_MAP} saturate(map); map.callIn(0, () => process.exit(3)); ${wait}`,
      );
      expect(await linesOf(program)).toEqual(['worker ended with 3']);
    },
  );

  test('an uncaught error in a callback ends only the worker', async () => {
    const program = scriptWithWorker(
      map(),
      `startWorker().once('error', (error) => say('worker failed: ' + error.message));`,
      `${OPEN_MAP} map.callIn(0, () => { throw new Error('of a timer'); }); map.run();`,
    );
    expect(await linesOf(program)).toEqual(['worker failed: of a timer']);
  });
});
