/**
 * The backend of a simulated map: its waits advance the simulated clock until something is ready.
 */
import type { LoopBackend } from '../system/kernel';
import { Control } from '../system/kernel';
import { POLLERR, POLLHUP, POLLNVAL, readinessText } from '../system/readiness';

import { Errno, type Description } from './description';
import type { Simulation } from './simulation';

/** The `code` of the error for a wait that would never end. */
export const SIMULATION_IDLE = 'ERR_SIMULATION_IDLE';

/** How often an idle simulation under `run()` checks whether Node's callbacks gave it work. */
const IDLE_CHECK_MS = 1;

/** A backend without system calls. */
export class SimBackend implements LoopBackend {
  readonly name = 'sim';
  readonly #simulation: Simulation;
  readonly #descriptionOf: (fd: number) => Description | undefined;
  /** The mask of each registered descriptor. */
  readonly #masks = new Map<number, number>();
  /** Whether Node's loop does the waiting. */
  #isJoined = false;
  /** The next iteration, scheduled in Node's loop. */
  #nextIteration: NodeJS.Immediate | NodeJS.Timeout | undefined = undefined;

  /** `descriptionOf` returns undefined for a descriptor that is not open. */
  constructor(simulation: Simulation, descriptionOf: (fd: number) => Description | undefined) {
    this.#simulation = simulation;
    this.#descriptionOf = descriptionOf;
  }

  add(fd: number, mask: number): number {
    if (this.#descriptionOf(fd) === undefined) return -Errno.EBADF;
    if (this.#masks.has(fd)) return -Errno.EEXIST;
    this.#masks.set(fd, mask);
    return 0;
  }

  modify(fd: number, mask: number): number {
    if (!this.#masks.has(fd)) return -Errno.ENOENT;
    this.#masks.set(fd, mask);
    return 0;
  }

  remove(fd: number): number {
    return this.#masks.delete(fd) ? 0 : -Errno.ENOENT;
  }

  /** Throws if the wait has no limit and nothing will ever be ready. */
  wait(timeoutMs: number, ready: Int32Array): number {
    const simulation = this.#simulation;
    const endMs = timeoutMs < 0 ? Infinity : laterBy(simulation.nowMs, timeoutMs);
    const count = this.#waitUntil(endMs, ready);
    if (count > 0 || endMs < Infinity) return count;
    const error = new Error(
      `after ${simulation.nowMs / 1000} s the simulation stands still: the wait would never end, ` +
        'because no descriptor is ready, nothing is in flight and no timer is set; poll with a ' +
        `number of seconds, or use runUntilIdle (seed ${simulation.seed})`,
    );
    throw Object.assign(error, { code: SIMULATION_IDLE });
  }

  joinLoop(
    ready: Int32Array,
    control: Float64Array,
    prepare: () => void,
    dispatch: (count: number) => void,
  ): number {
    const iterate = (): void => {
      if (control[Control.hasChanges] !== 0) prepare();
      // A callback of `prepare` may have closed the map.
      if (!this.#isJoined) return;
      const turnAtMs = control[Control.turnAtMs] ?? Infinity;
      const count = this.#waitUntil(turnAtMs, ready);
      // Idle: only Node's own callbacks can give the map work.
      const isIdle = count === 0 && turnAtMs === Infinity;
      if (isIdle) this.#nextIteration = setTimeout(iterate, IDLE_CHECK_MS);
      else this.#nextIteration = setImmediate(iterate);
      if (!isIdle) dispatch(count);
    };
    this.#isJoined = true;
    this.#nextIteration = setImmediate(iterate);
    return 0;
  }

  leaveLoop(): void {
    this.#isJoined = false;
    clearTimeout(this.#nextIteration as NodeJS.Timeout);
    clearImmediate(this.#nextIteration as NodeJS.Immediate);
  }

  close(): void {
    this.#masks.clear();
  }

  /**
   * Advances the clock until something is ready, and fills `ready`. Returns 0 if `endMs` comes
   * first, or if it is infinite and nothing is scheduled.
   */
  #waitUntil(endMs: number, ready: Int32Array): number {
    const simulation = this.#simulation;
    for (;;) {
      const count = this.#collect(ready);
      if (count > 0 || simulation.nowMs >= endMs) {
        simulation.passWaitCost();
        return count;
      }
      const nextAtMs = Math.min(endMs, simulation.nextAtMs);
      if (nextAtMs === Infinity) return 0;
      simulation.advanceTo(nextAtMs);
    }
  }

  /** Fills `ready` with what is ready now, and returns how many descriptors that are. */
  #collect(ready: Int32Array): number {
    const { random, faults } = this.#simulation;
    let found: (readonly [fd: number, bits: number])[] = [];
    for (const [fd, mask] of this.#masks) {
      const bits = this.#descriptionOf(fd)?.readiness() ?? POLLNVAL;
      const reported = bits & (mask | POLLERR | POLLHUP | POLLNVAL);
      if (reported !== 0) found.push([fd, reported]);
    }
    if (found.length > 1 && random.chance(faults.reordering)) found = random.shuffled(found);
    const isCut = 2 * found.length > ready.length;
    const events = found.slice(0, ready.length / 2);
    if (events.length > 0) this.#simulation.traceCall('wait', [], events.map(eventText).join(', '));
    for (const [i, [fd, bits]] of events.entries()) {
      ready[2 * i] = fd;
      ready[2 * i + 1] = bits;
      // If `ready` has no room for all, the reported ones come last in the next wait.
      if (isCut) this.#moveToEnd(fd);
    }
    return events.length;
  }

  /** Moves a descriptor to the end of the order in which descriptors are reported. */
  #moveToEnd(fd: number): void {
    const mask = this.#masks.get(fd) ?? 0;
    this.#masks.delete(fd);
    this.#masks.set(fd, mask);
  }
}

/** `3 POLLIN|POLLHUP`, for the trace. */
function eventText([fd, bits]: readonly [fd: number, bits: number]): string {
  return `${fd} ${readinessText(bits)}`;
}

/** A sum of times. Rounded up if floating-point rounding would make it too early. */
function laterBy(ms: number, byMs: number): number {
  const sum = ms + byMs;
  return sum - ms < byMs ? sum * (1 + Number.EPSILON) : sum;
}
