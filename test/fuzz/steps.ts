/** The steps of a run: calls, each with its text for the trace. */
import util from 'node:util';

import fc from 'fast-check';

import { hostileArguments, unwrap } from './values';

export interface Step {
  readonly title: () => string;
  readonly run: () => void;
}

export type Callable = (this: unknown, ...args: unknown[]) => unknown;

/** An interface to fuzz: its random steps, and how to end what they left running. */
export interface Face {
  readonly steps: fc.Arbitrary<Step>;
  end(): void;
}

/** Any function of the table, with arguments of its kinds. */
export function anyCall(
  table: Readonly<Record<string, readonly fc.Arbitrary<unknown>[]>>,
  call: (name: string, args: unknown[]) => void,
): fc.Arbitrary<Step> {
  return fc.constantFrom(...Object.keys(table)).chain((name) =>
    hostileArguments(table[name] ?? []).map((args) => ({
      title: () => `${name}(${args.map(shown).join(', ')})`,
      run: () => call(name, unwrap(args)),
    })),
  );
}

/** The result of a call; it may only throw expected errors. */
export function valueOf(
  call: () => unknown,
  isExpected: (error: Error) => boolean = () => true,
): unknown {
  try {
    return call();
  } catch (error) {
    if (util.types.isNativeError(error) && isExpected(error)) return undefined;
    throw new Unexpected(error);
  }
}

/** A call threw an unexpected error. */
export class Unexpected extends Error {
  constructor(cause: unknown) {
    super('an error that a caller must not see', { cause });
  }
}

function shown(value: unknown): string {
  const text = fc.stringify(value).replaceAll(/\s+/g, ' ');
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}
