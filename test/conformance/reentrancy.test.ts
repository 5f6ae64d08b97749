import { EpollSocketMap, PollSocketMap, SelectSocketMap } from '../../lib/maps';
import { type SocketMap } from '../../lib';
import { saturate } from '../support/echoing';
import { onEveryMap } from '../support/maps';
import { Recorder } from '../support/recorder';
import { sendText, socketpair } from '../support/streams';
import { turnUntil, until } from '../support/turns';

const REFUSAL = /^Error: (\w+): .*(inside a callback of the same map|running already)/;

/** Tries all three ways to wait on `map`, and returns their errors. */
async function attempts(map: SocketMap): Promise<string[]> {
  const refusals: string[] = [];
  const refused = (error: unknown): void => {
    const [, method, reason] = REFUSAL.exec(String(error)) ?? [];
    refusals.push(`${method} ${reason}`);
  };
  for (const attempt of [() => map.poll(0), () => map.runSync()]) {
    try {
      attempt();
    } catch (error) {
      refused(error);
    }
  }
  await map.run().catch(refused);
  return refusals;
}

const refusedAs = (reason: string): string[] =>
  ['poll', 'runSync', 'run'].map((method) => `${method} ${reason}`);
const REFUSED_INSIDE = refusedAs('inside a callback of the same map');
const REFUSED_RUNNING = refusedAs('running already');

/** Callbacks: each entry lets one call `fn`. */
const CALLBACKS: Record<string, (map: SocketMap, fn: () => void) => void> = {
  handleRead: (map, fn) => {
    const [left, right] = socketpair();
    const recorder = new Recorder(map, left);
    recorder.handleRead = () => {
      recorder.read(1);
      fn();
    };
    sendText(right, 'a');
    right.close();
  },
  handleCleanup: (map, fn) => {
    const [left, right] = socketpair();
    new Recorder(map, left).handleCleanup = fn;
    right.close();
  },
  timer: (map, fn) => void map.callIn(0, fn),
  call: (map, fn) => {
    map.callSynchronized(fn);
  },
};

onEveryMap('waiting on a map in its own callbacks', (map, { testWithoutFaults }) => {
  describe.each(Object.entries(CALLBACKS))('within %s', (_name, arrange) => {
    test('rule 18: poll, runSync and run throw, and the map continues', async () => {
      let refusals: Promise<string[]> | undefined;
      arrange(map(), () => {
        refusals = attempts(map());
      });
      turnUntil(map(), () => refusals !== undefined, 'the callback');
      expect(await refusals).toEqual(REFUSED_INSIDE);
      let hasRun = false;
      map().callIn(0, () => (hasRun = true));
      turnUntil(map(), () => hasRun, 'the next turn');
    });

    testWithoutFaults('rule 18: the same in run(), which continues', async () => {
      const all: Promise<string[]>[] = [];
      const tryThenClose = (): void => {
        all.push(attempts(map()));
        map().callIn(0, () => map().close());
      };
      arrange(map(), tryThenClose);
      await map().run();
      expect(all.length).toBe(1);
      expect(await all[0]).toEqual(REFUSED_INSIDE);
    });
  });

  test('rule 18: waiting throws in handleCleanup of a handler closed outside of an iteration', async () => {
    const [left, right] = socketpair();
    const recorder = new Recorder(map(), left);
    let refusals: Promise<string[]> | undefined;
    recorder.handleCleanup = () => {
      refusals = attempts(map());
    };
    recorder.close();
    expect(await refusals).toEqual(REFUSED_INSIDE);
    expect(map().poll(0)).toBe(0);
    right.close();
  });

  test('rule 18: a running map refuses a second wait or run', async () => {
    const echoing = saturate(map());
    const running = map().run();
    expect(await attempts(map())).toEqual(REFUSED_RUNNING);
    await until(() => echoing.count > 10, 'messages');
    expect(await attempts(map())).toEqual(REFUSED_RUNNING);
    map().close();
    await running;
  });

  test('a map whose run() rejected can be waited on again', async () => {
    map().callIn(0, () => {
      throw new Error('the end of it');
    });
    await expect(map().run()).rejects.toThrow('the end of it');
    const echoing = saturate(map());
    turnUntil(map(), () => echoing.count > 10, 'messages');
    map().callIn(0, () => map().close());
    await map().run();
  });

  /** Gets handleError when it is registered with the kernel, before the wait. */
  class Misconfigured extends Recorder {
    override idleTimeoutSeconds = -5;
    act: () => unknown = () => undefined;

    override handleError(error: unknown): void {
      super.handleError(error);
      this.act();
    }
  }

  test('rule 18: waiting throws in a handleError that is called before the wait', () => {
    const handler = new Misconfigured(map(), socketpair()[0]);
    let refusals: Promise<string[]> | undefined;
    handler.act = () => (refusals = attempts(map()));
    map().poll(0);
    expect(handler.events).toEqual([expect.stringMatching(/^error .*idleTimeoutSeconds/)]);
    return expect(refusals).resolves.toEqual(REFUSED_INSIDE);
  });

  test.each(['poll', 'runSync', 'run'] as const)(
    'a map closed in a handleError before the wait returns from it (%s)',
    async (way) => {
      const handler = new Misconfigured(map(), socketpair()[0]);
      handler.act = () => map().close();
      await map()[way]();
      expect(handler.events).toEqual([expect.stringMatching(/^error/), 'cleanup']);
    },
  );
});

onEveryMap('waiting on another map', (map) => {
  test.each([SelectSocketMap, PollSocketMap, EpollSocketMap])(
    'rule 18: is allowed in a callback, and the first map continues: %p',
    async (Other) => {
      const other = new Other();
      const ofOther = saturate(other);
      const ofThis = saturate(map());
      let refusals: Promise<string[]> | undefined;
      map().callIn(0, () => {
        turnUntil(other, () => ofOther.count >= 5, 'messages of the other map');
        other.callIn(0, () => {
          refusals = attempts(map());
          other.close();
        });
        other.runSync();
      });
      turnUntil(map(), () => other.closed && ofThis.count >= 5, 'both maps');
      expect(await refusals).toEqual(REFUSED_INSIDE);
    },
  );

  test('rule 18: is allowed in a callback of run()', async () => {
    const other = new SelectSocketMap();
    const ofOther = saturate(other);
    map().callIn(0, () => {
      turnUntil(other, () => ofOther.count >= 5, 'messages of the other map');
      map().close();
    });
    await map().run();
    expect(ofOther.count).toBeGreaterThanOrEqual(5);
    other.close();
  });
});
