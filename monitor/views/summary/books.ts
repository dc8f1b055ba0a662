import { outcomesIn } from '../../../shared/domain/outcome/books.ts';
import type { Snapshot } from '../../../shared/domain/snapshot.ts';

/** The books of a run; what is not known yet counts as 0. */
export function booksOf({ accepted, sent, failed, parked, known }: Snapshot) {
  const ended = { sent: sent ?? 0, failed: failed ?? 0, parked: parked ?? 0, known: known ?? 0 };
  return { accepted: accepted ?? 0, ...ended };
}

/** Whether accepted = sent + failed + parked + known. */
export function areBooksBalanced(snapshot: Snapshot): boolean {
  const books = booksOf(snapshot);
  return books.accepted === outcomesIn(books);
}
