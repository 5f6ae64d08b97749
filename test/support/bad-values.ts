/** Invalid values for arguments, and checks that they throw. */

/** No function, number, string, array or map: invalid for nearly every argument. */
export const WRONG: readonly unknown[] = [
  null,
  true,
  Symbol('wrong'),
  10n,
  {},
  Object.create(null),
];

/** No integer from 0 to 2³¹ - 1. */
export const NO_COUNT: readonly unknown[] = [
  ...WRONG,
  'text',
  '5',
  [],
  () => 5,
  NaN,
  -1,
  1.5,
  Infinity,
  -Infinity,
  2 ** 31,
  2 ** 53,
  Number.MAX_VALUE,
];

/** No number of seconds. */
export const NO_SECONDS: readonly unknown[] = [
  ...WRONG,
  'text',
  '5',
  [],
  NaN,
  -1,
  -0.001,
  -Infinity,
];

/** No function. */
export const NO_FUNCTION: readonly unknown[] = [...WRONG, undefined, 'text', 5, NaN, []];

/** Neither string nor bytes. */
export const NO_DATA: readonly unknown[] = [
  ...WRONG,
  undefined,
  5,
  NaN,
  [1, 2],
  new ArrayBuffer(4),
];

/** No address. */
export const NO_ADDRESS: readonly unknown[] = [
  ...WRONG,
  undefined,
  5,
  NaN,
  '',
  [],
  ['127.0.0.1'],
  ['127.0.0.1', 80, 1],
  ['127.0.0.1', '80'],
  ['127.0.0.1', -1],
  ['127.0.0.1', 65536],
  ['127.0.0.1', 1.5],
  ['127.0.0.1', NaN],
  [5, 80],
  [undefined, 80],
  ['two words', 80],
  ['nul\0', 80],
  ['x'.repeat(256), 80],
  { host: '127.0.0.1' },
  { host: null, port: 80 },
  { host: '127.0.0.1', port: null },
  { path: 5 },
  { path: '' },
  { path: undefined },
  { path: new Uint8Array(0) },
  new Uint8Array(0),
  Buffer.from('/with\0nul'),
  '/with\0nul',
  `/${'x'.repeat(108)}`,
  `\0${'x'.repeat(108)}`,
];

/** A call that passes one of `values` as the argument `named`. */
export interface Misuse {
  readonly use: string;
  /** The start of the argument's name in the message. */
  readonly named: string;
  readonly values: readonly unknown[];
  readonly call: (value: never) => unknown;
}

/** One row of a table: `use` is part of the test's title. */
export function misuse(
  use: string,
  named: string,
  values: readonly unknown[],
  call: (value: never) => unknown,
): Misuse {
  return { use, named, values, call };
}

/** Returns what `call` throws; fails if it does not throw. */
export function thrownBy(call: () => unknown, what = 'the call'): Error {
  try {
    call();
  } catch (error) {
    if (error instanceof Error) return error;
    throw new Error(`${what} threw ${String(error)}, which is no Error`, { cause: error });
  }
  throw new Error(`${what} threw nothing`);
}

/** Checks that each value throws an error that names the argument. */
export function expectRefused({ use, named, values, call }: Misuse): void {
  for (const value of values) {
    const error = thrownBy(() => call(value as never), `${use} of ${describe(value)}`);
    const seen = `${error.name}: ${error.message}`;
    // Any other error means that the argument was not checked.
    expect(seen).toMatch(/^(TypeError|RangeError): /);
    expect(seen.slice(seen.indexOf(': ') + 2)).toMatch(new RegExp(`^${named}\\S* `));
    expect(seen).toContain('must be');
  }
}

function describe(value: unknown): string {
  if (typeof value === 'object' && value !== null) return Object.prototype.toString.call(value);
  return String(value);
}
