import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import { Waker } from '../../lib';

import { onEverySystemMap } from '../support/maps';
import { linesOf, scriptOn, scriptWithWorker } from '../support/scripts';
import { until } from '../support/turns';

onEverySystemMap('a waker', (map) => {
  const wakers: Waker[] = [];
  afterEach(() => {
    for (const waker of wakers.splice(0)) waker.close();
  });

  function makeWaker(): Waker {
    const waker = map().createWaker();
    wakers.push(waker);
    return waker;
  }

  function expectFullWait(): void {
    const start = process.hrtime.bigint();
    expect(map().poll(0.02)).toBe(0);
    expect(Number(process.hrtime.bigint() - start)).toBeGreaterThanOrEqual(0.02e9);
  }

  test('makes only the next wait return', () => {
    makeWaker().wake();
    expect(map().poll()).toBe(0);
    expectFullWait();
  });

  test('several wake-ups before a wait count once', () => {
    const [first, second] = [makeWaker(), makeWaker()];
    for (let i = 0; i < 1000; i++) {
      first.wake();
      second.wake();
    }
    expect(map().poll()).toBe(0);
    expectFullWait();
  });

  test('made in the function of a waker, is called only for the next wake-up', () => {
    let calls = 0;
    const makeOne = (): void => {
      calls++;
      wakers.push(map().createWaker(makeOne));
    };
    wakers.push(map().createWaker(makeOne));
    wakers[0]?.wake();
    map().poll();
    expect(calls).toBe(1);
    wakers[0]?.wake();
    map().poll();
    expect(calls).toBe(3);
  });

  test('closed in the function of another, is not called any more', () => {
    const called: string[] = [];
    wakers.push(
      map().createWaker(() => {
        called.push('first');
        wakers[1]?.close();
      }),
      map().createWaker(() => called.push('second')),
    );
    wakers[0]?.wake();
    map().poll();
    expect(called).toEqual(['first']);
  });

  test('does not shorten a wait without a wake-up', () => {
    makeWaker();
    expectFullWait();
  });

  test('wakes through a copy that was posted as a message', () => {
    const waker = new Waker(structuredClone(makeWaker()));
    waker.wake();
    expect(map().poll()).toBe(0);
  });

  test('has no effect after the map is closed', () => {
    const waker = makeWaker();
    waker.wake();
    map().close();
    expect(() => waker.wake()).not.toThrow();
  });

  test('a copy does not write to a reused descriptor after the original is closed', () => {
    const waker = map().createWaker();
    const copy = new Waker(structuredClone(waker));
    waker.close();
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'asynchia-'));
    const stranger = fs.openSync(path.join(folder, 'file'), 'w+');
    expect(stranger).toBe(copy.descriptor);
    expect(() => copy.wake()).toThrow(/this Waker is closed/);
    copy.close();
    expect(fs.fstatSync(stranger).size).toBe(0);
    fs.closeSync(stranger);
    fs.rmSync(folder, { recursive: true });
  });

  test('does not write to a reused descriptor after the map is closed', () => {
    const waker = makeWaker();
    const { descriptor } = waker;
    map().close();
    waker.wake();
    expect(waker.descriptor).toBe(descriptor);
    waker.close();
    expect(waker.descriptor).toBe(-1);
  });

  test('after close, wake throws an error that says so, and close has no effect', () => {
    const waker = makeWaker();
    waker.close();
    waker.close();
    waker[Symbol.dispose]();
    expect(() => waker.wake()).toThrow(/^wake: this Waker is closed/);
    expectFullWait();
  });

  test('close drops its function, and no other', () => {
    const told: string[] = [];
    const say = (): void => void told.push('both');
    for (let i = 0; i < 100; i++) {
      map()
        .createWaker(() => told.push('closed'))
        .close();
    }
    const [first, second] = [map().createWaker(say), map().createWaker(say)];
    wakers.push(first, second);
    first.close();
    first.close();
    second.wake();
    expect(map().poll()).toBe(0);
    expect(told).toEqual(['both']);
    second.close();
    makeWaker().wake();
    map().poll();
    expect(told).toEqual(['both']);
  });

  test('closing a posted copy does not close the original', () => {
    let told = 0;
    const waker = map().createWaker(() => told++);
    new Waker(structuredClone(waker)).close();
    makeWaker().wake();
    map().poll();
    expect(told).toBe(1);
  });

  test('close after the map was closed has no effect', () => {
    const waker = map().createWaker(() => undefined);
    map().close();
    expect(() => waker.close()).not.toThrow();
  });

  test('wakes an idle run(), which continues', async () => {
    const waker = makeWaker();
    const running = map().run();
    let rounds = 0;
    for (let i = 0; i < 5; i++) {
      waker.wake();
      map().callSynchronized(() => rounds++);
      await until(() => rounds === i + 1, 'the call');
    }
    map().close();
    await running;
  });

  test.each([undefined, null, 1, 'waker', {}, { descriptor: -1 }, { descriptor: '3' }])(
    'cannot be created from %p',
    (value) => {
      expect(() => new Waker(value as { descriptor: number })).toThrow(/waker.*must be/);
    },
  );
});

/** Wakes until the other thread says stop. */
const WAKING = `
  const waker = new Waker(workerData.waker);
  const enough = new Int32Array(workerData.enough);
  do waker.wake(); while (Atomics.wait(enough, 0, 0, 1) === 'timed-out');
`;

/** A map and a worker that wakes it, until `stop()`. */
const WOKEN = `
  const map = new DefaultSocketMap();
  const enough = new SharedArrayBuffer(4);
  const waker = map.createWaker();
  const worker = startWorker({ waker, enough });
  worker.once('exit', (status) => {
    waker.close();
    say('worker ended with ' + status);
  });
  function stop() {
    Atomics.store(new Int32Array(enough), 0, 1);
    Atomics.notify(new Int32Array(enough), 0);
  }
`;

onEverySystemMap('a waker in another thread', (map) => {
  test('wakes a map that is blocked in poll', async () => {
    const program = scriptWithWorker(
      map(),
      `${WOKEN}
      for (let i = 0; i < 20; i++) map.poll();
      say('woken');
      stop();`,
      WAKING,
    );
    expect(await linesOf(program)).toEqual(['woken', 'worker ended with 0']);
  });

  test.each(['map.run();', 'map.runSync();'])('does not make %s loop busily', async (run) => {
    const program = scriptWithWorker(
      map(),
      `${WOKEN}
      const echoing = saturate(map);
      const WINDOW = 0.25;
      map.callIn(0.03, () => {
        echoing.close();
        stop();
        map.callIn(0.05, () => {
          const before = process.cpuUsage();
          map.callIn(WINDOW, () => {
            const { user, system } = process.cpuUsage(before);
            say((user + system) / 1e6 > WINDOW / 2 ? 'busy' : 'idle');
            map.close();
          });
        });
      });
      ${run}`,
      WAKING,
    );
    const lines = await linesOf(program);
    expect(lines.sort()).toEqual(['idle', 'worker ended with 0']);
  });

  test('has no effect after the map is closed or its thread has ended', async () => {
    const program = scriptWithWorker(
      map(),
      `
      const worker = startWorker();
      worker.once('message', (message) => {
        const waker = new Waker(message);
        worker.once('exit', () => {
          waker.wake();
          waker.close();
          say('harmless');
        });
        waker.wake();
        setTimeout(() => worker.terminate(), 1);
      });`,
      `
      const map = new DefaultSocketMap();
      parentPort.postMessage(map.createWaker());
      map.poll();
      map.close();
      setInterval(() => {}, 1000);`,
    );
    expect(await linesOf(program)).toEqual(['harmless']);
  });

  test('of a worker’s map wakes that map from the main thread', async () => {
    const program = scriptWithWorker(
      map(),
      `
      const worker = startWorker();
      worker.once('message', (message) => {
        const waker = new Waker(message);
        const waking = setInterval(() => waker.wake(), 1);
        worker.once('exit', (status) => {
          clearInterval(waking);
          waker.close();
          say('worker ended with ' + status);
        });
      });`,
      `
      const map = new DefaultSocketMap();
      parentPort.postMessage(map.createWaker());
      for (let i = 0; i < 20; i++) map.poll();`,
    );
    expect(await linesOf(program)).toEqual(['worker ended with 0']);
  });
});

/** Connects by name to a listener of its own, and ends. */
const BY_NAME = `
  const map = new DefaultSocketMap();
  const acceptor = new AcceptHandler(map);
  acceptor.bind(['127.0.0.1', 0]);
  acceptor.listen(5);
  const { port } = acceptor.socket.getsockname();
  let ended = 0;
  class Client extends IOHandler {
    handleConnect() { say('connected'); this.close(); }
    handleConnectFailed(error) { say('failed: ' + error.code); }
    handleCleanup() { if (++ended === 2) map.close(); }
  }
  new Client(map).connect(['localhost', port]);
  new Client(map).connect(['no-such-host.invalid', port]);
  say('connecting');
`;

onEverySystemMap('host names', (map) => {
  test.each(['map.run();', 'map.runSync();', 'while (!map.closed) map.poll();'])(
    'rule 8: are resolved off the loop in %s',
    async (run) => {
      const lines = await linesOf(scriptOn(map(), BY_NAME + run));
      expect(lines[0]).toBe('connecting');
      expect(lines.slice(1).sort()).toEqual([
        'connected',
        expect.stringMatching(/^failed: (ENOTFOUND|EAI_AGAIN)$/),
      ]);
    },
  );

  test('rule 8: are resolved off the loop in a worker that blocks', async () => {
    const program = scriptWithWorker(
      map(),
      `startWorker().once('exit', (status) => say('worker ended with ' + status));`,
      `${BY_NAME} map.runSync();`,
    );
    const lines = await linesOf(program);
    expect(lines).toContain('connected');
    expect(lines).toContain('worker ended with 0');
  });
});
