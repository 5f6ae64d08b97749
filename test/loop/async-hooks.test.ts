/** What async hooks see: each handler begins, and ends when it is closed. */
import { createHook } from 'node:async_hooks';

import { IOHandler } from '../../lib';
import { onEverySystemMap } from '../support/maps';
import { socketpair } from '../support/streams';
import { until } from '../support/turns';

onEverySystemMap('async hooks', (map) => {
  test('see a handler from where it is made until it is closed', async () => {
    const made = new Set<number>();
    const gone = new Set<number>();
    const hook = createHook({
      init: (id, type) => {
        if (type === 'asynchia.Handler') made.add(id);
      },
      destroy: (id) => {
        if (made.has(id)) gone.add(id);
      },
    }).enable();
    try {
      const handlers = socketpair().map((socket) => new IOHandler(map(), socket));
      expect(made.size).toBe(2);
      handlers[0]?.close();
      await until(() => gone.size === 1, 'the end of the first');
      map().close();
      await until(() => gone.size === 2, 'the end of the second');
    } finally {
      hook.disable();
    }
  });
});
