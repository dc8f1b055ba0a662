/** A Compose project whose only container is a Redis of this machine: what `docker` is told, not what it does. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { startPrivateRedis } from '../private/private-redis.ts';
import { startComposeServers } from './compose-servers.ts';

const checkout = mkdtempSync(join(tmpdir(), 'redial-compose-'));
const path = process.env.PATH ?? '';
const docker = `#!/bin/sh
case "$*" in
info) ;;
*version*) echo 2.24.0 ;;
*up*) redis-server --port "$REDIS_PORT_HOST" --bind 127.0.0.1 --save '' --daemonize yes --pidfile "$PWD/redis.pid" --dir "$PWD" ;;
*down*) [ ! -e redis.pid ] || { kill "$(cat redis.pid)"; while [ -e redis.pid ]; do sleep 0.05; done; } ;;
esac
`;

beforeAll(() => {
  for (const folder of ['bin', '.redial']) mkdirSync(join(checkout, folder));
  writeFileSync(join(checkout, 'docker-compose.yml'), '');
  writeFileSync(join(checkout, 'bin', 'docker'), docker);
  chmodSync(join(checkout, 'bin', 'docker'), 0o755);
  vi.stubEnv('PATH', `${join(checkout, 'bin')}:${path}`);
});
afterAll(() => {
  vi.unstubAllEnvs();
  rmSync(checkout, { recursive: true });
});

async function upAndDown(): Promise<string> {
  const options = { projectFolder: checkout, wanted: ['redis'], say: () => {} } as const;
  const servers = await startComposeServers({ ...options, shutdown: new AbortController().signal });
  await servers?.stop();
  return servers?.addresses.redis?.REDIS_URL ?? '';
}

test('a Compose project that is started again is where it was, unless somebody has taken its port', async () => {
  const url = await upAndDown();
  expect(url).toMatch(/^redis:/);
  expect(await upAndDown()).toBe(url);
  const other = await startPrivateRedis({
    folder: join(checkout, 'other'),
    path,
    port: Number(new URL(url).port),
  });
  expect(await upAndDown()).not.toBe(url);
  await other.stop();
});
