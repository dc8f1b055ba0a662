import { chmodSync, mkdirSync } from 'node:fs';

/**
 * Makes a folder that only its owner may look into, also where it was there for everybody: logs and objects hold phone
 * numbers and texts.
 *
 * @param {string} folder
 */
export function makePrivateFolder(folder) {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  chmodSync(folder, 0o700);
}
