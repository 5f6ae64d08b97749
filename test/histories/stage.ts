/** The steps of a history, and how they are played, on the model and on a real map. */
import type { Kind } from './kernel';

/** The callbacks of a handler. */
export type EventName =
  | 'accept'
  | 'connect'
  | 'connectFailed'
  | 'except'
  | 'read'
  | 'write'
  | 'drain'
  | 'end'
  | 'close'
  | 'cleanup';

/** The properties of a new handler. */
export interface Cast {
  readonly kind: Kind;
  /** Sends by `sendAll`; otherwise by `send`, and asks for `handleWrite` itself. */
  readonly isBuffered: boolean;
  readonly allowHalfOpen: boolean;
  /** The other end is a raw socket without a handler. */
  readonly hasRawPeer: boolean;
}

/** One step. `who` selects a handler that can take it; without one, the step is skipped. */
export type Step =
  | { readonly act: 'turn' | 'settle' | 'closeMap' }
  | { readonly act: 'open' | 'listen' | 'refused'; readonly cast: Cast }
  | { readonly act: 'connect' | 'replace'; readonly who: number; readonly cast: Cast }
  | { readonly act: PlayerAct; readonly who: number; readonly n: number }
  | { readonly act: 'when'; readonly who: number; readonly on: EventName; readonly then: Step }
  /** Only as the action of a callback, which raises. */
  | { readonly act: 'raise' }
  | { readonly act: 'timer' | 'call'; readonly then: Step }
  | { readonly act: 'cancel'; readonly who: number };

/** The state shared by a handler and its model. */
export class Role {
  /** The actions for its callbacks, each run once. */
  readonly plans = new Map<EventName, Step[]>();
  readBytes = 65536;
  isInMap = true;
  isListener = false;
  /** The number of connections in the backlog. */
  waiting = 0;
  /** `end` was called; the sending side was shut down. */
  isEnded = false;
  isShut = false;
  /** The other end, if it is a raw socket. */
  raw: 'none' | 'open' | 'ended' | 'closed' = 'none';
  /** What each side may still send, so that small data always fits in the kernel's buffers. */
  credit = 50_000;
  rawCredit = 50_000;

  constructor(
    readonly id: number,
    readonly cast: Cast,
  ) {}
}

/** A handler on a real map, or its model. */
export interface Player {
  readonly role: Role;
  readonly closed: boolean;
  readonly connected: boolean;
  readonly writable: boolean;
  readonly bufferedAmount: number;
  /** More is buffered than the kernel takes, until the peer reads. */
  readonly isClogged: boolean;
  /** An urgent byte has arrived and was not passed yet. */
  readonly hasUrgent: boolean;
  setReadable(readable: boolean): void;
  setWritable(writable: boolean): void;
  /** Reads at most `n` bytes, outside of `handleRead`. */
  take(n: number): void;
  transmit(n: number): void;
  flood(): void;
  shut(): void;
  end(): void;
  close(): void;
  /** Actions of the other end, if it is a raw socket. */
  rawSend(n: number): void;
  rawSendUrgent(): void;
  rawEnd(): void;
  rawClose(isReset: boolean): void;
  rawReceive(): void;
}

interface Act {
  can(player: Player, stage: Stage<Player>): boolean;
  go(player: Player, n: number, stage: Stage<Player>): void;
}

const costOf = (n: number): number => 2 * n + 1000;
const isStream = ({ role, closed }: Player): boolean => !closed && !role.isListener;
const canSend = ({ role }: Player): boolean => !role.isEnded && !role.isShut;
const hasRawLeft = ({ role, closed }: Player): boolean =>
  !closed && (role.raw === 'open' || role.raw === 'ended');
const hasRaw = (player: Player): boolean => !player.closed && player.role.raw === 'open';

/** The actions on a handler or by its peer, and their conditions. */
const acts = {
  send: {
    can: (it) => isStream(it) && canSend(it) && (it.role.cast.isBuffered || it.connected),
    go: (it, n) => {
      if (it.role.credit < costOf(n)) return;
      it.role.credit -= costOf(n);
      it.transmit(n);
    },
  },
  flood: {
    can: (it) =>
      it.connected &&
      canSend(it) &&
      it.role.cast.isBuffered &&
      hasRaw(it) &&
      !it.writable &&
      it.bufferedAmount === 0,
    go: (it) => it.flood(),
  },
  end: {
    can: (it) => isStream(it) && it.role.cast.isBuffered && !it.role.isEnded,
    go: (it) => {
      it.role.isEnded = true;
      it.end();
    },
  },
  shut: {
    can: (it) => it.connected && canSend(it) && !it.isClogged,
    go: (it) => {
      it.role.isShut = true;
      it.shut();
    },
  },
  read: { can: (it) => it.connected && !it.role.isEnded, go: (it, n) => it.take(n) },
  readBytes: {
    can: (it, stage) => isStream(it) && !stage.isSettling,
    go: (it, n) => void (it.role.readBytes = n),
  },
  pause: { can: (it) => !it.closed, go: (it) => it.setReadable(false) },
  resume: { can: (it) => !it.closed, go: (it) => it.setReadable(true) },
  wantWrite: {
    can: (it, stage) => isStream(it) && !it.role.cast.isBuffered && !stage.isSettling,
    go: (it) => it.setWritable(true),
  },
  wantNoWrite: {
    can: (it) => isStream(it) && !it.role.cast.isBuffered,
    go: (it) => it.setWritable(false),
  },
  close: { can: (it) => !it.closed, go: (it) => it.close() },
  remove: {
    can: (it) => !it.closed && it.role.isInMap && !it.isClogged,
    go: (it, _n, stage) => {
      it.role.isInMap = false;
      stage.remove(it);
    },
  },
  add: {
    can: (it, stage) => !it.closed && !it.role.isInMap && !stage.isClosed,
    go: (it, _n, stage) => {
      it.role.isInMap = true;
      stage.add(it);
    },
  },
  knock: {
    can: (it) => !it.closed && it.role.isListener && it.role.waiting < 6,
    go: (it, _n, stage) => {
      it.role.waiting++;
      stage.knock(it);
    },
  },
  rawSend: {
    can: hasRaw,
    go: (it, n) => {
      if (it.role.rawCredit < costOf(n)) return;
      it.role.rawCredit -= costOf(n);
      it.rawSend(n);
    },
  },
  rawUrgent: {
    can: (it) => hasRaw(it) && it.role.cast.kind === 'tcp' && !it.hasUrgent && !it.role.isEnded,
    go: (it) => it.rawSendUrgent(),
  },
  rawEnd: {
    can: hasRaw,
    go: (it) => {
      it.role.raw = 'ended';
      it.rawEnd();
    },
  },
  rawClose: {
    can: hasRawLeft,
    go: (it) => {
      it.role.raw = 'closed';
      it.rawClose(false);
    },
  },
  rawReset: {
    can: (it) => hasRawLeft(it) && it.role.cast.kind === 'tcp',
    go: (it) => {
      it.role.raw = 'closed';
      it.rawClose(true);
    },
  },
  /** May run iterations, so it is not possible in a callback. */
  rawReceive: {
    can: (it) => it.role.raw === 'open' || it.role.raw === 'ended',
    go: (it) => it.rawReceive(),
  },
} satisfies Record<string, Act>;

export type PlayerAct = keyof typeof acts;

/** A scheduled call. */
export interface Cancellable {
  cancel(): void;
}

/** Plays a history: on the model, or on a real map. */
export abstract class Stage<P extends Player> {
  /** Every step, and all callbacks. */
  readonly trace: string[] = [];
  readonly players: P[] = [];
  readonly #timers: Cancellable[] = [];
  #timerCount = 0;
  isSettling = false;

  abstract readonly isClosed: boolean;
  protected abstract open(cast: Cast): void;
  protected abstract listen(cast: Cast): void;
  protected abstract refused(cast: Cast): void;
  protected abstract connect(listener: P, cast: Cast): void;
  protected abstract callIn0(fn: () => void): Cancellable;
  protected abstract callNext(fn: () => void): void;
  /** One iteration of the loop. */
  protected abstract turn(): void;
  /** Iterates until nothing happens. */
  protected abstract turnUntilQuiet(): void;
  protected abstract closeMap(): void;
  abstract knock(listener: P): void;
  abstract remove(player: P): void;
  abstract add(player: P): void;
  /** A callback of the handler raises: on a real map this throws. */
  protected abstract raise(player: P): void;

  /** Plays all steps of a history, then reads what is left. */
  play(history: readonly Step[]): this {
    for (const step of history) this.#perform(step);
    this.#perform({ act: 'settle' });
    const receive = (): void => {
      // Not a handler created meanwhile.
      for (const player of [...this.players]) player.rawReceive();
    };
    receive();
    this.#perform({ act: 'closeMap' });
    for (const player of this.players) player.close();
    receive();
    return this;
  }

  /** Records a callback of a handler, and runs its planned action. Returns whether it raised. */
  tell(player: P, event: EventName, detail = ''): boolean {
    this.note(player, detail === '' ? event : `${event} ${detail}`);
    const step = player.role.plans.get(event)?.shift();
    if (step?.act === 'raise') this.raise(player);
    else if (step !== undefined) this.#perform(step);
    return step?.act === 'raise';
  }

  note(player: P, text: string): void {
    this.trace.push(`${player.role.id} ${text}`);
  }

  #perform(step: Step): void {
    switch (step.act) {
      case 'turn':
      case 'settle':
      case 'closeMap':
        if (this.isClosed) return;
        this.trace.push(`- ${step.act}`);
        if (step.act === 'turn') this.turn();
        else if (step.act === 'closeMap') this.closeMap();
        else this.#settle();
        return;
      case 'open':
      case 'listen':
      case 'refused':
        if (this.isClosed) return;
        this.trace.push(`- ${step.act} ${nameOf(step.cast)}`);
        this[step.act](step.cast);
        return;
      case 'connect':
        if (this.isClosed) return;
        this.#pick(step, acts.knock.can, (listener) => {
          listener.role.waiting++;
          this.connect(listener, { ...step.cast, kind: listener.role.cast.kind });
        });
        return;
      case 'replace':
        if (this.isClosed) return;
        // A descriptor opened now is likely to reuse the number.
        this.#pick(step, isStream, (player) => {
          player.close();
          if (!this.isClosed) this.open(step.cast);
        });
        return;
      case 'when':
        this.#pick(
          step,
          (player) => !player.closed,
          ({ role }) => {
            role.plans.set(step.on, [...(role.plans.get(step.on) ?? []), step.then]);
          },
        );
        return;
      case 'timer':
      case 'call':
        if (!this.isClosed) this.#schedule(step.act, step.then);
        return;
      case 'raise':
        return;
      case 'cancel':
        this.#timers.splice(step.who % (this.#timers.length + 1), 1)[0]?.cancel();
        return;
      default:
        this.#pick(step, acts[step.act].can, (player) => acts[step.act].go(player, step.n, this));
    }
  }

  #pick(
    step: Extract<Step, { who: number }>,
    can: (player: Player, stage: Stage<Player>) => boolean,
    go: (player: P) => void,
  ): void {
    const able = this.players.filter((player) => can(player, this));
    const player = able[step.who % able.length];
    if (player === undefined) return;
    const what = 'n' in step ? ` ${step.n}` : 'on' in step ? ` ${step.on}: ${step.then.act}` : '';
    this.trace.push(`- ${player.role.id} ${step.act}${what}`);
    go(player);
  }

  #schedule(act: 'timer' | 'call', then: Step): void {
    const name = `${act} ${this.#timerCount++}`;
    this.trace.push(`- set ${name}: ${then.act}`);
    const run = (): void => {
      this.trace.push(name);
      this.#perform(then);
    };
    if (act === 'timer') this.#timers.push(this.callIn0(run));
    else this.callNext(run);
  }

  /** Without unfinished work the map must become idle (rule 5). */
  #settle(): void {
    for (const player of this.players) {
      player.role.readBytes = 65536;
      if (acts.wantNoWrite.can(player)) player.setWritable(false);
    }
    this.isSettling = true;
    this.turnUntilQuiet();
    this.isSettling = false;
  }
}

function nameOf(cast: Cast): string {
  const words = [cast.kind, cast.isBuffered && 'buffered', cast.allowHalfOpen && 'half-open'];
  return [...words, !cast.hasRawPeer && 'both'].filter(Boolean).join(' ');
}
