/** Names and prefixes of the objects in S3. */
import { isOutcomeRecord, type OutcomeRecord, type OutcomeStatus } from './outcome.ts';
import { isRunName } from './sms.ts';

/** The prefix of each status, as configured. */
export type OutcomePrefixes = Readonly<Record<OutcomeStatus, string>>;

const OBJECT_ID = /^(\d{4})(\d{2})(\d{2})T(\d{2})\d{7}Z-([a-z0-9]+)-\d{6,}$/;

/**
 * An id for an outcome object: `20261122T101530123Z-<recorder>-<sequence>`. Ids sort by the time the object was
 * opened; readers that meet an SMS twice keep the record of the smallest id.
 */
export function outcomeObjectId(openedAtMs: number, recorderId: string, sequence: number): string {
  const time = new Date(openedAtMs).toISOString().replace(/[-:.]/g, '');
  return `${time}-${recorderId}-${String(sequence).padStart(6, '0')}`;
}

/** When the object was opened, in milliseconds; undefined where the text is no object id. */
export function openedAtOf(objectId: string): number | undefined {
  if (!OBJECT_ID.test(objectId)) return undefined;
  const [year, month, day] = [objectId.slice(0, 4), objectId.slice(4, 6), objectId.slice(6, 8)];
  const [hour, minute, second] = [objectId.slice(9, 11), objectId.slice(11, 13), objectId.slice(13, 15)];
  const openedAtMs = Date.parse(
    `${year}-${month}-${day}T${hour}:${minute}:${second}.${objectId.slice(15, 18)}Z`,
  );
  return Number.isNaN(openedAtMs) ? undefined : openedAtMs;
}

/** The recorder that opened the object; undefined where the text is no object id. */
export function recorderOf(objectId: string): string | undefined {
  return OBJECT_ID.exec(objectId)?.[5];
}

/** `success/dt=2026-11-22/hour=10/<object id>.ndjson`: the key follows from prefix and id alone. */
export function outcomeObjectKey(prefix: string, objectId: string): string {
  const [, year, month, day, hour] = OBJECT_ID.exec(objectId) ?? [];
  return `${prefix}/dt=${year}-${month}-${day}/hour=${hour}/${objectId}.ndjson`;
}

/** The object id in a key; undefined for a key we did not make. */
export function objectIdOfKey(key: string): string | undefined {
  const name = key.slice(key.lastIndexOf('/') + 1);
  const objectId = name.endsWith('.ndjson') ? name.slice(0, -'.ndjson'.length) : '';
  return OBJECT_ID.test(objectId) ? objectId : undefined;
}

/** Where the records of SMS are that came again in another run. */
export const KNOWN_PREFIX = 'known';

export const RUNS_PREFIX = 'runs';

/** `runs/<run>/<number accepted, 12 digits>.json`: the largest name is the newest announcement. */
export function announcementKey(run: string, accepted: number): string {
  return `${RUNS_PREFIX}/${run}/${String(accepted).padStart(12, '0')}.json`;
}

/** Run and number of an announcement's key; undefined for a key we did not make. */
export function parseAnnouncementKey(
  key: string,
): { readonly run: string; readonly accepted: number } | undefined {
  const match = /^runs\/([^/]+)\/(\d{12})\.json$/.exec(key);
  return match !== null && isRunName(match[1]) ? { run: match[1], accepted: Number(match[2]) } : undefined;
}

/** The records of an object's body, and how many of its lines are none. */
export function parseOutcomeObject(body: Buffer): {
  readonly records: readonly OutcomeRecord[];
  readonly unreadableLineCount: number;
} {
  const records: OutcomeRecord[] = [];
  let unreadableLineCount = 0;
  for (const line of body.toString('utf8').split('\n')) {
    if (line === '') continue;
    const value = parseLine(line);
    if (isOutcomeRecord(value)) records.push(value);
    else unreadableLineCount += 1;
  }
  return { records, unreadableLineCount };
}

function parseLine(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
