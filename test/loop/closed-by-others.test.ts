import { onEverySystemMap } from '../support/maps';
import { linesOf, scriptOn } from '../support/scripts';

/** A handler whose descriptor is closed behind its back, while a child has a duplicate of it. */
const LOST = `
  const map = new DefaultSocketMap();
  const [left, right] = socketpair();
  class Reading extends IOHandler {
    constructor(map, socket) { super(map, socket); this.setReadable(true); }
    handleRead() { say('read ' + this.read(10)); }
  }
  const handler = new Reading(map, left);
  map.poll(0);
  const stdio = [left.fileno(), 'ignore', 'ignore'];
  const child = require('node:child_process').spawn('sleep', ['60'], { stdio });
  require('node:fs').closeSync(left.fileno());
  handler.close();
  right.send(Buffer.from('for the child'));
`;

onEverySystemMap('a descriptor that others have closed, but not its duplicate', (map) => {
  test('does not keep poll from waiting', async () => {
    const program = scriptOn(
      map(),
      `${LOST}
      let turns = 0;
      map.callIn(0.2, () => map.close());
      while (!map.closed) { map.poll(); turns++; }
      say(turns < 10 ? 'waited' : turns + ' turns');
      child.kill();`,
    );
    expect(await linesOf(program)).toEqual(['waited']);
  });

  test('does not keep run() busy, and others are served', async () => {
    const program = scriptOn(
      map(),
      `${LOST}
      map.run();
      const before = process.cpuUsage();
      setTimeout(() => {
        const { user, system } = process.cpuUsage(before);
        say(user + system < 150_000 ? 'quiet' : 'used ' + (user + system) / 1000 + ' ms');
        const [mine, theirs] = socketpair();
        new Reading(map, mine);
        theirs.send(Buffer.from('bytes'));
        setTimeout(() => { map.close(); child.kill(); }, 50);
      }, 300);`,
    );
    expect(await linesOf(program)).toEqual(['quiet', 'read bytes']);
  });
});
