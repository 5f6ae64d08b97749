/** Counts the bytes that a socket moves. */
import { constants } from '../system/constants';
import type { SocketSurface } from '../sockets/socket';

/**
 * Puts counting calls before a socket's own, on the socket itself: whoever knows it by identity
 * knows it still, and a socket that nobody counts has nothing in its way.
 */
export function countBytes(
  socket: SocketSurface,
  received: (count: number) => void,
  sent: (count: number) => void,
): void {
  const recvInto = socket.recvInto.bind(socket);
  socket.recvInto = (...wanted) => {
    const count = recvInto(...wanted);
    const [, , , flags = 0] = wanted;
    if (count > 0 && !(flags & constants.MSG_PEEK)) received(count);
    return count;
  };

  const recv = socket.recv.bind(socket);
  socket.recv = (n, flags = 0) => {
    const bytes = recv(n, flags);
    const count = bytes?.length ?? 0;
    if (count > 0 && !(flags & constants.MSG_PEEK)) received(count);
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
    // A socket of another make may send many by sending each.
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
