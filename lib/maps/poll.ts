import type { SocketMapOptions } from '../loop/socket-map';
import { BaseSocketMap } from '../loop/socket-map';

import { isAvailable } from './available';

/** A map over poll(2). Each turn costs time for every descriptor. */
export class PollSocketMap extends BaseSocketMap {
  /** The mechanism's name. */
  static readonly backend = 'poll';

  /** Whether the kernel has it, found out by trying. */
  static get available(): boolean {
    return isAvailable(this.backend);
  }

  constructor(options?: SocketMapOptions) {
    super(PollSocketMap.backend, options);
  }
}
