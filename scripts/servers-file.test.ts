import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseEnv } from 'node:util';
import { afterAll, afterEach, expect, test } from 'vitest';
import { findLivingOwner } from '../shared/process/environment.ts';
import { claimServersFile, formatServersFile } from './servers-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'redial-servers-file-'));
const file = join(folder, '.redial', 'servers.env');
afterEach(() => rmSync(join(folder, '.redial'), { recursive: true, force: true }));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('addresses come back as they were written, whatever is in them', () => {
  const addresses = {
    RABBITMQ_URL: 'amqp://guest:guest@127.0.0.1:20001',
    AWS_SECRET_ACCESS_KEY: 'a+b/c==',
    REDIS_URL: 'redis://:p#ss@127.0.0.1:1',
    ODD: "it's odd",
  };
  expect(parseEnv(formatServersFile(addresses))).toEqual(addresses);
});

test('a second npm start is told about the first', () => {
  const claimed = claimServersFile(folder);
  claimed.publish({ REDIS_URL: 'redis://127.0.0.1:1' });
  expect(findLivingOwner(folder)).toBe(process.pid);
  expect(() => claimServersFile(folder)).toThrow(/runs already in this checkout/);
  claimed.remove();
  expect(findLivingOwner(folder)).toBeUndefined();
});

test('what a killed npm start left behind does not count, also when its number is used again', () => {
  claimServersFile(folder);
  const text = readFileSync(file, 'utf8');
  for (const stale of [text.replace(/owner \d+/, 'owner 999999999'), text.replace(/ \d+\n/, ' 1\n')]) {
    writeFileSync(file, stale);
    expect(findLivingOwner(folder)).toBeUndefined();
  }
  expect(() => claimServersFile(folder)).not.toThrow();
});

test('addresses, which may hold passwords, are for their owner only', () => {
  mkdirSync(join(folder, '.redial'), { mode: 0o755 });
  claimServersFile(folder).publish({ REDIS_URL: 'redis://:hidden@127.0.0.1:1' });
  expect(statSync(join(folder, '.redial')).mode & 0o777).toBe(0o700);
  expect(statSync(file).mode & 0o777).toBe(0o600);
});
