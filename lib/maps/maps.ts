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

  /**
   * Makes an open map without handlers.
   *
   * @throws `TypeError` or `RangeError` for an option; `SystemError` if the kernel does not offer
   * the mechanism (see `available`), or has no free descriptor for it.
   */
  constructor(options?: SocketMapOptions) {
    super(new.target.backend, options);
  }
}

/** A map over epoll(7), level-triggered. An iteration costs time for the ready descriptors only. */
export class EpollSocketMap extends SystemSocketMap {
  /** The name of the mechanism. */
  static override readonly backend = 'epoll';
}

/** A map over poll(2). An iteration costs time for every registered descriptor. */
export class PollSocketMap extends SystemSocketMap {
  /** The name of the mechanism. */
  static override readonly backend = 'poll';
}

/**
 * A map over select(2), also for descriptors above 1023. An iteration costs time up to the highest
 * descriptor.
 */
export class SelectSocketMap extends SystemSocketMap {
  /** The name of the mechanism. */
  static override readonly backend = 'select';
}

/** All map classes, the best first. `DefaultSocketMap` is the first that is available. */
export const candidates = [EpollSocketMap, PollSocketMap, SelectSocketMap] as const;

/** One of the map classes. */
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
 * The best map class that the kernel offers: epoll, then poll, then select. The environment
 * variable `ASYNCHIA_MAP` (`select`, `poll` or `epoll`) chooses another; an unknown or unavailable
 * name throws when the package is loaded.
 */
export const DefaultSocketMap = choose(process.env['ASYNCHIA_MAP']);
export type DefaultSocketMap = InstanceType<SocketMapClass>;
