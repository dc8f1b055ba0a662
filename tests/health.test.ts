import { spawnSync } from 'node:child_process';
import { existsSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, inject, test } from 'vitest';
import { ApiUnderTest } from './kit/process/api-under-test.ts';
import { PipelineUnderTest } from './kit/process/pipeline-under-test.ts';
import { waitFor } from './kit/wait-for.ts';

const servers = inject('servers');
const healthCommand = join(import.meta.dirname, '..', 'dist', 'shared', 'process', 'health-check.js');
let pipeline: PipelineUnderTest | undefined;

afterEach(() => pipeline?.end());

/** As Docker runs it: exit code, and what it says. */
function checkHealth(healthFile: string): [number | null, string] {
  const env = { HEARTBEAT_FILE: healthFile };
  const { status, stderr } = spawnSync(process.execPath, [healthCommand], { env, encoding: 'utf8' });
  return [status, stderr];
}

test('the health check passes while a sender works, and fails once it has been silent for 30 s', async () => {
  const HEARTBEAT_FILE = join(servers.folder, 'sender.heartbeat');
  pipeline = new PipelineUnderTest(servers, 'health', { HEARTBEAT_FILE });
  const sender = await pipeline.startSender();
  await waitFor('the health file', () => existsSync(HEARTBEAT_FILE));
  expect(checkHealth(HEARTBEAT_FILE)).toEqual([0, '']);

  sender.child.kill('SIGSTOP');
  const longAgo = new Date(Date.now() - 40_000);
  utimesSync(HEARTBEAT_FILE, longAgo, longAgo);
  expect(checkHealth(HEARTBEAT_FILE)).toEqual([1, expect.stringMatching(/last touched 4\d s ago/)]);

  sender.child.kill('SIGCONT');
  expect((await sender.stop()).exitCode).toBe(0);
  expect(checkHealth(HEARTBEAT_FILE)).toEqual([1, expect.stringContaining('is not there')]);
});

test('the HTTP API has a health file once it listens, and none after it has ended', async () => {
  const HEARTBEAT_FILE = join(servers.folder, 'api.heartbeat');
  pipeline = new PipelineUnderTest(servers, 'health-api');
  const api = await ApiUnderTest.start(pipeline, { HEARTBEAT_FILE });
  await waitFor('the health file', () => existsSync(HEARTBEAT_FILE));
  expect(checkHealth(HEARTBEAT_FILE)).toEqual([0, '']);
  expect((await api.process.stop()).exitCode).toBe(0);
  expect(existsSync(HEARTBEAT_FILE)).toBe(false);
});
