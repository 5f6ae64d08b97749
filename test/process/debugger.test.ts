import http from 'node:http';
import type { Duplex } from 'node:stream';

import { onEverySystemMap } from '../support/maps';
import { Program } from '../support/processes';
import { until } from '../support/turns';

/** A WebSocket frame of text, unmasked by a key of zeros. RFC 6455, 5.2 */
function frame(text: string): Buffer {
  const header = [0x81, 0x80 | text.length, 0, 0, 0, 0];
  return Buffer.concat([Buffer.from(header), Buffer.from(text)]);
}

/** Has the inspector at `url` evaluate an expression; returns what it answers. */
async function evaluate(url: URL, expression: string): Promise<string> {
  const request = http.request({
    host: url.hostname,
    port: url.port,
    path: url.pathname,
    headers: {
      Connection: 'Upgrade',
      Upgrade: 'websocket',
      'Sec-WebSocket-Version': '13',
      'Sec-WebSocket-Key': Buffer.alloc(16).toString('base64'),
    },
  });
  let answer = '';
  let connection: Duplex | undefined;
  request.on('upgrade', (_response, socket) => {
    connection = socket;
    socket.on('data', (data: Buffer) => (answer += data.toString('latin1')));
    const method = 'Runtime.evaluate';
    socket.write(frame(JSON.stringify({ id: 1, method, params: { expression } })));
  });
  request.end();
  try {
    await until(() => answer.includes('"id":1'), 'an answer of the inspector');
  } finally {
    connection?.destroy();
  }
  return answer;
}

onEverySystemMap('a debugger', (map) => {
  test('is answered while runSync blocks', async () => {
    const script = `
      const { DefaultSocketMap } = require('asynchia/maps');
      const map = (globalThis.map = new DefaultSocketMap());
      map.callIn(0, () => require('node:fs').writeSync(1, 'ready'));
      map.runSync();`;
    const program = new Program(process.execPath, ['--inspect=0', '-e', script], {
      ASYNCHIA_MAP: map().backend,
    });
    try {
      await program.says('ready');
      const url = new URL(/ws:\S+/.exec(program.stderr)?.[0] ?? '');
      expect(await evaluate(url, 'map.close(), 42')).toContain('"value":42');
      expect(await program.ends()).toBe(0);
    } finally {
      program.kill();
    }
  });
});
