/** Argument checks. Their errors name the argument, what was expected, and the value. */
import util from 'node:util';

/** A value for an error message, cut after 100 characters. */
function textOf(value: unknown): string {
  let text: string;
  try {
    text = util.inspect(value, { depth: 0, maxStringLength: 60, breakLength: Infinity });
  } catch {
    // The value's own `util.inspect.custom` or a getter of it threw.
    text = typeof value;
  }
  return text.length > 100 ? `${text.slice(0, 100)}…` : text;
}

/** For a value of the wrong type: `backlog must be an integer; got 'many'`. */
export function typeError(name: string, value: unknown, expected: string): TypeError {
  const error = new TypeError(`${name} must be ${expected}; got ${textOf(value)}`);
  return Object.assign(error, { code: 'ERR_INVALID_ARG_TYPE' });
}

/** For a value that is out of range: `backlog must be an integer from 0 to 10; got 11`. */
export function rangeError(name: string, value: unknown, expected: string): RangeError {
  const error = new RangeError(`${name} must be ${expected}; got ${textOf(value)}`);
  return Object.assign(error, { code: 'ERR_OUT_OF_RANGE' });
}

/** The largest integer that the addon's int32 arguments can hold. */
export const MAX_INT32 = 0x7fffffff;

/** Throws unless `value` is an integer from `least` to `most`. */
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

// Apart from checkInteger, which is called for every message: V8 inlines only small functions.
function integerError(name: string, value: number, least: number, most: number): RangeError {
  return rangeError(name, value, `an integer from ${least} to ${most}`);
}

/** Throws unless `value` is a number of seconds, 0 or more. `Infinity` only if `mayBeInfinite`. */
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

/** Throws unless `value` is a finite number of seconds; a negative one is in the past. */
export function checkFiniteSeconds(name: string, value: unknown): asserts value is number {
  if (typeof value !== 'number') throw typeError(name, value, 'a number of seconds');
  if (!Number.isFinite(value)) throw rangeError(name, value, 'a finite number of seconds');
}

/** Throws unless `value` is a function. */
export function checkFunction(name: string, value: unknown): void {
  if (typeof value !== 'function') throw typeError(name, value, 'a function');
}

/** Throws unless `value` is an object with keys of `known` only. `name` is the argument's name. */
export function checkOptions(
  value: unknown,
  known: readonly string[],
  name = 'options',
): asserts value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) throw typeError(name, value, 'an object');
  for (const key of Object.keys(value)) {
    if (!known.includes(key)) {
      throw new TypeError(
        `unknown option ${textOf(key)} in ${name}; the known ones are: ${known.join(', ')}`,
      );
    }
  }
}

/** What can be sent: a string, as UTF-8, or the bytes of a `Buffer`, typed array or `DataView`. */
export type Data = string | NodeJS.ArrayBufferView;

/** The getters of every Uint8Array. A subclass may override `length`; the real one is needed. */
const views = Object.getPrototypeOf(Uint8Array.prototype) as object;
const { get: ownLength } = Object.getOwnPropertyDescriptor(views, 'length') as {
  readonly get: () => number;
};

/** The real length of a view, also if a subclass overrides it; 0 if its memory was transferred. */
export function lengthOf(view: Uint8Array): number {
  return ownLength.call(view);
}

/** The same bytes as a Uint8Array whose length is not overridden. */
function plainView(data: Uint8Array): Uint8Array {
  const memory = Reflect.get(views, 'buffer', data) as ArrayBuffer;
  const offset = Reflect.get(views, 'byteOffset', data) as number;
  return new Uint8Array(memory, offset, ownLength.call(data));
}

/** The bytes of `data`. Only a string is copied. `name` is the argument's name. */
export function bytesOf(name: string, data: unknown): Uint8Array {
  if (data instanceof Uint8Array) {
    return data.length === ownLength.call(data) ? data : plainView(data);
  }
  return bytesOfOther(name, data);
}

function bytesOfOther(name: string, data: unknown): Uint8Array {
  if (typeof data === 'string') return Buffer.from(data, 'utf8');
  if (ArrayBuffer.isView(data)) return viewOf(name, data);
  throw typeError(name, data, 'a string, a Buffer, a typed array or a DataView');
}

/** The memory under a view of any kind, also one of another realm (`node:vm`, jest). Not copied. */
export function viewOf(name: string, view: unknown): Uint8Array {
  if (view instanceof Uint8Array) return view;
  if (!ArrayBuffer.isView(view)) {
    throw typeError(name, view, 'a Buffer, a typed array or a DataView');
  }
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

/** Throws unless `offset` and `length` are within `bytes`. Called for every message: kept small. */
export function checkRange(bytes: Uint8Array, offset: unknown, length: unknown): void {
  if (
    typeof offset === 'number' &&
    typeof length === 'number' &&
    (offset & MAX_INT32) === offset &&
    (length & MAX_INT32) === length &&
    // Not byteLength: V8 has a fast path for length only.
    offset + length <= bytes.length
  ) {
    return;
  }
  throwRangeFault(bytes, offset, length);
}

function throwRangeFault(bytes: Uint8Array, offset: unknown, length: unknown): void {
  checkInteger('offset', offset, 0, Math.min(bytes.byteLength, MAX_INT32));
  checkInteger('length', length, 0, Math.min(bytes.byteLength - offset, MAX_INT32));
}
