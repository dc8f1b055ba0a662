import { readFileSync } from 'node:fs';
import { expect, inject, test } from 'vitest';
import { readOverview } from '../scripts/servers/private/private-rabbitmq.ts';
import { PipelineUnderTest } from './kit/process/pipeline-under-test.ts';
import { ManagementApi } from './kit/rabbitmq/management-api.ts';

const servers = inject('servers');
const version = (await readOverview(servers.managementUrl))?.rabbitmq_version ?? '';

// Older ones keep no such list.
test.runIf(Number.parseInt(version, 10) >= 4)(
  'no feature is used that RabbitMQ calls deprecated',
  async () => {
    const pipeline = new PipelineUnderTest(servers, 'deprecated');
    try {
      await pipeline.startSender();
      await pipeline.produce(200, 'modern');
      await pipeline.waitUntilDone(200);
      expect((await pipeline.audit()).report).toMatchObject({ balanced: true });
      expect((await pipeline.start('producer', ['requeue-overdue']).ended).exitCode).toBe(0);

      // Its own list knows what is used now, its log also what was: some features leave no other trace. One line of it
      // is there whoever uses it: the management plugin's own way of counting is deprecated.
      const api = new ManagementApi(servers.managementUrl);
      expect(await api.call('GET', 'deprecated-features/used')).toEqual([]);
      const log = readFileSync(servers.rabbitmqLogFile, 'utf8');
      const told = [...log.matchAll(/deprecated features: `(\w+)`/gi)].map(([, name]) => name);
      expect([...new Set(told)]).toEqual(['management_metrics_collection']);
    } finally {
      await pipeline.end();
    }
  },
);
