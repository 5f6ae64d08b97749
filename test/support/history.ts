/** Scripted histories of one handler and its peer, lived on any map. */
import { constants, type Socket, type SocketMap, WOULD_BLOCK } from '../../lib';
import { POLLERR, POLLHUP, POLLIN, POLLPRI, POLLRDHUP } from '../../lib/select';

import { Acting } from './acting';
import { receiveText, reset, sendText, untilReady } from './streams';
import { expectQuiet } from './turns';

const SCRATCH = Buffer.alloc(65536);

/** A handler, its peer, and what has become of them. */
class Stage {
  readonly handler: Acting;
  isInMap = true;
  /** The peer has ended its side. */
  hasEnded = false;

  constructor(
    readonly map: SocketMap,
    readonly ours: Socket,
    readonly theirs: Socket,
  ) {
    this.handler = new Acting(map, ours);
  }

  /** How many bytes lie unread. */
  unread(): number {
    const count = this.ours.recvInto(SCRATCH, 0, SCRATCH.length, constants.MSG_PEEK);
    return count === WOULD_BLOCK ? 0 : count;
  }

  /** Waits for what the peer did to arrive, so that every map finds the same. */
  arrived(bits: number): void {
    if (!this.ours.closed) untilReady(this.ours, bits);
  }
}

type Act = (stage: Stage) => void;

/** What the peer does; left out where it has ended its side. */
const peer =
  (act: Act): Act =>
  (stage) => {
    if (!stage.hasEnded && !stage.theirs.closed && !stage.ours.closed) act(stage);
  };

/** What is done to the handler; left out where it is closed. */
const ours =
  (act: Act): Act =>
  (stage) => {
    if (!stage.handler.closed) act(stage);
  };

const says = (text: string) =>
  peer((stage) => {
    const before = stage.unread();
    sendText(stage.theirs, text);
    stage.arrived(POLLIN);
    while (stage.unread() === before);
  });

/** Nothing is left unread, so that the kernel ends the stream and does not reset it. */
function drain({ theirs, ours }: Stage): void {
  // Ended with bytes unread, ours has reset the stream already.
  while (!ours.closed && receiveText(theirs)?.length);
}

/** The steps that any stream can take. */
export const steps = {
  'says a': says('a'),
  'says bc': says('bc'),
  ends: peer((stage) => {
    stage.theirs.shutdown(constants.SHUT_WR);
    stage.hasEnded = true;
    stage.arrived(POLLRDHUP);
  }),
  leaves: (stage) => {
    if (stage.theirs.closed) return;
    drain(stage);
    stage.theirs.close();
    stage.arrived(POLLRDHUP);
  },
  drains: (stage) => {
    if (!stage.theirs.closed) drain(stage);
  },
  turn: ({ map }) => void map.poll(0),
  settle: ({ map }) => expectQuiet(map),
  pause: ours(({ handler }) => handler.setReadable(false)),
  resume: ours(({ handler }) => handler.setReadable(true)),
  'want write': ours(({ handler }) => handler.setWritable(true)),
  'want no write': ours(({ handler }) => handler.setWritable(false)),
  answers: ours((stage) => {
    stage.handler.sendAll('answer');
    // What nobody receives, TCP answers with a reset.
    if (stage.theirs.closed && stage.handler.bufferedAmount === 0) stage.arrived(POLLHUP);
  }),
  floods: ours(({ handler }) => void handler.sendAll(Buffer.alloc(4 << 20))),
  'reads 1': ours(({ handler }) => void handler.events.push(`has ${handler.read(1).toString()}`)),
  'reads all': ours(({ handler }) => void handler.events.push(`has ${handler.read(9).toString()}`)),
  'byte by byte': ({ handler }) => {
    handler.readBytes = 1;
  },
  'half-open': ({ handler }) => {
    handler.allowHalfOpen = true;
  },
  'close itself': ({ handler }) => handler.close(),
  'close when read': ({ handler }) => {
    handler.on.read = () => handler.close();
  },
  'leave map': ours((stage) => {
    stage.map.delHandler(stage.handler);
    stage.isInMap = false;
  }),
  'enter map': ours((stage) => {
    if (!stage.isInMap) stage.map.addHandler(stage.handler);
    stage.isInMap = true;
  }),
  /** TCP alone. */
  resets: (stage) => {
    if (stage.theirs.closed) return;
    reset(stage.theirs);
    stage.arrived(POLLHUP | POLLERR);
  },
  /** TCP alone. */
  'says !': peer((stage) => {
    sendText(stage.theirs, '!', constants.MSG_OOB);
    stage.arrived(POLLPRI);
  }),
} satisfies Record<string, Act>;

export type Step = keyof typeof steps;

/** Lives a history, and returns all that the handler was told in each of its steps. */
export function live(
  map: SocketMap,
  pair: () => [Socket, Socket],
  history: readonly Step[],
): string[] {
  const stage = new Stage(map, ...pair());
  for (const name of history) {
    stage.handler.events.push(`- ${name}`);
    steps[name](stage);
  }
  map.close();
  stage.theirs.close();
  return stage.handler.events;
}
