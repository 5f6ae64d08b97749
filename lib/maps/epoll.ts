import type { SocketMapOptions } from '../loop/socket-map';
import { BaseSocketMap } from '../loop/socket-map';

import { isAvailable } from './available';

/** A map over epoll(7), level-triggered. A turn costs time only for the descriptors that are ready. */
export class EpollSocketMap extends BaseSocketMap {
  /** The mechanism's name. */
  static readonly backend = 'epoll';

  /** Whether the kernel has it, found out by trying. */
  static get available(): boolean {
    return isAvailable(this.backend);
  }

  constructor(options?: SocketMapOptions) {
    super(EpollSocketMap.backend, options);
  }
}
