/** Address families, each with an address that no other program uses. */
import { existsSync } from 'node:fs';

import { constants, type Address } from '../../lib';

/** A family of addresses. */
export interface Family {
  readonly name: string;
  readonly family: number;
  /** An unused address for a listener; a path is in `folder`. */
  readonly anywhere: (folder: string) => Address;
}

/** Whether this kernel has IPv6, with a loopback to use it on. */
export const hasIPv6 = existsSync('/proc/net/if_inet6');
if (!hasIPv6) process.stderr.write('this kernel has no IPv6, so its tests are skipped\n');

/** Every family that this kernel has. */
export const families: readonly Family[] = [
  {
    name: 'IPv4',
    family: constants.AF_INET,
    anywhere: (): Address => ['127.0.0.1', 0],
  },
  {
    name: 'IPv6',
    family: constants.AF_INET6,
    anywhere: (): Address => ({ host: '::1', port: 0 }),
  },
  {
    name: 'Unix paths',
    family: constants.AF_UNIX,
    anywhere: (folder: string): Address => `${folder}/socket`,
  },
  {
    name: 'abstract Unix names',
    family: constants.AF_UNIX,
    anywhere: (folder: string): Address => ({ path: `\0${folder}/abstract` }),
  },
].filter(({ family }) => hasIPv6 || family !== constants.AF_INET6);
