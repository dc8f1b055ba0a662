import { createHash, hash, randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { describeServer, RabbitMqConnection } from '../shared/adapters/rabbitmq/connection.ts';
import { RabbitMqConsumer } from '../shared/adapters/rabbitmq/consumer.ts';
import { inspectQueues } from '../shared/adapters/rabbitmq/inspect-queue.ts';
import { ManagementQueueReader } from '../shared/adapters/rabbitmq/management-queues.ts';
import { RabbitMqPublisher } from '../shared/adapters/rabbitmq/publisher.ts';
import { TopologyRole } from '../shared/adapters/rabbitmq/topology-role.ts';
import { RedisConnection } from '../shared/adapters/redis/connection.ts';
import { RedisCounterStore } from '../shared/adapters/redis/counter-store.ts';
import { RedisLivingSettingsReader } from '../shared/adapters/redis/living-settings-reader.ts';
import { RedisStartMarks } from '../shared/adapters/redis/start-marks.ts';
import { S3ObjectStore } from '../shared/adapters/s3/object-store.ts';
import { readCommandLine } from '../shared/command-line.ts';
import {
  type Config,
  loadConfig,
  managementOf,
  outcomePrefixesOf,
  rabbitmqUrlsOf,
  redisUrlOf,
  s3OptionsOf,
} from '../shared/config.ts';
import { fullJitterMs } from '../shared/domain/backoff.ts';
import { formatDuration } from '../shared/domain/duration.ts';
import { encodeJournalEntry, type SenderSettings } from '../shared/domain/journal.ts';
import { LANES, type Lane } from '../shared/domain/lanes.ts';
import { recorderPriorityOf } from '../shared/domain/recorder-priority.ts';
import { describeTopology, queueNameOf, ROUTING_KEYS, workRoutingKey } from '../shared/domain/topology.ts';
import { findProjectFolder, readEnvironment } from '../shared/environment.ts';
import { StoppedError } from '../shared/errors.ts';
import { EXIT, runToExit } from '../shared/exit-code.ts';
import { boundHeapGrowth } from '../shared/heap.ts';
import { startHeartbeat } from '../shared/heartbeat.ts';
import { createLogger, quieted } from '../shared/logger.ts';
import type { Logger } from '../shared/ports.ts';
import { listenForShutdown, shutdownOf } from '../shared/shutdown.ts';
import { systemClock } from '../shared/system-clock.ts';
import { composeSender } from './compose.ts';
import { describeUndrained } from './describe-undrained.ts';
import {
  areInjected,
  type InjectedFaults,
  injectFaults,
  readInjectedFaults,
  weakenTopology,
} from './fault-injection.ts';
import { SimulatedGateway } from './gateways/simulated-gateway.ts';
import type { Journal } from './journal.ts';
import { prefetchCountFor } from './prefetch-count.ts';
import type { Pause } from './publish-until-confirmed.ts';
import { tellDifferences } from './tell-differences.ts';
import { ShardWatch } from './watch-shards.ts';

const SERVER_DEADLINE_MS = 30_000;
const WAITING_IS_TOLD_AFTER_MS = 1_000;
const PUBLISH_DEADLINE_MS = 30_000;
const LOOK_DEADLINE_MS = 5_000;
const PUBLISH_WINDOW = 5_000;
const MANY_IN_FLIGHT = 2_000;
// Small messages, so that many of them can be held: at a low rate one entry makes a message, and after an outage the
// recorder records a window at a time. Full ones are 8 MB.
const JOURNAL_MESSAGE_BYTES = 16 * 1024;
const JOURNAL_WINDOW = 500;
const DEAD_LETTERS_AT_ONCE = 20;

async function main(): Promise<number> {
  // 1. Settings.
  const commandLine = readCommandLine(
    'sender',
    'Takes SMS from RabbitMQ, sends them through the simulated carrier and retries what fails.',
    ['senderConcurrency', 'meanProcessingTime', 'failureRate', 'retrySchedule', 'randomSeed'],
    () => {},
    process.argv.slice(2),
  );
  if (commandLine === undefined) return EXIT.done;
  const config = loadConfig(readEnvironment(findProjectFolder()), commandLine.settings);
  // A drain takes 180 MB resident instead of 220 for 5 % more CPU; 10,000 SMS in flight 260 instead of 390 for 10 to 20 %
  // more, which a sender that waits for its carrier has.
  boundHeapGrowth(config.senderConcurrency > MANY_IN_FLIGHT ? 50 : 150);
  const log = createLogger({
    name: 'sender',
    level: config.logLevel,
    format: config.logFormat ?? (process.stdout.isTTY ? 'pretty' : 'json'),
    fileDescriptor: 1,
  });
  const faults = readInjectedFaults(process.env);
  const shutdown = listenForShutdown();
  const deadline = new AbortController();
  const pause = pauseUntil(deadline.signal);
  const senderId = randomBytes(5).toString('hex');

  // 2. Servers: RabbitMQ must be there, Redis and S3 may come later.
  const objects = new S3ObjectStore(s3OptionsOf(config));
  await objects.requireCredentials();
  const redis = new RedisConnection({ url: redisUrlOf(config), log });
  const counters = new RedisCounterStore({
    connection: redis,
    prefix: config.queueName,
    recorderId: senderId,
    keepTimeMs: config.keepTime,
    isCountingOnce: !faults.safeguardsOff.has('count-once'),
  });
  const { connections, shardWatch, endShardWatch, ...rabbitMq } = describeConnections(
    config,
    faults,
    () => counters.livingSenders,
    log,
  );
  redis.start();
  const opening = Promise.all(connections.map((connection) => connection.open(SERVER_DEADLINE_MS)));
  const endTelling = systemClock.after(WAITING_IS_TOLD_AFTER_MS, () =>
    log.info({}, `waiting up to ${SERVER_DEADLINE_MS / 1_000} s for RabbitMQ at ${serversOf(config)}`),
  );
  try {
    await Promise.race([opening, shutdownOf(shutdown)]);
  } catch (error) {
    await closeAll(connections, redis);
    throw error;
  } finally {
    endTelling();
  }
  if (shutdown.aborted) {
    opening.catch(() => {});
    await closeAll(connections, redis);
    return EXIT.done;
  }

  // 3. The pipeline.
  const digest = (...parts: readonly (string | Buffer)[]) => {
    const [only] = parts;
    // Without a stream for each: 0.3 instead of 0.7 µs of the 26 that an SMS takes.
    if (parts.length === 1 && only !== undefined) return hash('sha256', only, 'hex');
    const stream = createHash('sha256');
    for (const part of parts) stream.update(part);
    return stream.digest('hex');
  };
  const ports = injectFaults(
    {
      ...rabbitMq,
      gateway: new SimulatedGateway(simulationOf(config), systemClock),
      counters,
      objects,
    },
    faults,
    () => process.kill(process.pid, 'SIGKILL'),
  );
  const marks = new RedisStartMarks(redis, config.queueName);
  const { sender, recorder, journal } = composeSender(
    { ...ports, marks, clock: systemClock, digest, pause, log },
    {
      senderId,
      queue: config.queueName,
      schedule: config.retrySchedule,
      concurrency: config.senderConcurrency,
      maxUnfinished:
        LANES.reduce((sum, lane) => sum + prefetchCountOf(lane, config), 0) + DEAD_LETTERS_AT_ONCE,
      journalBytes: JOURNAL_MESSAGE_BYTES,
      windowSize: JOURNAL_WINDOW,
      batchSize: config.outcomeBatchSize,
      batchMs: config.outcomeBatchSeconds,
      prefixes: outcomePrefixesOf(config),
    },
  );
  warnOfFaults(faults, log);
  recorder.start();
  sender.start();
  void shardWatch.start();
  const settings = settingsOf(config);
  tellSettings(settings, config.queueName, senderId, journal, log);
  const others = new RedisLivingSettingsReader(redis, config.queueName);
  void tellDifferences({
    ...{ settings, clock: systemClock, log, shutdown },
    readOthers: () => others.readOthers(senderId),
  });
  const stopHeartbeat = startHeartbeat({
    file: config.heartbeatFile,
    isWorking: () => connections.every((connection) => connection.isUp),
    clock: systemClock,
    log,
  });

  // 4. Drain.
  const signalName = await shutdownOf(shutdown);
  log.info({ signal: signalName }, 'draining');
  endShardWatch();
  const timer = setTimeout(
    () => deadline.abort(new StoppedError('the shutdown timeout is over')),
    config.shutdownTimeout,
  );
  const unfinishedSms = await sender.drain(deadline.signal);
  const unrecordedMessages = await recorder.drain(deadline.signal);
  clearTimeout(timer);
  deadline.abort(new StoppedError('drained'));
  rabbitMq.publisher.abandon();
  objects.close();
  await closeAll(connections, redis);
  stopHeartbeat();
  return sayHowItEnded(unfinishedSms, unrecordedMessages, log);
}

/** Three connections: an alarm stops those that publish, and recording must not slow down sending. */
function describeConnections(config: Config, faults: InjectedFaults, senderCount: () => number, log: Logger) {
  const urls = rabbitmqUrlsOf(config);
  const optionsOf = (role: string) => ({ urls, name: `redial ${role}@${hostname()}:${process.pid}`, log });
  const named = (role: string) => new RabbitMqConnection(optionsOf(role));
  const connections = {
    publishing: named('sender'),
    consuming: named('sender'),
    recording: named('recorder'),
  };
  let shardCount = config.queueShards;
  const topology = () =>
    weakenTopology(describeTopology(config.queueName, config.retrySchedule, shardCount), faults);
  for (const connection of Object.values(connections)) connection.add(new TopologyRole(topology));
  const publisher = new RabbitMqPublisher({
    prefix: config.queueName,
    windowSize: PUBLISH_WINDOW,
    deadlineMs: PUBLISH_DEADLINE_MS,
    isMandatory: !faults.safeguardsOff.has('mandatory'),
  });
  connections.publishing.add(publisher);
  const laneSources = LANES.map((lane) => {
    const queueName = queueNameOf(config.queueName, lane.routingKey);
    return new RabbitMqConsumer({ queueName, prefetchCount: prefetchCountOf(lane, config) });
  });
  for (const source of laneSources) connections.consuming.add(source);
  const work = laneSources[LANES.findIndex(({ routingKey }) => routingKey === ROUTING_KEYS.work)];
  for (let shard = 1; shard < shardCount; shard += 1)
    work?.consumeAlso(queueNameOf(config.queueName, workRoutingKey(shard)));
  const management = new ManagementQueueReader({ ...managementOf(config), prefix: config.queueName });
  const shardWatch = new ShardWatch({
    prefix: config.queueName,
    shardCount,
    queues: management,
    async exists(queueName) {
      const options = { ...optionsOf('sender'), log: quieted(log), deadlineMs: LOOK_DEADLINE_MS };
      const found = await inspectQueues(options, [queueName]);
      return found.get(queueName) !== undefined;
    },
    onShard(queueName, count) {
      shardCount = count;
      work?.consumeAlso(queueName);
    },
    senderCount,
    random: Math.random,
    clock: systemClock,
    log,
  });
  const journalSource = new RabbitMqConsumer({
    queueName: queueNameOf(config.queueName, ROUTING_KEYS.journal),
    prefetchCount: JOURNAL_WINDOW,
    priority: recorderPriorityOf(systemClock.nowMs()),
  });
  connections.recording.add(journalSource);
  const deadLetterSource = new RabbitMqConsumer({
    queueName: queueNameOf(config.queueName, ROUTING_KEYS.deadLetters),
    prefetchCount: DEAD_LETTERS_AT_ONCE,
  });
  connections.consuming.add(deadLetterSource);
  const endShardWatch = () => {
    shardWatch.stop();
    // A request that hangs would hold the process.
    management.close();
  };
  return {
    ...{ connections: Object.values(connections), publisher },
    ...{ laneSources, journalSource, deadLetterSource },
    ...{ shardWatch, endShardWatch },
  };
}

function serversOf(config: Config): string {
  return rabbitmqUrlsOf(config).map(describeServer).join(', ');
}

function prefetchCountOf({ maxAhead }: Lane, { senderConcurrency, meanProcessingTime }: Config): number {
  return prefetchCountFor(senderConcurrency, meanProcessingTime, maxAhead);
}

async function closeAll(connections: readonly RabbitMqConnection[], redis: RedisConnection): Promise<void> {
  await Promise.all(connections.map((connection) => connection.close()));
  redis.close();
}

function pauseUntil(signal: AbortSignal): Pause {
  return (failedTries) =>
    new Promise((resolve, reject) => {
      const stop = () => {
        cancel();
        reject(signal.reason);
      };
      const cancel = systemClock.after(fullJitterMs(failedTries, Math.random()), () => {
        signal.removeEventListener('abort', stop);
        resolve();
      });
      signal.addEventListener('abort', stop, { once: true });
      if (signal.aborted) stop();
    });
}

function simulationOf(config: Config) {
  return {
    seed: config.randomSeed,
    meanProcessingMs: config.meanProcessingTime,
    distribution: config.processingTimeDistribution,
    failureRate: config.failureRate,
    permanentFailureShare: config.permanentFailureShare,
  };
}

function settingsOf(config: Config): SenderSettings {
  return {
    meanProcessingSeconds: config.meanProcessingTime / 1_000,
    processingTimeDistribution: config.processingTimeDistribution,
    failureRate: config.failureRate,
    permanentFailureShare: config.permanentFailureShare,
    retrySchedule: config.retrySchedule.map(formatDuration).join(','),
    concurrency: config.senderConcurrency,
    seed: config.randomSeed,
  };
}

function tellSettings(
  settings: SenderSettings,
  queue: string,
  senderId: string,
  journal: Journal,
  log: Logger,
): void {
  const at = new Date(systemClock.nowMs()).toISOString();
  journal.append(encodeJournalEntry({ kind: 'sender', sender: senderId, at, settings })).catch(() => {});
  log.info({ sender: senderId, queue, ...settings }, 'sending');
}

function warnOfFaults(faults: InjectedFaults, log: Logger): void {
  if (!areInjected(faults)) return;
  log.warn(
    { ...faults, safeguardsOff: [...faults.safeguardsOff] },
    'faults are injected, as only tests of Redial want: SMS will be lost or repeated',
  );
}

function sayHowItEnded(unfinishedSms: number, unrecordedMessages: number, log: Logger): number {
  if (unfinishedSms === 0 && unrecordedMessages === 0) {
    log.info({}, 'drained');
    return EXIT.done;
  }
  log.error({ unfinishedSms, unrecordedMessages }, describeUndrained(unfinishedSms, unrecordedMessages));
  return EXIT.failed;
}

await runToExit(main);
