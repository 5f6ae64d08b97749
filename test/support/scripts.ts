/** Scripts that run in a process of their own, on the map under test. */
import type { SocketMap } from '../../lib';

import { Program, runScript } from './processes';

/**
 * The start of every script. `require('asynchia')` is the built package, and `DefaultSocketMap` the
 * map under test.
 */
const PRELUDE = `
  const { AcceptHandler, IOHandler, Socket, Waker, socketpair, constants } = require('asynchia');
  const { DefaultSocketMap } = require('asynchia/maps');
  const { Worker, isMainThread, parentPort, workerData } = require('node:worker_threads');
  class Echoing extends IOHandler {
    constructor(map, socket) { super(map, socket); this.count = 0; this.setReadable(true); }
    handleRead() { this.count++; this.send(this.read(16)); }
  }
  function saturate(map) {
    const [left, right] = socketpair();
    new Echoing(map, left);
    const echoing = new Echoing(map, right);
    echoing.send('x');
    return echoing;
  }
  function say(text) { require('node:fs').writeSync(1, text + '\\n'); }
`;

const started: Program[] = [];

afterEach(() => {
  for (const program of started.splice(0)) if (program.status === null) program.kill();
});

/**
 * Runs `script` in a process of its own, whose `DefaultSocketMap` is of the class of `map`; with
 * `descriptors`, one that can have only so many open.
 */
export function scriptOn(map: SocketMap, script: string, descriptors?: number): Program {
  const env = { ASYNCHIA_MAP: map.backend };
  const limited = ['-c', `ulimit -n ${descriptors ?? 0} && exec "$0" -e "$1"`, process.execPath];
  const program =
    descriptors === undefined
      ? runScript(PRELUDE + script, env)
      : new Program('sh', [...limited, PRELUDE + script], env);
  started.push(program);
  return program;
}

/** The same, where `main` has `worker(script)`, which starts a worker thread of that script. */
export function scriptWithWorker(map: SocketMap, main: string, worker: string): Program {
  const workerScript = JSON.stringify(PRELUDE + worker);
  return scriptOn(
    map,
    `
    function startWorker(workerData) {
      return new Worker(${workerScript}, { eval: true, workerData });
    }
    ${main}
  `,
  );
}

/** Waits until a program exits with 0, and returns its output, line by line. */
export async function linesOf(program: Program): Promise<string[]> {
  const status = await program.ends();
  if (status !== 0 || program.stderr !== '') {
    throw new Error(`ended with ${status}, having written: ${program.stdout}${program.stderr}`);
  }
  return program.stdout.split('\n').filter((line) => line !== '');
}
