/**
 * Handlers that raise again and again. What a callback has raised before it read, sent or accepted
 * anything, it raises in the next turn again, as long as its descriptor is ready.
 */
import { POLLIN, POLLOUT } from '../system/readiness';

import { Flag } from './phase';
import type { Transport } from './transport';

/** In how many turns a handler may raise, without any progress. */
const MOST_TURNS = 16;

/** The turns since the last progress of a handler that has raised. */
class Raises {
  turns = 0;
  lastTurn = -1;
  isWarned = false;
}

/** Apart from the transports: hardly any of them has one. */
const raisesOf = new WeakMap<Transport, Raises>();

/**
 * A callback of the transport's handler has raised. Pauses the handler where it is stuck. Returns
 * whether that is news: a handler that was resumed is paused again without another warning.
 */
export function pausedAsStuck(transport: Transport): boolean {
  if (transport.isClosed || transport.fd < 0) return false;
  let raises = raisesOf.get(transport);
  if (raises === undefined) raisesOf.set(transport, (raises = new Raises()));
  if (!(transport.flags & Flag.raised)) raises.turns = 0;
  transport.flags |= Flag.raised;
  const { turn } = transport.loop;
  if (raises.lastTurn !== turn) raises.turns++;
  raises.lastTurn = turn;
  if (raises.turns < MOST_TURNS) return false;
  raises.turns = 0;
  // A handler that reads by means of its own, or pauses by itself, makes progress all the same.
  const bits = readyBits(transport);
  if (!(bits & (POLLIN | POLLOUT))) return false;
  transport.pause(bits);
  const isNews = !raises.isWarned;
  raises.isWarned = true;
  return isNews;
}

/** What the next wait would report at once. */
function readyBits(transport: Transport): number {
  const mask = transport.interest();
  const backend = mask === 0 ? 0 : transport.loop.kernel.createBackend('poll');
  if (typeof backend === 'number') return 0;
  const ready = new Int32Array(2);
  const isWatched = backend.add(transport.fd, mask) >= 0;
  const count = isWatched ? backend.wait(0, ready) : 0;
  backend.close();
  return count > 0 ? (ready[1] ?? 0) : 0;
}
