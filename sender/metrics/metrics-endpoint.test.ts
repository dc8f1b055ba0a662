import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test, vi } from 'vitest';
import { loadConfig } from '../../shared/process/config/config.ts';
import { RecordedLog } from '../../tests/kit/recorded-log.ts';
import { MetricsEndpoint } from './compose.ts';
import { SenderTally } from './tally.ts';

const registries = vi.hoisted(() => ({ count: 0 }));
vi.mock(import('./sender-metrics.ts'), async (importOriginal) => {
  const original = await importOriginal();
  return {
    ...original,
    registerSenderMetrics(parts) {
      registries.count += 1;
      return original.registerSenderMetrics(parts);
    },
  };
});

test('a port that is taken for long costs one registry, and is told once', async () => {
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  const { port } = other.address() as AddressInfo;
  const log = new RecordedLog();
  const endpoint = new MetricsEndpoint(loadConfig({ METRICS_PORT: String(port) }), log);
  const parts = {
    tally: new SenderTally(),
    sender: { load: { inFlight: 0, isGatewayPaused: false, throttledCount: 0 } },
    recorder: { storesAwayMs: { redis: 0, s3: 0 } },
    journal: { unconfirmedCount: 0 },
    isConnected: () => true,
  };
  for (let time = 0; time < 5; time += 1) await endpoint.start(parts);
  expect(log.lines.filter(({ level }) => level === 'error')).toHaveLength(1);
  other.close();
  await once(other, 'close');
  await endpoint.start(parts);
  expect(log.count('the metrics are served')).toBe(1);
  // Each would watch the process for as long as it lives.
  expect(registries.count).toBe(1);
  await endpoint.close();
});
