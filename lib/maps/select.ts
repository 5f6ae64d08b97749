import type { SocketMapOptions } from '../loop/socket-map';
import { BaseSocketMap } from '../loop/socket-map';

import { isAvailable } from './available';

/** A map over select(2), for descriptors of any number. Each turn costs time for the highest descriptor. */
export class SelectSocketMap extends BaseSocketMap {
  /** The mechanism's name. */
  static readonly backend = 'select';

  /** Whether the kernel has it, found out by trying. */
  static get available(): boolean {
    return isAvailable(this.backend);
  }

  constructor(options?: SocketMapOptions) {
    super(SelectSocketMap.backend, options);
  }
}
