import fc from 'fast-check';
import { expect, test } from 'vitest';
import { linesOfStream, MAX_LINE_BYTES } from './ndjson-lines.ts';

async function* chunksOf(text: Buffer, sizes: readonly number[]): AsyncGenerator<Buffer> {
  let start = 0;
  for (const size of sizes) {
    yield text.subarray(start, start + size);
    start += size;
  }
  yield text.subarray(start);
}

async function read(text: Buffer, sizes: readonly number[]): Promise<(string | undefined)[]> {
  const lines: (string | undefined)[] = [];
  for await (const batch of linesOfStream(chunksOf(text, sizes)))
    lines.push(...batch.map((line) => line?.toString()));
  return lines;
}

test('wherever the chunks are cut, the lines are those of the text', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.string({ unit: fc.constantFrom('a', 'ä', '\n', ' ', '\r') }),
      fc.array(fc.nat(7)),
      async (text, sizes) => {
        const expected = text.split('\n').filter((line) => /[^ \r\t]/.test(line));
        expect(await read(Buffer.from(text), sizes)).toEqual(expected);
      },
    ),
  );
});

test('a line that is too long is told, and is never held', async () => {
  const long = 'x'.repeat(MAX_LINE_BYTES + 1);
  const text = Buffer.from(`a\n${long}\n${'y'.repeat(MAX_LINE_BYTES)}\n${long}`);
  for (const size of [1_000, 65_536, 200_000]) {
    const sizes = Array.from({ length: Math.ceil(text.length / size) }, () => size);
    const lines = await read(text, sizes);
    expect(lines.map((line) => line?.length)).toEqual([1, undefined, MAX_LINE_BYTES, undefined]);
  }
});
