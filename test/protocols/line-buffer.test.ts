/** LineBuffer against a model: lines do not depend on how the text is divided into chunks. */
import fc from 'fast-check';

import { LineBuffer } from '../../lib/protocols/line-buffer';

/** Few letters, so that complete and partial delimiters are frequent. */
const letters = fc.string({ unit: fc.constantFrom('a', 'b', '\r', '\n'), maxLength: 12 });
const chunks = fc.array(letters, { maxLength: 40 });
const delimiters = fc.string({
  unit: fc.constantFrom('a', '\r', '\n'),
  minLength: 1,
  maxLength: 4,
});

interface Cut {
  readonly lines: string[];
  readonly rest: string;
}

/** The expected lines, split in the simplest way. */
function model(whole: string, delimiter: string): Cut {
  const lines = whole.split(delimiter);
  return { rest: lines.pop() ?? '', lines };
}

/** Takes all complete lines. */
function takeLines(buffer: LineBuffer, delimiter: Buffer): Buffer[] {
  const lines: Buffer[] = [];
  for (;;) {
    const isThere = buffer.has(delimiter);
    const line = buffer.next(delimiter);
    expect(line !== undefined).toBe(isThere);
    if (line === undefined) return lines;
    lines.push(line);
  }
}

describe('LineBuffer', () => {
  test('returns the same lines for any chunks', () => {
    fc.assert(
      fc.property(chunks, delimiters, (parts, text) => {
        const delimiter = Buffer.from(text);
        const buffer = new LineBuffer();
        const lines: Buffer[] = [];
        parts.forEach((part, i) => {
          buffer.push(Buffer.from(part));
          const cut = model(parts.slice(0, i + 1).join(''), text);
          lines.push(...takeLines(buffer, delimiter));
          expect(buffer.rest().toString()).toBe(cut.rest);
          expect(buffer.length).toBe(cut.rest.length);
        });
        // Compared only now: a returned line must not change later.
        expect(lines.map(String)).toEqual(model(parts.join(''), text).lines);
      }),
      { numRuns: 1000 },
    );
  });

  test('keeps lines that were not taken yet', () => {
    const takes = fc.array(fc.tuple(letters, fc.nat(3), fc.boolean()), { maxLength: 30 });
    fc.assert(
      fc.property(takes, delimiters, (parts, text) => {
        const delimiter = Buffer.from(text);
        const buffer = new LineBuffer();
        const lines: string[] = [];
        for (const [part, most, isSettled] of parts) {
          buffer.push(Buffer.from(part));
          for (let i = 0; i < most; i++) {
            const line = buffer.next(delimiter);
            if (line !== undefined) lines.push(line.toString());
          }
          if (isSettled) buffer.settle();
        }
        lines.push(...takeLines(buffer, delimiter).map(String));
        expect(lines).toEqual(model(parts.map(([part]) => part).join(''), text).lines);
      }),
    );
  });

  test('a changed delimiter applies to all text not split yet', () => {
    const buffer = new LineBuffer();
    buffer.push(Buffer.from('name,value'));
    expect(buffer.next(Buffer.from('\r\n'))).toBeUndefined();
    expect(buffer.next(Buffer.from(','))?.toString()).toBe('name');
    expect(buffer.rest().toString()).toBe('value');
  });

  test('the remainder is copied into memory of its own, and again when it has shrunk', () => {
    const buffer = new LineBuffer();
    const newline = Buffer.from('\n');
    const chunk = Buffer.from(`whole\n${'x'.repeat(5000)}\n${'y'.repeat(5000)}\nhalf`);
    const size = (): number => buffer.rest().buffer.byteLength;
    buffer.push(chunk);
    expect(buffer.next(newline)?.buffer === chunk.buffer).toBe(true);
    buffer.settle();
    const moved = size();
    expect(moved).toBeLessThan(4 * buffer.length);
    buffer.next(newline);
    buffer.settle();
    // Not for every line, which would copy the remainder again and again.
    expect(size()).toBe(moved);
    buffer.next(newline);
    buffer.settle();
    expect(size()).toBeLessThan(1000);
    expect(buffer.rest().toString()).toBe('half');
    buffer.push(Buffer.from('\n'));
    expect(buffer.next(newline)?.toString()).toBe('half');
    buffer.settle();
    expect(size()).toBe(0);
  });

  test('a cleared buffer starts again', () => {
    const buffer = new LineBuffer();
    buffer.push(Buffer.from('half a li'));
    buffer.push(Buffer.from('ne, and mo'));
    buffer.clear();
    expect(buffer.length).toBe(0);
    expect(buffer.rest().length).toBe(0);
    buffer.push(Buffer.from('whole\nrest'));
    expect(buffer.next(Buffer.from('\n'))?.toString()).toBe('whole');
    expect(buffer.rest().toString()).toBe('rest');
  });

  test('a long line that arrives byte by byte is complete', () => {
    const line = Buffer.from(Uint8Array.from({ length: 20_000 }, (_, i) => 32 + (i % 90)));
    const buffer = new LineBuffer();
    for (const byte of line) {
      buffer.push(Buffer.from([byte]));
      expect(buffer.next(Buffer.from('\r\n'))).toBeUndefined();
    }
    buffer.push(Buffer.from('\r'));
    buffer.push(Buffer.from('\n'));
    expect(buffer.next(Buffer.from('\r\n'))?.equals(line)).toBe(true);
  });
});
