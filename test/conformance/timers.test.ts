import { type Timer } from '../../lib';
import { SimSocketMap } from '../../lib/testing';
import { saturate } from '../support/echoing';
import { kernel, millisecondsOf } from '../support/kernels';
import { onEveryMap, onEverySystemMap } from '../support/maps';
import { Recorder } from '../support/recorder';
import { linesOf, scriptOn } from '../support/scripts';
import { sendText, socketpair } from '../support/streams';
import { turnUntil, until } from '../support/turns';

onEveryMap('timers', (map, { testWithoutFaults }) => {
  test('rule 11: timers run in the order of their deadlines, never early', () => {
    const delays = [0.03, 0.0001, 0.0101, 0, 0.0042, 0.02, 0.001, 0.0007];
    const ran: { earliest: number; latest: number; at: number }[] = [];
    for (const delay of delays) {
      const before = kernel().monotonicMs();
      map().callIn(delay, () => ran.push({ earliest, latest, at: kernel().monotonicMs() }));
      // The deadline lies between these two times: callIn itself may be preempted.
      const earliest = before + delay * 1000;
      const latest = kernel().monotonicMs() + delay * 1000;
    }
    turnUntil(map(), () => ran.length === delays.length, 'all timers');
    for (const [i, { earliest, at }] of ran.entries()) {
      expect(at).toBeGreaterThanOrEqual(earliest);
      for (const later of ran.slice(i + 1)) {
        expect(later.latest).toBeGreaterThanOrEqual(earliest);
      }
    }
  });

  test('rule 11: a timer never runs early in run()', async () => {
    const start = kernel().monotonicMs();
    map().callIn(0.0305, () => map().close());
    await map().run();
    expect(kernel().monotonicMs() - start).toBeGreaterThanOrEqual(30.5);
  });

  test('rule 11: a deadline in the past is the next turn, in the order of creation', () => {
    const ran: string[] = [];
    map().callIn(0, () => ran.push('now'));
    map().callIn(-5, () => ran.push('five seconds ago'));
    map().callAt(0, () => ran.push('in 1970'));
    map().callAt(-1, () => ran.push('in 1969'));
    map().callIn(-1e300, () => map().callIn(-1, () => ran.push('the turn after')));
    turnUntil(map(), () => ran.length === 5, 'all timers');
    expect(ran).toEqual(['now', 'five seconds ago', 'in 1970', 'in 1969', 'the turn after']);
  });

  test('rule 11: timers due at the same time run in the order of creation', () => {
    const ran: number[] = [];
    for (let i = 0; i < 100; i++) map().callIn(0, () => ran.push(i));
    turnUntil(map(), () => ran.length === 100, 'all timers');
    expect(ran).toEqual(Array.from({ length: 100 }, (_, i) => i));
  });

  testWithoutFaults(
    'rule 11: a timer that re-arms at 0 runs once per iteration, and does not starve I/O',
    () => {
      const [left, right] = socketpair();
      const recorder = new Recorder(map(), left);
      recorder.readBytes = 1;
      sendText(right, 'abcde');
      let runs = 0;
      const rearm = (): void => {
        runs++;
        map().callIn(0, rearm);
      };
      map().callIn(0, rearm);
      for (let turn = 1; turn <= 5; turn++) {
        map().poll();
        expect(runs).toBe(turn);
        expect(recorder.received).toBe('abcde'.slice(0, turn));
      }
      right.close();
    },
  );

  testWithoutFaults(
    'rule 11: in run(), a timer that re-arms at 0 starves neither I/O nor Node',
    async () => {
      const echoing = saturate(map());
      let runs = 0;
      const rearm = (): void => {
        runs++;
        map().callIn(0, rearm);
      };
      rearm();
      const running = map().run();
      await until(() => runs > 1000 && echoing.count > 1000, 'timers and messages');
      map().close();
      await running;
    },
  );

  testWithoutFaults('rule 11: a cancelled timer never runs', () => {
    const ran: string[] = [];
    const second = map().callIn(3600, () => ran.push('second'));
    const fromCall = map().callIn(3600, () => ran.push('from a call'));
    const [left, right] = socketpair();
    const recorder = new Recorder(map(), left);
    const ofRead = map().callIn(0, () => ran.push('from a handler, in the same iteration'));
    recorder.handleRead = () => {
      recorder.read(1);
      ofRead.cancel();
    };
    sendText(right, 'a');
    map().callIn(0, () => {
      second.cancel();
      third.cancel();
    });
    const third = map().callIn(0, () => ran.push('from a timer that is due with it'));
    const last = map().callIn(0, () => ran.push('last'));
    map().callSynchronized(() => fromCall.cancel());
    turnUntil(map(), () => !last.pending, 'the last timer');
    expect(ran).toEqual(['last']);
    expect([second, third, fromCall, ofRead].map((timer) => timer.pending)).not.toContain(true);
    right.close();
  });

  test('a timer reports whether it is pending', () => {
    const timer = map().callIn(0, () => {
      expect(timer.pending).toBe(false);
      timer.cancel();
    });
    expect(timer.pending).toBe(true);
    turnUntil(map(), () => !timer.pending, 'the timer');
    timer.cancel();
    expect(timer.pending).toBe(false);
  });

  const wallMs = (): number => {
    const socketMap = map();
    return socketMap instanceof SimSocketMap ? 1000 * socketMap.now : Date.now();
  };

  test('callAt runs at a wall-clock time, never early', () => {
    const at = wallMs() + 12;
    let ranAt = 0;
    map().callAt(at / 1000, () => (ranAt = wallMs()));
    turnUntil(map(), () => ranAt > 0, 'the timer');
    expect(ranAt).toBeGreaterThanOrEqual(at);
  });

  test('callAt with a time in the past runs in the next iteration', () => {
    let hasRun = false;
    map().callAt(1, () => (hasRun = true));
    expect(hasRun).toBe(false);
    map().poll();
    expect(hasRun).toBe(true);
  });

  test('poll throws what a timer throws, after the other timers have run', () => {
    const ran: string[] = [];
    map().callIn(0, () => {
      throw new Error('from a timer');
    });
    map().callIn(0, () => ran.push('second'));
    expect(() => map().poll()).toThrow('from a timer');
    expect(ran).toEqual(['second']);
    expect(map().poll(0)).toBe(0);
  });

  test('run() rejects with what a timer throws', async () => {
    map().callIn(0, () => {
      throw new Error('from a timer');
    });
    await expect(map().run()).rejects.toThrow('from a timer');
    expect(map().closed).toBe(false);
    expect(map().poll(0)).toBe(0);
  });

  test('timers of many delays, added and cancelled in any order, run when due', () => {
    const ran: number[] = [];
    const wanted: number[] = [];
    const timers: { delay: number; timer: Timer }[] = [];
    for (let i = 0; i < 500; i++) {
      const delay = (((i * 7919) % 500) + 1) / 20_000;
      timers.push({ delay, timer: map().callIn(delay, () => ran.push(delay)) });
    }
    timers.forEach(({ delay, timer }, i) => {
      if (i % 3 === 0) timer.cancel();
      else wanted.push(delay);
    });
    turnUntil(map(), () => ran.length === wanted.length, 'all timers');
    expect([...ran].sort((a, b) => a - b)).toEqual(wanted.sort((a, b) => a - b));
    expect(map().poll(0.03)).toBe(0);
    expect(ran.length).toBe(wanted.length);
  });
});

onEveryMap('callSynchronized and wakeup', (map, { testWithoutFaults }) => {
  test('callSynchronized runs its function in the next iteration, in order', () => {
    const ran: string[] = [];
    map().callSynchronized(() => ran.push('first'));
    map().callSynchronized(() => ran.push('second'));
    expect(ran).toEqual([]);
    expect(map().poll()).toBe(0);
    expect(ran).toEqual(['first', 'second']);
  });

  test('callSynchronized in such a function runs one iteration later', () => {
    let turns = 0;
    const again = (): void => {
      turns++;
      map().callSynchronized(again);
    };
    map().callSynchronized(again);
    for (let turn = 1; turn <= 3; turn++) {
      map().poll();
      expect(turns).toBe(turn);
    }
  });

  testWithoutFaults('calls and timers added by a handler run in the next iteration', () => {
    const ran: string[] = [];
    const [left, right] = socketpair();
    const recorder = new Recorder(map(), left);
    recorder.handleRead = () => {
      recorder.read(1);
      ran.push('read');
      map().callIn(0, () => ran.push('timer'));
      map().callSynchronized(() => ran.push('call'));
    };
    sendText(right, 'a');
    map().poll();
    expect(ran).toEqual(['read']);
    turnUntil(map(), () => ran.length === 3, 'a timer and a call');
    expect(ran).toEqual(['read', 'timer', 'call']);
    right.close();
  });

  test('poll throws what a function throws, after the others are called', () => {
    const ran: string[] = [];
    map().callSynchronized(() => {
      throw new Error('first');
    });
    map().callSynchronized(() => {
      ran.push('second');
      throw new Error('third');
    });
    expect(() => map().poll()).toThrow(AggregateError);
    expect(ran).toEqual(['second']);
    expect(map().poll(0)).toBe(0);
  });

  test('callSynchronized wakes an idle run(), from a Node timer and from a promise', async () => {
    const ran: string[] = [];
    const running = map().run();
    setTimeout(() => map().callSynchronized(() => ran.push('from Node')), 5);
    await until(() => ran.length === 1, 'a call');
    map().callSynchronized(() => {
      void Promise.resolve().then(() => map().callSynchronized(() => map().close()));
    });
    await running;
    expect(ran).toEqual(['from Node']);
  });

  test('wakeup makes only the next wait return at once', () => {
    map().wakeup();
    map().wakeup();
    expect(map().poll()).toBe(0);
    expect(millisecondsOf(() => map().poll(0.02))).toBeGreaterThanOrEqual(20);
  });

  test('wakeup in a callback makes the next wait return at once', () => {
    map().callIn(0, () => map().wakeup());
    map().poll();
    expect(map().poll()).toBe(0);
  });

  test('a timer added while run() waits runs in time', async () => {
    const running = map().run();
    setTimeout(() => map().callIn(0.003, () => map().close()), 5);
    await running;
    expect(map().closed).toBe(true);
  });
});

onEverySystemMap('runSync', (map) => {
  test('runSync owns the thread until the map is closed, and runs timers and calls', async () => {
    const program = scriptOn(
      map(),
      `
      const map = new DefaultSocketMap();
      setTimeout(() => say('Node goes on'), 0);
      const echoing = saturate(map);
      map.callSynchronized(() => say('called'));
      map.callIn(0.02, function look() {
        if (echoing.count === 0) return void map.callIn(0, look);
        say('echoed');
        map.close();
      });
      map.runSync();
      say('closed ' + map.closed);
    `,
    );
    expect(await linesOf(program)).toEqual(['called', 'echoed', 'closed true', 'Node goes on']);
  });
});
