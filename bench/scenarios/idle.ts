import type { Bench } from '../bench';
import type { Trial } from '../trial';

export function idle(_bench: Bench): Trial[] {
  return [];
}
