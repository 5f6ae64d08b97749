/** The messages between the conductor and its two programs, in lines of JSON. */

/** The services of the server, each with a port of its own. */
export const SERVICES = ['echo', 'lines', 'source', 'alarm', 'collect'] as const;
export type Service = (typeof SERVICES)[number];
export type Ports = Readonly<Record<Service, number>>;

/** A request of `source`: where in the block, and how many bytes; of `alarm`: milliseconds, twice. */
export const REQUEST_BYTES = 8;

/** The state of the server, printed for each line `sample`. */
export interface ServerSample {
  /** Resident bytes, as it runs. */
  readonly rss: number;
  /** Bytes in use, after garbage collection. */
  readonly heapUsed: number;
  readonly external: number;
  /** As the kernel counts them in /proc/self/fd. */
  readonly descriptors: number;
  /** Connections that have a handler. */
  readonly handlers: number;
  /** Since the beginning. */
  readonly accepted: number;
  readonly cleanedUp: number;
  readonly cpuSeconds: number;
  /** The number of repeated or misplaced callbacks, and of errors. */
  readonly faultCount: number;
  /** The first of them. */
  readonly faults: readonly string[];
}

/** Microseconds from a message to the whole of its echo. */
export interface Latency {
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

/** The figures of the load, printed for each line `sample`. */
export interface LoadSample {
  readonly open: number;
  /** Since the beginning. */
  readonly connections: number;
  readonly exchanges: number;
  /** Correct received bytes. */
  readonly bytes: number;
  readonly cpuSeconds: number;
  /** Of what was echoed since the last sample. */
  readonly latency: Latency;
  readonly faultCount: number;
  readonly faults: readonly string[];
}

const MOST_FAULTS_TOLD = 20;

/** Faults: all are counted, the first are kept as text. */
export class Faults {
  count = 0;
  readonly #told: string[] = [];

  add(text: string): void {
    this.count++;
    if (this.#told.length < MOST_FAULTS_TOLD) this.#told.push(text);
  }

  tell(): { faultCount: number; faults: readonly string[] } {
    return { faultCount: this.count, faults: this.#told };
  }
}

export function tell(message: unknown): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

export function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}
