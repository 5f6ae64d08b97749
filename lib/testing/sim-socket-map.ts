import { randomInt } from 'node:crypto';

import { checkFunction, checkInteger } from '../system/arguments';
import type { SocketMapOptions } from '../maps/socket-map';
import { BaseSocketMap } from '../maps/socket-map';
import { constants } from '../system/constants';
import { Socket } from '../sockets/socket';

import { type Faults, faultsFrom } from './faults';
import { SIMULATION_IDLE } from './sim-backend';
import { SimKernel } from './sim-kernel';
import { Simulation } from './simulation';

/** Seeds are integers below this. */
export const SEEDS = 2 ** 32;

/** After so many iterations `runUntilIdle` takes it that the scenario never ends. */
const MOST_TURNS = 100_000;

/** The options of a `SimSocketMap`. */
export interface SimSocketMapOptions extends SocketMapOptions {
  /** Determines every random decision: an integer from 0 to 2³² - 1. Random if omitted. */
  readonly seed?: number;
  /** How often each fault of the kernel and the network happens; a fault left out never does. */
  readonly faults?: Partial<Faults>;
  /**
   * Called with a line for each call of the simulated kernel, in the form of strace(1):
   * `0.000000 socket(2) = 3`.
   */
  readonly trace?: (call: string) => void;
}

/**
 * A map over a simulated kernel, with its own sockets, network and clock. It makes no system call
 * and no wait takes real time: a wait advances the clock to the next event. With the same seed, the
 * same program gets the same callbacks and the same results, call for call.
 *
 * Its sockets are those that its handlers make, and those of `createSocket` and `socketpair`. They
 * cannot connect to another map. Stream sockets of `AF_INET`, `AF_INET6` and `AF_UNIX` are
 * simulated; `localhost` is the only host name. `createWaker` throws a `SystemError` (`ENOSYS`).
 * `poll`, and `runSync`, throw an `Error` with the code `ERR_SIMULATION_IDLE` if they would wait
 * forever.
 */
export class SimSocketMap extends BaseSocketMap {
  /** The name of the mechanism. */
  static readonly backend = 'sim';

  /** The seed. A new map with the same seed repeats every random decision. */
  readonly seed: number;
  readonly #simulation: Simulation;
  readonly #kernel: SimKernel;

  /**
   * Makes a map with a clock at 0 seconds and no sockets.
   *
   * @throws `TypeError` or `RangeError` for an unknown or invalid option.
   */
  constructor(options: SimSocketMapOptions = {}) {
    const { seed = randomInt(SEEDS), faults, trace, ...rest } = options;
    checkInteger('seed', seed, 0, SEEDS - 1);
    if (trace !== undefined) checkFunction('trace', trace);
    const simulation = new Simulation(seed, faultsFrom(faults), trace);
    const kernel = new SimKernel(simulation);
    super(SimSocketMap.backend, rest, kernel);
    this.seed = seed;
    this.#simulation = simulation;
    this.#kernel = kernel;
  }

  /** The simulated time, in seconds since the map was made. `callAt` uses it as the wall clock. */
  get now(): number {
    return this.#simulation.nowMs / 1000;
  }

  /**
   * Makes a simulated stream socket, as `Socket.create` makes a real one.
   *
   * @param family - `AF_INET`, `AF_INET6` or `AF_UNIX` of `constants`.
   * @throws `SystemError`: `EAFNOSUPPORT` for any other family.
   */
  createSocket(family: number = constants.AF_INET): Socket {
    return Socket.createOn(this.#kernel, family);
  }

  /** Makes two connected `AF_UNIX` sockets, as `socketpair()` makes real ones. */
  socketpair(): [Socket, Socket] {
    return Socket.pairOn(this.#kernel);
  }

  /**
   * Polls until no descriptor is ready, nothing is in flight and no timer is set, or the map is
   * closed.
   *
   * @throws `Error` if that takes more than 100,000 iterations, and what an iteration throws: what
   * comes out of `handleError`, of timers and of synchronized calls.
   */
  runUntilIdle(): void {
    try {
      for (let turn = 0; turn < MOST_TURNS && !this.closed; turn++) this.poll();
    } catch (error) {
      if ((error as { code?: unknown } | null)?.code === SIMULATION_IDLE) return;
      throw error;
    }
    if (!this.closed) {
      throw new Error(
        `runUntilIdle: not idle after ${MOST_TURNS} turns (seed ${this.seed}); end what repeats ` +
          'without end, or close the map',
      );
    }
  }

  /** @internal */
  protected override wallSeconds(): number {
    return this.now;
  }
}
