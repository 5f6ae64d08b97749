/** Descriptors that are no sockets: read(2) and write(2), and what they cannot do. */
import fs from 'node:fs';

import { binding } from '../system/binding';
import { Errno } from '../system/constants';
import { SystemError } from '../system/errors';
import type { Kernel } from '../system/kernel';
import { receiveSlab, systemKernel } from '../system/system-kernel';

/** What a descriptor is, in words. */
export type DescriptorKind =
  | 'socket'
  | 'pipe'
  | 'terminal or other character device'
  | 'regular file'
  | 'directory'
  | 'block device'
  | 'descriptor without a stream of bytes';

const KINDS: Readonly<Record<number, DescriptorKind>> = {
  [fs.constants.S_IFSOCK]: 'socket',
  [fs.constants.S_IFIFO]: 'pipe',
  [fs.constants.S_IFCHR]: 'terminal or other character device',
  [fs.constants.S_IFREG]: 'regular file',
  [fs.constants.S_IFDIR]: 'directory',
  [fs.constants.S_IFBLK]: 'block device',
};

const BYTE_STREAMS: readonly DescriptorKind[] = [
  'socket',
  'pipe',
  'terminal or other character device',
];

/** What a descriptor is. A closed one counts as a socket: its calls fail with EBADF. */
export function kindOf(fd: number): DescriptorKind {
  const type = binding.fileType(fd);
  return type < 0 ? 'socket' : (KINDS[type] ?? 'descriptor without a stream of bytes');
}

/** Whether read(2) and write(2), or recv(2) and send(2), move a stream of bytes. */
export function hasBytes(kind: DescriptorKind): boolean {
  return BYTE_STREAMS.includes(kind);
}

function withoutFlags(method: string, fd: number, flags: number): void {
  if (flags !== 0) throw notSocketError(`${method} with flags`, fd);
}

/** For what only a socket can do: `ENOTSOCK`, and what the descriptor is. */
function notSocketError(method: string, fd: number): SystemError {
  const error = new SystemError(method, Errno.notSocket);
  error.message += `: descriptor ${fd} is a ${kindOf(fd)}, and only a socket can do that`;
  return error;
}

/** A call that only sockets have. */
function refusing(method: string): (fd: number) => never {
  return (fd) => {
    throw notSocketError(method, fd);
  };
}

/** The calls of a descriptor that is neither a socket nor a stream of bytes: it can be watched. */
const watchedOnly: Kernel = {
  ...systemKernel,
  whole: systemKernel,
  bind: refusing('bind'),
  connect: refusing('connect'),
  listen: refusing('listen'),
  accept: refusing('accept'),
  shutdown: refusing('shutdown'),
  getsockname: refusing('getsockname'),
  getpeername: refusing('getpeername'),
  getsockopt: refusing('getsockopt'),
  setsockopt: refusing('setsockopt'),
  read: refusing('recv'),
  recv: refusing('recv'),
  send: refusing('send'),
  sendMany: refusing('sendmsg'),
  unread: (fd) => binding.streamUnread(fd),
  unacknowledged: (fd) => binding.streamUntaken(fd),
};

/** The calls of a stream of bytes that is no socket. */
const byteStreams: Kernel = {
  ...watchedOnly,
  read(fd, most, flags) {
    withoutFlags('recv', fd, flags);
    const room = receiveSlab.room(most);
    const count = binding.streamRead(fd, receiveSlab.bytes, receiveSlab.offset, room);
    return count > 0 ? receiveSlab.take(count) : count;
  },
  recv(fd, bytes, offset, length, flags) {
    withoutFlags('recvInto', fd, flags);
    return binding.streamRead(fd, bytes, offset, length);
  },
  send(fd, bytes, offset, length, flags) {
    withoutFlags('send', fd, flags);
    return binding.streamWrite(fd, bytes, offset, length);
  },
  /** Part by part: a short write ends it. */
  sendMany(fd, parts, offset) {
    let total = 0;
    let from = offset;
    for (const part of parts) {
      const length = part.length - from;
      const count = length === 0 ? 0 : binding.streamWrite(fd, part, from, length);
      if (count < 0) return total > 0 ? total : count;
      total += count;
      if (count < length) return total;
      from = 0;
    }
    return total;
  },
};

/** The calls of a descriptor, as its kind has them. */
export function kernelOf(fd: number): Kernel {
  const kind = kindOf(fd);
  if (kind === 'socket') return systemKernel;
  return hasBytes(kind) ? byteStreams : watchedOnly;
}
