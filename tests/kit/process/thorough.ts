/**
 * `REDIAL_TEST_THOROUGH=1 npm test` plays every case of the tables that start processes; each case costs seconds. Without it
 * some cases of each kind are played.
 */
export const isThorough = process.env.REDIAL_TEST_THOROUGH === '1';

/** The cases to play: all where the run is thorough, else the first list. */
export function chosen<Case>(always: readonly Case[], also: readonly Case[]): readonly Case[] {
  return isThorough ? [...always, ...also] : always;
}
