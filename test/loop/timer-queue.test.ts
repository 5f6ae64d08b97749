/** TimerQueue against a model: a list that is sorted each time. */
import fc from 'fast-check';

import type { Timer } from '../../lib';
import { TimerQueue } from '../../lib/loop/timers';

/** What a timer does when it runs, besides being recorded. */
type Act =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'add'; readonly inMs: number }
  | { readonly kind: 'cancel'; readonly index: number };

type Step =
  | { readonly kind: 'add'; readonly atMs: number; readonly act: Act }
  | { readonly kind: 'cancel'; readonly index: number }
  | { readonly kind: 'run'; readonly nowMs: number }
  | { readonly kind: 'clear' };

/** Few values, so that many are equal. */
const time = fc.oneof(fc.nat(20), fc.constantFrom(0, 0.5, Infinity));
const index = fc.nat(100);

const act: fc.Arbitrary<Act> = fc.oneof(
  fc.constant<Act>({ kind: 'nothing' }),
  // Never in the past: `callIn` ensures it.
  time.map((inMs): Act => ({ kind: 'add', inMs })),
  index.map((each): Act => ({ kind: 'cancel', index: each })),
);

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('add'), atMs: time, act }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('cancel'), index }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('run'), nowMs: fc.nat(25) }) },
  { weight: 1, arbitrary: fc.constant<Step>({ kind: 'clear' }) },
);

interface Entry {
  readonly id: number;
  readonly atMs: number;
  readonly act: Act;
}

/** The simplest implementation of a timer queue. */
class Model {
  readonly log: number[] = [];
  #waiting: Entry[] = [];
  #nextId = 0;

  get nextAtMs(): number {
    return Math.min(Infinity, ...this.#waiting.map(({ atMs }) => atMs));
  }

  isPending(id: number): boolean {
    return this.#waiting.some((entry) => entry.id === id);
  }

  add(atMs: number, then: Act): void {
    this.#waiting.push({ id: this.#nextId++, atMs, act: then });
  }

  cancel(wanted: number): void {
    this.#waiting = this.#waiting.filter(({ id }) => id !== wanted % this.#nextId);
  }

  clear(): void {
    this.#waiting = [];
  }

  run(nowMs: number): void {
    const end = this.#nextId;
    const due = this.#waiting
      .filter((entry) => entry.atMs <= nowMs)
      .sort((a, b) => a.atMs - b.atMs || a.id - b.id);
    for (const entry of due) {
      // Another timer of the batch may have cancelled it.
      if (!this.isPending(entry.id) || entry.id >= end) continue;
      this.cancel(entry.id);
      this.log.push(entry.id);
      if (entry.act.kind === 'add') this.add(nowMs + entry.act.inMs, { kind: 'nothing' });
      if (entry.act.kind === 'cancel') this.cancel(entry.act.index);
    }
  }
}

/** The same steps on TimerQueue. */
class Real {
  readonly log: number[] = [];
  readonly queue = new TimerQueue();
  readonly timers: Timer[] = [];
  #nowMs = 0;

  add(atMs: number, then: Act): void {
    const id = this.timers.length;
    const fn = (): void => {
      this.log.push(id);
      if (then.kind === 'add') this.add(this.#nowMs + then.inMs, { kind: 'nothing' });
      if (then.kind === 'cancel') this.cancel(then.index);
    };
    this.timers.push(this.queue.add(atMs, fn));
  }

  cancel(wanted: number): void {
    this.timers[wanted % this.timers.length]?.cancel();
  }

  run(nowMs: number): void {
    this.#nowMs = nowMs;
    this.queue.runDue(nowMs, this.queue.nextSequence, (fn) => fn());
  }
}

/** Runs all timers, at a time when all are due. */
function runAll(queue: TimerQueue): void {
  queue.runDue(100, queue.nextSequence, (fn) => fn());
}

describe('TimerQueue', () => {
  test('behaves like a sorted list', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const model = new Model();
        const real = new Real();
        for (const each of steps) {
          for (const one of [model, real]) {
            if (each.kind === 'add') one.add(each.atMs, each.act);
            if (each.kind === 'cancel') one.cancel(each.index);
            if (each.kind === 'run') one.run(each.nowMs);
          }
          if (each.kind === 'clear') {
            model.clear();
            real.queue.clear();
          }
          expect(real.log).toEqual(model.log);
          expect(real.queue.nextAtMs).toBe(model.nextAtMs);
          expect(real.timers.map(({ pending }) => pending)).toEqual(
            real.timers.map((_, id) => model.isPending(id)),
          );
        }
      }),
      { numRuns: 500 },
    );
  });

  test('rule 11: timers with the same deadline run in the order of creation', () => {
    const real = new Real();
    for (let i = 0; i < 50; i++) real.add(7, { kind: 'nothing' });
    real.run(7);
    expect(real.log).toEqual(Array.from({ length: 50 }, (_, i) => i));
  });

  test('rule 11: a timer added while others run waits for the next run', () => {
    const queue = new TimerQueue();
    let runs = 0;
    const again = (): void => {
      runs++;
      queue.add(0, again);
    };
    queue.add(0, again);
    runAll(queue);
    expect(runs).toBe(1);
    runAll(queue);
    expect(runs).toBe(2);
  });

  test('a timer added since the start of an iteration waits for the next', () => {
    const real = new Real();
    real.add(1, { kind: 'nothing' });
    const end = real.queue.nextSequence;
    real.add(1, { kind: 'nothing' });
    real.queue.runDue(5, end, (fn) => fn());
    expect(real.log).toEqual([0]);
    runAll(real.queue);
    expect(real.log).toEqual([0, 1]);
  });

  test('a timer that throws is removed, and the others stay', () => {
    const queue = new TimerQueue();
    const ran: string[] = [];
    queue.add(1, () => {
      throw new Error('first');
    });
    queue.add(2, () => ran.push('second'));
    expect(() => runAll(queue)).toThrow('first');
    runAll(queue);
    expect(ran).toEqual(['second']);
  });
});
