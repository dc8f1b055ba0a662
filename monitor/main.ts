#!/usr/bin/env node
/** The monitor: reads counters, queues and, for the audit, the outcomes. It changes nothing anywhere. */
import { hostname } from 'node:os';
import { QueueInspector } from '../shared/adapters/rabbitmq/inspect-queue.ts';
import { ManagementQueueReader } from '../shared/adapters/rabbitmq/management-queues.ts';
import { RabbitMqOverdueReader } from '../shared/adapters/rabbitmq/overdue-reader.ts';
import { RedisConnection } from '../shared/adapters/redis/connection.ts';
import { RedisCounterReader } from '../shared/adapters/redis/counter-reader.ts';
import type { S3ObjectStore } from '../shared/adapters/s3/object-store.ts';
import { readCommandLine } from '../shared/command-line.ts';
import {
  type Config,
  loadConfig,
  managementOf,
  outcomePrefixesOf,
  rabbitmqUrlsOf,
  redisUrlOf,
} from '../shared/config.ts';
import { printable } from '../shared/domain/printable.ts';
import { describeTopology } from '../shared/domain/topology.ts';
import { findProjectFolder, readEnvironment } from '../shared/environment.ts';
import { ServerUnavailableError } from '../shared/errors.ts';
import { EXIT, runToExit } from '../shared/exit-code.ts';
import { startHeartbeat } from '../shared/heartbeat.ts';
import { createLogger, quieted } from '../shared/logger.ts';
import { say, takesEscapes, writeData } from '../shared/output.ts';
import type { CounterReader, Logger, QueueReader } from '../shared/ports.ts';
import { listenForShutdown } from '../shared/shutdown.ts';
import { systemClock } from '../shared/system-clock.ts';
import { pause } from './answer.ts';
import { audit } from './audit.ts';
import { renderAudit } from './audit-view.ts';
import { LEGEND, NOTHING_PRINTED, renderSnapshot } from './console-view.ts';
import { FreshQueueReader } from './fresh-queues.ts';
import { LastKnown } from './last-known.ts';
import { listParked } from './list-parked.ts';
import { MomentReader } from './moment.ts';
import { declareOptions, judgeOptions, type MonitorOptions } from './options.ts';
import { makeSnapshot, type Snapshot, unknownSmsIn } from './snapshot.ts';
import { renderSummary } from './summary-view.ts';
import { readingDeadlineMs, watch } from './watch.ts';

// Exit 69 is promised within 30 s of the start.
const ONCE_REDIS_DEADLINE_MS = 25_000;
const AUDIT_REDIS_DEADLINE_MS = 5_000;
const ONE_READING_DEADLINE_MS = 5_000;
// What is left of a deadline for RabbitMQ itself when the management API has let its time pass.
const MANAGEMENT_SHARE = 0.6;
// The process must end within a second of a signal, even while RabbitMQ leaves us hanging.
const INSPECT_DEADLINE_MS = 900;
// Several retry queues of which each may hold 10,000 overdue SMS.
const OVERDUE_DEADLINE_MS = 20_000;
const CONNECT_CHECK_MS = 20;

await runToExit(async () => {
  const commandLine = readCommandLine(
    'monitor',
    'Shows what is accepted, in progress, sent, failed and parked, how fast, and what waits in the queues.',
    ['monitorUpdateInterval'],
    declareOptions,
    process.argv.slice(2),
  );
  if (commandLine === undefined) return EXIT.done;
  const options = judgeOptions(commandLine.options);
  const config = loadConfig(readEnvironment(findProjectFolder()), commandLine.settings);
  switch (options.mode) {
    case 'audit':
      return auditOnce(config, options);
    case 'parked':
      return showParked(config, options);
    case 'once':
      return showOnce(config, options);
    case 'watch':
      return showUntilShutdown(config, options);
  }
});

async function auditOnce(config: Config, options: MonitorOptions): Promise<number> {
  const log = createTalk(config);
  const objects = await createObjectStore(config);
  await objects.requireCredentials();
  const redis = new RedisConnection({ url: redisUrlOf(config), log });
  const queues = createQueues(config, log);
  try {
    await connectWithin(AUDIT_REDIS_DEADLINE_MS, redis);
    const report = await audit(
      {
        objects,
        counters: new RedisCounterReader(redis, config.queueName),
        queues: queues.reader,
        overdue: new RabbitMqOverdueReader(connectionOptionsOf(config, log, OVERDUE_DEADLINE_MS)),
        clock: systemClock,
      },
      {
        queue: config.queueName,
        prefixes: outcomePrefixesOf(config),
        keepTimeMs: config.keepTime,
        run: options.run,
      },
    );
    await print(options.isJson ? jsonOf(report) : renderAudit(report, config.queueName, options.run));
    return report.balanced ? EXIT.done : EXIT.failed;
  } finally {
    queues.close();
    redis.close();
    objects.close();
  }
}

async function showParked(config: Config, options: MonitorOptions): Promise<number> {
  const objects = await createObjectStore(config);
  try {
    await objects.requireCredentials();
    const { queueName: queue, keepTime: keepTimeMs } = config;
    const scope = { ...options, queue, keepTimeMs, prefixes: outcomePrefixesOf(config) };
    const problems = await listParked({ objects, clock: systemClock }, scope, writeData);
    if (options.isJson && problems.length > 0) say(problems.join('\n'));
    return problems.length === 0 ? EXIT.done : EXIT.failed;
  } finally {
    objects.close();
  }
}

async function showOnce(config: Config, options: MonitorOptions): Promise<number> {
  const log = createTalk(config);
  const redis = new RedisConnection({ url: redisUrlOf(config), log });
  const queues = createQueues(config, log, ONE_READING_DEADLINE_MS * MANAGEMENT_SHARE);
  try {
    await redis.open(ONCE_REDIS_DEADLINE_MS);
    const look = createLook(config, options, redis, queues.reader);
    const snapshot = await look(ONE_READING_DEADLINE_MS);
    if (snapshot.accepted === null) {
      throw new ServerUnavailableError(snapshot.problems.join('\n'), { isRefusal: false });
    }
    await print(options.isJson ? jsonOf(snapshot) : renderSummary(snapshot));
    return EXIT.done;
  } finally {
    queues.close();
    redis.close();
  }
}

async function showUntilShutdown(config: Config, options: MonitorOptions): Promise<number> {
  // One who has seen enough (`npx monitor --json | head`) is no failure.
  const reader = new AbortController();
  const shutdown = AbortSignal.any([listenForShutdown(), reader.signal]);
  const show = createView(config, options, shutdown, () => reader.abort('the reader is gone'));
  // Where stdout carries data or a table, what we have to say goes to stderr.
  const log = show.log ?? createTalk(config);
  const redis = new RedisConnection({ url: redisUrlOf(config), log });
  const deadlineMs = readingDeadlineMs(config.monitorUpdateInterval);
  const queues = createQueues(config, log, deadlineMs * MANAGEMENT_SHARE);
  const look = createLook(config, options, redis, queues.reader);
  // Servers that are away are what a monitor is there to tell: it is well as long as it runs.
  const stopHeartbeat = startHeartbeat({
    file: config.heartbeatFile,
    isWorking: () => true,
    clock: systemClock,
    log,
  });
  try {
    await connectWithin(deadlineMs, redis, shutdown);
    await watch(systemClock, config.monitorUpdateInterval, shutdown, async () => {
      const snapshot = await look(deadlineMs);
      if (!shutdown.aborted) await show.print(snapshot);
    });
    return EXIT.done;
  } finally {
    redis.close();
    queues.close();
    stopHeartbeat();
  }
}

/** Takes a snapshot of one moment; numbers of a server that does not answer stay as they were. */
function createLook(
  config: Config,
  { run }: MonitorOptions,
  redis: RedisConnection,
  queueReader: QueueReader,
): (deadlineMs: number) => Promise<Snapshot> {
  const counterReader: CounterReader = new RedisCounterReader(redis, config.queueName);
  const prefix = config.queueName;
  const moments = new MomentReader(
    systemClock,
    new LastKnown(systemClock, () => counterReader.read(run)),
    new LastKnown(systemClock, () => queueReader.read()),
    (moment) => unknownSmsIn(prefix, moment),
  );
  return async (deadlineMs) => {
    const moment = await moments.read(deadlineMs);
    return makeSnapshot({ nowMs: systemClock.nowMs(), prefix, ...moment, run });
  };
}

interface View {
  /** Waits for a reader that is slow: nothing piles up. @throws OutputError where it is data that cannot be written */
  readonly print: (snapshot: Snapshot) => Promise<void>;
  /** Where the view is itself a log. */
  readonly log?: Logger;
}

function createView(
  config: Config,
  options: MonitorOptions,
  shutdown: AbortSignal,
  onReaderGone: () => void,
): View {
  const show = async (text: string) => {
    if (!(await print(text, shutdown))) onReaderGone();
  };
  if (options.isJson) return { print: (snapshot) => show(jsonOf(snapshot)) };
  const format = config.logFormat ?? (process.stdout.isTTY ? 'pretty' : 'json');
  if (format === 'pretty') return createConsoleView(show);
  const log = createLogger({
    ...{ name: 'monitor', level: config.logLevel, format, fileDescriptor: 1 },
    onReaderGone,
  });
  return { print: async (snapshot) => log.info(snapshot, 'snapshot'), log };
}

function createConsoleView(show: (text: string) => Promise<void>): View {
  const hasColours = takesEscapes(1);
  let state = NOTHING_PRINTED;
  let legend: readonly string[] = [LEGEND];
  return {
    async print(snapshot) {
      const rendered = renderSnapshot(snapshot, state, hasColours);
      state = rendered.state;
      const lines = [...legend, ...rendered.lines];
      legend = [];
      await show(lines.join('\n'));
    },
  };
}

/** A log on stderr for what is not data. */
function createTalk(config: Config): Logger {
  const format = config.logFormat ?? (process.stderr.isTTY ? 'pretty' : 'json');
  return createLogger({ name: 'monitor', level: config.logLevel, format, fileDescriptor: 2 });
}

/** @param managementTimeoutMs how long the management API may take to answer */
function createQueues(config: Config, log: Logger, managementTimeoutMs?: number) {
  const management = new ManagementQueueReader({
    ...managementOf(config),
    prefix: config.queueName,
    ...(managementTimeoutMs === undefined ? {} : { timeoutMs: managementTimeoutMs }),
  });
  const inspector = new QueueInspector(connectionOptionsOf(config, log, INSPECT_DEADLINE_MS));
  return {
    reader: new FreshQueueReader(management, (names) => inspector.inspect(names), knownQueuesOf(config)),
    close() {
      management.close();
      void inspector.close();
    },
  };
}

function connectionOptionsOf(config: Config, log: Logger, deadlineMs: number) {
  return {
    urls: rabbitmqUrlsOf(config),
    name: `redial monitor@${hostname()}:${process.pid}`,
    // The snapshot tells as a problem what would be logged at each look.
    log: quieted(log),
    deadlineMs,
  };
}

function knownQueuesOf(config: Config): string[] {
  return describeTopology(config.queueName, config.retrySchedule, config.queueShards).queues.map(
    ({ name }) => name,
  );
}

/** Begins to connect, and gives it the time of one reading before we say that Redis does not answer. */
async function connectWithin(
  deadlineMs: number,
  redis: RedisConnection,
  shutdown?: AbortSignal,
): Promise<void> {
  redis.start();
  const giveUpAtMs = systemClock.nowMs() + deadlineMs;
  while (!isConnected(redis) && systemClock.nowMs() < giveUpAtMs && shutdown?.aborted !== true) {
    await pause(systemClock, CONNECT_CHECK_MS, shutdown);
  }
}

function isConnected(redis: RedisConnection): boolean {
  try {
    redis.session();
    return true;
  } catch {
    return false;
  }
}

async function createObjectStore(config: Config): Promise<S3ObjectStore> {
  // Only here: the AWS SDK takes 0.2 s to load, twice what all the rest of the monitor needs.
  const { S3ObjectStore } = await import('../shared/adapters/s3/object-store.ts');
  const { awsAccessKeyId, awsSecretAccessKey, awsSessionToken } = config;
  return new S3ObjectStore({
    bucket: config.s3Bucket,
    region: config.awsRegion,
    endpoint: config.awsEndpointUrl,
    credentials:
      awsAccessKeyId === undefined || awsSecretAccessKey === undefined
        ? undefined
        : {
            accessKeyId: awsAccessKeyId,
            secretAccessKey: awsSecretAccessKey,
            ...(awsSessionToken === undefined ? {} : { sessionToken: awsSessionToken }),
          },
  });
}

/** JSON that may stand on a terminal: JSON itself escapes only what is below a blank. */
function jsonOf(value: object): string {
  return printable(JSON.stringify(value));
}

/** @returns false where nobody reads it. @throws OutputError */
function print(text: string, shutdown?: AbortSignal): Promise<boolean> {
  return writeData(`${text}\n`, shutdown);
}
