/**
 * Code that runs on several threads, for ThreadSanitizer and memory checkers: look-ups
 * that outlive their maps, wakers in workers, workers that are terminated.
 */
import { once } from 'node:events';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

import { IOHandler, type SocketMap, Waker } from '../../lib';
import { candidates, type SocketMapClass } from '../../lib/maps';

/** Starts more look-ups than there are threads. */
function lookUp(map: SocketMap, times: number, settled: () => void): void {
  let left = times;
  for (let i = 0; i < times; i++) {
    const handler = new IOHandler(map);
    handler.handleCleanup = () => {
      if (--left === 0) settled();
    };
    handler.connect(['localhost', 1]);
    // The answers are dropped.
    if (i % 3 === 0) handler.close();
  }
}

async function main(Map: SocketMapClass): Promise<void> {
  const waiting = new Map();
  lookUp(waiting, 30, () => waiting.close());
  await waiting.run();

  const left = new Map();
  lookUp(left, 30, () => undefined);
  left.close();

  const woken = new Map();
  let wakeups = 0;
  const workers = [1, 2].map(
    () => new Worker(__filename, { workerData: woken.createWaker(() => wakeups++) }),
  );
  void Promise.all(workers.map((worker) => once(worker, 'exit'))).then(() => woken.close());
  await woken.run();
  if (wakeups === 0) throw new Error('nobody woke the map');

  const busy = new Worker(__filename, { workerData: null });
  await once(busy, 'message');
  await busy.terminate();
}

if (isMainThread) {
  void (async () => {
    for (const candidate of candidates) await main(candidate);
  })();
} else if (workerData === null) {
  for (const Map of candidates) {
    const map = new Map();
    lookUp(map, 20, () => undefined);
    void map.run();
  }
  parentPort?.postMessage('busy');
} else {
  const waker = new Waker(workerData as { descriptor: number });
  for (let i = 0; i < 1000; i++) waker.wake();
  waker.close();
}
