import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { findRabbitMq4 } from './rabbitmq-4.ts';

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

const find = (home: string) =>
  findRabbitMq4({
    projectFolder: folder,
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
