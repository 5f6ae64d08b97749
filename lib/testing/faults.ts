/** What a kernel and a network may do to a program, and how often the simulated ones do it. */
import { checkOptions, rangeError, typeError } from '../system/arguments';

/** Probabilities, from 0 (never) to 1 (whenever it is possible). */
export interface Faults {
  /** A read brings fewer bytes than have come. */
  readonly shortReads: number;
  /** A write takes fewer bytes than there is room for. */
  readonly shortWrites: number;
  /** A read, write or accept would block although readiness was reported; never twice in a row. */
  readonly wouldBlock: number;
  /** What is sent, or asked of the network, arrives up to 100 ms later; within a connection, in order. */
  readonly delays: number;
  /** What is ready in a turn is reported in another order. */
  readonly reordering: number;
  /** `accept` finds no free descriptor (`EMFILE`); never twice in a row. */
  readonly outOfDescriptors: number;
  /** Something is sent, and the connection breaks: both ends get a reset, what was under way is lost. */
  readonly resets: number;
}

/** None: a kernel and a network at their best. */
export const noFaults: Faults = {
  shortReads: 0,
  shortWrites: 0,
  wouldBlock: 0,
  delays: 0,
  reordering: 0,
  outOfDescriptors: 0,
  resets: 0,
};

/** All that no correct program lets its users notice: everything but resets, often. */
export const harmlessFaults: Faults = {
  shortReads: 0.5,
  shortWrites: 0.5,
  wouldBlock: 0.2,
  delays: 0.5,
  reordering: 0.5,
  outOfDescriptors: 0.2,
  resets: 0,
};

/** Reads a `faults` option; what it leaves out never happens. */
export function faultsFrom(option: unknown = {}): Faults {
  checkOptions(option, Object.keys(noFaults));
  for (const [name, value] of Object.entries(option)) {
    if (typeof value !== 'number') throw typeError(`faults.${name}`, value, 'a probability');
    if (!(value >= 0 && value <= 1)) throw rangeError(`faults.${name}`, value, 'from 0 to 1');
  }
  return { ...noFaults, ...option };
}
