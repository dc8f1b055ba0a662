/** What the process and the thread that writes its log file tell each other. */

/** What the thread is made with. */
export interface WritingOptions {
  readonly path: string;
  readonly maxBytes: number;
  readonly keptCount: number;
  /** The fields of the line that stands where lines are missing, beside their number and the time. */
  readonly gap: object;
  /** One number: the weight of the batches that are handed over and not handled yet. */
  readonly waiting: Int32Array<SharedArrayBuffer>;
}

/** Lines to append, and how many were dropped before them. */
export interface Batch {
  readonly lines: string;
  readonly missingBefore: number;
}

/** Above 0 also without lines, so that every batch can be waited for. */
export function weightOf({ lines }: Batch): number {
  return lines.length + 1;
}
