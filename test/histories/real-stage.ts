/** Plays a history on a real map, with real sockets. */
import { constants, type Socket, type SocketMap } from '../../lib';
import { loopOf } from '../../lib/transport/loop';
import type { BaseSocketMap } from '../../lib/maps/socket-map';
import { candidates } from '../../lib/maps';
import { POLLHUP, POLLOUT } from '../../lib/select';
import { SimSocketMap } from '../../lib/testing';
import { useKernel } from '../support/kernels';
import {
  createSocket,
  deadAddress,
  reset,
  socketpair,
  tcpPair,
  untilReady,
} from '../support/streams';

import type { Seen, SeenTurn } from './kernel';
import {
  freePath,
  Listener,
  MOST_ROUNDS,
  opposite,
  Raised,
  sendAtOnce,
  Stream,
  wires,
} from './real-handlers';
import { type Cancellable, type Cast, Stage } from './stage';

type RealHandler = Stream | Listener;

/** A class of maps: those of the library, or a test's own. */
export type MapClass = (new () => BaseSocketMap) & { readonly backend: string };

/** Reports ready descriptors in a random order, repeatable by a seed. */
class AnyOrder extends SimSocketMap {
  constructor() {
    super({ seed: 1, faults: { reordering: 0.5 } });
  }
}

/** Every map on which histories are played. */
export const mapClasses: readonly MapClass[] = [
  ...candidates.filter(({ available }) => available),
  AnyOrder,
];

export class RealStage extends Stage<RealHandler> {
  readonly allSeen: Seen = { turns: [], rounds: [], closing: [] };
  seen: SeenTurn = { order: [], wrote: [], emptied: [] };
  readonly map: SocketMap;
  #isClosing = false;

  constructor(mapClass: MapClass) {
    super();
    const map = new mapClass();
    this.map = map;
    // Records the order in which a wait reported descriptors, also those without a callback.
    const loop = map[loopOf];
    const recipient = loop.recipient.bind(loop);
    loop.recipient = (fd) => {
      const transport = recipient(fd);
      if (transport !== undefined) this.seen.order.push((transport.owner as RealHandler).role.id);
      return transport;
    };
  }

  get isClosed(): boolean {
    return this.map.closed;
  }

  protected open(cast: Cast): void {
    const [ours, theirs] = cast.kind === 'tcp' ? tcpPair() : socketpair();
    const own = wires(cast.hasRawPeer ? theirs : undefined);
    const stream = new Stream(this, cast, own, ours);
    if (cast.hasRawPeer) stream.role.raw = 'open';
    else new Stream(this, cast, opposite(own), theirs);
  }

  protected listen(cast: Cast): void {
    new Listener(this, cast);
  }

  protected refused(cast: Cast): void {
    const stream = new Stream(this, cast, wires());
    stream.connect(cast.kind === 'tcp' ? deadAddress() : freePath());
    if (cast.kind === 'tcp') untilReady(stream.socket as Socket, POLLHUP);
  }

  protected connect(listener: RealHandler, cast: Cast): void {
    const stream = new Stream(this, cast, wires());
    stream.connect(listener.socket.getsockname());
    (listener as Listener).expect(opposite(stream.wires));
    untilReady(stream.socket as Socket, POLLOUT);
    if (cast.kind === 'tcp') sendAtOnce(stream.socket);
  }

  knock(listener: RealHandler): void {
    const isTcp = listener.role.cast.kind === 'tcp';
    const raw = createSocket(isTcp ? constants.AF_INET : constants.AF_UNIX);
    raw.connect(listener.socket.getsockname());
    (listener as Listener).expect(wires(raw));
    untilReady(raw, POLLOUT);
  }

  remove(player: RealHandler): void {
    this.map.delHandler(player);
  }

  add(player: RealHandler): void {
    this.map.addHandler(player);
  }

  protected raise(): never {
    throw new Raised();
  }

  protected callIn0(fn: () => void): Cancellable {
    return this.map.callIn(0, fn);
  }

  protected callNext(fn: () => void): void {
    this.map.callSynchronized(fn);
  }

  protected turn(): void {
    this.turnOnce();
  }

  /** Returns how many descriptors' events it dispatched. */
  turnOnce(): number {
    this.seen = { order: [], wrote: [], emptied: [] };
    this.allSeen.turns.push(this.seen);
    return this.map.poll(0);
  }

  protected turnUntilQuiet(): void {
    for (let rounds = 1; rounds <= MOST_ROUNDS; rounds++) {
      const told = this.trace.length;
      const dispatched = this.turnOnce();
      if (this.isClosed || (dispatched === 0 && this.trace.length === told)) {
        this.allSeen.rounds.push(rounds);
        return;
      }
    }
    this.allSeen.rounds.push(MOST_ROUNDS);
    this.trace.push('the map spins');
  }

  protected closeMap(): void {
    this.#isClosing = true;
    this.map.close();
    this.#isClosing = false;
  }

  tellCleanup(player: RealHandler): void {
    if (this.#isClosing) this.allSeen.closing.push(player.role.id);
    this.tell(player, 'cleanup');
  }

  override play(history: Parameters<Stage<RealHandler>['play']>[0]): this {
    useKernel(this.map[loopOf].kernel);
    try {
      return super.play(history);
    } catch (error) {
      this.trace.push(`threw ${error instanceof Error ? (error.stack ?? '') : String(error)}`);
      return this;
    } finally {
      this.map.close();
      for (const player of this.players) {
        player.close();
        const open = 'wires' in player ? [player.wires] : player.backlog;
        for (const { raw } of open) if (raw?.closed === false) reset(raw);
      }
      useKernel();
    }
  }
}
