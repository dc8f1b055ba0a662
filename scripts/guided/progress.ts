import { Presets, SingleBar } from 'cli-progress';
import { formatCount } from '../../shared/domain/format-count.ts';
import { outcomesIn } from '../../shared/domain/outcome/books.ts';
import type { Snapshot } from '../../shared/domain/snapshot.ts';
import { say, takesEscapes } from '../../shared/process/output.ts';
import { readBooks } from './snapshot.ts';

export interface RunProgress {
  show(snapshot: Snapshot): void;
  /** Leaves the cursor on a line of its own. */
  end(): void;
}

const betweenLinesMs = 2_000;

/** One line that is drawn again and again where that is possible, a line every two seconds elsewhere. */
export function startProgress(requested: number): RunProgress {
  return takesEscapes(2) ? showBar(requested) : showLines(requested);
}

function showBar(requested: number): RunProgress {
  const bar = new SingleBar(
    {
      format: '  {bar} {percentage} %  {facts}',
      stream: process.stderr,
      hideCursor: true,
      barsize: 24,
      linewrap: false,
      // Also where the line says the same: a terminal writes ^C into it.
      forceRedraw: true,
    },
    Presets.shades_classic,
  );
  bar.start(requested, 0, { facts: 'starting' });
  return {
    show(snapshot) {
      bar.setTotal(Math.max(requested, snapshot.accepted ?? 0));
      bar.update(countFinished(snapshot), { facts: describeProgress(snapshot) });
    },
    end: () => bar.stop(),
  };
}

function showLines(requested: number): RunProgress {
  const startedAtMs = Date.now();
  let saidAtMs = startedAtMs;
  return {
    show(snapshot) {
      const nowMs = Date.now();
      if (nowMs - saidAtMs < betweenLinesMs) return;
      saidAtMs = nowMs;
      const done = `${formatCount(countFinished(snapshot))} of ${formatCount(requested)} done`;
      say(`  ${Math.round((nowMs - startedAtMs) / 1_000)} s  ${done}, ${describeProgress(snapshot)}`);
    },
    end() {},
  };
}

function countFinished(snapshot: Snapshot): number {
  return outcomesIn(readBooks(snapshot));
}

/** The books are those of the run; queues know no runs. */
function describeProgress(snapshot: Snapshot): string {
  const { sent, failed } = readBooks(snapshot);
  const { work, due, retry } = snapshot.queues;
  const retrying = retry.reduce((sum, { messages }) => sum + messages, 0);
  const isOfOthersToo = retrying + (work ?? 0) + (due ?? 0) > (snapshot.inProgress ?? 0);
  const whose = isOfOthersToo && retrying > 0 ? ' (of all runs)' : '';
  return `sent ${formatCount(sent)}, failed ${formatCount(failed)}, waiting for a retry ${formatCount(retrying)}${whose}`;
}
