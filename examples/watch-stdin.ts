/**
 * Watches standard input and a timer at once with one raw select(2): no map, no handlers, and
 * nothing of Node's loop. Standard input may be a terminal, a pipe, a socket or a file.
 *
 *   node dist/examples/watch-stdin.js [seconds between ticks]
 */
import { readSync } from 'node:fs';
import { inspect } from 'node:util';

import { select } from 'asynchia/select';

const STDIN = 0;
const tickSeconds = Number(process.argv[2] ?? 1);
if (!(tickSeconds > 0)) throw new RangeError('the seconds between ticks must be above 0');

const now = () => performance.now() / 1000;
const buffer = Buffer.alloc(64 * 1024);
let nextTick = now() + tickSeconds;
let ticks = 0;
let total = 0;

/** Reads what there is. False at the end of input. */
function readInput(): boolean {
  let count: number;
  try {
    count = readSync(STDIN, buffer);
  } catch (error) {
    // Another process that shares this input has read it. select(2) reports when there is more.
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return true;
    throw error;
  }
  total += count;
  const text = buffer.toString('utf8', 0, count);
  if (count > 0) console.log(`${count} bytes: ${inspect(text, { maxStringLength: 60 })}`);
  return count > 0;
}

for (;;) {
  // The timer is the time that select may wait; it returns earlier if there is input.
  const [readable] = select([STDIN], [], [], Math.max(0, nextTick - now()));
  if (now() >= nextTick) {
    console.log(`tick ${++ticks}`);
    nextTick = now() + tickSeconds;
  }
  // The end of input counts as readable: a read of 0 bytes is the end.
  if (readable.includes(STDIN) && !readInput()) break;
}
console.log(`End of input: ${total} bytes, ${ticks} ticks.`);
