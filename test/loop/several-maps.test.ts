import { type SocketMap, socketpair } from '../../lib';
import { candidates, EpollSocketMap, PollSocketMap, SelectSocketMap } from '../../lib/maps';

import { saturate } from '../support/echoing';
import { Recorder } from '../support/recorder';
import { until } from '../support/turns';

describe('several maps at once', () => {
  let maps: SocketMap[];
  beforeEach(() => {
    maps = [new EpollSocketMap(), new PollSocketMap(), new SelectSocketMap(), new EpollSocketMap()];
  });
  afterEach(() => {
    for (const map of maps) map.close();
  });

  test('busy maps are all served, and closing one does not affect the others', async () => {
    const echoing = maps.map(saturate);
    const running = maps.map((map) => map.run());
    while (maps.length > 0) {
      const before = echoing.map(({ count }) => count);
      await until(() => echoing.every(({ count }, i) => count > before[i]! + 100), 'messages');
      maps.shift()?.close();
      echoing.shift();
      await running.shift();
    }
  });

  test('an idle map gets its events and timers while another is busy', async () => {
    const [busy, ...idle] = maps;
    saturate(busy!);
    const pairs = idle.map(() => socketpair());
    const recorders = idle.map((map, i) => new Recorder(map, pairs[i]![0]));
    const running = maps.map((map) => map.run());
    for (const [, right] of pairs) right.send(Buffer.from('a'));
    await until(() => recorders.every(({ received }) => received === 'a'), 'bytes');
    let timers = 0;
    for (const map of idle) map.callIn(0.001, () => timers++);
    await until(() => timers === idle.length, 'timers');
    for (const [, right] of pairs) right.close();
    await until(() => recorders.every(({ closed }) => closed), 'the end of all');
    for (const map of maps) map.close();
    await Promise.all(running);
  });

  test('idle maps exchange messages, and wait together', async () => {
    const [left, right] = socketpair();
    const asked = new Recorder(maps[1]!, left);
    asked.handleRead = () => asked.sendAll(`${asked.read(10).toString()}!`);
    const asking = new Recorder(maps[2]!, right);
    const running = maps.map((map) => map.run());
    for (let i = 1; i <= 20; i++) {
      asking.sendAll('a');
      await until(() => asking.received === 'a!'.repeat(i), 'an answer');
    }
    for (const map of maps) map.close();
    await Promise.all(running);
  });

  test('a map started or closed in a callback of another does not affect others', async () => {
    const [first, second, third] = maps as [SocketMap, SocketMap, SocketMap];
    const echoing = [saturate(second), saturate(third)];
    const running: Promise<void>[] = [first.run()];
    first.callIn(0, () => running.push(second.run(), third.run()));
    await until(() => echoing.every(({ count }) => count > 100), 'messages of both');
    first.callSynchronized(() => second.close());
    await running[1];
    const before = echoing[1]!.count;
    await until(() => echoing[1]!.count > before + 100, 'messages of the third');
    third.callSynchronized(() => {
      first.close();
      third.close();
    });
    await Promise.all(running);
  });

  test('a map whose run() rejects does not affect the others', async () => {
    const [failing, ...others] = maps;
    const echoing = others.map(saturate);
    const running = others.map((map) => map.run());
    failing!.callIn(0, () => {
      throw new Error('only mine');
    });
    await expect(failing!.run()).rejects.toThrow('only mine');
    const before = echoing.map(({ count }) => count);
    await until(() => echoing.every(({ count }, i) => count > before[i]! + 100), 'messages');
    for (const map of maps) map.close();
    await Promise.all(running);
  });

  test('every available map is covered', () => {
    expect(new Set(maps.map(({ backend }) => backend))).toEqual(
      new Set(candidates.map(({ backend }) => backend)),
    );
  });
});
