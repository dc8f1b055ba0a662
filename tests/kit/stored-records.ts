/** What lies in S3, raw: tests read it apart from the archive of the product, and compare the product with it. */
import type { OutcomeRecord } from '../../shared/domain/outcome/outcome.ts';
import { objectIdOfKey, parseOutcomeObject } from '../../shared/domain/outcome/outcome-object.ts';
import type { ObjectStore } from '../../shared/ports/object-store.ts';

/** A record as it lies in S3. */
export interface StoredRecord {
  readonly objectId: string;
  readonly record: OutcomeRecord;
}

/** All records below these prefixes, in the order of object ids. @throws Error where a line is no record */
export async function readStoredRecords(
  objects: ObjectStore,
  prefixes: readonly string[] = [''],
): Promise<StoredRecord[]> {
  const stored: StoredRecord[] = [];
  for (const prefix of prefixes)
    for await (const key of objects.list(prefix)) {
      const objectId = objectIdOfKey(key);
      if (objectId === undefined) continue;
      const { records, unreadableLineCount } = parseOutcomeObject(
        (await objects.get(key)) ?? Buffer.alloc(0),
      );
      if (unreadableLineCount > 0) throw new Error(`${key} has lines that are no records`);
      stored.push(...records.map((record) => ({ objectId, record })));
    }
  return stored.sort((left, right) => (left.objectId < right.objectId ? -1 : 1));
}

/** Of raw duplicates the record in the smallest object, as every reader keeps it. @param stored in the order of object ids */
export function withoutDuplicates(stored: readonly StoredRecord[]): OutcomeRecord[] {
  const first = new Map<string, OutcomeRecord>();
  for (const { record } of stored) if (!first.has(record.smsId)) first.set(record.smsId, record);
  return [...first.values()];
}
