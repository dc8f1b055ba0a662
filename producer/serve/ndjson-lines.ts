/** The lines of a stream of bytes, as many at once as a chunk holds. */
const LINE_FEED = 0x0a;

/** A line longer than that is not read: undefined stands for it. */
export const MAX_LINE_BYTES = 64 * 1024;

/** Empty lines are passed over; what follows the last line feed is a line, too. */
export async function* linesOfStream(
  chunks: AsyncIterable<Buffer>,
): AsyncGenerator<readonly (Buffer | undefined)[]> {
  let rest: Buffer[] = [];
  let restBytes = 0;
  const lineOf = (end: Buffer): Buffer | undefined => {
    const isTooLong = restBytes + end.length > MAX_LINE_BYTES;
    const line = isTooLong ? undefined : rest.length === 0 ? end : Buffer.concat([...rest, end]);
    rest = [];
    restBytes = 0;
    return line;
  };
  for await (const chunk of chunks) {
    const lines: (Buffer | undefined)[] = [];
    let start = 0;
    for (let end = chunk.indexOf(LINE_FEED); end >= 0; end = chunk.indexOf(LINE_FEED, start)) {
      const line = lineOf(chunk.subarray(start, end));
      if (line === undefined || !isBlank(line)) lines.push(line);
      start = end + 1;
    }
    // Of a line that is too long, nothing more is kept than tells so.
    if (restBytes <= MAX_LINE_BYTES && start < chunk.length) rest.push(chunk.subarray(start));
    restBytes += chunk.length - start;
    if (restBytes > MAX_LINE_BYTES) rest = [];
    if (lines.length > 0) yield lines;
  }
  const last = lineOf(Buffer.alloc(0));
  if (last === undefined || !isBlank(last)) yield [last];
}

function isBlank(line: Buffer): boolean {
  return line.every((byte) => byte === 0x20 || byte === 0x0d || byte === 0x09);
}
