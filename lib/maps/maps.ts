/** The map classes, one a backend, and the choice of the default. */
import { systemKernel } from '../system/system-kernel';

import { BaseSocketMap, type SocketMapOptions } from './socket-map';

/** A map over a backend of the system's kernel, which its class names. */
abstract class SystemSocketMap extends BaseSocketMap {
  /** The name of the mechanism. */
  static readonly backend: string;

  /** Whether the kernel has the mechanism, found out by trying. */
  static get available(): boolean {
    const made = systemKernel.createBackend(this.backend);
    if (typeof made === 'number') return false;
    const result = made.wait(0, new Int32Array(2));
    made.close();
    return result >= 0;
  }

  constructor(options?: SocketMapOptions) {
    super(new.target.backend, options);
  }
}

/** A map over epoll(7), level-triggered. A turn costs time for the descriptors that are ready. */
export class EpollSocketMap extends SystemSocketMap {
  static override readonly backend = 'epoll';
}

/** A map over poll(2). A turn costs time for every descriptor. */
export class PollSocketMap extends SystemSocketMap {
  static override readonly backend = 'poll';
}

/** A map over select(2), for descriptors of any number. A turn costs time up to the highest one. */
export class SelectSocketMap extends SystemSocketMap {
  static override readonly backend = 'select';
}

/** Every map class, the best first. A new backend joins by standing here. */
export const candidates = [EpollSocketMap, PollSocketMap, SelectSocketMap] as const;

/** A map class, as the list of candidates has it. */
export type SocketMapClass = (typeof candidates)[number];

function choose(wanted: string | undefined): SocketMapClass {
  if (wanted !== undefined) {
    const named = candidates.find((candidate) => candidate.backend === wanted);
    if (named === undefined) {
      const names = candidates.map((candidate) => candidate.backend).join(', ');
      throw new RangeError(`ASYNCHIA_MAP must be one of ${names}; got '${wanted}'`);
    }
    if (!named.available) {
      throw new Error(`ASYNCHIA_MAP asks for ${wanted}, which this kernel does not offer`);
    }
    return named;
  }
  const best = candidates.find((candidate) => candidate.available);
  if (best === undefined) throw new Error('this kernel offers neither epoll nor poll nor select');
  return best;
}

/**
 * The best map that is available; the environment variable `ASYNCHIA_MAP` (`select`, `poll` or
 * `epoll`) chooses another.
 */
export const DefaultSocketMap = choose(process.env['ASYNCHIA_MAP']);
export type DefaultSocketMap = InstanceType<SocketMapClass>;
