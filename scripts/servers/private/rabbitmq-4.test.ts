import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { isAtLeast } from '../programs/installed-programs.ts';
import { findRabbitMq4, type RabbitMq4Release, readWantedRelease } from './rabbitmq-4.ts';

const folder = mkdtempSync(join(tmpdir(), 'redial-rabbitmq-4-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A folder that looks like an unpacked RabbitMQ. */
function unpack(version: string): string {
  const home = join(folder, `rabbitmq_server-${version}`);
  for (const name of ['sbin', join('plugins', `rabbit-${version}`)])
    mkdirSync(join(home, name), { recursive: true });
  for (const name of ['rabbitmq-server', 'rabbitmqctl', 'epmd'])
    writeFileSync(join(home, 'sbin', name), '#!/bin/sh\n', { mode: 0o755 });
  return home;
}

const find = (home: string, release: RabbitMq4Release = '4') =>
  findRabbitMq4({
    projectFolder: folder,
    release,
    environment: { PATH: join(folder, 'rabbitmq_server-4.1.0', 'sbin'), RABBITMQ_HOME: home },
  });

test('RABBITMQ_HOME names the RabbitMQ 4 for the tests', () => {
  const home = unpack('4.1.0');
  expect(find(home)).toMatchObject({ server: join(home, 'sbin', 'rabbitmq-server') });
});

test('a RABBITMQ_HOME that is none, or an older one, is an error that says what was found', () => {
  unpack('4.1.0');
  expect(() => find(unpack('3.13.7'))).toThrow(/must be the folder of a RabbitMQ 4 .*, found 3\.13\.7 in /);
  expect(() => find(join(folder, 'nowhere'))).toThrow(/found none with its Erlang in .*nowhere/);
});

test('where 4.3 is asked for, 4.1 and 4.3.0 are too old', () => {
  const home = unpack('4.3.6');
  expect(find(home, '4.3')).toMatchObject({ server: join(home, 'sbin', 'rabbitmq-server') });
  for (const older of ['4.1.0', '4.3.0'])
    expect(() => find(unpack(older), '4.3')).toThrow(
      `must be the folder of a RabbitMQ 4.3.1 or newer with Erlang on PATH, found ${older} in `,
    );
});

test.each([
  [undefined, undefined],
  ['', undefined],
  ['4', '4'],
  ['4.3', '4.3'],
])('REDIAL_TEST_RABBITMQ=%s asks for %s', (value, release) => {
  expect(readWantedRelease(value === undefined ? {} : { REDIAL_TEST_RABBITMQ: value })).toBe(release);
});

test('a REDIAL_TEST_RABBITMQ that is neither is refused', () => {
  expect(() => readWantedRelease({ REDIAL_TEST_RABBITMQ: '4.2' })).toThrow(
    'must be 4, 4.3 or empty, got "4.2"',
  );
});

test.each([
  ['4.3.1', true],
  ['4.3.10', true],
  ['4.10.0', true],
  ['5.0.0', true],
  ['4.3.0', false],
  ['4.2.9', false],
  ['3.13.7', false],
])('%s is 4.3.1 or newer: %s', (version, isNewer) => {
  expect(isAtLeast(version, [4, 3, 1])).toBe(isNewer);
});
