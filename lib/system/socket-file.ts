/** The files that bind(2) makes for Unix paths: whether they are in use, and their removal. unix(7) */
import fs from 'node:fs';

import { binding } from './binding';
import { constants, Errno } from './constants';
import type { SocketFile } from './kernel';

const SLASH = 0x2f;

/** What is at a path, a symbolic link itself; undefined if that is nothing, or cannot be seen. */
function statOf(path: Buffer): fs.BigIntStats | undefined {
  try {
    return fs.lstatSync(path, { bigint: true, throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}

/** The path from the root: the working directory may be another when the file is removed. */
function absolute(path: Buffer): Buffer {
  return path[0] === SLASH ? path : Buffer.concat([Buffer.from(`${process.cwd()}/`), path]);
}

/**
 * Whether no socket is bound to the file: connect(2) is refused. A datagram socket asks first. Where
 * a stream is bound it gets EPROTOTYPE, also before that listens, and a listener gets no connection.
 * A kernel that ignores the type (gVisor) is asked by a stream, too.
 */
function isUnbound(path: Buffer): boolean {
  const packed = binding.packUnix(path);
  if (packed === undefined) return false;
  return [constants.SOCK_DGRAM, constants.SOCK_STREAM].every((type) => {
    const fd = binding.socket(constants.AF_UNIX, type, 0);
    if (fd < 0) return false;
    const result = binding.connect(fd, packed);
    binding.close(fd);
    return result === Errno.connectionRefused;
  });
}

/** The file of a socket at a path. */
export function socketFile(path: string | Buffer): SocketFile | undefined {
  const bytes = typeof path === 'string' ? Buffer.from(path) : path;
  const file = absolute(bytes);
  const found = statOf(file);
  if (found?.isSocket() !== true) return undefined;
  return {
    isDead: () => isUnbound(bytes),
    remove() {
      const now = statOf(file);
      if (now?.dev !== found.dev || now.ino !== found.ino) return false;
      try {
        fs.unlinkSync(file);
        return true;
      } catch {
        return false;
      }
    },
  };
}
