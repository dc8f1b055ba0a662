/** The thread that writes the log file: a disk that hangs holds up this thread and nothing else. */
import { parentPort, workerData } from 'node:worker_threads';
import { systemClock } from '../system-clock.ts';
import { type Batch, type WritingOptions, weightOf } from './batch.ts';
import { RotatingFile } from './rotating-file.ts';

const { gap, waiting, ...options } = workerData as WritingOptions;
const file = new RotatingFile({
  ...options,
  nowMs: systemClock.nowMs,
  describeGap: (lineCount) =>
    `${JSON.stringify({ ...gap, time: new Date(systemClock.nowMs()).toISOString(), lineCount })}\n`,
});
let isInTrouble = false;

parentPort?.on('message', (batch: Batch) => {
  const error = file.append(batch.lines, batch.missingBefore);
  if (error !== undefined && !isInTrouble)
    parentPort?.postMessage({ code: error.code, message: error.message });
  isInTrouble = error !== undefined;
  Atomics.sub(waiting, 0, weightOf(batch));
  Atomics.notify(waiting, 0);
});
