/** What a simulated descriptor stands for, as the kernel's open file descriptions do. */
import os from 'node:os';

import { POLLIN } from '../system/readiness';

/** Positive numbers, as the kernel's own code has them. */
export const Errno = os.constants.errno;

export interface Description {
  /** What poll(2) would say of it, whatever it is asked for. */
  readiness(): number;
  /** The descriptor is closed. */
  close(): void;
}

/** An eventfd(2) that is only ever waited for. */
export class Wakeup implements Description {
  isWritten = false;

  readiness(): number {
    return this.isWritten ? POLLIN : 0;
  }

  close(): void {
    this.isWritten = false;
  }
}
