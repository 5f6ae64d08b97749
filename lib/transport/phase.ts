/** The phases of a transport, the changes between them that are allowed, and its flags. */

/** Where a transport stands. The order matters: what lies between two phases is tested by number. */
export const Phase = {
  /** It has no peer and does not listen. */
  unconnected: 0,
  /** `connect` is under way: a name is looked up, or an attempt waits for its outcome. */
  connecting: 1,
  /** It ends without ever having had a connection. */
  failed: 2,
  /** It accepts connections. */
  listening: 3,
  /** Both directions are open, as far as the peer is concerned. */
  open: 4,
  /** The peer has ended its side, and all bytes before that are read. */
  halfClosed: 5,
  /** `handleClose` is being called. */
  ending: 6,
  /** The descriptor is closed. */
  closed: 7,
} as const;

export type Phase = (typeof Phase)[keyof typeof Phase];
export type PhaseName = keyof typeof Phase;

/** The allowed changes. A change that is not listed is a programming error of this library. */
export const allowedChanges: Readonly<Record<PhaseName, readonly PhaseName[]>> = {
  unconnected: ['connecting', 'listening', 'open', 'failed', 'closed'],
  connecting: ['open', 'failed', 'closed'],
  failed: ['closed'],
  listening: ['failed', 'closed'],
  open: ['halfClosed', 'ending', 'closed'],
  halfClosed: ['ending', 'closed'],
  // Back to half-closed: handleClose has sent something, and the connection lingers until it is out.
  ending: ['halfClosed', 'closed'],
  closed: [],
};

const names = Object.keys(Phase) as PhaseName[];
const allowed = names.map((from) =>
  allowedChanges[from].reduce((set, to) => set | (1 << Phase[to]), 0),
);

/** Returns `to` where the change from `from` is allowed, and throws where it is not. */
export function changed(from: Phase, to: Phase): Phase {
  if (from === to || (allowed[from] ?? 0) & (1 << to)) return to;
  throw new Error(`a transport does not go from ${names[from]} to ${names[to]}`);
}

/** What is true of a transport besides its phase. */
export const Flag = {
  /** `setReadable(true)`. */
  readable: 1 << 0,
  /** `setWritable(true)`, or output is buffered and waits for the socket to take more. */
  writable: 1 << 1,
  /** Registered with its loop, with a descriptor or without. */
  member: 1 << 2,
  /** Its interest may have changed since the last wait. */
  changed: 1 << 3,
  /** Not watched for input: bytes before the end wait for a paused handler, or a listener rests. */
  inputParked: 1 << 4,
  /** Both directions are closed: a descriptor in this state is always writable. */
  hungUp: 1 << 5,
  /** `handleExcept` was called for urgent data, which is reported until something is read. */
  urgentNotified: 1 << 6,
  /** A transfer failed: the transport ends when all bytes that came before are read. */
  broken: 1 << 7,
  /** `shutdown(SHUT_RD)`: an end that the kernel reports is our own. */
  inputShut: 1 << 8,
  /** `shutdown(SHUT_WR)`. */
  outputShut: 1 << 9,
  /** The output side is shut down when all buffered output is sent. */
  shutdownDue: 1 << 10,
  /** `end()`: what still comes is discarded, and the transport closes when all output is sent. */
  endRequested: 1 << 11,
  /** Only `handleCleanup` is left to call: output is still being sent, or the peer has not ended. */
  lingering: 1 << 12,
  /** `flush` is called when the running callback returns. */
  flushDue: 1 << 13,
  /** `sendAll` has returned false: `handleDrain` is called when all is sent. */
  drainDue: 1 << 14,
  /** In phase `ending`: the peer has ended its side, and all bytes before that were read. */
  inputEnded: 1 << 15,
  /** A callback has raised, and since then nothing was read, sent or accepted. */
  raised: 1 << 16,
} as const;
