import { outcomesIn } from '../../shared/domain/outcome/books.ts';
import { formatDuration } from '../../shared/domain/schedule/duration.ts';
import type { Snapshot } from '../../shared/domain/snapshot.ts';

/** The books of a run; what is not known yet counts as 0. */
export function readBooks({ accepted, sent, failed, parked, known }: Snapshot) {
  const ended = { sent: sent ?? 0, failed: failed ?? 0, parked: parked ?? 0, known: known ?? 0 };
  return { accepted: accepted ?? 0, ...ended };
}

/** Whether every SMS of the run has its outcome. */
export function isFinished(snapshot: Snapshot, requested: number): boolean {
  const books = readBooks(snapshot);
  return books.accepted >= requested && snapshot.inProgress === 0 && outcomesIn(books) === books.accepted;
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
    ['high', queues.high],
    ['due', queues.due],
    ['work', queues.work],
    ['low', queues.low],
    ['journal', queues.journal],
    ...queues.retry.map(({ attempt, delaySeconds, messages }): [string, number] => [
      `retry ${attempt} (${formatDuration(Math.round(delaySeconds * 1_000))})`,
      messages,
    ]),
    ...queues.hold.map(({ delaySeconds, messages }): [string, number] => [
      `hold (${formatDuration(Math.round(delaySeconds * 1_000))})`,
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
