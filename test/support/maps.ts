/** Every map there is: a suite that says `onEveryMap` runs on each of them, a new one included. */
import { candidates, EpollSocketMap } from '../../lib/maps';
import type { SocketMap } from '../../lib';
import { registry } from '../../lib/handlers/handler-state';
import { SimSocketMap } from '../../lib/testing';

import { useKernel } from './kernels';

type Tests = (map: () => SocketMap, testOnSystem: jest.It) => void;

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

/**
 * Describes the same behaviour for every available map, for one that is observed and for the
 * simulated one. `testOnSystem` is for a test whose other side lies outside of a simulation: another
 * process, a peer of Node's, a descriptor that is no stream.
 */
export function onEveryMap(behaviour: string, tests: Tests): void {
  onMaps([...ofTheSystem, [SimSocketMap.backend, SimSocketMap]], behaviour, tests);
}

/** The same, where that goes for all of it. */
export function onEverySystemMap(behaviour: string, tests: Tests): void {
  onMaps(ofTheSystem, behaviour, tests);
}

function onMaps(maps: Maps, behaviour: string, tests: Tests): void {
  describe.each(maps)(`%s: ${behaviour}`, (_name: string, mapClass: new () => SocketMap) => {
    let map: SocketMap;
    beforeEach(() => {
      map = new mapClass();
      useKernel(map[registry].kernel);
    });
    afterEach(() => {
      map.close();
      useKernel();
    });
    tests(() => map, mapClass === SimSocketMap ? test.skip : test);
  });
}
