/** What a history is made of: calls, each with what stands for it in a trace. */
import util from 'node:util';

import fc from 'fast-check';

import { hostileArguments, unwrap } from './values';

export interface Step {
  readonly title: () => string;
  readonly run: () => void;
}

export type Callable = (this: unknown, ...args: unknown[]) => unknown;

/** A face of the library: how it is called at random, and how to end what it left running. */
export interface Face {
  readonly steps: fc.Arbitrary<Step>;
  end(): void;
}

/** Any of the functions in the table, with arguments for its places. */
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

/** What a call returned; what it throws has to be an error, and one that is expected. */
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

/** Something came out of a call that must not. */
export class Unexpected extends Error {
  constructor(cause: unknown) {
    super('an error that a caller must not see', { cause });
  }
}

function shown(value: unknown): string {
  const text = fc.stringify(value).replaceAll(/\s+/g, ' ');
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}
