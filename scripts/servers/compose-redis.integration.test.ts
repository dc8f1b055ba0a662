/** The command that starts Redis in docker-compose.yml, run by a shell here. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, expect, test } from 'vitest';
import { findFreePorts } from './free-ports.ts';

const folder = mkdtempSync(join(tmpdir(), 'redial-compose-redis-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What stands below `- |` in the command of the service redis, as the shell of the container gets it. */
function redisScript(): string {
  const composeFile = readFileSync(join(import.meta.dirname, '..', '..', 'docker-compose.yml'), 'utf8');
  const [, service = ''] = /^ {2}redis:\n((?: {4}.*\n|\n)+)/m.exec(composeFile) ?? [];
  const [, script = ''] = /^ {6}- \|\n((?: {8}.*\n)+)/m.exec(service) ?? [];
  return script.replaceAll(/^ {8}/gm, '').replaceAll('$$', '$');
}

async function ping(port: number, password: string): Promise<string> {
  const env = { ...process.env, REDISCLI_AUTH: password };
  const { stdout } = await promisify(execFile)('redis-cli', ['-p', String(port), 'ping'], { env });
  return stdout.trim();
}

test.each([
  ['a plain password', 'hidden'],
  ['a password that a shell or redis.conf could read as something else', `a "b\\c\\" $x #'\`y\` %s`],
  ['no password', ''],
])('Redis under Compose asks for %s, which is on no command line', async (_, password) => {
  const [port = 0] = await findFreePorts(1);
  const script = redisScript().replace('<<END\n', `<<END\nport ${port}\nbind 127.0.0.1\n`);
  const redis = spawn('sh', ['-c', script], {
    cwd: folder,
    env: { ...process.env, REDISCLI_AUTH: password },
    stdio: 'ignore',
  });
  const ended = once(redis, 'exit');
  try {
    await expect.poll(() => ping(port, password).catch(String), { timeout: 120_000 }).toBe('PONG');
    if (password !== '') {
      expect(await ping(port, '')).toMatch(/^NOAUTH/);
      expect(readFileSync(`/proc/${redis.pid}/cmdline`, 'utf8')).not.toContain(password);
    }
  } finally {
    redis.kill();
    // The shell has become Redis: the signal reaches it, and it ends in order.
    expect((await ended)[0]).toBe(0);
  }
});
