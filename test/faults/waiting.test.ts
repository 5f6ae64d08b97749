/** Every errno of epoll_wait(2), poll(2) and select(2), and signals in the middle of a wait. */
import { type Socket, socketpair, type SocketMap } from '../../lib';
import { EpollSocketMap, PollSocketMap, SelectSocketMap } from '../../lib/maps';
import { Epoll, EPOLLIN, Poll, POLLIN, select } from '../../lib/select';
import { Acting } from '../support/acting';
import { onEverySystemMap } from '../support/maps';
import { Recorder } from '../support/recorder';
import { sendText } from '../support/streams';
import { expectQuiet, turnUntil } from '../support/turns';

import { codeOf, injectFaults } from './faults';
import type { Call } from './injector';

const faults = injectFaults();

const WAIT: Readonly<Record<string, Call>> = {
  epoll: 'epoll_wait',
  poll: 'poll',
  select: 'pselect',
};

/** The time-outs of all waits, in milliseconds. */
function timeouts(call: Call): number[] {
  return faults
    .trace()
    .filter((traced) => traced.call === call)
    .map(({ detail }) => detail);
}

/** Interrupted repeatedly, a wait of `seconds` is neither short nor restarted. */
function expectInterruptible(call: Call, seconds: number, wait: () => unknown): void {
  faults.fail(call, 'EINTR', { times: 10 });
  const startMs = performance.now();
  wait();
  expect(performance.now() - startMs).toBeGreaterThanOrEqual(seconds * 1000);
  // On a busy machine a few of them may take the whole time.
  const interruptions = faults.faulted(call);
  expect(interruptions).toBeGreaterThan(0);
  const asked = timeouts(call);
  expect(asked.every((timeoutMs, i) => timeoutMs <= seconds * 1000 - i || i > interruptions)).toBe(
    true,
  );
}

onEverySystemMap('waiting fails', (map) => {
  let theirs: Socket;
  let handler: Acting;
  beforeEach(() => {
    const [ours, other] = socketpair();
    theirs = other;
    handler = new Acting(map(), ours);
  });
  afterEach(() => {
    theirs.close();
    map().close();
  });

  const call = (): Call => WAIT[map().backend]!;
  // EBADF of select(2): a descriptor was closed without its handler; poll(2) finds which.
  const errnosOf = (backend: string): string[] =>
    ['EBADF', 'EFAULT', 'EINVAL', 'ENOMEM'].filter((e) => e !== 'EBADF' || backend !== 'select');

  test('poll throws every error, and the next wait works as before', () => {
    for (const errno of errnosOf(map().backend)) {
      sendText(theirs, errno);
      faults.fail(call(), errno);
      expect(() => map().poll(1)).toThrow(`${map().backend} wait ${codeOf(errno)}`);
      expect(handler.received).toBe('');
      turnUntil(map(), () => handler.received === errno, 'what was sent meanwhile');
      handler.received = '';
      faults.clear();
    }
  });

  test('runSync throws the error, and can be called again', () => {
    faults.fail(call(), 'ENOMEM');
    map().callIn(0, () => map().close());
    expect(() => map().runSync()).toThrow('wait ENOMEM');
    map().runSync();
    expect(handler.events).toEqual(['cleanup']);
  });

  test('run() rejects with the error, and can be called again', async () => {
    faults.fail(call(), 'ENOMEM');
    await expect(map().run()).rejects.toThrow(`${map().backend} wait ENOMEM`);
    sendText(theirs, 'later');
    map().callIn(0, () => map().callIn(0, () => map().close()));
    await map().run();
    expect(handler.events).toEqual(['read later', 'cleanup']);
  });

  test('rule 10: interrupted repeatedly, poll() waits for the given time', () => {
    map().poll(0);
    faults.clear();
    expectInterruptible(call(), 0.06, () => expect(map().poll(0.06)).toBe(0));
  });

  test('rule 10: interrupted repeatedly, run() and its timers continue', async () => {
    faults.fail(call(), 'EINTR', { times: 100 });
    let isDue = false;
    const startMs = performance.now();
    map().callIn(0.03, () => {
      isDue = true;
      expect(performance.now() - startMs).toBeGreaterThanOrEqual(30);
      sendText(theirs, 'after it');
    });
    handler.on.read = () => map().close();
    await map().run();
    expect(isDue).toBe(true);
    expect(handler.events).toEqual(['read after it', 'cleanup']);
  });

  test('rule 10: an interrupted wait still reports ready descriptors', () => {
    sendText(theirs, 'ready');
    faults.fail(call(), 'EINTR', { times: 50 });
    turnUntil(map(), () => handler.received === 'ready', 'what is ready');
    expect(faults.faulted(call())).toBe(50);
    expectQuiet(map());
  });

  test('with one event per epoll_wait, all events are delivered in the end', () => {
    faults.shorten('epoll_wait', 1, { times: Infinity });
    const pairs = Array.from({ length: 20 }, () => socketpair());
    const handlers = pairs.map(([ours]) => new Recorder(map(), ours));
    for (const [, other] of pairs) sendText(other, 'x');
    turnUntil(map(), () => handlers.every(({ received }) => received === 'x'), 'everybody');
    for (const [, other] of pairs) other.close();
  });
});

describe('a kernel without epoll_pwait2(2)', () => {
  /** The first of two waits of 2.9 ms asks for it; then epoll_wait(2) has whole milliseconds. */
  function expectFallBack(errno: string, wait: () => unknown): void {
    faults.clear();
    faults.fail('epoll_wait', errno);
    const startMs = performance.now();
    wait();
    wait();
    expect(performance.now() - startMs).toBeGreaterThanOrEqual(5.8);
    expect(timeouts('epoll_wait').filter((timeoutMs) => timeoutMs > 0)).toEqual([2, 3, 3]);
  }

  test.each(['ENOSYS', 'EPERM'])('%s: poll() waits by epoll_wait(2)', (errno) => {
    const map = new EpollSocketMap();
    map.poll(0);
    expectFallBack(errno, () => map.poll(0.0029));
    map.close();
  });
});

describe('select(2) and the poll(2) that completes it', () => {
  let map: SocketMap;
  let theirs: Socket;
  let handler: Recorder;
  beforeEach(() => {
    map = new SelectSocketMap();
    const [ours, other] = socketpair();
    theirs = other;
    handler = new Recorder(map, ours);
    map.poll(0);
    sendText(theirs, 'x');
  });
  afterEach(() => {
    theirs.close();
    map.close();
  });

  test.each(['EFAULT', 'EINVAL', 'ENOMEM'])('poll() throws %s of poll(2)', (errno) => {
    faults.fail('poll', errno);
    expect(() => map.poll(1)).toThrow(`select wait ${errno}`);
    turnUntil(map, () => handler.received === 'x', 'what was ready');
  });

  test('EINTR of the poll(2) is retried', () => {
    faults.fail('poll', 'EINTR', { times: 10 });
    turnUntil(map, () => handler.received === 'x', 'what was ready');
  });

  test('EBADF of select(2) with all descriptors open has no effect', () => {
    faults.fail('pselect', 'EBADF');
    turnUntil(map, () => handler.received === 'x', 'what was ready');
    expectQuiet(map);
    expect(handler.events).toEqual(['read x']);
  });
});

test('when the wait of one of several running maps fails, that one rejects', async () => {
  const maps = [new PollSocketMap(), new SelectSocketMap()];
  const [failing, other] = maps.map((map) => map.run());
  faults.fail('poll', 'ENOMEM');
  await expect(failing).rejects.toThrow('poll wait ENOMEM: not enough memory');
  maps[1]!.callIn(0, () => maps[1]!.close());
  await other;
  maps[0]!.close();
});

describe('asynchia/select', () => {
  let ours: Socket;
  let theirs: Socket;
  beforeEach(() => ([ours, theirs] = socketpair()));
  afterEach(() => {
    ours.close();
    theirs.close();
  });

  const epollOf = (): Epoll => {
    const epoll = new Epoll();
    epoll.register(ours, EPOLLIN);
    return epoll;
  };
  const pollOf = (): Poll => {
    const poll = new Poll();
    poll.register(ours, POLLIN);
    return poll;
  };

  test.each(['EBADF', 'EINVAL', 'ENOMEM'])('select() throws %s', (errno) => {
    faults.fail('pselect', errno);
    expect(() => select([ours], [], [], 0)).toThrow(`select ${errno}`);
    expect(select([ours], [theirs], [], 0)).toEqual([[], [theirs], []]);
  });

  test.each(['EFAULT', 'EINVAL', 'ENOMEM'])('Poll.poll throws %s', (errno) => {
    const poll = pollOf();
    faults.fail('poll', errno);
    expect(() => poll.poll(0)).toThrow(`poll ${errno}`);
    sendText(theirs, 'x');
    expect(poll.poll(0)).toEqual([[ours.fileno(), POLLIN]]);
  });

  test.each(['EBADF', 'EFAULT', 'EINVAL'])('Epoll.poll throws %s', (errno) => {
    const epoll = epollOf();
    faults.fail('epoll_wait', errno);
    expect(() => epoll.poll(0)).toThrow(`epoll_wait ${errno}`);
    sendText(theirs, 'x');
    expect(epoll.poll(0)).toEqual([[ours.fileno(), EPOLLIN]]);
    epoll.close();
  });

  test.each(['EMFILE', 'ENFILE', 'ENOMEM'])('new Epoll() throws %s', (errno) => {
    faults.fail('epoll_create1', errno);
    expect(() => new Epoll()).toThrow(`epoll_create1 ${errno}`);
  });

  test('rule 10: interrupted repeatedly, each waits for the given time', () => {
    expectInterruptible('pselect', 0.06, () => select([ours], [], [], 0.06));
    faults.clear();
    expectInterruptible('poll', 0.06, () => pollOf().poll(0.06));
    faults.clear();
    const epoll = epollOf();
    expectInterruptible('epoll_wait', 0.06, () => epoll.poll(0.06));
    epoll.close();
  });
});
