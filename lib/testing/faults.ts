/** The faults of a simulated kernel and network, and how often they happen. */
import { checkOptions, rangeError, typeError } from '../system/arguments';

/**
 * The faults of a `SimSocketMap`. Each value is a probability, from 0 (never) to 1 (whenever it is
 * possible).
 */
export interface Faults {
  /** A read returns fewer bytes than have arrived. */
  readonly shortReads: number;
  /** A write takes fewer bytes than the send buffer has room for. */
  readonly shortWrites: number;
  /** A read, write or accept would block although the descriptor is ready; never twice in a row. */
  readonly wouldBlock: number;
  /**
   * Sent bytes, connection attempts and name look-ups are delayed by 1 to 100 ms, bytes in order.
   */
  readonly delays: number;
  /** A wait reports the ready descriptors in a random order. */
  readonly reordering: number;
  /** `accept` fails with `EMFILE`: no free descriptor; never twice in a row. */
  readonly outOfDescriptors: number;
  /** A send breaks the connection: both ends get a reset, and bytes in flight are lost. */
  readonly resets: number;
}

/** No faults. */
export const noFaults: Faults = {
  shortReads: 0,
  shortWrites: 0,
  wouldBlock: 0,
  delays: 0,
  reordering: 0,
  outOfDescriptors: 0,
  resets: 0,
};

/**
 * Every fault but `resets`, often. A correct program works under them as without them: no
 * connection is lost, and every byte arrives. The default of `simulate`.
 */
export const harmlessFaults: Faults = {
  shortReads: 0.5,
  shortWrites: 0.5,
  wouldBlock: 0.2,
  delays: 0.5,
  reordering: 0.5,
  outOfDescriptors: 0.2,
  resets: 0,
};

/** Checks a `faults` option. A fault that it leaves out never happens. */
export function faultsFrom(option: unknown = {}): Faults {
  checkOptions(option, Object.keys(noFaults), 'faults');
  for (const [name, value] of Object.entries(option)) {
    const expected = 'a number from 0 to 1';
    if (typeof value !== 'number') throw typeError(`faults.${name}`, value, expected);
    if (!(value >= 0 && value <= 1)) throw rangeError(`faults.${name}`, value, expected);
  }
  return { ...noFaults, ...option };
}
