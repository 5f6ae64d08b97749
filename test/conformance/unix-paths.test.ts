/** The file of a listener's Unix path: it goes with the listener, and a dead one is replaced. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';

import { AcceptHandler, constants, Socket } from '../../lib';
import { Workshop } from '../support/descriptors';
import { kernel } from '../support/kernels';
import { onEveryMap } from '../support/maps';
import { Program, runScript } from '../support/processes';
import { Recorder } from '../support/recorder';
import { createSocket } from '../support/streams';
import { turnUntil } from '../support/turns';

const { AF_UNIX, SOCK_DGRAM } = constants;

class Acceptor extends AcceptHandler {
  accepted = 0;

  override handleAccept(socket: Socket): void {
    this.accepted++;
    socket.close();
  }
}

onEveryMap('unix paths', (map, { testOnSystem }) => {
  let shop: Workshop;
  let path: string;
  let program: Program | undefined;
  beforeEach(() => {
    program = undefined;
    shop = new Workshop();
    path = `${shop.folder}/socket`;
  });
  afterEach(() => {
    program?.kill();
    map().close();
    shop.dispose();
  });

  function listening(at: string | Uint8Array = path, sock?: Socket): Acceptor {
    const acceptor = new Acceptor(map(), sock);
    acceptor.bind(at);
    acceptor.listen(8);
    return acceptor;
  }

  /** What connect(2) says of the path. */
  function stateOf(at: string | Uint8Array = path): string {
    const client = createSocket(AF_UNIX);
    try {
      client.connect(at);
      return 'listening';
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      return { ENOENT: 'missing', ECONNREFUSED: 'dead' }[String(code)] ?? String(error);
    } finally {
      client.close();
    }
  }

  /** As a process leaves it that is killed: a `Socket` does not remove it. */
  function leaveFile(): void {
    const left = createSocket(AF_UNIX);
    left.bind(path);
    left.listen(8);
    left.close();
    expect(stateOf()).toBe('dead');
  }

  describe('the file is removed', () => {
    test.each([
      ['close()', (acceptor: Acceptor) => acceptor.close()],
      ['close() of the map', () => map().close()],
      ['close() of its socket', (acceptor: Acceptor) => acceptor.socket.close()],
      [
        'close() of a deregistered listener',
        (acceptor: Acceptor) => {
          map().delHandler(acceptor);
          acceptor.close();
        },
      ],
    ])('by %s', (_name, close) => {
      const acceptor = listening();
      expect(stateOf()).toBe('listening');
      close(acceptor);
      expect(stateOf()).toBe('missing');
    });

    test('before listen, too', () => {
      const acceptor = new Acceptor(map());
      acceptor.bind(path);
      expect(stateOf()).toBe('dead');
      acceptor.close();
      expect(stateOf()).toBe('missing');
    });

    test('where the socket was handed in, and bound by the handler', () => {
      listening(path, createSocket(AF_UNIX)).close();
      expect(stateOf()).toBe('missing');
    });

    test('where its path is not UTF-8', () => {
      const bytes = Buffer.from(`${shop.folder}/fa\xe7ade`, 'latin1');
      const acceptor = listening(bytes);
      expect(stateOf(bytes)).toBe('listening');
      acceptor.close();
      expect(stateOf(bytes)).toBe('missing');
    });

    test('so that the next listener can bind', () => {
      for (let i = 0; i < 3; i++) listening().close();
    });

    testOnSystem('where its path is relative, and the working directory has changed', () => {
      const before = process.cwd();
      try {
        process.chdir(shop.folder);
        const acceptor = listening('relative');
        process.chdir(before);
        acceptor.close();
      } finally {
        process.chdir(before);
      }
      expect(fs.readdirSync(shop.folder)).toEqual([]);
    });
  });

  describe('the file stays', () => {
    test('where the listener was detached', () => {
      const acceptor = listening();
      const fd = acceptor.socket.detach();
      acceptor.close();
      expect(stateOf()).toBe('listening');
      kernel().close(fd);
      expect(stateOf()).toBe('dead');
    });

    test('where the socket was bound by another', () => {
      const socket = createSocket(AF_UNIX);
      socket.bind(path);
      const acceptor = new Acceptor(map(), socket);
      acceptor.listen(8);
      acceptor.close();
      expect(stateOf()).toBe('dead');
    });

    testOnSystem('where the descriptor is borrowed', () => {
      const owner = createSocket(AF_UNIX);
      listening(path, Socket.borrow(owner.fileno())).close();
      expect(stateOf()).toBe('listening');
      owner.close();
    });

    test('where another listener has taken the path', () => {
      const first = listening();
      kernel().socketFile(path)?.remove();
      listening();
      first.close();
      expect(stateOf()).toBe('listening');
    });

    testOnSystem('where a file of another kind has taken the path', () => {
      const acceptor = listening();
      fs.unlinkSync(path);
      fs.writeFileSync(path, 'precious');
      acceptor.close();
      expect(fs.readFileSync(path, 'utf8')).toBe('precious');
    });

    testOnSystem('where the process ends without closing the listener', async () => {
      program = runScript(`
        const { AcceptHandler, DefaultSocketMap } = require('asynchia');
        const acceptor = new AcceptHandler(new DefaultSocketMap());
        acceptor.bind(${JSON.stringify(path)});
        acceptor.listen(8);`);
      expect(await program.ends()).toBe(0);
      expect(stateOf()).toBe('dead');
    });
  });

  test('closing is quiet where the file is gone', () => {
    const acceptor = listening();
    kernel().socketFile(path)?.remove();
    acceptor.close();
    expect(stateOf()).toBe('missing');
  });

  test('an abstract name has no file', () => {
    const name = `\0${path}`;
    const acceptor = listening(name);
    expect(stateOf(name)).toBe('listening');
    acceptor.close();
    expect(stateOf(name)).toBe('dead');
  });

  describe('a file that a dead listener has left', () => {
    test('is EADDRINUSE, and stays', () => {
      leaveFile();
      expect(() => listening()).toThrow('EADDRINUSE');
      expect(stateOf()).toBe('dead');
    });

    test('is replaced after reusePath, and removed at the end', () => {
      leaveFile();
      const acceptor = new Acceptor(map());
      expect(() => acceptor.bind(path)).toThrow('EADDRINUSE');
      acceptor.reusePath();
      acceptor.bind(path);
      acceptor.listen(8);
      const client = new Recorder(map());
      client.connect(path);
      turnUntil(map(), () => acceptor.accepted === 1, 'the connection');
      acceptor.close();
      expect(stateOf()).toBe('missing');
    });

    testOnSystem('whose process was killed is replaced after reusePath', async () => {
      program = new Program(process.execPath, [
        '-e',
        `require('node:net').createServer().listen(process.argv[1], () => console.log('listens'))`,
        path,
      ]);
      await program.says('listens');
      const acceptor = new Acceptor(map());
      acceptor.reusePath();
      expect(() => acceptor.bind(path)).toThrow('EADDRINUSE');
      program.kill();
      await program.ends();
      expect(stateOf()).toBe('dead');
      acceptor.bind(path);
      acceptor.listen(8);
      expect(stateOf()).toBe('listening');
    });
  });

  describe('after reusePath, still EADDRINUSE, and left alone:', () => {
    let acceptor: Acceptor;
    beforeEach(() => {
      acceptor = new Acceptor(map());
      acceptor.reusePath();
    });

    test('a listener, which gets no connection', () => {
      const other = createSocket(AF_UNIX);
      other.bind(path);
      other.listen(8);
      const free = createSocket(AF_UNIX);
      free.close();
      expect(() => acceptor.bind(path)).toThrow('EADDRINUSE');
      expect(other.accept()).toBeUndefined();
      expect(stateOf()).toBe('listening');
      other.close();
      // All descriptors are closed again.
      const next = createSocket(AF_UNIX);
      next.close();
      expect(next.fileno()).toBe(free.fileno());
    });

    test('a listener whose backlog is full', () => {
      const other = createSocket(AF_UNIX);
      other.bind(path);
      other.listen(0);
      const waiting = createSocket(AF_UNIX);
      waiting.connect(path);
      expect(() => acceptor.bind(path)).toThrow('EADDRINUSE');
      expect(waiting.getpeername()).toEqual({ path });
      waiting.close();
      other.close();
    });

    test('a socket that does not listen yet', () => {
      const other = createSocket(AF_UNIX);
      other.bind(path);
      expect(() => acceptor.bind(path)).toThrow('EADDRINUSE');
      other.listen(8);
      expect(stateOf()).toBe('listening');
      other.close();
    });

    testOnSystem('a datagram socket', () => {
      const other = Socket.create(AF_UNIX, SOCK_DGRAM);
      other.bind(path);
      expect(() => acceptor.bind(path)).toThrow('EADDRINUSE');
      expect(fs.existsSync(path)).toBe(true);
      other.close();
    });

    testOnSystem.each([
      ['a regular file', () => fs.writeFileSync(path, 'precious')],
      ['an empty directory', () => fs.mkdirSync(path)],
      ['a FIFO', () => spawnSync('mkfifo', [path])],
      [
        'a symbolic link to a dead socket',
        () => {
          leaveFile();
          fs.renameSync(path, `${path}.real`);
          fs.symlinkSync(`${path}.real`, path);
        },
      ],
    ])('%s', (_name, make) => {
      make();
      const before = fs.lstatSync(path).ino;
      expect(() => acceptor.bind(path)).toThrow('EADDRINUSE');
      expect(fs.lstatSync(path).ino).toBe(before);
    });

    test('a port', () => {
      const other = createSocket();
      other.bind(['127.0.0.1', 0]);
      other.listen(8);
      expect(() => acceptor.bind(other.getsockname())).toThrow('EADDRINUSE');
      other.close();
    });

    test('an abstract name', () => {
      const other = createSocket(AF_UNIX);
      other.bind(`\0${path}`);
      expect(() => acceptor.bind(`\0${path}`)).toThrow('EADDRINUSE');
      other.close();
    });
  });
});
