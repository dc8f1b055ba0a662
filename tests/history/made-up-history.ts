/**
 * A bucket with a year of outcomes, made up as it is read: what an object holds follows from its key, so half a million
 * objects need neither memory nor disk. Each day has a run of its own, whose SMS are numbered from 1.
 */
import type { AttemptRecord } from '../../shared/domain/outcome/attempt.ts';
import type { OutcomeRecord, OutcomeStatus, RunAnnouncement } from '../../shared/domain/outcome/outcome.ts';
import {
  announcementKey,
  outcomeObjectId,
  outcomeObjectKey,
} from '../../shared/domain/outcome/outcome-object.ts';
import { smsIdOf } from '../../shared/domain/sms/sms.ts';

export interface HistorySize {
  readonly days: number;
  readonly objectsPerDay: number;
  readonly recordsPerObject: number;
  /** The newest day has more. */
  readonly newestDayObjects: number;
}

const DAY_MS = 24 * 3_600_000;
const STATUSES: readonly OutcomeStatus[] = ['sent', 'failed', 'parked'];
/** How many of a hundred objects are of each status. */
const SHARES: Readonly<Record<OutcomeStatus, number>> = { sent: 90, failed: 8, parked: 2, known: 0 };
const ANNOUNCEMENTS_PER_RUN = 24;
const SEQUENCES_PER_DAY = 1_000_000;

export class MadeUpHistory {
  readonly queue: string;
  readonly #size: HistorySize;
  readonly #endMs: number;

  /** @param endMs the newest outcome is a moment older */
  constructor(queue: string, size: HistorySize, endMs: number) {
    this.queue = queue;
    this.#size = size;
    this.#endMs = endMs;
  }

  get recordCount(): number {
    return this.#sumOfDays((day) => this.#recordsOf(day));
  }

  get objectCount(): number {
    return this.recordCount / this.#size.recordsPerObject;
  }

  /** The keys of a prefix in order, behind one of them. */
  *keys(prefix: string, after = ''): Generator<string> {
    const folder = prefix.slice(0, prefix.indexOf('/'));
    const keys = folder === 'runs' ? this.#announcementKeys() : this.#outcomeKeys(folder, after);
    for (const key of keys) if (key.startsWith(prefix) && key > after) yield key;
  }

  body(key: string): Buffer | undefined {
    const announced = /^runs\/day-(\d+)\/(\d+)\.json$/.exec(key);
    if (announced !== null) return this.#announcement(Number(announced[1]), Number(announced[2]));
    const outcome = /^(\w+)\/.*-year-(\d+)\.ndjson$/.exec(key);
    const status = STATUSES.find((each) => folderOf(each) === outcome?.[1]);
    if (status === undefined) return undefined;
    return this.#outcomes(status, Number(outcome?.[2]));
  }

  *#announcementKeys(): Generator<string> {
    const runs = this.#days().sort((left, right) => (runOf(left) < runOf(right) ? -1 : 1));
    for (const day of runs) {
      for (let part = 1; part <= ANNOUNCEMENTS_PER_RUN; part += 1)
        yield announcementKey(runOf(day), Math.floor((this.#recordsOf(day) * part) / ANNOUNCEMENTS_PER_RUN));
    }
  }

  *#outcomeKeys(folder: string, after: string): Generator<string> {
    const status = STATUSES.find((each) => folderOf(each) === folder);
    if (status === undefined) return;
    const begunAfter = Number(/-year-(\d+)\.ndjson$/.exec(after)?.[1] ?? 0);
    for (const day of this.#days()) {
      const count = this.#objectsOf(day, status);
      const first = day * SEQUENCES_PER_DAY;
      for (let index = Math.max(0, begunAfter - first); index < count; index += 1)
        yield this.#keyOf(status, day, index);
    }
  }

  #keyOf(status: OutcomeStatus, day: number, index: number): string {
    const objectId = outcomeObjectId(
      this.#openedAtMs(status, day, index),
      'year',
      day * SEQUENCES_PER_DAY + index,
    );
    return outcomeObjectKey(folderOf(status), objectId);
  }

  #outcomes(status: OutcomeStatus, sequence: number): Buffer {
    const [day, index] = [Math.floor(sequence / SEQUENCES_PER_DAY), sequence % SEQUENCES_PER_DAY];
    const first = this.#recordsBefore(day, status) + index * this.#size.recordsPerObject + 1;
    const finishedAtMs = this.#openedAtMs(status, day, index);
    const lines = Array.from({ length: this.#size.recordsPerObject }, (_, offset) =>
      JSON.stringify(this.#record(status, day, first + offset, finishedAtMs)),
    );
    return Buffer.from(`${lines.join('\n')}\n`);
  }

  #record(status: OutcomeStatus, day: number, smsNumber: number, finishedAtMs: number): OutcomeRecord {
    const finishedAt = new Date(finishedAtMs).toISOString();
    const attempts = attemptsOf(status, smsNumber, finishedAtMs);
    return {
      ...{ smsId: smsIdOf(runOf(day), smsNumber), run: runOf(day), queue: this.queue },
      ...{ to: '+15550100001', text: `Your code is ${smsNumber}. It is valid for ten minutes.`, status },
      ...(status === 'sent' ? {} : { reason: status === 'failed' ? 'timeout' : 'body is not JSON' }),
      ...{ acceptedAt: attempts[0]?.startedAt ?? finishedAt, finishedAt, attempts },
    };
  }

  #announcement(day: number, accepted: number): Buffer {
    const announcement: RunAnnouncement = {
      ...{ run: runOf(day), queue: this.queue, accepted, acceptedUpTo: accepted, input: 'generated' },
      at: new Date(this.#endMs).toISOString(),
    };
    return Buffer.from(`${JSON.stringify(announcement)}\n`);
  }

  #openedAtMs(status: OutcomeStatus, day: number, index: number): number {
    const beganAtMs = this.#endMs - (this.#size.days - day) * DAY_MS;
    return beganAtMs + Math.floor(((index + 0.5) * DAY_MS) / this.#objectsOf(day, status));
  }

  #objectsOf(day: number, status: OutcomeStatus): number {
    const { days, objectsPerDay, newestDayObjects } = this.#size;
    return Math.ceil(((day === days - 1 ? newestDayObjects : objectsPerDay) * SHARES[status]) / 100);
  }

  #recordsOf(day: number): number {
    return (
      STATUSES.reduce((sum, status) => sum + this.#objectsOf(day, status), 0) * this.#size.recordsPerObject
    );
  }

  /** Of the same day: the numbers of a run go on from one status to the next. */
  #recordsBefore(day: number, status: OutcomeStatus): number {
    const before = STATUSES.slice(0, STATUSES.indexOf(status));
    return before.reduce((sum, each) => sum + this.#objectsOf(day, each), 0) * this.#size.recordsPerObject;
  }

  #days(): number[] {
    return Array.from({ length: this.#size.days }, (_, day) => day);
  }

  #sumOfDays(of: (day: number) => number): number {
    return this.#days().reduce((sum, day) => sum + of(day), 0);
  }
}

function runOf(day: number): string {
  return `day-${day}`;
}

function folderOf(status: OutcomeStatus): string {
  return status === 'sent' ? 'success' : status;
}

/** Every fifth SMS was sent at the second try, what failed had five, what was parked none. */
function attemptsOf(status: OutcomeStatus, smsNumber: number, finishedAtMs: number): AttemptRecord[] {
  const sentAt = smsNumber % 5 === 0 ? 2 : 1;
  const count = { sent: sentAt, failed: 5, parked: 0, known: 0 }[status];
  return Array.from({ length: count }, (_, index) => ({
    attempt: index + 1,
    startedAt: new Date(finishedAtMs - (count - index) * 5_000).toISOString(),
    ...(index === 0 ? {} : { lateMs: smsNumber % 40 }),
    tookMs: 100 + (smsNumber % 900),
    ...(status === 'sent' && index === count - 1
      ? { result: 'sent' as const }
      : { result: 'failed' as const, reason: 'timeout' }),
  }));
}
