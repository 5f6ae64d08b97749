/** Timers of a map. */
import type { Timer } from 'asynchia';
import { DefaultSocketMap } from 'asynchia/maps';

import { timeTimers } from './shared/timing';

const map = new DefaultSocketMap();
timeTimers<Timer>({
  arm: (ms, fn) => map.callIn(ms / 1000, fn),
  cancel: (timer) => timer.cancel(),
  begin: () => void map.run(),
  end: () => map.close(),
});
