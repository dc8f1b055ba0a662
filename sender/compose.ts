/**
 * A sender as a process, made by hand: its connections to the servers, the ports that they are, the pipeline on these ports,
 * and what looks after both.
 */
import { createHash, hash, randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { type ConnectionRole, RabbitMqConnection } from '../shared/adapters/rabbitmq/connection.ts';
import { RabbitMqConsumer } from '../shared/adapters/rabbitmq/consumer.ts';
import { inspectQueues } from '../shared/adapters/rabbitmq/inspect-queue.ts';
import { ManagementQueueReader } from '../shared/adapters/rabbitmq/management-queues.ts';
import { RabbitMqPublisher } from '../shared/adapters/rabbitmq/publisher.ts';
import { serverNamesOf } from '../shared/adapters/rabbitmq/server-urls.ts';
import { TopologyDeclarer } from '../shared/adapters/rabbitmq/topology-declarer.ts';
import { RedisConnection } from '../shared/adapters/redis/connection.ts';
import { RedisCounterStore } from '../shared/adapters/redis/counter-store.ts';
import { RedisCarrier } from '../shared/adapters/redis/senders/carrier.ts';
import { RedisDirectiveStore } from '../shared/adapters/redis/senders/directive-store.ts';
import { RedisLivingSettingsReader } from '../shared/adapters/redis/senders/living-settings-reader.ts';
import { RedisStartMarks } from '../shared/adapters/redis/senders/start-marks.ts';
import { S3ObjectStore } from '../shared/adapters/s3/object-store.ts';
import { encodeJournalEntry } from '../shared/domain/outcome/journal.ts';
import { recorderPriorityOf } from '../shared/domain/outcome/recorder-priority.ts';
import { formatDuration } from '../shared/domain/schedule/duration.ts';
import type { SendingRules } from '../shared/domain/schedule/retry-schedule.ts';
import type { SenderSettings } from '../shared/domain/sender-settings.ts';
import { LANES, type Lane } from '../shared/domain/topology/lanes.ts';
import {
  queueNameOf,
  ROUTING_KEYS,
  type Topology,
  topologyOf,
  workRoutingKey,
} from '../shared/domain/topology/topology.ts';
import { StoppedError } from '../shared/errors.ts';
import { prefetchCountFor } from '../shared/pipeline/attempt/prefetch-count.ts';
import { tracesOfProcess } from '../shared/pipeline/traces.ts';
import { abortOf, createBackoff, untilAborted } from '../shared/pipeline/waiting.ts';
import type { Logger } from '../shared/ports/logger.ts';
import type { Config } from '../shared/process/config/config.ts';
import { connectionOptionsOf, managementOf, rabbitmqUrlsOf } from '../shared/process/config/rabbitmq.ts';
import { redisAddressOf } from '../shared/process/config/redis.ts';
import { outcomePrefixesOf, s3OptionsOf } from '../shared/process/config/s3.ts';
import { EXIT } from '../shared/process/exit-code.ts';
import { keepHealthFile } from '../shared/process/health-file.ts';
import { quieted } from '../shared/process/logger.ts';
import { systemClock } from '../shared/process/system-clock.ts';
import { gatewayOf } from './gateways/simulated/compose.ts';
import { MetricsEndpoint } from './metrics/compose.ts';
import { composePipeline, type SenderPorts } from './pipeline.ts';
import { outcomeEventsOf } from './recording/events/compose.ts';
import { describeUndrained } from './sending/describe-undrained.ts';
import { KnownDirectives } from './sending/known-directives.ts';
import { createLoadReport } from './sending/report-load.ts';
import { tellDifferences } from './sending/tell-differences.ts';
import { ShardWatch } from './sending/watch-shards.ts';

const SERVER_DEADLINE_MS = 30_000;
const WAITING_IS_TOLD_AFTER_MS = 1_000;
const PUBLISH_DEADLINE_MS = 30_000;
const LOOK_DEADLINE_MS = 5_000;
const MAX_UNCONFIRMED = 5_000;
// Small messages, so that many of them can be held: at a low rate one entry makes a message, and after an outage the
// recorder records a window at a time. Full ones are 8 MB.
const JOURNAL_MESSAGE_BYTES = 16 * 1024;
const JOURNAL_WINDOW = 500;
const DEAD_LETTERS_AT_ONCE = 20;

/** Where a sender can be changed from outside: tests put faults in, the product changes nothing. */
export interface Seam {
  readonly topology: (topology: Topology) => Topology;
  readonly ports: (ports: SenderPorts) => SenderPorts;
}

const UNCHANGED: Seam = { topology: (topology) => topology, ports: (ports) => ports };

/** A sender as a process: it connects, sends and records until it is told to shut down, and drains. */
export class SenderProcess {
  readonly #config: Config;
  readonly #log: Logger;
  readonly #id = randomBytes(5).toString('hex');
  readonly #deadline = new AbortController();
  readonly #objects: S3ObjectStore;
  readonly #redis: RedisConnection;
  readonly #rabbitMq: ReturnType<typeof rabbitMqOf>;
  readonly #directives: KnownDirectives;
  readonly #pipeline: ReturnType<typeof composePipeline>;
  readonly #metrics: MetricsEndpoint;

  constructor(config: Config, log: Logger, seam = UNCHANGED) {
    this.#config = config;
    this.#log = log;
    this.#metrics = new MetricsEndpoint(config, log);
    this.#objects = new S3ObjectStore(s3OptionsOf(config));
    this.#redis = new RedisConnection({ ...redisAddressOf(config), log });
    const counters = new RedisCounterStore({
      connection: this.#redis,
      prefix: config.queueName,
      recorderId: this.#id,
      keepTimeMs: config.keepTime,
      describeSender: createLoadReport(hostname(), systemClock, () => ({
        inFlight: this.#pipeline.sender.load.inFlight,
        answered: this.#pipeline.tally.answeredCount,
      })),
    });
    const carrier = new RedisCarrier(this.#redis, config.queueName, this.#id);
    this.#rabbitMq = rabbitMqOf(config, seam, () => counters.livingSenders, log);
    this.#directives = new KnownDirectives({
      store: new RedisDirectiveStore(this.#redis, config.queueName, this.#id),
      senderId: this.#id,
      keepTimeMs: config.keepTime,
      clock: systemClock,
      log,
    });
    const ports = seam.ports({
      ...this.#rabbitMq.ports,
      gateway: gatewayOf(config, carrier, counters),
      pauseBoard: carrier,
      random: Math.random,
      counters,
      objects: this.#objects,
      marks: new RedisStartMarks(this.#redis, config.queueName),
      directives: this.#directives,
      traces: tracesOfProcess(),
      clock: systemClock,
      digest: sha256,
      pause: createBackoff(this.#deadline.signal, systemClock, Math.random),
      log,
    });
    this.#pipeline = composePipeline(ports, {
      senderId: this.#id,
      queue: config.queueName,
      ...rulesOf(config),
      concurrency: config.senderConcurrency,
      maxUnfinished:
        LANES.reduce((sum, lane) => sum + prefetchCountOf(lane, config), 0) + DEAD_LETTERS_AT_ONCE,
      journalBytes: JOURNAL_MESSAGE_BYTES,
      windowSize: JOURNAL_WINDOW,
      batchSize: config.outcomeBatchSize,
      batchMs: config.outcomeBatchSeconds,
      prefixes: outcomePrefixesOf(config),
    });
  }

  /**
   * The whole life, until `shutdown` and the drain.
   * @returns the exit code
   * @throws ServerUnavailableError where RabbitMQ is not there within 30 s, ConfigurationError without S3 credentials
   */
  async run(shutdown: AbortSignal): Promise<number> {
    if (!(await this.#open(shutdown))) return EXIT.done;
    await this.#directives.start(shutdown);
    const endHealthFile = this.#start(shutdown);
    await abortOf(shutdown);
    this.#log.info({ signal: shutdown.reason }, 'draining');
    const exitCode = await this.#drain();
    endHealthFile();
    return exitCode;
  }

  /** RabbitMQ must be there, Redis and S3 may come later. False where the shutdown came first. */
  async #open(shutdown: AbortSignal): Promise<boolean> {
    await this.#objects.requireCredentials();
    this.#redis.start();
    const { connections } = this.#rabbitMq;
    void this.#metrics.start({ ...this.#pipeline, isConnected: () => this.#isConnected });
    const opening = Promise.all(connections.map((connection) => connection.open(SERVER_DEADLINE_MS)));
    const endTelling = systemClock.after(WAITING_IS_TOLD_AFTER_MS, () => {
      const servers = serverNamesOf(rabbitmqUrlsOf(this.#config));
      this.#log.info({}, `waiting up to ${SERVER_DEADLINE_MS / 1_000} s for RabbitMQ at ${servers}`);
    });
    try {
      await untilAborted(opening, shutdown);
    } catch (error) {
      await this.#closeConnections();
      throw error;
    } finally {
      endTelling();
    }
    if (!shutdown.aborted) return true;
    await this.#closeConnections();
    return false;
  }

  /** @returns ends the signs of health */
  #start(shutdown: AbortSignal): () => void {
    const { sender, recorder, journal } = this.#pipeline;
    const { shardWatch } = this.#rabbitMq;
    const { queueName, healthFile } = this.#config;
    const log = this.#log;
    recorder.start();
    sender.start();
    void shardWatch.start();
    const settings = settingsOf(this.#config);
    const at = new Date(systemClock.nowMs()).toISOString();
    journal.append(encodeJournalEntry({ kind: 'sender', sender: this.#id, at, settings })).catch(() => {});
    log.info({ sender: this.#id, queue: queueName, ...settings }, 'sending');
    const others = new RedisLivingSettingsReader(this.#redis, queueName);
    const readOthers = () => others.readOthers(this.#id);
    void tellDifferences(settings, readOthers, systemClock, log, shutdown);
    const isWorking = () => this.#isConnected;
    return keepHealthFile({ file: healthFile, isWorking, clock: systemClock, log });
  }

  async #drain(): Promise<number> {
    const { sender, recorder } = this.#pipeline;
    const { ports, shardWatch, management } = this.#rabbitMq;
    shardWatch.stop();
    // A request that hangs would hold the process.
    management.close();
    const timer = setTimeout(
      () => this.#deadline.abort(new StoppedError('the shutdown timeout is over')),
      this.#config.shutdownTimeout,
    );
    const unfinishedSms = await sender.drain(this.#deadline.signal);
    const unrecordedMessages = await recorder.drain(this.#deadline.signal);
    await untilAborted(this.#directives.stop(), this.#deadline.signal);
    clearTimeout(timer);
    this.#deadline.abort(new StoppedError('drained'));
    ports.publisher.abandon();
    ports.events?.abandon();
    this.#objects.close();
    await this.#closeConnections();
    if (unfinishedSms + unrecordedMessages === 0) {
      this.#log.info({}, 'drained');
      return EXIT.done;
    }
    const left = describeUndrained(unfinishedSms, unrecordedMessages);
    this.#log.error({ unfinishedSms, unrecordedMessages }, left);
    return EXIT.failed;
  }

  async #closeConnections(): Promise<void> {
    await Promise.all(this.#rabbitMq.connections.map((connection) => connection.close()));
    await this.#metrics.close();
    this.#redis.close();
  }

  get #isConnected(): boolean {
    return this.#rabbitMq.connections.every((connection) => connection.isUp);
  }
}

/** RabbitMQ stops reading connections that publish during an alarm, and recording must not slow down sending: so three. */
function rabbitMqOf(config: Config, seam: Seam, senderCount: () => number, log: Logger) {
  const { queueName: prefix, queueShards } = config;
  const sourceOf = (routingKey: string, prefetchCount: number) =>
    new RabbitMqConsumer({ queueName: queueNameOf(prefix, routingKey), prefetchCount });
  const publisher = new RabbitMqPublisher({
    prefix,
    maxUnconfirmed: MAX_UNCONFIRMED,
    deadlineMs: PUBLISH_DEADLINE_MS,
  });
  const laneSources = LANES.map((lane) => sourceOf(lane.routingKey, prefetchCountOf(lane, config)));
  const deadLetterSource = sourceOf(ROUTING_KEYS.deadLetters, DEAD_LETTERS_AT_ONCE);
  const journalSource = new RabbitMqConsumer({
    queueName: queueNameOf(prefix, ROUTING_KEYS.journal),
    prefetchCount: JOURNAL_WINDOW,
    priority: recorderPriorityOf(systemClock.nowMs()),
  });
  const work = laneSources[LANES.findIndex(({ routingKey }) => routingKey === ROUTING_KEYS.work)];
  for (let shard = 1; shard < queueShards; shard += 1)
    work?.consumeAlso(queueNameOf(prefix, workRoutingKey(shard)));
  const management = new ManagementQueueReader({ ...managementOf(config), prefix });
  const shardWatch = new ShardWatch({
    prefix,
    shardCount: queueShards,
    queues: management,
    async exists(queueName) {
      const options = {
        ...connectionOptionsOf(config, 'sender', quieted(log)),
        deadlineMs: LOOK_DEADLINE_MS,
      };
      return (await inspectQueues(options, [queueName])).get(queueName) !== undefined;
    },
    onShard: (queueName) => work?.consumeAlso(queueName),
    senderCount,
    random: Math.random,
    clock: systemClock,
    log,
  });
  const topology = () => seam.topology(topologyOf(prefix, config.retrySchedule, shardWatch.shardCount));
  const connectionOf = (role: string, ...roles: readonly ConnectionRole[]) => {
    const connection = new RabbitMqConnection(connectionOptionsOf(config, role, log));
    for (const each of [new TopologyDeclarer(topology), ...roles]) connection.add(each);
    return connection;
  };
  const events = outcomeEventsOf(config, log);
  const connections = [
    connectionOf('sender', publisher),
    connectionOf('sender', ...laneSources, deadLetterSource),
    connectionOf('recorder', journalSource),
    ...events.connections,
  ];
  const ports = { publisher, laneSources, deadLetterSource, journalSource, events: events.publisher };
  return { ports, connections, shardWatch, management };
}

function prefetchCountOf(lane: Lane, { senderConcurrency, meanProcessingTime }: Config): number {
  return prefetchCountFor(senderConcurrency, meanProcessingTime, lane);
}

function sha256(...parts: readonly (string | Buffer)[]): string {
  const [only] = parts;
  // Without a stream for each: 0.3 instead of 0.7 µs of the 26 that an SMS takes.
  if (parts.length === 1 && only !== undefined) return hash('sha256', only, 'hex');
  const stream = createHash('sha256');
  for (const part of parts) stream.update(part);
  return stream.digest('hex');
}

function rulesOf({ retrySchedule, retryAnchor, sendingWindow, unknownResult }: Config): SendingRules {
  return { schedule: retrySchedule, anchor: retryAnchor, window: sendingWindow, unknownResult };
}

function settingsOf(config: Config): SenderSettings {
  return {
    meanProcessingSeconds: config.meanProcessingTime / 1_000,
    processingTimeDistribution: config.processingTimeDistribution,
    failureRate: config.failureRate,
    permanentFailureShare: config.permanentFailureShare,
    unknownShare: config.unknownShare,
    carrierCapacity: config.carrierCapacity ?? 0,
    retrySchedule: config.retrySchedule.map(formatDuration).join(','),
    retryAnchor: config.retryAnchor,
    sendingWindow: config.sendingWindow?.text ?? '',
    unknownResult: config.unknownResult,
    concurrency: config.senderConcurrency,
    seed: config.randomSeed,
  };
}
