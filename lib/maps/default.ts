import { EpollSocketMap } from './epoll';
import { PollSocketMap } from './poll';
import { SelectSocketMap } from './select';

/** A map class, as the list of candidates has it. */
export type SocketMapClass = typeof EpollSocketMap | typeof PollSocketMap | typeof SelectSocketMap;

/** Every map there is, the best first. A new one joins by standing here. */
export const candidates: readonly SocketMapClass[] = [
  EpollSocketMap,
  PollSocketMap,
  SelectSocketMap,
];

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
