/** The longest line, and the longest CSV record over several lines, that is read. */
export const MAX_LINE_BYTES = 64 * 1024;

export interface Line {
  /** From 1. */
  readonly lineNumber: number;
  /** Without its line feed; undefined where the line is longer than MAX_LINE_BYTES. */
  readonly bytes: Buffer | undefined;
}

const LINE_FEED = 0x0a;
const BYTE_ORDER_MARK = Buffer.from('\uFEFF');

/** Cuts chunks into lines, keeping at most one line's worth of bytes, however long a line is. */
export class LineSplitter {
  #parts: Buffer[] = [];
  #length = 0;
  #lineCount = 0;

  /** The lines that this chunk completes. */
  split(chunk: Buffer): Line[] {
    const lines: Line[] = [];
    let start = 0;
    for (let end = chunk.indexOf(LINE_FEED); end !== -1; end = chunk.indexOf(LINE_FEED, start)) {
      this.#append(chunk.subarray(start, end));
      lines.push(this.#take());
      start = end + 1;
    }
    this.#append(chunk.subarray(start));
    return lines;
  }

  /** The last line, where the input does not end with a line feed. */
  end(): Line[] {
    return this.#length > 0 ? [this.#take()] : [];
  }

  #append(part: Buffer): void {
    this.#length += part.length;
    if (this.#length > MAX_LINE_BYTES) this.#parts = [];
    else if (part.length > 0) this.#parts.push(part);
  }

  #take(): Line {
    const [only] = this.#parts;
    const bytes = this.#parts.length === 1 ? only : Buffer.concat(this.#parts);
    const isTooLong = this.#length > MAX_LINE_BYTES;
    this.#parts = [];
    this.#length = 0;
    this.#lineCount += 1;
    const lineNumber = this.#lineCount;
    if (isTooLong || bytes === undefined) return { lineNumber, bytes: undefined };
    return { lineNumber, bytes: lineNumber === 1 ? withoutByteOrderMark(bytes) : bytes };
  }
}

/** True for a line of nothing but spaces, tabs and a carriage return. */
export function isBlank(bytes: Buffer): boolean {
  return bytes.every((byte) => byte === 0x20 || byte === 0x09 || byte === 0x0d);
}

function withoutByteOrderMark(bytes: Buffer): Buffer {
  return bytes.indexOf(BYTE_ORDER_MARK) === 0 ? bytes.subarray(BYTE_ORDER_MARK.length) : bytes;
}
