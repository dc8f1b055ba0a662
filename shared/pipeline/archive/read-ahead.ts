/** Streams that are read a little before they are asked for, so that the waits for S3 run side by side. */

/**
 * The same values in the same order. While a chunk of them is used, the next one is read: a chunk is a page of a
 * list in S3. At most two chunks are held.
 */
export async function* readAhead<Value>(
  source: AsyncIterable<Value>,
  valuesPerChunk: number,
): AsyncGenerator<Value> {
  const iterator = source[Symbol.asyncIterator]();
  let next = takeChunk(iterator, valuesPerChunk);
  try {
    for (;;) {
      const chunk = await next;
      const isLast = chunk.length < valuesPerChunk;
      if (!isLast) {
        next = takeChunk(iterator, valuesPerChunk);
        // Awaited in turn; until then a failure must not count as unhandled.
        next.catch(() => {});
      }
      for (const value of chunk) yield value;
      if (isLast) return;
    }
  } finally {
    // Not awaited: where a page hangs, nobody who leaves waits for it.
    iterator.return?.()?.catch(() => {});
  }
}

async function takeChunk<Value>(iterator: AsyncIterator<Value>, count: number): Promise<Value[]> {
  const chunk: Value[] = [];
  while (chunk.length < count) {
    const result = await iterator.next();
    if (result.done === true) break;
    chunk.push(result.value);
  }
  return chunk;
}

/**
 * What becomes of each value, in their order; several are on their way at once.
 * @param room how many may be on their way; asked before each
 */
export async function* mapAhead<Value, Result>(
  source: AsyncIterable<Value>,
  room: () => number,
  map: (value: Value) => Promise<Result>,
): AsyncGenerator<Result> {
  const ahead: Promise<Result>[] = [];
  for await (const value of source) {
    const result = map(value);
    result.catch(() => {});
    ahead.push(result);
    while (ahead.length >= Math.max(1, room())) yield* takeFirst(ahead);
  }
  while (ahead.length > 0) yield* takeFirst(ahead);
}

async function* takeFirst<Result>(ahead: Promise<Result>[]): AsyncGenerator<Result> {
  const first = ahead.shift();
  if (first !== undefined) yield await first;
}
