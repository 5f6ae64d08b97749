/** Wrong arguments to native functions. (test/fuzz calls them with random arguments.) */
import os from 'node:os';
import util from 'node:util';

import fc from 'fast-check';

import { socketpair } from '../../lib';
import { binding, Transfer } from '../../lib/system/binding';
import type { LoopBackend } from '../../lib/system/kernel';
import { FUNCTIONS, METHODS, SLAB_CALLS } from '../fuzz/native';
import { NOT_OPEN } from '../support/descriptors';

const { EBADF, ENOENT, EEXIST, EINVAL } = os.constants.errno;

const BACKENDS = ['select', 'poll', 'epoll'] as const;

type Callable = (...args: unknown[]) => unknown;

/** Calls it; it must throw an Error or return a plain value. */
function callWith(fn: unknown, args: readonly unknown[]): unknown {
  try {
    const result = (fn as Callable)(...args);
    expect(['number', 'undefined', 'object', 'function']).toContain(typeof result);
    return result;
  } catch (error) {
    expect(util.types.isNativeError(error)).toBe(true);
    return error;
  }
}

function make(name: string): LoopBackend {
  const backend = binding.createBackend(name);
  if (typeof backend === 'number') throw new Error(`${name}: ${backend}`);
  return backend;
}

test('the fuzzer knows every native function', () => {
  const functions = Object.entries(binding).filter(([, value]) => typeof value === 'function');
  expect(functions.map(([name]) => name).sort()).toEqual(Object.keys(FUNCTIONS).sort());
  const backend = make('poll');
  const methods = Object.entries(backend).filter(([, value]) => typeof value === 'function');
  expect(methods.map(([name]) => name).sort()).toEqual(Object.keys(METHODS).sort());
  backend.close();
  const slab = binding.makeSlab(new Int32Array(Transfer.fields));
  expect(Object.keys(slab).sort()).toEqual(Object.keys(SLAB_CALLS).sort());
});

test('a number that is no 32-bit integer throws, and is not converted', () => {
  const good: Readonly<Record<string, unknown>> = {
    number: 1,
    time: 0,
    bytes: Buffer.alloc(8),
    integers: Int32Array.of(NOT_OPEN, 1),
    text: 'localhost',
    host: 'localhost',
    list: [Buffer.alloc(1)],
  };
  const converted: string[] = [];
  for (const [name, places] of Object.entries(FUNCTIONS)) {
    for (const [i, place] of places.entries()) {
      if (place !== 'fd' && (place !== 'number' || name === 'packInet')) continue;
      for (const odd of [2 ** 32 + 6000, 2 ** 31, -(2 ** 31) - 1, 6000.5]) {
        const args = places.map((each) => (each === 'fd' ? NOT_OPEN : good[each]));
        args[i] = odd;
        const result = callWith(binding[name as keyof typeof binding], args);
        if (!(util.types.isNativeError(result) && result.name === 'TypeError')) {
          converted.push(`${name}, argument ${i}, ${odd}: ${String(result)}`);
        }
      }
    }
  }
  expect(converted).toEqual([]);
});

describe.each(BACKENDS)('a %s backend', (name) => {
  test('throws for a descriptor that is not open', () => {
    const backend = make(name);
    for (const fd of [-1, -(2 ** 31), NOT_OPEN, 2 ** 31 - 1]) {
      expect(backend.add(fd, 1)).toBe(-EBADF);
      expect(backend.modify(fd, 1)).toBe(-ENOENT);
      expect(backend.remove(fd)).toBe(-ENOENT);
    }
    expect(backend.wait(0, new Int32Array(2))).toBe(0);
    backend.close();
  });

  test('throws for a second registration and for an empty mask', () => {
    const [near, far] = socketpair();
    const backend = make(name);
    expect(backend.add(near.fileno(), 0)).toBe(-EINVAL);
    expect(backend.add(near.fileno(), 1)).toBe(0);
    expect(backend.add(near.fileno(), 1)).toBe(-EEXIST);
    expect(backend.remove(near.fileno())).toBe(0);
    expect(backend.remove(near.fileno())).toBe(-ENOENT);
    backend.close();
    near.close();
    far.close();
  });

  test('throws EBADF after close', () => {
    const backend = make(name);
    backend.close();
    backend.close();
    expect(backend.add(0, 1)).toBe(-EBADF);
    expect(backend.remove(0)).toBe(-EBADF);
    expect(backend.wait(0, new Int32Array(2))).toBe(-EBADF);
  });
});

test('an unknown backend is EINVAL', () => {
  for (const name of ['', 'kqueue', 'epoll\0', 'EPOLL', 'epoll'.repeat(1000)]) {
    expect(binding.createBackend(name)).toBe(-EINVAL);
  }
});

test('recv and send of a slab stay within its memory, whatever the integers', () => {
  const memory = Buffer.alloc(96, '.');
  const transfer = new Int32Array(Transfer.fields);
  const slab = binding.makeSlab(transfer);
  slab.use(memory.subarray(32, 64));
  const place = fc.oneof(fc.integer({ min: -2, max: 40 }), fc.integer());
  fc.assert(
    fc.property(place, place, (offset, length) => {
      const [near, far] = socketpair();
      far.send(Buffer.alloc(64, 'x'));
      memory.fill('.');
      transfer.set([near.fileno(), offset, length]);
      slab.recv();
      const fits = offset >= 0 && length >= 0 && offset + length <= 32;
      const outcome = fits ? length : -os.constants.errno.EFAULT;
      expect(transfer[Transfer.result]).toBe(outcome);
      const expected = Buffer.alloc(96, '.');
      if (fits) expected.fill('x', 32 + offset, 32 + offset + length);
      expect(memory.equals(expected)).toBe(true);
      slab.send();
      expect(transfer[Transfer.result]).toBe(outcome);
      near.close();
      far.close();
    }),
    { numRuns: 300 },
  );
});

test('received bytes stay within the given offset and length', () => {
  const place = fc.integer({ min: -2, max: 40 });
  fc.assert(
    fc.property(place, place, (offset, length) => {
      const [near, far] = socketpair();
      far.send(Buffer.alloc(64, 'x'));
      const whole = Buffer.alloc(96, '.');
      const middle = whole.subarray(32, 64);
      const count = binding.recv(near.fileno(), middle, offset, length, 0);
      near.close();
      far.close();
      const fits = offset >= 0 && length >= 0 && offset + length <= 32;
      expect(count).toBe(fits ? length : -os.constants.errno.EFAULT);
      const expected = Buffer.alloc(96, '.');
      if (fits) expected.fill('x', 32 + offset, 32 + offset + length);
      expect(whole.equals(expected)).toBe(true);
    }),
  );
});

test('one array may be passed to select several times', () => {
  const [near, far] = socketpair();
  const fds = Int32Array.of(near.fileno());
  expect(binding.select(fds, fds, fds, 0)).toBe(1);
  expect([...fds]).toEqual([-1]);
  near.close();
  far.close();
});
