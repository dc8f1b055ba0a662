/** Names and prefixes of the objects in S3. */

import { parseJson } from '../parse-json.ts';
import { isRunName } from '../sms/sms.ts';
import { isOutcomeRecord, type OutcomeRecord, type OutcomeStatus } from './outcome.ts';

/** The prefix of each status, as configured. */
export type OutcomePrefixes = Readonly<Record<OutcomeStatus, string>>;

const LINE_FEED = 0x0a;
const OBJECT_ID = /^(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})(\d{2})(\d{3})Z-([a-z0-9]+)-\d{6,}$/;

/**
 * An id for an outcome object: `20261122T101530123Z-<recorder>-<sequence>`. Ids sort by the time when the object was opened.
 * A reader that meets an SMS in two objects keeps the record of the smaller id.
 */
export function outcomeObjectId(openedAtMs: number, recorderId: string, sequence: number): string {
  const time = new Date(openedAtMs).toISOString().replace(/[-:.]/g, '');
  return `${time}-${recorderId}-${String(sequence).padStart(6, '0')}`;
}

/**
 * The id of the empty object by which a recorder tries whether S3 takes anything: no batch has the number 0. It is no
 * outcome, and nobody's damage.
 */
export function probeObjectId(triedAtMs: number, recorderId: string): string {
  return outcomeObjectId(triedAtMs, recorderId, 0);
}

export function isProbeObjectId(objectId: string): boolean {
  return objectId.endsWith('-000000');
}

/** When the object was opened, in milliseconds; undefined where the text is no object id. */
export function openedAtOf(objectId: string): number | undefined {
  const [, year, month, day, hour, minute, second, millisecond] = OBJECT_ID.exec(objectId) ?? [];
  const openedAtMs = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}.${millisecond}Z`);
  return Number.isNaN(openedAtMs) ? undefined : openedAtMs;
}

/** The recorder that opened the object; undefined where the text is no object id. */
export function recorderOf(objectId: string): string | undefined {
  return OBJECT_ID.exec(objectId)?.[8];
}

/** `success/dt=2026-11-22/hour=10/<object id>.ndjson`: prefix and id alone make the key. */
export function outcomeObjectKey(prefix: string, objectId: string): string {
  const [, year, month, day, hour] = OBJECT_ID.exec(objectId) ?? [];
  return `${prefix}/dt=${year}-${month}-${day}/hour=${hour}/${objectId}.ndjson`;
}

/** How the keys of objects begin that were opened in that millisecond by recorders whose ids begin so. */
export function outcomeKeyStart(prefix: string, openedAtMs: number, recorderStart: string): string {
  const sequence = '-000000';
  const key = outcomeObjectKey(prefix, outcomeObjectId(openedAtMs, `${recorderStart}0`, 0));
  return key.slice(0, key.lastIndexOf(`0${sequence}`));
}

/** The object id in a key; undefined for a key that Redial did not make. */
export function objectIdOfKey(key: string): string | undefined {
  const name = key.slice(key.lastIndexOf('/') + 1);
  const objectId = name.endsWith('.ndjson') ? name.slice(0, -'.ndjson'.length) : '';
  return OBJECT_ID.test(objectId) ? objectId : undefined;
}

/** The prefix of the records of SMS that came again in another run. */
export const KNOWN_PREFIX = 'known';

/** The prefix of the announcements. */
export const RUNS_PREFIX = 'runs';

/** `runs/<run>/<number accepted, 12 digits>.json`: the largest name is the newest announcement. */
export function announcementKey(run: string, accepted: number): string {
  return `${RUNS_PREFIX}/${run}/${String(accepted).padStart(12, '0')}.json`;
}

/** Run and number in the key of an announcement; undefined for a key that Redial did not make. */
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
  const parsed = [...linesOf(body)].filter((line) => line !== '').map(parseOutcomeLine);
  const records = parsed.filter((record) => record !== undefined);
  return { records, unreadableLineCount: parsed.length - records.length };
}

/** The lines of a body, one by one: an object may be larger than the longest string. */
export function* linesOf(body: Buffer): Generator<string> {
  for (let start = 0; start < body.length; ) {
    const lineFeed = body.indexOf(LINE_FEED, start);
    const end = lineFeed < 0 ? body.length : lineFeed;
    yield body.toString('utf8', start, end);
    start = end + 1;
  }
}

/** Undefined where the line is no record. */
export function parseOutcomeLine(line: string): OutcomeRecord | undefined {
  const value = parseJson(line);
  return isOutcomeRecord(value) ? value : undefined;
}
