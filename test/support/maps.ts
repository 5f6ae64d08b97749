/** Every map there is: a suite that says `onEveryMap` runs on each of them, a new one included. */
import { candidates, EpollSocketMap } from '../../lib/maps';
import type { SocketMap } from '../../lib';
import { loopOf } from '../../lib/transport/loop';
import { harmlessFaults, SimSocketMap } from '../../lib/testing';

import { useKernel } from './kernels';

/** `test`, for what some maps cannot do: there it is left out. */
interface Exceptions {
  /** The other side lies outside of a simulation: another process, a peer of Node's, no stream. */
  readonly testOnSystem: jest.It;
  /**
   * It counts calls, bytes of a call, or turns, or looks before it has waited. No rule promises
   * that where the kernel takes and gives less than it could, later, or in another order.
   */
  readonly testWithoutFaults: jest.It;
}

type Tests = (map: () => SocketMap, exceptions: Exceptions) => void;

/** Being watched changes nothing. */
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

/** `ASYNCHIA_SEED=…` runs others: that seed, and those after it. */
const FIRST_SEED = Number(process.env['ASYNCHIA_SEED'] ?? 1);
const SEEDS = 3;

/** Under every fault but `EMFILE`, for which a test's own bare sockets could not rest. */
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

/** The same, where that goes for all of it. */
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
