import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import { withoutDocker } from './no-docker.ts';
import { findCompose } from './servers/compose/find-compose.ts';

const folder = mkdtempSync(join(tmpdir(), 'redial-no-docker-'));
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true, force: true });
});

test('npm start finds no Docker in a test, and the test run learns that somebody asked for it', async () => {
  const { path, readCalls } = withoutDocker(folder, process.env.PATH ?? '');
  expect(readCalls()).toEqual([]);
  vi.stubEnv('PATH', path);
  expect(await findCompose()).toBeUndefined();
  expect(readCalls()).toEqual(['docker info']);
});
