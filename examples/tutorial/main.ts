/**
 * What `npm start` runs: the tutorial's server and its client, each as a process of its own.
 *
 * The map here runs inside Node's loop: child processes, streams and timers go on beside it.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import path from 'node:path';
import readline from 'node:readline';

import { IOHandler, type SocketMap } from 'asynchia';
import { candidates, DefaultSocketMap } from 'asynchia/maps';

const ADDRESS = ['127.0.0.1', 25000] as const;
const PATIENCE_SECONDS = 10;

const socketMap = new DefaultSocketMap();
const children: ChildProcess[] = [];
/** Emits what the programs write, line by line, and `listening` when the server does. */
const heard = new EventEmitter();
/** Aborted with the reason when something goes wrong; every step below waits for this as well. */
const failure = new AbortController();

/** Starts one of the programs, and shows what it writes with its name before each line. */
function start(name: 'server' | 'client'): ChildProcess {
  const script = path.join(__dirname, `${name}.js`);
  const child = spawn(process.execPath, [script], { stdio: ['ignore', 'pipe', 'pipe'] });
  for (const input of [child.stdout, child.stderr]) {
    readline.createInterface({ input }).on('line', (line) => {
      console.log(`${name} | ${line}`);
      heard.emit(`${name} | ${line}`);
    });
  }
  child.on('error', (error) => failure.abort(error));
  child.on('close', (code, signal) => {
    // Neither of them ends by itself.
    if (!child.killed) failure.abort(new Error(`the ${name} has ended (${code ?? signal})`));
  });
  children.push(child);
  return child;
}

/**
 * Connects until the server answers, and stays connected: the server prints a line for each peer
 * that leaves, and the one to be seen is the client's.
 */
class Probe extends IOHandler {
  constructor(socketMap: SocketMap) {
    super(socketMap);
    this.connect(ADDRESS);
  }
  override handleConnect() {
    heard.emit('listening');
  }
  override handleConnectFailed() {
    this.socketMap.callIn(0.02, () => new Probe(this.socketMap));
  }
}

async function runTutorial(): Promise<void> {
  const { signal } = failure;
  const others = candidates
    .filter(({ backend }) => backend !== DefaultSocketMap.backend)
    .map(({ backend, available }) => `${backend} (${available ? 'available' : 'not available'})`);
  console.log(`The map is ${DefaultSocketMap.backend}. The others: ${others.join(', ')}.`);

  start('server');
  new Probe(socketMap);
  await once(heard, 'listening', { signal });
  console.log(`The server listens on ${ADDRESS.join(':')}. Now the client connects to it.`);

  const client = start('client');
  await once(heard, 'server | Hello from the echo-client', { signal });
  console.log('The greeting has arrived. Now the client leaves.');

  client.kill();
  await once(heard, 'server | Peer said bye-bye.', { signal });
  console.log('The server has noticed. That is all.');
}

async function main(): Promise<void> {
  const timer = setTimeout(() => {
    failure.abort(new Error(`it takes longer than ${PATIENCE_SECONDS} seconds`));
  }, PATIENCE_SECONDS * 1000);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => failure.abort(new Error(`stopped by ${signal}`)));
  }
  const running = socketMap.run().catch((error: unknown) => failure.abort(error));
  try {
    await runTutorial();
  } catch (error) {
    const reason: unknown = failure.signal.aborted ? failure.signal.reason : error;
    console.error('The tutorial failed:', reason instanceof Error ? reason.message : reason);
    process.exitCode = 1;
  }
  // No process is left running, whatever happened.
  clearTimeout(timer);
  for (const child of children) child.kill();
  socketMap.close();
  await running;
}

void main();
