import { chmodSync, existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, expect, test } from 'vitest';
import { LockError, ownerOf, withLock } from './lock.js';

const folder = mkdtempSync(join(tmpdir(), 'redial-lock-'));
const lock = join(folder, 'some', 'build.lock');
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('who comes second waits, says so, and goes on when the first is done', async () => {
  const said: string[] = [];
  const hold = (name: string) =>
    withLock(
      lock,
      async () => {
        said.push(`${name} begins`);
        await sleep(50);
        said.push(`${name} ends`);
      },
      () => said.push(`${name} waits`),
    );
  await Promise.all([hold('first'), hold('second')]);
  expect(said).toEqual(['first begins', 'second waits', 'first ends', 'second begins', 'second ends']);
  expect(existsSync(lock)).toBe(false);
});

test.each([
  ['a dead process', '999999999 1'],
  ['an earlier process with our number', ownerOf(process.pid).replace(/\d+$/, '1')],
])('the lock of %s is taken over', async (_case, owner) => {
  writeFileSync(lock, owner);
  expect(await withLock(lock, async () => 'done')).toBe('done');
});

test('work that fails gives the lock back', async () => {
  const failing = withLock(lock, async () => {
    throw new Error('no');
  });
  await expect(failing).rejects.toThrow('no');
  expect(existsSync(lock)).toBe(false);
});

test('the folder of the lock is for its owner only, also where it was for everybody', async () => {
  chmodSync(join(folder, 'some'), 0o755);
  await withLock(lock, async () => {});
  expect(statSync(join(folder, 'some')).mode & 0o777).toBe(0o700);
});

test('a folder that takes no lock is told with its reason', async () => {
  // Not even root makes a folder there.
  const impossible = withLock('/sys/redial/build.lock', async () => {});
  await expect(impossible).rejects.toThrow(LockError);
  await expect(impossible).rejects.toThrow('/sys/redial cannot be written to: it belongs to another user');
});
