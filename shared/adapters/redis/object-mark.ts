import { openedAtOf, recorderOf } from '../../domain/outcome/outcome-object.ts';

const TIME_DIGITS = 8;
const RECORDER_LETTERS = 2;

/**
 * What is kept of an object's id once its SMS are settled: when it was opened (milliseconds, base 36) and the first two
 * letters of its recorder. Marks sort as ids do. A recorder opens no two objects within one millisecond. So two objects
 * have the same mark only where two recorders whose ids begin alike opened them within one. That is one pair of recorders
 * in 256.
 * @returns empty where the text is no object id
 */
export function objectMarkOf(objectId: string): string {
  const openedAtMs = openedAtOf(objectId);
  if (openedAtMs === undefined) return '';
  const time = openedAtMs.toString(36).padStart(TIME_DIGITS, '0');
  return `${time}${recorderOf(objectId)?.slice(0, RECORDER_LETTERS)}`;
}
