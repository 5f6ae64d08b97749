/** What a simulated descriptor refers to: the kernel's open file description (open(2)). */
import os from 'node:os';

import { POLLIN } from '../system/readiness';

/** Error numbers, positive as in errno(3). */
export const Errno = os.constants.errno;

/** An open file description. */
export interface Description {
  /** All readiness bits of poll(2) that hold now, whatever the mask. */
  readiness(): number;
  /** The descriptor was closed. */
  close(): void;
}

/** An eventfd(2): readable from a write until it is drained. */
export class Wakeup implements Description {
  /** Whether something was written since it was drained last. */
  isWritten = false;

  readiness(): number {
    return this.isWritten ? POLLIN : 0;
  }

  close(): void {
    this.isWritten = false;
  }
}
