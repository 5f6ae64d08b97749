/** Shared by the tests of faults. */
import { readdirSync, readlinkSync } from 'node:fs';

import { DefaultSocketMap, SystemError } from '../../lib';

import { until } from '../support/turns';

import { errnoOf, Injector } from './injector';

/**
 * An injector for the tests of a file: each starts without faults and must leave no descriptor
 * open; after the last, calls are restored.
 */
export function injectFaults(): Injector {
  const faults = new Injector();
  let before: string[];
  // A thread's maps share some descriptors, which stay open.
  beforeAll(async () => {
    const map = new DefaultSocketMap();
    map.callIn(0, () => map.close());
    await map.run();
  });
  beforeEach(() => (before = openDescriptors()));
  afterEach(async () => {
    faults.clear();
    // A map that ran inside Node's loop, and a look-up's thread, close theirs a little later.
    const left = (): string[] => openDescriptors().filter((each) => !before.includes(each));
    await until(
      () => left().length === 0,
      () => `descriptors to be closed: ${left().join(', ')}`,
    );
  });
  afterAll(() => faults.detach());
  return faults;
}

/** The code of an error with that errno: two names may share a number. */
export function codeOf(errno: string): string {
  return new SystemError('', -errnoOf(errno)).code;
}

/** The open descriptors of this process, and their targets. */
export function openDescriptors(): string[] {
  const open = readdirSync('/proc/self/fd').map((fd) => {
    try {
      return `${fd} ${readlinkSync(`/proc/self/fd/${fd}`)}`;
    } catch {
      // The descriptor with which the folder was read.
      return '';
    }
  });
  return open.filter((each) => each !== '');
}
