/** Random histories: every map calls the callbacks that the model predicts (all rules). */
import fc from 'fast-check';

import type { Handler } from '../../lib';
import { Notifier } from '../../lib';
import { EpollSocketMap } from '../../lib/maps';

import { check } from './check';
import { anyHistory } from './generate';
import { type MapClass, mapClasses } from './real-stage';

const HISTORIES = 300;
const { ASYNCHIA_SEED } = process.env;
const seed = ASYNCHIA_SEED === undefined ? {} : { seed: Number(ASYNCHIA_SEED) };

function playAll(mapClass: MapClass): void {
  fc.assert(
    fc.property(anyHistory, (history) => {
      check(history, mapClass);
    }),
    { numRuns: HISTORIES, includeErrorInReport: true, ...seed },
  );
}

describe('random histories', () => {
  test.each(mapClasses.map((each) => [each.backend, each] as const))(
    '%s behaves like the model (ASYNCHIA_SEED=… repeats a run)',
    (_name, mapClass) => playAll(mapClass),
  );
});

/** Notifiers that break the rules. */
const broken: Readonly<Record<string, Notifier>> = {
  'does not call handleClose': new (class extends Notifier {
    override closeObj(): void {}
  })(),
  'calls handleCleanup twice': new (class extends Notifier {
    override cleanupObj(handler: Handler): void {
      super.cleanupObj(handler);
      super.cleanupObj(handler);
    }
  })(),
  'calls handleRead before handleWrite': new (class extends Notifier {
    override writeObj(handler: Handler): void {
      this.readObj(handler);
      super.writeObj(handler);
    }
  })(),
  'does not call handleDrain': new (class extends Notifier {
    override drainObj(): void {}
  })(),
};

describe('a map that breaks the rules is detected', () => {
  test.each(Object.entries(broken))('a map that %s', (_what, notifier) => {
    class Broken extends EpollSocketMap {
      constructor() {
        super({ notifier });
      }
    }
    expect(() => playAll(Broken)).toThrow('epoll and the model part');
  });
});
