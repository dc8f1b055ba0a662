/** What `--json` prints, in this order. */
export interface RunSummary {
  readonly run: string;
  /** SMS asked for; of a file the rows read, bad ones included. */
  readonly requested: number;
  /** SMS that RabbitMQ has confirmed. */
  readonly accepted: number;
  readonly seconds: number;
  readonly smsPerSecond: number;
  /** Of a file only. */
  readonly badLines?: number;
}

export function summarize(
  run: string,
  requested: number,
  accepted: number,
  elapsedMs: number,
  badLines: number | undefined,
): RunSummary {
  const seconds = Math.max(0, Math.round(elapsedMs)) / 1_000;
  const smsPerSecond = seconds === 0 ? accepted : Math.round((accepted / seconds) * 10) / 10;
  const summary = { run, requested, accepted, seconds, smsPerSecond };
  return badLines === undefined ? summary : { ...summary, badLines };
}

/** The summary for people: aligned lines, each with its line feed. */
export function describeSummary(summary: RunSummary): string {
  const lines = [
    `Run       ${summary.run}`,
    `Accepted  ${formatCount(summary.accepted)} of ${formatCount(summary.requested)} SMS`,
    `Took      ${summary.seconds} s (${formatCount(Math.round(summary.smsPerSecond))} SMS/s)`,
  ];
  if (summary.badLines !== undefined && summary.badLines > 0) {
    lines.push(
      `Bad       ${formatCount(summary.badLines)} ${summary.badLines === 1 ? 'line' : 'lines'}, not sent`,
    );
  }
  return `${lines.join('\n')}\n`;
}

/** 1234567 → `1,234,567`. */
export function formatCount(count: number): string {
  return count.toLocaleString('en-US');
}
