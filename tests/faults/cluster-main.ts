/**
 * `npm run test:cluster`: what becomes of every SMS while nodes of a RabbitMQ cluster of three die and come back, and how
 * long the sending pauses. With REDIAL_TEST_RABBITMQ=4 or 4.3 on that RabbitMQ.
 */
import { readOverview } from '../../scripts/servers/private/private-rabbitmq.ts';
import { CLUSTER_FAULTS } from './kinds/cluster-faults.ts';
import { playFault } from './play-fault.ts';
import { runSeededCases } from './seeded-runs.ts';

const NODES = 3;

await runSeededCases('test:cluster', CLUSTER_FAULTS, NODES, async ({ rabbitMq }) => {
  const version = (await readOverview(rabbitMq.managementUrl))?.rabbitmq_version;
  process.stdout.write(`RabbitMQ ${version}, ${NODES} nodes, `);
  return async (fault, seed, servers) => {
    const { problems, recoverySeconds, verdict, notes } = await playFault(fault, seed, servers);
    const facts = [
      `${verdict?.acceptedCount ?? 0} accepted, ${verdict?.lost.length ?? '?'} lost, ${verdict?.duplicated.length ?? '?'} records twice, ${verdict?.repeatedSends ?? '?'} repeated sends`,
      `last outcome ${recoverySeconds?.toFixed(1)} s after the end`,
      ...notes,
    ];
    return { problems, facts };
  };
});
