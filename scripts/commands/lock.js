/**
 * One at a time among the processes of a checkout: a file that names its owner. It survives a dead owner, because
 * whoever finds it looks whether that process still lives (its number and, where /proc tells, when it started:
 * numbers are used again).
 */
import { linkSync, readFileSync, renameSync, unlinkSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { makePrivateFolder } from './private-folder.js';

/** The lock cannot be made where it must be; the message says why. */
export class LockError extends Error {}

/**
 * @template T
 * @param {string} file
 * @param {() => Promise<T>} work
 * @param {() => void} [onWaiting] called once when somebody else holds the lock
 * @returns {Promise<T>}
 * @throws {LockError}
 */
export async function withLock(file, work, onWaiting = () => {}) {
  const own = ownerOf(process.pid);
  let hasWaited = false;
  while (!takeIn(file, own)) {
    if (!hasWaited) onWaiting();
    hasWaited = true;
    await sleep(100);
  }
  try {
    return await work();
  } finally {
    if (read(file) === own) unlinkSync(file);
  }
}

/**
 * @param {string} file
 * @param {string} own
 */
function takeIn(file, own) {
  const folder = dirname(file);
  try {
    makePrivateFolder(folder);
    return take(file, own);
  } catch (error) {
    // Of a folder on a read-only disk Node.js says that it is not there.
    if (!['EACCES', 'EPERM', 'EROFS', 'ENOENT'].some((code) => isCode(error, code))) throw error;
    throw new LockError(
      `${folder} cannot be written to: it belongs to another user, or the disk is read-only. Use a checkout of your own.`,
    );
  }
}

/**
 * @param {string} file
 * @param {string} own
 */
function take(file, own) {
  try {
    writeFileSync(file, own, { flag: 'wx' });
    return true;
  } catch (error) {
    if (!isCode(error, 'EEXIST')) throw error;
  }
  const owner = read(file);
  if (owner !== undefined && owner !== '' && !isAlive(owner)) removeDead(file, owner);
  return false;
}

/**
 * Moves the dead owner's lock away first and looks at what it got: two that find the same dead owner must not remove
 * each other's new lock.
 *
 * @param {string} file
 * @param {string} deadOwner
 */
function removeDead(file, deadOwner) {
  const aside = `${file}.${process.pid}`;
  try {
    renameSync(file, aside);
    if (read(aside) !== deadOwner) linkSync(aside, file);
    unlinkSync(aside);
  } catch (error) {
    if (!isCode(error, 'ENOENT') && !isCode(error, 'EEXIST')) throw error;
  }
}

/** @param {string} owner */
function isAlive(owner) {
  const pid = Number(owner.split(' ')[0]);
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (isCode(error, 'ESRCH')) return false;
  }
  return ownerOf(pid) === owner;
}

/**
 * `<pid> <start time>`; the start time is field 22 of /proc/<pid>/stat, empty where there is no /proc.
 *
 * @param {number} pid
 */
export function ownerOf(pid) {
  // The program's name, field 2, is in parentheses and may hold spaces.
  const stat = read(`/proc/${pid}/stat`);
  return `${pid} ${stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? ''}`;
}

/** @param {string} file */
function read(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

/**
 * @param {unknown} error
 * @param {string} code
 */
function isCode(error, code) {
  return error instanceof Error && 'code' in error && error.code === code;
}
