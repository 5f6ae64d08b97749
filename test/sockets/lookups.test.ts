/** Look-ups: without an answer, and the memory of completed ones. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import { Lookups } from '../../lib/sockets/lookups';
import { systemKernel } from '../../lib/system/system-kernel';
import type { Program } from '../support/processes';
import { isInstalled, isSanitized, plainEnvironment, runScript } from '../support/processes';
import { linesOf } from '../support/scripts';

let program: Program | undefined;
afterEach(() => program?.kill());

/** The output of `script`, line by line. */
function run(script: string, env: NodeJS.ProcessEnv = {}): Promise<string[]> {
  program = runScript(script, env);
  return linesOf(program);
}

// A sanitizer checks for leaks itself.
const testMemory = isSanitized ? test.skip : test;

testMemory('look-ups leak no memory when libuv’s loop does not run', async () => {
  const [grown] = await run(
    `
    const { IOHandler } = require('asynchia');
    const { DefaultSocketMap } = require('asynchia/maps');
    const map = new DefaultSocketMap();
    let left = 0;
    class Client extends IOHandler {
      handleConnectFailed() {}
      handleCleanup() { if (--left > 0) next(); }
    }
    const next = () => new Client(map).connect(['localhost', 1]);
    function lookUp(times) {
      left = times;
      next();
      while (left > 0) map.poll(1);
      gc();
      return process.memoryUsage.rss();
    }
    const before = lookUp(4000);
    console.log((lookUp(12000) - before) / 2 ** 20);`,
    { NODE_OPTIONS: '--expose-gc' },
  );
  expect(Number(grown)).toBeLessThan(10);
});

const describeWithCompiler = isInstalled('gcc') ? describe : describe.skip;

describeWithCompiler('when the name server does not answer', () => {
  let folder: string;
  let env: NodeJS.ProcessEnv;
  beforeAll(() => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'asynchia-names-'));
    const library = path.join(folder, 'names.so');
    const input = `
      #include <netdb.h>
      #include <unistd.h>
      int getaddrinfo(const char* host, const char* service, const struct addrinfo* hints,
                      struct addrinfo** found) {
        // Only whether it is a numeric address.
        if (hints->ai_flags & AI_NUMERICHOST) return EAI_NONAME;
        for (;;) pause();
      }`;
    execFileSync('gcc', ['-D_GNU_SOURCE', '-shared', '-fPIC', '-x', 'c', '-', '-o', library], {
      input,
      env: plainEnvironment,
    });
    // The library of a sanitizer must be loaded first.
    env = { LD_PRELOAD: `${process.env['LD_PRELOAD'] ?? ''}:${library}` };
  });
  afterAll(() => {
    rmSync(folder, { recursive: true });
  });

  /** More than there are threads. */
  const LOOK_UP = `
    const { IOHandler } = require('asynchia');
    const { DefaultSocketMap } = require('asynchia/maps');
    const openDescriptors = () => require('node:fs').readdirSync('/proc/self/fd').length;
    function lookUp() {
      const map = new DefaultSocketMap();
      for (let i = 0; i < 20; i++) new IOHandler(map).connect(['name.invalid', 1]);
      return map;
    }`;

  test('a closed map leaves no descriptor open', async () => {
    const before = 'lookUp().close(); const before = openDescriptors();';
    const said = await run(
      `${LOOK_UP} ${before} lookUp().close(); console.log(openDescriptors() - before);`,
      env,
    );
    expect(said).toEqual(['0']);
  });

  test('the process ends', async () => {
    expect(await run(`${LOOK_UP} lookUp().poll(0); console.log('done');`, env)).toEqual(['done']);
  });

  test.each(['lookUp().run();', 'lookUp().runSync();'])(
    'a worker in %s can be terminated',
    async (wait) => {
      const worker = `${LOOK_UP} require('worker_threads').parentPort.postMessage('busy'); ${wait}`;
      const said = await run(
        `
      const worker = new (require('worker_threads').Worker)(${JSON.stringify(worker)}, { eval: true });
      worker.once('message', () => worker.terminate().then(() => console.log('ended')));`,
        env,
      );
      expect(said).toEqual(['ended']);
    },
  );
});

test('a function that throws for one look-up does not keep the result from the others', () => {
  const told: unknown[] = [];
  let count = 0;
  const kernel = {
    ...systemKernel,
    resolve: () => ++count,
    resolved: (lookup: number) => `result ${lookup}`,
  };
  const lookups = new Lookups(kernel, () => 0);
  lookups.start('one', () => {
    throw new Error('thrown on purpose');
  });
  lookups.start('two', (result) => told.push(result));
  lookups.check((fn) => {
    try {
      fn();
    } catch (error) {
      told.push((error as Error).message);
    }
  });
  expect(told).toEqual(['thrown on purpose', 'result 2']);
});
