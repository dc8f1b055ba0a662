import { formatCount } from '../../shared/domain/format-count.ts';

/** What `--json` prints, in this order. */
export interface RunSummary {
  readonly run: string;
  /** SMS asked for; of a file the rows read, bad ones included. */
  readonly requested: number;
  /** SMS of the run that RabbitMQ has confirmed, before and now. */
  readonly accepted: number;
  readonly seconds: number;
  readonly smsPerSecond: number;
  /** Of a file only. */
  readonly badLines?: number;
  /** Of a run that may have been produced before only: how many of those accepted were so already. */
  readonly acceptedBefore?: number;
  /** At most so many of those accepted now were perhaps published before too. */
  readonly mayBeRepeated?: number;
}

export interface RunResult {
  readonly run: string;
  readonly requested: number;
  readonly acceptedBefore: number;
  readonly acceptedNow: number;
  readonly mayBeRepeated: number;
  readonly elapsedMs: number;
  /** Undefined where SMS were generated. */
  readonly badLines: number | undefined;
}

export function summarize(result: RunResult): RunSummary {
  const { run, requested, acceptedBefore, acceptedNow, mayBeRepeated, elapsedMs, badLines } = result;
  const seconds = Math.max(0, Math.round(elapsedMs)) / 1_000;
  const smsPerSecond = seconds === 0 ? acceptedNow : Math.round((acceptedNow / seconds) * 10) / 10;
  const isResumed = acceptedBefore > 0 || mayBeRepeated > 0;
  return {
    run,
    requested,
    accepted: acceptedBefore + acceptedNow,
    seconds,
    smsPerSecond,
    ...(badLines === undefined ? {} : { badLines }),
    ...(isResumed ? { acceptedBefore, mayBeRepeated } : {}),
  };
}

/** The summary for people: aligned lines, each with its line feed. */
export function renderSummary(summary: RunSummary): string {
  const { acceptedBefore = 0, mayBeRepeated = 0 } = summary;
  const parts =
    acceptedBefore === 0
      ? ''
      : `: ${formatCount(acceptedBefore)} before, ${formatCount(summary.accepted - acceptedBefore)} now`;
  const lines = [
    `Run       ${summary.run}`,
    `Accepted  ${formatCount(summary.accepted)} of ${formatCount(summary.requested)} SMS${parts}`,
    `Took      ${summary.seconds} s (${formatCount(Math.round(summary.smsPerSecond))} SMS/s)`,
  ];
  if (mayBeRepeated > 0) {
    lines.push(`Repeated  at most ${formatCount(mayBeRepeated)} SMS, which may have been published before`);
  }
  if (summary.badLines !== undefined && summary.badLines > 0) {
    lines.push(
      `Bad       ${formatCount(summary.badLines)} ${summary.badLines === 1 ? 'line' : 'lines'}, not sent`,
    );
  }
  return `${lines.join('\n')}\n`;
}

/** The same where only talk can be written. */
export function describeInOneLine({ run, accepted, requested, seconds }: RunSummary): string {
  return `run ${run}: ${formatCount(accepted)} of ${formatCount(requested)} SMS are accepted, after ${seconds} s`;
}

/**
 * What to do next; undefined where there is nothing to do.
 * @param consumerCount senders that take SMS now, undefined where nobody knows
 */
export function describeHint(
  { run, accepted }: RunSummary,
  consumerCount: number | undefined,
): string | undefined {
  if (accepted === 0) return undefined;
  return consumerCount === 0
    ? 'no sender takes these SMS yet: they wait in RabbitMQ. Start one, unless a sender is just starting: npx sender'
    : `watch them being sent: npx monitor --run ${run}`;
}
