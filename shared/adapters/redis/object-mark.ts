import { openedAtOf, recorderOf } from '../../domain/outcome-object.ts';

const TIME_DIGITS = 8;
const RECORDER_LETTERS = 2;

/**
 * What is kept of an object's id once its SMS are settled: when it was opened (milliseconds, base 36) and the first two
 * letters of its recorder. Marks order as ids do. Two objects have one mark only where they were opened within one
 * millisecond, by one recorder or by two whose ids begin alike: one pair of recorders in 256.
 * @returns empty where the text is no object id
 */
export function objectMarkOf(objectId: string): string {
  const openedAtMs = openedAtOf(objectId);
  if (openedAtMs === undefined) return '';
  const time = openedAtMs.toString(36).padStart(TIME_DIGITS, '0');
  return `${time}${recorderOf(objectId)?.slice(0, RECORDER_LETTERS)}`;
}
