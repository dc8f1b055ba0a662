import { Presets, SingleBar } from 'cli-progress';
import { formatCount } from '../../shared/domain/format-count.ts';
import { outcomesIn } from '../../shared/domain/outcome/books.ts';
import type { Snapshot } from '../../shared/domain/snapshot.ts';
import { sentenceOf } from './picture/sentence.ts';
import { booksOf } from './summary/books.ts';

export interface RunProgress {
  show(snapshot: Snapshot): void;
  /** Leaves the cursor on a line of its own. */
  end(): void;
}

export interface ProgressOutput {
  /** Whether stderr takes a bar that is drawn again and again. */
  readonly hasBar: boolean;
  /** Writes a line to stderr. */
  readonly say: (line: string) => void;
  readonly nowMs: () => number;
}

const BETWEEN_LINES_MS = 2_000;

/**
 * A bar where that is possible. Elsewhere a line, when something has changed and two seconds after the one before.
 * @param requested how many SMS the run will have; 0 where only the snapshots tell
 */
export function startProgress(requested: number, output: ProgressOutput): RunProgress {
  return output.hasBar ? showBar(requested) : showLines(requested, output);
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
      // Nothing of nothing would be drawn as all of it.
      bar.setTotal(Math.max(requested, snapshot.accepted ?? 0, 1));
      bar.update(outcomesIn(booksOf(snapshot)), { facts: describeBeside(snapshot) });
    },
    end: () => bar.stop(),
  };
}

function showLines(requested: number, { say, nowMs }: ProgressOutput): RunProgress {
  const startedAtMs = nowMs();
  let saidAtMs = startedAtMs;
  let said = '';
  return {
    show(snapshot) {
      const total = Math.max(requested, snapshot.accepted ?? 0);
      const done = `${formatCount(outcomesIn(booksOf(snapshot)))} of ${formatCount(total)} done`;
      const text = total === 0 ? 'nothing is accepted yet' : `${done}, ${describeProgress(snapshot)}`;
      if (text === said || nowMs() - saidAtMs < BETWEEN_LINES_MS) return;
      saidAtMs = nowMs();
      said = text;
      say(`  ${Math.round((saidAtMs - startedAtMs) / 1_000)} s  ${text}`);
    },
    end() {},
  };
}

/** What keeps a run from getting on goes before how far it is: beside a bar there is no room for both. */
function describeBeside(snapshot: Snapshot): string {
  const { tone, text } = sentenceOf(snapshot);
  return tone === 'idle' || tone === 'trouble' ? text : describeProgress(snapshot);
}

/** The books are those of the run; queues know no runs. */
function describeProgress(snapshot: Snapshot): string {
  const { sent, failed } = booksOf(snapshot);
  const { work, due, retry } = snapshot.queues;
  const retrying = retry.reduce((sum, { messages }) => sum + messages, 0);
  const isOfOthersToo = retrying + (work ?? 0) + (due ?? 0) > (snapshot.inProgress ?? 0);
  const whose = isOfOthersToo && retrying > 0 ? ' (of all runs)' : '';
  return `sent ${formatCount(sent)}, failed ${formatCount(failed)}, waiting for a retry ${formatCount(retrying)}${whose}`;
}
