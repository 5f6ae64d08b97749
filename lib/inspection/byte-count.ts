/** Counts the bytes that a socket receives and sends. */
import { constants } from '../system/constants';
import type { SocketSurface } from '../sockets/socket';

/**
 * Overrides the transfer methods on the socket object itself with ones that count. So the socket
 * keeps its identity, and a socket that is not counted costs nothing more.
 *
 * @param received - Called with the number of bytes that a call has received, peeks excepted.
 * @param sent - Called with the number of bytes that the kernel has taken.
 */
export function countBytes(
  socket: SocketSurface,
  received: (count: number) => void,
  sent: (count: number) => void,
): void {
  const recvInto = socket.recvInto.bind(socket);
  socket.recvInto = (...args) => {
    const count = recvInto(...args);
    const [, , , flags = 0] = args;
    if (count > 0 && !(flags & constants.MSG_PEEK)) received(count);
    return count;
  };

  const recv = socket.recv.bind(socket);
  socket.recv = (n, flags) => {
    const bytes = recv(n, flags);
    const count = bytes?.length ?? 0;
    if (count > 0 && !((flags ?? 0) & constants.MSG_PEEK)) received(count);
    return bytes;
  };

  const send = socket.send.bind(socket);
  let isSendingMany = false;
  socket.send = (buffer, offset, length, flags) => {
    const count = send(buffer, offset, length, flags);
    if (count > 0 && !isSendingMany) sent(count);
    return count;
  };

  const sendMany = socket.sendMany.bind(socket);
  socket.sendMany = (buffers, offset) => {
    // Another implementation of SocketSurface may call its own `send` for each buffer.
    isSendingMany = true;
    try {
      const count = sendMany(buffers, offset);
      if (count > 0) sent(count);
      return count;
    } finally {
      isSendingMany = false;
    }
  };
}
