/** All three servers speak TLS and nothing else, with certificates made here. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { PipelineUnderTest } from './kit/process/pipeline-under-test.ts';
import { TlsServers } from './kit/tls/tls-servers.ts';

const folder = mkdtempSync(join(tmpdir(), 'redial-tls-'));
let servers: TlsServers;
let pipeline: PipelineUnderTest;

beforeAll(async () => {
  servers = await TlsServers.start(folder);
});
afterAll(async () => {
  await servers?.stop();
  rmSync(folder, { recursive: true, force: true });
});
afterEach(() => pipeline.end());

test('SMS go all the way and the books balance where every server speaks TLS only', async () => {
  pipeline = new PipelineUnderTest(servers.addresses, 'tls', servers.trustSettings, { trust: servers.trust });
  await pipeline.startSender();
  expect(await pipeline.produce(200, 'encrypted')).toMatchObject({ accepted: 200 });
  await pipeline.waitUntilDone(200);
  const { exitCode, report } = await pipeline.auditStill();
  expect(report).toMatchObject({ accepted: 200, missing: 0, countersAgree: true, balanced: true });
  expect(exitCode).toBe(0);
  expect((await pipeline.snapshotOnce()).problems).toEqual([]);
});
