/** Every map there is: a suite that says `onEveryMap` runs on each of them, a new one included. */
import { candidates, EpollSocketMap } from '../../lib/maps';
import type { SocketMap } from '../../lib';

const available = candidates.filter((candidate) => candidate.available);

/** Being watched changes nothing. */
class ObservedMap extends EpollSocketMap {
  constructor() {
    super({ observed: true });
  }
}

const maps: readonly (readonly [string, new () => SocketMap])[] = [
  ...available.map((mapClass) => [mapClass.backend, mapClass] as const),
  [`observed ${ObservedMap.backend}`, ObservedMap],
];

/** Describes the same behaviour for every available map, and for one that is observed. */
export function onEveryMap(behaviour: string, tests: (map: () => SocketMap) => void): void {
  describe.each(maps)(`%s: ${behaviour}`, (_name: string, mapClass: new () => SocketMap) => {
    let map: SocketMap;
    beforeEach(() => {
      map = new mapClass();
    });
    afterEach(() => map.close());
    tests(() => map);
  });
}
