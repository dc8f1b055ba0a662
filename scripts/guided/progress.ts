import { Presets, SingleBar } from 'cli-progress';
import { say } from '../../shared/output.ts';
import { readBooks, type Snapshot } from './snapshot.ts';
import { formatCount } from './summary.ts';

export interface RunProgress {
  show(snapshot: Snapshot): void;
  /** Leaves the cursor on a line of its own. */
  end(): void;
}

const secondsBetweenLines = 2;

/** One line that is drawn again and again where that is possible, a line every two seconds elsewhere. */
export function startProgress(
  stream: NodeJS.WriteStream,
  isRedrawn: boolean,
  requested: number,
  nowSeconds: () => number,
): RunProgress {
  return isRedrawn ? showBar(stream, requested) : showLines(requested, nowSeconds);
}

function showBar(stream: NodeJS.WriteStream, requested: number): RunProgress {
  const bar = new SingleBar(
    {
      ...{
        format: '  {bar} {percentage} %  {facts}',
        stream,
        hideCursor: true,
        barsize: 24,
        linewrap: false,
      },
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

function showLines(requested: number, nowSeconds: () => number): RunProgress {
  const startedAt = nowSeconds();
  let saidAt = startedAt;
  return {
    show(snapshot) {
      const now = nowSeconds();
      if (now - saidAt < secondsBetweenLines) return;
      saidAt = now;
      const done = `${formatCount(countFinished(snapshot))} of ${formatCount(requested)} done`;
      say(`  ${Math.round(now - startedAt)} s  ${done}, ${describeProgress(snapshot)}`);
    },
    end() {},
  };
}

function countFinished(snapshot: Snapshot): number {
  const { sent, failed, parked, known } = readBooks(snapshot);
  return sent + failed + parked + known;
}

/** The books are those of the run; queues know no runs. */
export function describeProgress(snapshot: Snapshot): string {
  const { sent, failed } = readBooks(snapshot);
  const { work, due, retry } = snapshot.queues;
  const retrying = retry.reduce((sum, { messages }) => sum + messages, 0);
  const isOfOthersToo = retrying + (work ?? 0) + (due ?? 0) > (snapshot.inProgress ?? 0);
  const whose = isOfOthersToo && retrying > 0 ? ' (of all runs)' : '';
  return `sent ${formatCount(sent)}, failed ${formatCount(failed)}, waiting for a retry ${formatCount(retrying)}${whose}`;
}
