/** What the tests of faults have in common. */
import { readdirSync, readlinkSync } from 'node:fs';

import { SystemError } from '../../lib';

import { until } from '../support/turns';

import { errnoOf, Injector } from './injector';

/**
 * An injector for the tests of a file: each begins without faults, leaves no descriptor open, and
 * the last lets go.
 */
export function injectFaults(): Injector {
  const faults = new Injector();
  let before: string[];
  beforeEach(() => (before = openDescriptors()));
  afterEach(async () => {
    faults.clear();
    // A map that ran inside Node's loop, and a look-up's thread, let go of theirs a little later.
    const left = (): string[] => openDescriptors().filter((each) => !before.includes(each));
    await until(
      () => left().length === 0,
      () => `descriptors to be closed: ${left().join(', ')}`,
    );
  });
  afterAll(() => faults.detach());
  return faults;
}

/** The code that an error has for an errno of that name: two names may be the same number. */
export function codeOf(errno: string): string {
  return new SystemError('', -errnoOf(errno)).code;
}

/** The descriptors that this process has open, and what each is. */
export function openDescriptors(): string[] {
  const open = readdirSync('/proc/self/fd').map((fd) => {
    try {
      return `${fd} ${readlinkSync(`/proc/self/fd/${fd}`)}`;
    } catch {
      // The one that the folder was read by.
      return '';
    }
  });
  return open.filter((each) => each !== '');
}
