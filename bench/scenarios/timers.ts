import type { Bench } from '../bench';
import type { Trial } from '../trial';

export function timers(_bench: Bench): Trial[] {
  return [];
}
