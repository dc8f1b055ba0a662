import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import type { Snapshot } from '../../shared/domain/snapshot.ts';
import { RedialError } from '../../shared/errors.ts';
import { describeStandstill, fingerprintOf, isFinished } from './snapshot.ts';

/**
 * Reads the monitor's lines until every SMS of the run has its outcome; resolves with the last one.
 * @throws RedialError STANDSTILL when nothing has moved for `patienceMs`
 */
export function waitForOutcomes(options: {
  monitor: Readable;
  requested: number;
  patienceMs: number;
  /** Ends the waiting; the promise then stays unsettled. */
  signal: AbortSignal;
  onSnapshot: (snapshot: Snapshot) => void;
}): Promise<Snapshot> {
  const { monitor, requested, patienceMs, signal, onSnapshot } = options;
  return new Promise((resolve, reject) => {
    let last: Snapshot | undefined;
    let movedAtMs = Date.now();
    const lines = createInterface({ input: monitor });
    const settle = (finish: () => void) => {
      clearInterval(watchdog);
      lines.close();
      // Goes on reading: a full pipe would block the monitor, and it could not end.
      monitor.resume();
      finish();
    };
    signal.addEventListener('abort', () => settle(() => {}), { once: true });
    const watchdog = setInterval(() => {
      if (Date.now() - movedAtMs < patienceMs) return;
      const sentence = describeStandstill(last, Math.round(patienceMs / 1_000));
      settle(() => reject(new RedialError('STANDSTILL', sentence)));
    }, 1_000);
    lines.on('line', (line) => {
      const snapshot = JSON.parse(line) as Snapshot;
      if (last === undefined || fingerprintOf(last) !== fingerprintOf(snapshot)) movedAtMs = Date.now();
      last = snapshot;
      onSnapshot(snapshot);
      if (isFinished(snapshot, requested)) settle(() => resolve(snapshot));
    });
  });
}
