import { z } from 'zod';
import { formatDuration } from '../../shared/domain/duration.ts';

const count = z.number().nullable();

/** What we use of a line of `monitor --json`; a number is null while nobody knows it. */
const snapshotShape = z.object({
  accepted: count,
  sent: count,
  failed: count,
  parked: count,
  known: count,
  inProgress: count,
  attempts: count,
  attemptsFailed: count,
  attemptsByNumber: z.record(z.string(), z.number()),
  meanProcessingSeconds: count,
  failureRate: count,
  retryLatenessSeconds: z.object({ p50: count, p99: count, max: count }),
  repeatedSends: count,
  idConflicts: count,
  queues: z.object({
    work: count,
    due: count,
    journal: count,
    parked: count,
    retry: z.array(z.object({ attempt: z.number(), delaySeconds: z.number(), messages: z.number() })),
  }),
  state: z.string(),
  problems: z.array(z.string()),
});
export type Snapshot = z.infer<typeof snapshotShape>;

/** @throws ZodError for a line that is no snapshot */
export function readSnapshot(line: string): Snapshot {
  return snapshotShape.parse(JSON.parse(line));
}

/** The books of a run; what is not known yet counts as 0. */
export function readBooks({ accepted, sent, failed, parked, known }: Snapshot) {
  const ended = { sent: sent ?? 0, failed: failed ?? 0, parked: parked ?? 0, known: known ?? 0 };
  return { accepted: accepted ?? 0, ...ended };
}

/** Whether every SMS of the run has its outcome. */
export function isFinished(snapshot: Snapshot, requested: number): boolean {
  const { accepted, sent, failed, parked, known } = readBooks(snapshot);
  return accepted >= requested && snapshot.inProgress === 0 && sent + failed + parked + known === accepted;
}

/** A text that stays the same as long as nothing moves. */
export function fingerprintOf({ accepted, sent, failed, parked, attempts, queues }: Snapshot): string {
  return JSON.stringify([accepted, sent, failed, parked, attempts, queues]);
}

/** Sentences on where SMS are when they do not get on. */
export function describeStandstill(snapshot: Snapshot | undefined, seconds: number): string {
  if (snapshot === undefined) return `the monitor has said nothing for ${seconds} s`;
  const { queues, inProgress, problems } = snapshot;
  const depths: [string, number | null][] = [
    ['work', queues.work],
    ['due', queues.due],
    ['journal', queues.journal],
    ...queues.retry.map(({ attempt, delaySeconds, messages }): [string, number] => [
      `retry ${attempt} (${formatDuration(Math.round(delaySeconds * 1_000))})`,
      messages,
    ]),
  ];
  const waiting = depths.filter(([, messages]) => messages !== 0);
  const where = waiting.map(([name, messages]) => `${name} ${messages ?? 'unknown'}`).join(', ');
  return [
    `nothing has moved for ${seconds} s: ${inProgress ?? 'an unknown number of'} SMS have no outcome yet.`,
    `In the queues: ${where || 'nothing'}.`,
    ...problems,
  ].join('\n');
}
