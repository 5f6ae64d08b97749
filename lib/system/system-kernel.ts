/**
 * The kernel of this machine: the addon's calls, and the choice of the shortest way for each transfer.
 * Memory that the addon knows already is named by integers alone.
 */
import { binding } from './binding';
import { constants } from './constants';
import type { Kernel } from './kernel';
import { RegisteredBuffer, Slab } from './slab';
import { socketFile } from './socket-file';

const { MSG_TRUNC } = constants;

/** One a thread: received bytes are cut off before the next call receives. */
const slab = new Slab();
/** The buffer that is received into, and the one that is sent from, again and again. */
const input = new RegisteredBuffer();
const output = new RegisteredBuffer();

function read(fd: number, most: number, flags: number): Buffer | number {
  const room = slab.room(most);
  // It counts bytes that it does not write, and the memory holds what others have left there.
  if (flags & MSG_TRUNC) slab.bytes.fill(0, slab.offset, slab.offset + room);
  const count =
    flags === 0
      ? slab.recv(fd, slab.offset, room)
      : binding.recv(fd, slab.bytes, slab.offset, room, flags);
  // With MSG_TRUNC the result may be more than was received. recv(2)
  return count > 0 ? slab.take(Math.min(count, room)) : count;
}

function recv(
  fd: number,
  bytes: Uint8Array,
  offset: number,
  length: number,
  flags: number,
): number {
  if (flags === 0) {
    if (input.has(bytes)) return input.recv(fd, offset, length);
    if (length === bytes.length) return binding.recvWhole(fd, bytes);
  }
  return binding.recv(fd, bytes, offset, length, flags);
}

function send(
  fd: number,
  bytes: Uint8Array,
  offset: number,
  length: number,
  flags: number,
): number {
  if (flags === 0) {
    if (bytes === slab.last) return slab.send(fd, offset, length);
    if (output.has(bytes)) return output.send(fd, offset, length);
    if (length === bytes.length) return binding.sendWhole(fd, bytes);
  }
  return binding.send(fd, bytes, offset, length, flags);
}

export const systemKernel: Kernel = { ...binding, read, recv, send, socketFile };

/** The slab that received bytes are cut off from, for the calls that are no recv(2). */
export { slab as receiveSlab };
