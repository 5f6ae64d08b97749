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

/** Seeds are whole numbers below this. */
export const SEEDS = 2 ** 32;

/** More turns than any scenario takes that comes to an end. */
const MOST_TURNS = 100_000;

/** How a simulated map is made. */
export interface SimSocketMapOptions extends SocketMapOptions {
  /** Decides all that chance decides: a whole number below 2³². Chosen at random where left out. */
  readonly seed?: number;
  /** What the simulated kernel and network do to the program; nothing where left out. */
  readonly faults?: Partial<Faults>;
  /** Is told of each call of the simulated kernel, in a line as strace(1) would print it. */
  readonly trace?: (call: string) => void;
}

/**
 * A map over a simulated kernel, with sockets and a clock of its own: nothing in it touches the
 * system, and no wait takes real time. Its sockets are those that its handlers make, and what
 * `createSocket` and `socketpair` return; they know nothing of another map's. With the same seed,
 * the same program is told the same, call for call.
 *
 * Streams of `AF_INET`, `AF_INET6` and `AF_UNIX` are simulated. `localhost` is the one name that is
 * known, and `createWaker` throws `ENOSYS`: no other thread can reach in.
 */
export class SimSocketMap extends BaseSocketMap {
  /** The mechanism's name. */
  static readonly backend = 'sim';

  /** What repeats this map's every decision, handed to a new one. */
  readonly seed: number;
  readonly #simulation: Simulation;
  readonly #kernel: SimKernel;

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

  /** The simulated time, in seconds since the map was made. `callAt` takes it for the wall clock's. */
  get now(): number {
    return this.#simulation.nowMs / 1000;
  }

  /** A simulated socket, as `Socket.create` makes a real one. */
  createSocket(family: number = constants.AF_INET): Socket {
    return Socket.createOn(this.#kernel, family);
  }

  /** Two connected sockets (`AF_UNIX`), as `socketpair()` makes real ones. */
  socketpair(): [Socket, Socket] {
    return Socket.pairOn(this.#kernel);
  }

  /**
   * Polls until nothing is ready, nothing is under way and no timer is set, or the map is closed.
   * Throws where that is not so after a hundred thousand turns.
   */
  runUntilIdle(): void {
    try {
      for (let turn = 0; turn < MOST_TURNS && !this.closed; turn++) this.poll();
    } catch (error) {
      if ((error as { code?: unknown } | null)?.code === SIMULATION_IDLE) return;
      throw error;
    }
    if (!this.closed) {
      throw new Error(`runUntilIdle: not idle after ${MOST_TURNS} turns (seed ${this.seed})`);
    }
  }

  /** @internal */
  protected override wallSeconds(): number {
    return this.now;
  }
}
