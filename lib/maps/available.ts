import { binding } from '../binding';

/** Tries a backend: made, and waited in for no time. */
export function isAvailable(backend: string): boolean {
  const made = binding.createBackend(backend);
  if (typeof made === 'number') return false;
  const result = made.wait(0, new Int32Array(2));
  made.close();
  return result >= 0;
}
