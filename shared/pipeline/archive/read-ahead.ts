/** Streams that are read a little before they are asked for, so that the waits for S3 run side by side. */

/** As many keys as S3 lists at once. */
const VALUES_PER_CHUNK = 1_000;

/** The same values in the same order. While one chunk of them is used, the next one is read: two are held at most. */
export async function* readAhead<Value>(source: AsyncIterable<Value>): AsyncGenerator<Value> {
  const iterator = source[Symbol.asyncIterator]();
  let next = takeChunk(iterator);
  try {
    for (;;) {
      const chunk = await next;
      const isLast = chunk.length < VALUES_PER_CHUNK;
      if (!isLast) {
        next = takeChunk(iterator);
        // Awaited in turn; until then a failure must not count as unhandled.
        next.catch(() => {});
      }
      yield* chunk;
      if (isLast) return;
    }
  } finally {
    // Not awaited: a reader that leaves must not wait for a page that hangs.
    iterator.return?.()?.catch(() => {});
  }
}

async function takeChunk<Value>(iterator: AsyncIterator<Value>): Promise<Value[]> {
  const chunk: Value[] = [];
  while (chunk.length < VALUES_PER_CHUNK) {
    const result = await iterator.next();
    if (result.done === true) break;
    chunk.push(result.value);
  }
  return chunk;
}

/**
 * The results of `map` in the order of the values; several are on their way at once.
 * @param room how many may be on their way, 1 or more; asked before each
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
    while (ahead.length >= room()) yield* takeFirst(ahead);
  }
  while (ahead.length > 0) yield* takeFirst(ahead);
}

async function* takeFirst<Result>(ahead: Promise<Result>[]): AsyncGenerator<Result> {
  const first = ahead.shift();
  if (first !== undefined) yield await first;
}
