import { ladderOf } from '../../monitor/views/picture/ladder.ts';
import { booksOf } from '../../monitor/views/summary/books.ts';
import { outcomesIn } from '../../shared/domain/outcome/books.ts';
import type { Snapshot } from '../../shared/domain/snapshot.ts';

/** Whether every SMS of the run has its outcome. */
export function isFinished(snapshot: Snapshot, requested: number): boolean {
  const books = booksOf(snapshot);
  return books.accepted >= requested && snapshot.inProgress === 0 && outcomesIn(books) === books.accepted;
}

/** A text that stays the same as long as nothing moves. */
export function fingerprintOf({ accepted, sent, failed, parked, attempts, queues }: Snapshot): string {
  return JSON.stringify([accepted, sent, failed, parked, attempts, queues]);
}

/** Sentences on where SMS are when they do not get on. */
export function describeStandstill(snapshot: Snapshot | undefined, seconds: number): string {
  if (snapshot === undefined) return `the monitor has said nothing for ${seconds} s`;
  const { inProgress, problems } = snapshot;
  const waiting = ladderOf(snapshot).filter(({ key, messages }) => messages !== 0 && key !== 'parked');
  const where = waiting.map(({ key, messages }) => `${key} ${messages ?? 'unknown'}`).join(', ');
  return [
    `nothing has moved for ${seconds} s: ${inProgress ?? 'an unknown number of'} SMS have no outcome yet.`,
    `In the queues: ${where || 'nothing'}.`,
    ...problems,
  ].join('\n');
}
