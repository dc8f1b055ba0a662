import { SingleBar } from 'cli-progress';
import type { Clock } from '../shared/ports.ts';
import { formatCount } from './summary.ts';

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
  const timeLeft = total === undefined ? '' : ' | {eta_formatted} left';
  // Signals are ours: with gracefulExit the bar would end the process before the confirms are awaited.
  const bar = new SingleBar({
    stream,
    format: `${counts} | {rate} SMS/s${timeLeft}`,
    barsize: 30,
    etaBuffer: 20,
    hideCursor: true,
    clearOnComplete: true,
    gracefulExit: false,
  });
  let lastCount = 0;
  let lastMs = clock.nowMs();
  let cancel = () => {};
  bar.start(total ?? 0, 0, { accepted: '0', all: formatCount(total ?? 0), rate: '0' });
  const update = () => {
    const count = acceptedCount();
    const nowMs = clock.nowMs();
    const perSecond = ((count - lastCount) * 1_000) / Math.max(1, nowMs - lastMs);
    bar.update(count, { accepted: formatCount(count), rate: formatCount(Math.round(perSecond)) });
    [lastCount, lastMs] = [count, nowMs];
    cancel = clock.after(UPDATE_MS, update);
  };
  cancel = clock.after(UPDATE_MS, update);
  return () => {
    cancel();
    bar.stop();
  };
}
