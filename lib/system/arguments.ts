/** Checks of what callers hand in: each names the argument, the value, and what was expected. */
import util from 'node:util';

function shown(value: unknown): string {
  let text: string;
  try {
    text = util.inspect(value, { depth: 0, maxStringLength: 60, breakLength: Infinity });
  } catch {
    // Its own inspection threw.
    text = typeof value;
  }
  return text.length > 100 ? `${text.slice(0, 100)}…` : text;
}

export function typeError(name: string, value: unknown, expected: string): TypeError {
  const error = new TypeError(`${name} must be ${expected}; got ${shown(value)}`);
  return Object.assign(error, { code: 'ERR_INVALID_ARG_TYPE' });
}

export function rangeError(name: string, value: unknown, expected: string): RangeError {
  const error = new RangeError(`${name} must be ${expected}; got ${shown(value)}`);
  return Object.assign(error, { code: 'ERR_OUT_OF_RANGE' });
}

export const MAX_INT32 = 0x7fffffff;

/** A whole number from `least` to `most`. */
export function checkInteger(
  name: string,
  value: unknown,
  least = 0,
  most = MAX_INT32,
): asserts value is number {
  if (typeof value !== 'number') throw typeError(name, value, 'an integer');
  if (!Number.isInteger(value) || value < least || value > most) {
    throw integerError(name, value, least, most);
  }
}

// Errors are made apart: what is called for every message is the smaller, and is inlined.
function integerError(name: string, value: number, least: number, most: number): RangeError {
  return rangeError(name, value, `an integer from ${least} to ${most}`);
}

/** Seconds to wait: 0 or more; `Infinity` where waiting without end makes sense. */
export function checkSeconds(
  name: string,
  value: unknown,
  mayBeInfinite = false,
): asserts value is number {
  if (typeof value !== 'number') throw typeError(name, value, 'a number of seconds');
  if (!(value >= 0) || (value === Infinity && !mayBeInfinite)) {
    const kind = mayBeInfinite ? 'a number' : 'a finite number';
    throw rangeError(name, value, `${kind} of seconds, 0 or more`);
  }
}

export function checkFunction(name: string, value: unknown): void {
  if (typeof value !== 'function') throw typeError(name, value, 'a function');
}

/** The names that an options object may have; a misspelt option is an error, not a default. */
export function checkOptions(
  value: unknown,
  known: readonly string[],
): asserts value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) throw typeError('options', value, 'an object');
  for (const name of Object.keys(value)) {
    if (!known.includes(name)) {
      throw new TypeError(`unknown option ${shown(name)}; known are: ${known.join(', ')}`);
    }
  }
}

/** What can be sent: text (as UTF-8), or any view of bytes. */
export type Data = string | NodeJS.ArrayBufferView;

/** What any view of bytes tells of itself: a subclass may tell otherwise. */
const views = Object.getPrototypeOf(Uint8Array.prototype) as object;
const { get: ownLength } = Object.getOwnPropertyDescriptor(views, 'length') as {
  readonly get: () => number;
};

/** How long a view is, whatever it tells itself; 0 where its memory was transferred away. */
export function lengthOf(view: Uint8Array): number {
  return ownLength.call(view);
}

function plainView(data: Uint8Array): Uint8Array {
  const memory = Reflect.get(views, 'buffer', data) as ArrayBuffer;
  const offset = Reflect.get(views, 'byteOffset', data) as number;
  return new Uint8Array(memory, offset, ownLength.call(data));
}

/** The bytes of `data`, not copied unless it is text. */
export function bytesOf(name: string, data: unknown): Uint8Array {
  if (data instanceof Uint8Array) {
    return data.length === ownLength.call(data) ? data : plainView(data);
  }
  return bytesOfOther(name, data);
}

function bytesOfOther(name: string, data: unknown): Uint8Array {
  if (typeof data === 'string') return Buffer.from(data, 'utf8');
  if (ArrayBuffer.isView(data)) {
    return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  }
  throw typeError(name, data, 'a string or a view of bytes');
}

/** A part of `bytes`. Written to cost next to nothing when all is well: it is on the hot path. */
export function checkRange(bytes: unknown, offset: unknown, length: unknown): void {
  if (
    bytes instanceof Uint8Array &&
    typeof offset === 'number' &&
    typeof length === 'number' &&
    offset >>> 0 === offset &&
    length >>> 0 === length &&
    // Not byteLength: V8 has a short way for length alone.
    offset + length <= bytes.length
  ) {
    return;
  }
  findFault(bytes, offset, length);
}

function findFault(bytes: unknown, offset: unknown, length: unknown): void {
  if (!(bytes instanceof Uint8Array)) throw typeError('buffer', bytes, 'a Buffer or Uint8Array');
  checkInteger('offset', offset, 0, bytes.byteLength);
  checkInteger('length', length, 0, bytes.byteLength - offset);
}
