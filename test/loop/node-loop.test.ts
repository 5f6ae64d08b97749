import { IOHandler, socketpair } from '../../lib';

import { onEverySystemMap } from '../support/maps';
import { Recorder } from '../support/recorder';
import { linesOf, scriptOn } from '../support/scripts';

/** Work of Node, each of which ends by itself. */
const NODE_GOES_ON: Record<string, string> = {
  'setTimeout and setInterval': `
    await new Promise((resolve) => setTimeout(resolve, 3));
    await new Promise((resolve) => {
      let times = 0;
      const interval = setInterval(() => ++times === 5 && resolve(clearInterval(interval)), 2);
    });`,
  setImmediate: `
    for (let i = 0; i < 200; i++) await new Promise((resolve) => setImmediate(resolve));`,
  'fs.promises': `
    const text = await require('node:fs').promises.readFile('package.json', 'utf8');
    if (JSON.parse(text).name !== 'asynchia') throw new Error('read something else');`,
  'fetch from a server of node:http': `
    const server = require('node:http').createServer((_, response) => response.end('served'));
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    const response = await fetch('http://127.0.0.1:' + server.address().port);
    if (await response.text() !== 'served') throw new Error('fetched something else');
    server.closeAllConnections();
    server.close();`,
  signals: `
    await new Promise((resolve) => {
      process.on('SIGUSR2', resolve);
      process.kill(process.pid, 'SIGUSR2');
    });`,
  streams: `
    const { createReadStream } = require('node:fs');
    let length = 0;
    for await (const chunk of createReadStream(process.execPath, { end: 999999 })) {
      length += chunk.length;
    }
    if (length !== 1000000) throw new Error('streamed ' + length);`,
  child_process: `
    const child = require('node:child_process').spawn('sh', ['-c', 'cat; exit 3']);
    let text = '';
    child.stdout.on('data', (data) => text += data);
    child.stdin.end('through a child');
    const status = await new Promise((resolve) => child.on('close', resolve));
    if (status !== 3 || text !== 'through a child') throw new Error(status + text);`,
  'worker threads and their messages': `
    const worker = new Worker("require('node:worker_threads').parentPort.once('message', " +
      "(message) => require('node:worker_threads').parentPort.postMessage(message + 1))",
      { eval: true });
    worker.postMessage(1);
    const answer = await new Promise((resolve) => worker.once('message', resolve));
    if (answer !== 2) throw new Error('answered ' + answer);`,
};

onEverySystemMap('Node while a map runs', (map) => {
  test.each(Object.entries(NODE_GOES_ON))('%s work under load', async (_name, action) => {
    const program = scriptOn(
      map(),
      `
      const map = new DefaultSocketMap();
      const echoing = saturate(map);
      const running = map.run();
      (async () => {
        ${action}
        const before = echoing.count;
        while (echoing.count < before + 100) await new Promise((done) => setTimeout(done, 1));
        say('and the map continued');
        map.close();
        await running;
      })();
    `,
    );
    expect(await linesOf(program)).toEqual(['and the map continued']);
  });

  test('process.nextTick and promises run between batches', async () => {
    const events: string[] = [];
    for (const name of ['a', 'b']) {
      const [left, right] = socketpair();
      const recorder = new Recorder(map(), left);
      recorder.handleRead = () => {
        events.push(`read ${recorder.read(1).toString()}`);
        process.nextTick(() => events.push(`tick ${name}`));
        void Promise.resolve().then(() => events.push(`promise ${name}`));
      };
      right.send(Buffer.from('12'));
      recorder.handleClose = () => map().close();
      right.close();
    }
    await map().run();
    for (const batch of [1, 2]) {
      const told = events.slice(6 * (batch - 1), 6 * batch);
      const kinds = told.map((event) => event.split(' ')[0]);
      expect(kinds).toEqual(['read', 'read', 'tick', 'tick', 'promise', 'promise']);
      expect(told.slice(0, 2)).toEqual([`read ${batch}`, `read ${batch}`]);
    }
  });

  test('a handler that awaits continues between batches', async () => {
    const [left, right] = socketpair();
    const events: string[] = [];
    class Awaiting extends IOHandler {
      override async handleRead(): Promise<void> {
        this.read(1);
        await new Promise((resolve) => setTimeout(resolve, 1));
        events.push('after a timer of Node');
        map().close();
      }
    }
    new Awaiting(map(), left).setReadable(true);
    right.send(Buffer.from('a'));
    await map().run();
    expect(events).toEqual(['after a timer of Node']);
    right.close();
  });

  test('a running map keeps the process alive until it is closed', async () => {
    const program = scriptOn(
      map(),
      `
      const map = new DefaultSocketMap();
      map.callIn(0.05, () => { say('alive'); map.close(); });
      map.run().then(() => say('settled'));
    `,
    );
    expect(await linesOf(program)).toEqual(['alive', 'settled']);
  });

  test('a map that is run and closed in a callback of another map does not keep the process alive', async () => {
    const program = scriptOn(
      map(),
      `
      const map = new DefaultSocketMap();
      const other = new DefaultSocketMap();
      map.callIn(0, () => {
        other.run().then(() => say('settled'));
        other.close();
        map.close();
      });
      map.run().then(() => say('settled'));
    `,
    );
    expect(await linesOf(program)).toEqual(['settled', 'settled']);
  });

  test('a map that does not run does not keep the process alive', async () => {
    const program = scriptOn(
      map(),
      `
      const map = new DefaultSocketMap();
      saturate(map);
      map.callIn(60, () => {});
      map.createWaker();
      map.poll();
    `,
    );
    expect(await linesOf(program)).toEqual([]);
  });
});

onEverySystemMap('an uncaught error while a map runs', (map) => {
  const throwers = {
    'process.nextTick': 'process.nextTick(fail)',
    queueMicrotask: 'queueMicrotask(fail)',
    setTimeout: 'setTimeout(fail, 0)',
  };

  test.each(Object.entries(throwers))(
    'in %s of a handler emits uncaughtException, and the map continues',
    async (_name, thrower) => {
      const program = scriptOn(
        map(),
        `
        function fail() { throw new Error('nobody catches this'); }
        const map = new DefaultSocketMap();
        const echoing = saturate(map);
        map.callIn(0, () => { ${thrower}; });
        process.on('uncaughtException', (error) => {
          say(error.message);
          const before = echoing.count;
          const check = () => echoing.count > before + 100 ? map.close() : map.callIn(0, check);
          check();
        });
        map.run().then(() => say('settled'));
      `,
      );
      expect(await linesOf(program)).toEqual(['nobody catches this', 'settled']);
    },
  );

  test('ends the process without a listener', async () => {
    const program = scriptOn(
      map(),
      `
      const map = new DefaultSocketMap();
      saturate(map);
      map.callIn(0, () => process.nextTick(() => { throw new Error('nobody listens'); }));
      map.run();
    `,
    );
    expect(await program.ends()).toBe(1);
    expect(program.stderr).toContain('nobody listens');
  });

  test('in a promise emits unhandledRejection', async () => {
    const program = scriptOn(
      map(),
      `
      const map = new DefaultSocketMap();
      process.on('unhandledRejection', (error) => { say(error.message); map.close(); });
      map.callIn(0, () => void Promise.reject(new Error('nobody awaits this')));
      map.run().then(() => say('settled'));
    `,
    );
    expect(await linesOf(program)).toEqual(['nobody awaits this', 'settled']);
  });
});
