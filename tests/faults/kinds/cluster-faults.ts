/** Faults of a RabbitMQ cluster of three nodes, under a load that lasts as long as they do. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { PrivateRabbitMq } from '../../../scripts/servers/private/private-rabbitmq.ts';
import type { RunningProcess } from '../../kit/process/running-process.ts';
import { ManagementApi } from '../../kit/rabbitmq/management-api.ts';
import { waitUntil } from '../../kit/wait-for.ts';
import { expectThat } from '../expect-that.ts';
import type { Fault } from '../fault.ts';
import type { FaultRun } from '../fault-run.ts';
import { SendingWatch } from '../servers/sending-watch.ts';

const SENDERS = 3;
const SMS_PER_SECOND = 60;
// "Sending goes on within seconds": the longest time without an attempt that was counted.
const LONGEST_PAUSE_MS = 10_000;
const SETTLED_MS = 8_000;

interface Load {
  readonly producer: RunningProcess;
  readonly watch: SendingWatch;
}

/** Senders, a producer that goes on for as long as the SMS last, and three replicas of each queue. */
async function startLoad(run: FaultRun): Promise<Load> {
  await Promise.all(Array.from({ length: SENDERS }, () => run.startSender()));
  await expectReplicas(run);
  const producer = run.spawnProducer(['--rate', String(SMS_PER_SECOND)]);
  await run.waitForAttempts(2 * SMS_PER_SECOND);
  const watch = new SendingWatch(run, producer);
  await sleep(3_000);
  run.note(`longest pause of sending without a fault ${seconds(watch.longestPauseMs())}`);
  run.note(await describeSpread(run));
  return { producer, watch };
}

async function endLoad(run: FaultRun, { producer }: Load): Promise<void> {
  await run.finishProducing(producer);
  run.endFault();
  await expectReplicas(run);
}

interface Queue {
  readonly name: string;
  readonly leader?: string;
  readonly members?: readonly string[];
  readonly online?: readonly string[];
}

function nodesOf(run: FaultRun): readonly PrivateRabbitMq[] {
  return run.servers.nodes ?? [];
}

/** Any node that runs: each knows all queues. */
function apiOf(run: FaultRun): ManagementApi {
  const living = nodesOf(run).find(({ pid }) => pid !== undefined);
  return new ManagementApi(living?.managementUrl ?? '');
}

async function queuesOf(run: FaultRun): Promise<Queue[]> {
  const queues = await apiOf(run).call<Queue[]>('GET', 'queues/%2F');
  return queues.filter(({ name }) => name.startsWith(`${run.queueName}.`));
}

/** Every queue of the pipeline has a replica on each node, and all of them are there. */
async function expectReplicas(run: FaultRun, nodeCount = nodesOf(run).length): Promise<void> {
  const isComplete = ({ members = [], online = [] }: Queue) =>
    members.length === nodeCount && online.length === nodeCount;
  await waitUntil<Queue[]>(
    `${nodeCount} replicas of every queue`,
    () => queuesOf(run).catch(() => []),
    (queues) => queues.length > 0 && queues.every(isComplete),
    undefined,
    undefined,
    (queues) =>
      queues
        .filter((queue) => !isComplete(queue))
        .map(({ name, members, online }) => `${name} on ${members}, online ${online}`)
        .join('; '),
  );
}

/** How connections and leaders are spread over the nodes. */
async function describeSpread(run: FaultRun): Promise<string> {
  type Connection = { node: string; client_properties?: { connection_name?: string } };
  const connections = (await apiOf(run).call<Connection[]>('GET', 'connections')).filter(
    ({ client_properties }) => client_properties?.connection_name?.startsWith('redial'),
  );
  const queues = await queuesOf(run);
  const perNode = (names: readonly (string | undefined)[]) =>
    nodesOf(run)
      .map(({ nodeName }) => names.filter((name) => name === nodeName).length)
      .join('+');
  return `connections per node ${perNode(connections.map(({ node }) => node))}, queue leaders ${perNode(queues.map(({ leader }) => leader))}`;
}

async function leaderOf(run: FaultRun, routingKey: string): Promise<string | undefined> {
  return (await queuesOf(run)).find(({ name }) => name === `${run.queueName}.${routingKey}`)?.leader;
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}

/** Ends a node, and says and judges how long the sending paused. */
async function endNode(
  run: FaultRun,
  { watch }: Load,
  node: PrivateRabbitMq,
  signal: 'SIGKILL' | 'SIGTERM',
): Promise<void> {
  const led = (await leaderOf(run, 'work')) === node.nodeName ? ', leader of the work queue,' : '';
  const sinceMs = Date.now();
  await node.stop({ signal });
  await sleep(SETTLED_MS);
  const pauseMs = watch.longestPauseMs(sinceMs);
  const word = signal === 'SIGKILL' ? 'killed' : 'stopped';
  run.note(`${node.nodeName}${led} ${word}: longest pause of sending ${seconds(pauseMs)}`);
  expectThat(
    pauseMs < LONGEST_PAUSE_MS,
    `sending paused for ${seconds(pauseMs)} when ${node.nodeName} was ${word}`,
  );
}

async function startNode(run: FaultRun, { watch }: Load, node: PrivateRabbitMq): Promise<void> {
  const sinceMs = Date.now();
  await node.start();
  await expectReplicas(run);
  run.note(
    `${node.nodeName} back with its replicas after ${seconds(Date.now() - sinceMs)}: longest pause ${seconds(watch.longestPauseMs(sinceMs))}`,
  );
}

/** Says how long one SMS waited for its first attempt, at most. */
async function noteLongestWait(run: FaultRun): Promise<void> {
  const waits = (await run.records()).map(
    ({ record: { acceptedAt, attempts } }) =>
      Date.parse(attempts[0]?.startedAt ?? '') - Date.parse(acceptedAt),
  );
  run.note(`an SMS waited for its first attempt at most ${seconds(Math.max(...waits))}`);
}

const LASTING_LOAD = { smsCount: 60 * SMS_PER_SECOND, concurrency: 10 };
const ON_CLUSTER = { isAloneOnRabbitMq: true, recoversWithinSeconds: 60 };
const UNDER_LOAD = { ...ON_CLUSTER, settings: LASTING_LOAD, verify: noteLongestWait };

export const CLUSTER_FAULTS: readonly Fault[] = [
  {
    name: 'cluster-node-killed',
    title: 'a node is killed under load and started again, then another one',
    runs: 3,
    ...UNDER_LOAD,
    async inject(run) {
      const load = await startLoad(run);
      const leader = await leaderOf(run, 'work');
      // The worst node first: the one that leads the work queue.
      const isLeader = ({ nodeName }: PrivateRabbitMq) => nodeName === leader;
      const others = nodesOf(run).filter((node) => !isLeader(node));
      for (const node of [...nodesOf(run).filter(isLeader), run.random.oneOf(others)]) {
        await endNode(run, load, node, 'SIGKILL');
        await startNode(run, load, node);
      }
      await endLoad(run, load);
    },
  },
  {
    name: 'cluster-nodes-restarted',
    title: 'all nodes are restarted gracefully one after the other, as for an upgrade',
    runs: 1,
    ...UNDER_LOAD,
    settings: { ...LASTING_LOAD, smsCount: 90 * SMS_PER_SECOND },
    async inject(run) {
      const load = await startLoad(run);
      for (const node of nodesOf(run)) {
        await endNode(run, load, node, 'SIGTERM');
        await startNode(run, load, node);
      }
      await endLoad(run, load);
    },
  },
  {
    name: 'cluster-majority-killed',
    title: 'two nodes of three are killed at once: all stands still, and goes on when one of them is back',
    runs: 2,
    ...UNDER_LOAD,
    async inject(run) {
      const load = await startLoad(run);
      const victims = run.random.shuffled(nodesOf(run)).slice(0, 2);
      await Promise.all(victims.map((node) => node.stop({ signal: 'SIGKILL' })));
      await run.pause(3_000, 8_000);
      const [first, second] = victims;
      const sinceMs = Date.now();
      await first?.start();
      const attempts = (await run.counters())?.attempts ?? 0;
      await run.waitForAttempts(attempts + SMS_PER_SECOND);
      run.note(`sending goes on ${seconds(Date.now() - sinceMs)} after the start of one of them began`);
      await second?.start();
      await endLoad(run, load);
    },
  },
  {
    name: 'cluster-node-missing',
    title: 'a node is missing when the queues are declared: it has its replicas when it comes',
    runs: 1,
    ...ON_CLUSTER,
    async inject(run) {
      const absent = run.random.oneOf(nodesOf(run));
      await absent.stop();
      await run.startSender();
      await run.produce();
      await absent.start();
      await expectReplicas(run);
    },
  },
  {
    name: 'cluster-node-replaced',
    title: 'a node is stopped and its replicas given up, it comes back and gets new ones, another is killed',
    runs: 1,
    ...UNDER_LOAD,
    async inject(run) {
      const load = await startLoad(run);
      const [replaced, victim] = run.random.shuffled(nodesOf(run)) as [PrivateRabbitMq, PrivateRabbitMq];
      const pattern = ['--queue-pattern', `^${run.queueName}\\.`];
      await endNode(run, load, replaced, 'SIGTERM');
      await victim.rabbitmqQueues('shrink', replaced.nodeName);
      await expectReplicas(run, 2);
      await replaced.start();
      await replaced.rabbitmqQueues('grow', replaced.nodeName, 'all', ...pattern);
      await expectReplicas(run);
      await endNode(run, load, victim, 'SIGKILL');
      await startNode(run, load, victim);
      await endLoad(run, load);
    },
  },
];
