/** How a simulated map waits: it looks what is ready, and lets time pass until something is. */
import type { LoopBackend } from '../system/kernel';
import { Control } from '../system/kernel';
import {
  POLLERR,
  POLLHUP,
  POLLIN,
  POLLNVAL,
  POLLOUT,
  POLLPRI,
  POLLRDHUP,
} from '../system/readiness';

import { Errno, type Description } from './description';
import type { Simulation } from './simulation';

/** The `code` of the error for a wait that has no end. */
export const SIMULATION_IDLE = 'ERR_SIMULATION_IDLE';

/** As the trace calls them. */
const BITS = { POLLIN, POLLPRI, POLLOUT, POLLERR, POLLHUP, POLLNVAL, POLLRDHUP } as const;

/** How soon an idle simulation that shares Node's loop looks whether Node has brought it something. */
const REST_MS = 1;

export class SimBackend implements LoopBackend {
  readonly name = 'sim';
  readonly #simulation: Simulation;
  readonly #describe: (fd: number) => Description | undefined;
  readonly #watched = new Map<number, number>();
  #isJoined = false;
  /** The next turn, as Node's loop has it. */
  #inNode: NodeJS.Immediate | NodeJS.Timeout | undefined = undefined;

  constructor(simulation: Simulation, describe: (fd: number) => Description | undefined) {
    this.#simulation = simulation;
    this.#describe = describe;
  }

  add(fd: number, mask: number): number {
    if (this.#describe(fd) === undefined) return -Errno.EBADF;
    if (this.#watched.has(fd)) return -Errno.EEXIST;
    this.#watched.set(fd, mask);
    return 0;
  }

  modify(fd: number, mask: number): number {
    if (!this.#watched.has(fd)) return -Errno.ENOENT;
    this.#watched.set(fd, mask);
    return 0;
  }

  remove(fd: number): number {
    return this.#watched.delete(fd) ? 0 : -Errno.ENOENT;
  }

  /** Throws where nothing will ever be ready, and the wait has no end. */
  wait(timeoutMs: number, ready: Int32Array): number {
    const simulation = this.#simulation;
    const endMs = timeoutMs < 0 ? Infinity : laterBy(simulation.nowMs, timeoutMs);
    const count = this.#waitUntil(endMs, ready);
    if (count > 0 || endMs < Infinity) return count;
    const error = new Error(
      `at ${simulation.nowMs / 1000} s the simulation stands still: nothing is ready, nothing is ` +
        `under way, and no timer is set (seed ${simulation.seed})`,
    );
    throw Object.assign(error, { code: SIMULATION_IDLE });
  }

  joinLoop(
    ready: Int32Array,
    control: Float64Array,
    prepare: () => void,
    dispatch: (count: number) => void,
  ): number {
    const turn = (): void => {
      if (control[Control.hasChanges] !== 0) prepare();
      // What it had to tell may have closed the map.
      if (!this.#isJoined) return;
      const turnAtMs = control[Control.turnAtMs] ?? Infinity;
      const count = this.#waitUntil(turnAtMs, ready);
      // Idle: only Node can go on from here.
      const isIdle = count === 0 && turnAtMs === Infinity;
      if (isIdle) this.#inNode = setTimeout(turn, REST_MS);
      else this.#inNode = setImmediate(turn);
      if (!isIdle) dispatch(count);
    };
    this.#isJoined = true;
    this.#inNode = setImmediate(turn);
    return 0;
  }

  leaveLoop(): void {
    this.#isJoined = false;
    clearTimeout(this.#inNode as NodeJS.Timeout);
    clearImmediate(this.#inNode as NodeJS.Immediate);
  }

  close(): void {
    this.#watched.clear();
  }

  /** Fills `ready`; 0 where `endMs` comes first, or, being infinite, nothing ever does. */
  #waitUntil(endMs: number, ready: Int32Array): number {
    const simulation = this.#simulation;
    for (;;) {
      const count = this.#collect(ready);
      if (count > 0 || simulation.nowMs >= endMs) {
        simulation.look();
        return count;
      }
      const nextAtMs = Math.min(endMs, simulation.nextAtMs);
      if (nextAtMs === Infinity) return 0;
      simulation.advanceTo(nextAtMs);
    }
  }

  #collect(ready: Int32Array): number {
    const { random, faults } = this.#simulation;
    let found: (readonly [fd: number, bits: number])[] = [];
    for (const [fd, mask] of this.#watched) {
      const bits = this.#describe(fd)?.readiness() ?? POLLNVAL;
      const told = bits & (mask | POLLERR | POLLHUP | POLLNVAL);
      if (told !== 0) found.push([fd, told]);
    }
    if (found.length > 1 && random.chance(faults.reordering)) found = random.shuffled(found);
    const isCut = 2 * found.length > ready.length;
    const reported = found.slice(0, ready.length / 2);
    if (reported.length > 0) this.#simulation.tell('wait', [], reported.map(shown).join(', '));
    for (const [i, [fd, bits]] of reported.entries()) {
      ready[2 * i] = fd;
      ready[2 * i + 1] = bits;
      // Where there is not room for all, these come last the next time.
      if (isCut) this.#toTheEnd(fd);
    }
    return reported.length;
  }

  #toTheEnd(fd: number): void {
    const mask = this.#watched.get(fd) ?? 0;
    this.#watched.delete(fd);
    this.#watched.set(fd, mask);
  }
}

function shown([fd, bits]: readonly [fd: number, bits: number]): string {
  const names = Object.entries(BITS).filter(([, bit]) => bits & bit);
  return `${fd} ${names.map(([name]) => name).join('|')}`;
}

/** Never early by a rounding of floating-point numbers. */
function laterBy(ms: number, byMs: number): number {
  const sum = ms + byMs;
  return sum - ms < byMs ? sum * (1 + Number.EPSILON) : sum;
}
