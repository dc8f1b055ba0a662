/**
 * `REDIAL_TEST_THOROUGH=1 npm test` plays every case of the tables of processes, each of which costs seconds. Without it, some
 * of each kind.
 */
export const isThorough = process.env.REDIAL_TEST_THOROUGH === '1';

/** All of them where the run is thorough; else those that are always played. */
export function chosen<Case>(always: readonly Case[], also: readonly Case[]): readonly Case[] {
  return isThorough ? [...always, ...also] : always;
}
