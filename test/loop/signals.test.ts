import { onEveryMap, onEverySystemMap } from '../support/maps';
import { linesOf, scriptOn } from '../support/scripts';

/** How a program waits; each says `ready` just before. */
const WAYS: readonly string[] = [
  `say('ready'); map.runSync();`,
  `say('ready'); while (!map.closed) map.poll();`,
  `say('ready'); map.run();`,
];

onEverySystemMap('signals', (map) => {
  test.each(WAYS)('process.on gets them once each: %s', async (wait) => {
    const program = scriptOn(
      map(),
      `
      const map = new DefaultSocketMap();
      map.callIn(60, () => {});
      process.on('SIGTERM', (name, number) => { say(name + ' ' + number); map.close(); });
      process.on('SIGUSR2', (name) => say(name));
      ${wait}
      setTimeout(() => say('over'), 50);`,
    );
    await program.says('ready');
    program.kill('SIGUSR2');
    await program.says('SIGUSR2');
    program.kill('SIGTERM');
    const lines = await linesOf(program);
    expect(lines).toEqual(['ready', 'SIGUSR2', 'SIGTERM 15', expect.stringContaining('over')]);
  });

  test('process.once gets the first only, and a listener may be added while the map blocks', async () => {
    const program = scriptOn(
      map(),
      `
      const map = new DefaultSocketMap();
      map.callIn(0, () => {
        process.once('SIGUSR2', () => {
          say('first');
          process.once('SIGUSR2', () => { say('second'); map.close(); });
        });
        say('ready');
      });
      map.runSync();
      setTimeout(() => say('listeners left: ' + process.listenerCount('SIGUSR2')), 50);`,
    );
    await program.says('ready');
    program.kill('SIGUSR2');
    await program.says('first');
    program.kill('SIGUSR2');
    expect(await linesOf(program)).toEqual(['ready', 'first', 'second', 'listeners left: 0']);
  });

  test.each(WAYS)('addSignalHandler gets them once each: %s', async (wait) => {
    const program = scriptOn(
      map(),
      `
      const map = new DefaultSocketMap();
      map.addSignalHandler('SIGINT', () => say('replaced'));
      map.addSignalHandler('SIGINT', () => say('SIGINT'));
      map.addSignalHandler(15, () => {
        say('SIGTERM');
        say(map.removeSignalHandler('SIGINT') + ' ' + map.removeSignalHandler('SIGINT'));
        map.close();
      });
      ${wait}`,
    );
    await program.says('ready');
    program.kill('SIGINT');
    await program.says('SIGINT');
    program.kill('SIGTERM');
    expect(await linesOf(program)).toEqual(['ready', 'SIGINT', 'SIGTERM', 'true false']);
  });

  test.each(WAYS.slice(0, 2))(
    'SIGINT is an InterruptedError, and finally runs: %s',
    async (wait) => {
      const program = scriptOn(
        map(),
        `
      const map = new DefaultSocketMap();
      try {
        ${wait}
      } catch (error) {
        say([error.name, error.code, error.signal, error.message].join(', '));
      } finally {
        say('finally');
      }`,
      );
      await program.says('ready');
      program.kill('SIGINT');
      const text = 'InterruptedError, ERR_INTERRUPTED, SIGINT, interrupted by SIGINT';
      expect(await linesOf(program)).toEqual(['ready', text, 'finally']);
    },
  );

  test('SIGINT ends the process by default where no map waits any more', async () => {
    const program = scriptOn(
      map(),
      `
      const map = new DefaultSocketMap();
      map.poll(0);
      setTimeout(() => {}, 60_000);
      setImmediate(() => say('ready'));`,
    );
    await program.says('ready');
    program.kill('SIGINT');
    expect(await program.ends()).toBe('SIGINT');
  });

  test('SIGINT that comes after the last poll ends the process by default', async () => {
    const program = scriptOn(
      map(),
      `
      const map = new DefaultSocketMap();
      map.poll(0);
      process.kill(process.pid, 'SIGINT');
      setTimeout(() => {}, 60_000);`,
    );
    expect(await program.ends()).toBe('SIGINT');
  });

  test('a signal without a listener ends the process by default', async () => {
    const program = scriptOn(map(), `say('ready'); new DefaultSocketMap().runSync();`);
    await program.says('ready');
    program.kill('SIGTERM');
    expect(await program.ends()).toBe('SIGTERM');
  });

  test('an error in a signal’s function comes out of runSync', async () => {
    const program = scriptOn(
      map(),
      `
      const map = new DefaultSocketMap();
      map.addSignalHandler('SIGUSR2', () => { throw new Error('thrown'); });
      say('ready');
      try { map.runSync(); } catch (error) { say(error.message); }`,
    );
    await program.says('ready');
    program.kill('SIGUSR2');
    expect(await linesOf(program)).toEqual(['ready', 'thrown']);
  });

  test('a signal that cannot be caught is refused', () => {
    expect(() => map().addSignalHandler('SIGKILL', () => undefined)).toThrow(
      expect.objectContaining({ code: 'EINVAL', syscall: 'sigaction' }) as Error,
    );
    map().close();
    expect(() => map().addSignalHandler('SIGTERM', () => undefined)).toThrow(
      expect.objectContaining({ code: 'ERR_SOCKET_MAP_CLOSED' }) as Error,
    );
  });
});

onEveryMap('signals', (map) => {
  test.each([undefined, null, {}, '', 'SIGNONE', 'toString', 0, -1, 1.5, NaN, 1000])(
    'there is no signal %p',
    (signal) => {
      for (const act of [
        () => map().addSignalHandler(signal as never, () => undefined),
        () => map().removeSignalHandler(signal as never),
      ]) {
        expect(act).toThrow(/^signal must be /);
      }
    },
  );
});
