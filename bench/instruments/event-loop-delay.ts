/**
 * Loaded into a sender by `node --import`, so that its event loop is watched without a word of it in the product.
 * At each SIGUSR2 it writes how late a timer of 5 ms was, since the last one, to the file EVENT_LOOP_DELAY_FILE.
 */
import { renameSync, writeFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';

const RESOLUTION_MS = 5;
const NANOSECONDS_PER_MS = 1e6;

const histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
histogram.enable();

process.on('SIGUSR2', () => {
  const file = process.env.EVENT_LOOP_DELAY_FILE ?? '';
  // The histogram holds the time from one timer to the next: what is beyond its interval is delay.
  const delayMs = (percent: number) =>
    Math.max(0, histogram.percentile(percent) / NANOSECONDS_PER_MS - RESOLUTION_MS);
  writeFileSync(`${file}.new`, JSON.stringify({ p50Ms: delayMs(50), p99Ms: delayMs(99) }));
  renameSync(`${file}.new`, file);
  histogram.reset();
});
