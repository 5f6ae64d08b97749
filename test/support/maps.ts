/** Every map there is: a suite that says `onEveryMap` runs on each of them, a new one included. */
import { candidates, type SocketMapClass } from '../../lib/maps';
import type { SocketMap } from '../../lib';

const available = candidates.filter((candidate) => candidate.available);

/** Describes the same behaviour for every available map. */
export function onEveryMap(behaviour: string, tests: (map: () => SocketMap) => void): void {
  describe.each(available.map((mapClass) => [mapClass.backend, mapClass] as const))(
    `%s: ${behaviour}`,
    (_name: string, mapClass: SocketMapClass) => {
      let map: SocketMap;
      beforeEach(() => {
        map = new mapClass();
      });
      afterEach(() => map.close());
      tests(() => map);
    },
  );
}
