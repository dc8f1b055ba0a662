/** Builds what gives directives, and tells what came of them. */

import { randomBytes } from 'node:crypto';
import { createInterface } from 'node:readline';
import { RabbitMqConnection } from '../../../shared/adapters/rabbitmq/connection.ts';
import { TopologyDeclarer } from '../../../shared/adapters/rabbitmq/topology-declarer.ts';
import { WaitingQueues } from '../../../shared/adapters/rabbitmq/waiting/waiting-queues.ts';
import { RedisConnection } from '../../../shared/adapters/redis/connection.ts';
import { RedisDirectiveStore } from '../../../shared/adapters/redis/senders/directive-store.ts';
import { formatCount } from '../../../shared/domain/format-count.ts';
import { queueNameOf, ROUTING_KEYS, topologyOf } from '../../../shared/domain/topology/topology.ts';
import type { Logger } from '../../../shared/ports/logger.ts';
import type { Config } from '../../../shared/process/config/config.ts';
import { connectionOptionsOf } from '../../../shared/process/config/rabbitmq.ts';
import { redisAddressOf } from '../../../shared/process/config/redis.ts';
import { systemClock } from '../../../shared/process/system-clock.ts';
import type { Report, Surroundings } from '../../compose.ts';
import { findWaitingQueues } from '../compose.ts';
import { cancelSms, type Directed, type DirectParts, type NamedAim, sendSmsNow } from './direct-sms.ts';
import { type Aim, judgeIds, MAX_IDS } from './directive-options.ts';
import { explain, isDone, type Result } from './judge-result.ts';
import { OneAfterTheOther } from './one-after-the-other.ts';

export type DirectiveCommand = 'cancel' | 'retry-now';

const REDIS_DEADLINE_MS = 10_000;
const CONNECT_DEADLINE_MS = 10_000;
const PERFORMED = { cancel: cancelSms, 'retry-now': sendSmsNow };

/** Gives the directives and closes everything. @throws ServerUnavailableError without RabbitMQ or Redis */
export async function direct(
  command: DirectiveCommand,
  aim: Aim,
  surroundings: Surroundings,
): Promise<Report> {
  const { config, shutdown, log } = surroundings;
  const named = aim.kind === 'stdin' ? { kind: 'ids' as const, ids: await readIds(command) } : aim;
  const redis = new RedisConnection({ ...redisAddressOf(config), log });
  const waiting = new WaitingQueues();
  const topology = new TopologyDeclarer(() => topologyOf(config.queueName));
  try {
    await redis.open(REDIS_DEADLINE_MS);
    return await surroundings.connected([topology, waiting], async () => {
      const { names, silence } = await findWaitingQueues(config);
      const parts = partsOf(config, redis, waiting, names, shutdown);
      const directed = await PERFORMED[command](named, parts);
      return reportOf(command, named, directed, silence);
    });
  } finally {
    redis.close();
  }
}

function partsOf(
  { queueName }: Config,
  redis: RedisConnection,
  waiting: WaitingQueues,
  queueNames: readonly string[],
  shutdown: AbortSignal,
): DirectParts {
  return {
    store: new RedisDirectiveStore(redis, queueName, randomBytes(5).toString('hex')),
    queueNames,
    look: waiting.look.bind(waiting),
    // Each sender has one consumer on this queue, however many it has on its lanes.
    countSenders: () => waiting.consumerCountOf(queueNameOf(queueName, ROUTING_KEYS.deadLetters)),
    clock: systemClock,
    shutdown,
  };
}

/** Gives directives for single SMS, over a connection that is opened for the first one and stays. */
export function createDirecting(config: Config, log: Logger, redis: RedisConnection, shutdown: AbortSignal) {
  const waiting = new WaitingQueues();
  let connection: RabbitMqConnection | undefined;
  const connect = async () => {
    const opening = new RabbitMqConnection(connectionOptionsOf(config, 'api', log));
    opening.add(new TopologyDeclarer(() => topologyOf(config.queueName)));
    opening.add(waiting);
    // One that was never up does not come back by itself.
    await opening.open(CONNECT_DEADLINE_MS);
    connection = opening;
  };
  const perform = async (command: DirectiveCommand, ids: readonly string[]) => {
    if (connection === undefined) await connect();
    const { names } = await findWaitingQueues(config);
    const parts = partsOf(config, redis, waiting, names, shutdown);
    return (await PERFORMED[command]({ kind: 'ids', ids }, parts)).results;
  };
  const directing = new OneAfterTheOther(perform);
  return {
    /** @throws ServerUnavailableError */
    direct: (command: DirectiveCommand, smsId: string) => directing.direct(command, smsId),
    close: async () => connection?.close(),
  };
}

async function readIds(command: DirectiveCommand): Promise<readonly string[]> {
  const ids: string[] = [];
  for await (const line of createInterface({ input: process.stdin })) {
    const id = line.trim();
    if (id !== '') ids.push(id);
    // One more than is allowed tells that there are too many.
    if (ids.length > MAX_IDS) break;
  }
  return judgeIds(ids, command);
}

function reportOf(
  command: DirectiveCommand,
  aim: NamedAim,
  directed: Directed,
  silence: string | undefined,
): Report {
  const { results, pulledCount, isCertain, isWhole, senderCount } = directed;
  const counts: Partial<Record<Result, number>> = {};
  for (const result of results.values()) counts[result] = (counts[result] ?? 0) + 1;
  const isComplete = isCertain && isWhole && [...results.values()].every(isDone);
  const done = command === 'cancel' ? 'cancelled' : 'sent now';
  const runResult = isCertain && isWhole ? done : 'not certain';
  const line =
    aim.kind === 'run'
      ? `${aim.run}: ${runResult}; ${formatCount(pulledCount)} SMS that waited were taken out of their queues`
      : Object.entries(counts)
          .map(([result, count]) => `${formatCount(count)} ${result}`)
          .join(', ');
  const text =
    aim.kind === 'run'
      ? `${line}\n`
      : [...results].map(([id, result]) => `${id}  ${explain(result, command)}\n`).join('');
  const summary =
    aim.kind === 'run'
      ? { run: aim.run, result: runResult, counts: { pulled: pulledCount } }
      : { directives: [...results].map(([id, result]) => ({ id, result })), counts };
  return {
    summary,
    text,
    line,
    rest: 'what was given stays given; the same command goes on',
    findHints: async () => hintsOf(directed, senderCount, silence),
    isComplete,
  };
}

function hintsOf(
  { isCertain, isWhole }: Directed,
  senderCount: number,
  silence: string | undefined,
): string[] {
  const hints: string[] = [];
  if (silence !== undefined)
    hints.push(`${silence}; so only the queues of RETRY_SCHEDULE and the hold queues were looked at`);
  if (!isCertain) hints.push('not every sender has said that it knows; give the command again');
  if (!isWhole)
    hints.push(
      'more SMS wait than were looked at: those behind follow when they are due, or give the command again',
    );
  if (senderCount === 0) hints.push('no sender is running: it is done when one starts');
  return hints;
}
