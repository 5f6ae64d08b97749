/** Random histories: every map tells what the model says, whatever befalls it (rule 19, and all). */
import fc from 'fast-check';

import type { Handler } from '../../lib';
import { Notifier } from '../../lib';
import { EpollSocketMap } from '../../lib/maps';

import { check } from './check';
import { anyHistory } from './generate';
import { type MapClass, mapClasses } from './life';

const HISTORIES = 300;
const { ASYNCHIA_SEED } = process.env;
const seed = ASYNCHIA_SEED === undefined ? {} : { seed: Number(ASYNCHIA_SEED) };

function live(mapClass: MapClass): void {
  fc.assert(
    fc.property(anyHistory, (history) => {
      check(history, mapClass);
    }),
    { numRuns: HISTORIES, includeErrorInReport: true, ...seed },
  );
}

describe('random histories', () => {
  test.each(mapClasses.map((each) => [each.backend, each] as const))(
    '%s does what the model says (ASYNCHIA_SEED=… lives the same again)',
    (_name, mapClass) => live(mapClass),
  );
});

/** Maps that do not keep the rules, each by what stands between them and their handlers. */
const broken: Readonly<Record<string, Notifier>> = {
  'forgets to tell the end': new (class extends Notifier {
    override closeObj(): void {}
  })(),
  'tells the cleanup twice': new (class extends Notifier {
    override cleanupObj(handler: Handler): void {
      super.cleanupObj(handler);
      super.cleanupObj(handler);
    }
  })(),
  'tells of reading where there is room to write': new (class extends Notifier {
    override writeObj(handler: Handler): void {
      this.readObj(handler);
      super.writeObj(handler);
    }
  })(),
  'forgets a drain': new (class extends Notifier {
    override drainObj(): void {}
  })(),
};

describe('a map that breaks the rules is found out', () => {
  test.each(Object.entries(broken))('one that %s', (_what, notifier) => {
    class Broken extends EpollSocketMap {
      constructor() {
        super({ notifier });
      }
    }
    expect(() => live(Broken)).toThrow('epoll and the model part');
  });
});
