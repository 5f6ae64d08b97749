/** The timers of Node, or whatever runs this. */
import { timeTimers } from './shared/timing';

timeTimers<ReturnType<typeof setTimeout>>({
  arm: (ms, fn) => setTimeout(fn, ms),
  cancel: (timer) => clearTimeout(timer),
  begin() {
    // They run by themselves.
  },
  end() {
    // Nothing is left to wait for.
  },
});
