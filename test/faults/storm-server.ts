/**
 * The server in a storm: echoes on one port, answers lines on another, and records callbacks. It
 * runs in a process of its own: it gets a plan, sends its ports, and on `settle` (all clients have
 * closed) sends its report, which ends the storm.
 */
import { readdirSync } from 'node:fs';

import {
  Server,
  type Socket,
  type SocketAddress,
  type SocketMap,
  type SystemError,
} from '../../lib';
import { candidates } from '../../lib/maps';
import { BufferedWriteHandler, LineHandler } from '../../lib/protocols';

import { Injector, type Traced } from './injector';
import { type StormPlan, unleash } from './plan';

/** The callbacks of a connection's handler. */
export interface Told {
  /** The client's port. */
  port: number;
  readonly fd: number;
  /** The argument of each `handleClose`: a code, or '' for no error. */
  closes: string[];
  cleanups: number;
  /** The errors of `handleError`, and callbacks after the cleanup. */
  wrongs: string[];
}

/** The report of a server. */
export interface Report {
  readonly told: readonly Told[];
  /** How often `handleAcceptError` was called. */
  readonly restCount: number;
  /** How often run() rejected and was called again. */
  readonly rerunCount: number;
  /** For every call: how often it was made, and how often it failed by injection. */
  readonly calls: Readonly<Record<string, readonly [made: number, hit: number]>>;
  readonly descriptorsBefore: number;
  readonly descriptorsAfter: number;
  /** The calls, as far as they are recorded. */
  readonly trace: readonly Traced[];
}

/** The commands of the process, each answered by a message: settle and report, report, rest. */
export type Order = 'settle' | 'report' | 'rest';

/** The cost of a time without work. */
export interface Rest {
  readonly calls: number;
  readonly cpuMs: number;
  readonly windowMs: number;
}

const REST_MS = 300;
const told: Told[] = [];
let openCount = 0;

function begin(fd: number): Told {
  const entry: Told = { port: 0, fd, closes: [], cleanups: 0, wrongs: [] };
  told.push(entry);
  openCount++;
  return entry;
}

function end(entry: Told): void {
  entry.cleanups++;
  openCount--;
}

function close(entry: Told, error: SystemError | undefined): void {
  if (entry.cleanups > 0) entry.wrongs.push('handleClose after handleCleanup');
  entry.closes.push(error?.code ?? '');
}

class Echo extends BufferedWriteHandler {
  readonly told: Told;

  constructor(map: SocketMap, socket: Socket) {
    super(map, socket);
    this.told = begin(socket.fileno());
    this.setReadable(true);
  }

  override handleRead(): void {
    if (this.told.cleanups > 0) this.told.wrongs.push('handleRead after handleCleanup');
    // Stops reading from a peer that does not read its answers, until it has caught up.
    if (!this.sendAll(this.read(32 * 1024)) && !this.closed) this.setReadable(false);
  }

  override handleDrain(): void {
    this.setReadable(true);
  }

  override handleClose(error?: SystemError): void {
    close(this.told, error);
  }

  override handleCleanup(): void {
    end(this.told);
  }

  override handleError(error: unknown): void {
    this.told.wrongs.push(String(error));
  }
}

class Lines extends LineHandler {
  readonly told: Told;
  #count = 0;

  constructor(map: SocketMap, socket: Socket) {
    super(map, socket);
    this.told = begin(socket.fileno());
  }

  override lineReceived(line: Buffer): void {
    if (this.told.cleanups > 0) this.told.wrongs.push('lineReceived after handleCleanup');
    this.sendAll(`${this.#count++}:`);
    this.sendLine(line);
  }

  override handleClose(error?: SystemError): void {
    close(this.told, error);
  }

  override handleCleanup(): void {
    end(this.told);
  }

  override handleError(error: unknown): void {
    this.told.wrongs.push(String(error));
  }
}

let restCount = 0;

class Listener extends Server<Echo | Lines> {
  override newConnection(handler: Echo | Lines, address: SocketAddress): void {
    handler.told.port = 'port' in address ? address.port : 0;
  }

  override handleAcceptError(): void {
    restCount++;
  }
}

const openDescriptors = (): number => readdirSync('/proc/self/fd').length;
const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function serve(plan: StormPlan): Promise<void> {
  const mapClass = candidates.find(({ backend }) => backend === plan.backend);
  if (mapClass === undefined) throw new RangeError(`there is no map ${plan.backend}`);
  const faults = new Injector(plan.seed);
  const map = new mapClass();
  const ports = [Echo, Lines].map((handlerClass) => {
    const server = new Listener(map, handlerClass);
    server.bind(['127.0.0.1', 0]);
    server.listen(511);
    const address = server.socket.getsockname();
    return 'port' in address ? address.port : 0;
  });

  let rerunCount = 0;
  const isStarted = wait(0).then(() => unleash(faults, plan));
  const serving = (async () => {
    while (!map.closed) await map.run().catch(() => rerunCount++);
  })();
  await isStarted;
  const descriptorsBefore = openDescriptors();

  process.on('message', (order: Order) => {
    void { rest, report, settle }[order]();
  });
  process.send?.({ ports });

  /** The storm is over: connections are idle, and the server must be idle, too. */
  async function rest(): Promise<void> {
    await wait(20);
    const before = faults.madeInAll;
    const cpuBefore = process.cpuUsage();
    await wait(REST_MS);
    const { user, system } = process.cpuUsage(cpuBefore);
    const calls = faults.madeInAll - before;
    process.send?.({ calls, cpuMs: (user + system) / 1000, windowMs: REST_MS } satisfies Rest);
  }

  /** All clients have closed: waits until the handlers have ended, and reports. */
  async function settle(): Promise<void> {
    while (openCount > 0) await wait(5);
    await report();
  }

  async function report(): Promise<void> {
    // Until then the descriptors closed last are released.
    await wait(0);
    const answer: Report = {
      told,
      restCount,
      rerunCount,
      calls: faults.counts(),
      descriptorsBefore,
      descriptorsAfter: openDescriptors(),
      trace: faults.trace(),
    };
    faults.clear();
    process.send?.(answer);
  }

  process.on('disconnect', () => map.close());
  await serving;
  faults.detach();
}

void serve(JSON.parse(process.argv[2] ?? '') as StormPlan);
