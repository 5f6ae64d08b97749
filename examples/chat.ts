/**
 * A chat, line by line, for many users. A user picks a nickname; what one says goes to all others.
 *
 *   node dist/examples/chat.js [port]
 */
import { Server, type Data, type InetAddress, type Socket, type SocketMap } from 'asynchia';
import { DefaultSocketMap } from 'asynchia/maps';
import { LineHandler } from 'asynchia/protocols';

const NICKNAME = /^[A-Za-z0-9_-]{1,16}$/;

/** The users with a nickname, by its lower case: `ann` is taken where there is an `Ann`. */
const users = new Map<string, User>();

class User extends LineHandler {
  override maxLineLength = 1000;
  nickname = '';

  constructor(socketMap: SocketMap, socket: Socket) {
    super(socketMap, socket);
    this.tell('Your nickname?');
  }

  override lineReceived(line: Buffer) {
    // Control characters would play with the others' terminals; telnet's '\r' is one, too.
    const text = line
      .toString()
      .replace(/\p{Cc}/gu, '')
      .trim();
    if (this.nickname === '') this.join(text);
    else if (text !== '') tellAll(`<${this.nickname}> ${text}`, this);
  }

  join(nickname: string) {
    if (!NICKNAME.test(nickname)) {
      this.tell('A nickname is 1 to 16 letters, digits, - and _. Your nickname?');
    } else if (users.has(nickname.toLowerCase())) {
      this.tell(`${nickname} is taken. Your nickname?`);
    } else {
      this.tell(`Welcome, ${nickname}. Others here: ${users.size}.`);
      tellAll(`* ${nickname} has joined.`);
      this.nickname = nickname;
      users.set(nickname.toLowerCase(), this);
    }
  }

  /** Sends a line without waiting. A user with more than 64 KiB unread is dropped. */
  tell(line: Data) {
    if (this.sendLine(line)) return;
    // Not at once: closing sends a line to the others, which may exceed their limits in turn.
    this.socketMap.callSynchronized(() => {
      if (!this.closed) console.log(`${this.nickname || 'Somebody'} reads too slowly: dropped.`);
      this.close();
    });
  }

  /** Called exactly once, whatever ended the connection. */
  override handleCleanup() {
    if (this.nickname === '' || this.socketMap.closed) return;
    users.delete(this.nickname.toLowerCase());
    tellAll(`* ${this.nickname} has left.`);
  }

  override handleError(error: unknown) {
    // A line without end is the peer's fault, and the handler closes by itself. The rest is ours.
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ERR_LINE_TOO_LONG') console.log(`${this.nickname || 'Somebody'}: ${code}`);
    else super.handleError(error);
  }
}

function tellAll(line: string, except?: User) {
  const bytes = Buffer.from(line);
  for (const user of users.values()) if (user !== except) user.tell(bytes);
}

const socketMap = new DefaultSocketMap();
const server = new Server(socketMap, User);
server.reuseAddr();
server.bind(['127.0.0.1', Number(process.argv[2] ?? 25001)]);
server.listen(128);

const { host, port } = server.socket.getsockname() as InetAddress;
console.log(`Chat on ${host}:${port}; Ctrl-C ends it.`);
process.once('SIGINT', () => socketMap.close());
void socketMap.run();
