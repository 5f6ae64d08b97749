/** What the entry points export. */
import * as asynchia from '../../lib';
import * as maps from '../../lib/maps';
import * as protocols from '../../lib/protocols';

test('asynchia exports everything of asynchia/maps and asynchia/protocols, the same objects', () => {
  for (const [name, value] of Object.entries({ ...maps, ...protocols })) {
    expect([name, Reflect.get(asynchia, name)]).toEqual([name, value]);
  }
});

test("the client of asynchia's tutorial: a map and a protocol by way of asynchia alone", () => {
  const map = new asynchia.DefaultSocketMap();
  class EchoClient extends asynchia.BufferedWriteHandler {}
  expect(new EchoClient(map).socketMap).toBe(map);
  map.close();
});
