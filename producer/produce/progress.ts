import { SingleBar } from 'cli-progress';
import { formatCount } from '../../shared/domain/format-count.ts';
import type { Clock } from '../../shared/ports/clock.ts';
import { type CountAt, rateOf, renderRate, renderTimeLeft, withCount } from './time-left.ts';

const UPDATE_MS = 500;

/**
 * Shows how many SMS are accepted, the rate, and the time left where the total is known.
 * @returns ends it and clears its line
 */
export function showProgress(
  stream: NodeJS.WritableStream,
  clock: Clock,
  total: number | undefined,
  acceptedCount: () => number,
): () => void {
  const counts = total === undefined ? '{accepted} SMS' : '{bar} {percentage}% | {accepted} of {all} SMS';
  const timeLeft = total === undefined ? '' : ' | {left} left';
  // Signals are ours: with gracefulExit the bar would end the process before the confirms are awaited.
  const bar = new SingleBar({
    stream,
    format: `${counts} | {rate} SMS/s${timeLeft}`,
    barsize: 30,
    hideCursor: true,
    clearOnComplete: true,
    gracefulExit: false,
  });
  let measured: readonly CountAt[] = [];
  let cancel = () => {};
  // The library's own time left rounds to "07h60m", and is "NFs" above 115 days.
  const measure = () => {
    const count = acceptedCount();
    measured = withCount(measured, { count, atMs: clock.nowMs() });
    const rate = rateOf(measured);
    const left = renderTimeLeft((total ?? 0) - count, rate);
    return { count, shown: { accepted: formatCount(count), rate: renderRate(rate), left } };
  };
  bar.start(total ?? 0, 0, { all: formatCount(total ?? 0), ...measure().shown });
  const update = () => {
    const { count, shown } = measure();
    bar.update(count, shown);
    cancel = clock.after(UPDATE_MS, update);
  };
  cancel = clock.after(UPDATE_MS, update);
  return () => {
    cancel();
    bar.stop();
  };
}
