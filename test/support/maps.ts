/** Every available map: a suite in `onEveryMap` runs on each of them. */
import { candidates, EpollSocketMap } from '../../lib/maps';
import type { SocketMap } from '../../lib';
import { loopOf } from '../../lib/transport/loop';
import { harmlessFaults, SimSocketMap } from '../../lib/testing';

import { useKernel } from './kernels';

/** `test`, skipped on maps that cannot run it. */
interface Exceptions {
  /** Skipped on simulated maps: the peer is another process, a node:net socket, or no stream. */
  readonly testOnSystem: jest.It;
  /**
   * Skipped under faults: it counts calls, bytes of a call, or iterations. No rule promises these
   * when the kernel shortens, delays and reorders transfers.
   */
  readonly testWithoutFaults: jest.It;
}

type Tests = (map: () => SocketMap, exceptions: Exceptions) => void;

/** Observation must not change behaviour. */
class ObservedMap extends EpollSocketMap {
  constructor() {
    super({ observed: true });
  }
}

type Maps = readonly (readonly [string, new () => SocketMap])[];

const ofTheSystem: Maps = [
  ...candidates.filter(({ available }) => available).map((each) => [each.backend, each] as const),
  [`observed ${ObservedMap.backend}`, ObservedMap],
];

const simulated: Maps = [[SimSocketMap.backend, SimSocketMap]];

/** `ASYNCHIA_SEED=…` runs other seeds, starting with this one. */
const FIRST_SEED = Number(process.env['ASYNCHIA_SEED'] ?? 1);
const SEEDS = 3;

/** With every fault but `EMFILE`, which the test's own sockets could not handle. */
const withFaults: Maps = Array.from({ length: SEEDS }, (_, i) => {
  const seed = FIRST_SEED + i;
  return [
    `${SimSocketMap.backend} with faults (seed ${seed})`,
    class Faulty extends SimSocketMap {
      constructor() {
        super({ seed, faults: { ...harmlessFaults, outOfDescriptors: 0 } });
      }
    },
  ];
});

/**
 * Describes the same behaviour for every available map, for one that is observed, for the simulated
 * one, and for that under faults.
 */
export function onEveryMap(behaviour: string, tests: Tests): void {
  onMaps([...ofTheSystem, ...simulated, ...withFaults], behaviour, tests);
}

/** The same on system maps only. */
export function onEverySystemMap(behaviour: string, tests: Tests): void {
  onMaps(ofTheSystem, behaviour, tests);
}

function onMaps(maps: Maps, behaviour: string, tests: Tests): void {
  describe.each(maps)(`%s: ${behaviour}`, (_name: string, mapClass: new () => SocketMap) => {
    let map: SocketMap;
    const isAmong = (maps: Maps): boolean => maps.some(([, each]) => each === mapClass);
    beforeEach(() => {
      map = new mapClass();
      useKernel(map[loopOf].kernel, isAmong(withFaults));
    });
    afterEach(() => {
      map.close();
      useKernel();
    });
    tests(() => map, {
      testOnSystem: isAmong([...simulated, ...withFaults]) ? test.skip : test,
      testWithoutFaults: isAmong(withFaults) ? test.skip : test,
    });
  });
}
