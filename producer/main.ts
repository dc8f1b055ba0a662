#!/usr/bin/env node
/**
 * The producer: publishes the SMS of a run, and ends when RabbitMQ has confirmed them; or moves on what is overdue
 * in the retry queues.
 */
import { hostname } from 'node:os';
import { describeServer, RabbitMqConnection } from '../shared/adapters/rabbitmq/connection.ts';
import { RabbitMqConsumer } from '../shared/adapters/rabbitmq/consumer.ts';
import { inspectQueues } from '../shared/adapters/rabbitmq/inspect-queue.ts';
import { ManagementQueueReader } from '../shared/adapters/rabbitmq/management-queues.ts';
import { RabbitMqOverdueReader } from '../shared/adapters/rabbitmq/overdue-reader.ts';
import { RabbitMqPublisher } from '../shared/adapters/rabbitmq/publisher.ts';
import { TopologyRole } from '../shared/adapters/rabbitmq/topology-role.ts';
import { RedisKnownRunReader } from '../shared/adapters/redis/known-run-reader.ts';
import { readCommandLine } from '../shared/command-line.ts';
import { type Config, loadConfig, managementOf, rabbitmqUrlsOf, redisUrlOf } from '../shared/config.ts';
import { GENERATED_INPUT } from '../shared/domain/outcome.ts';
import { printable } from '../shared/domain/printable.ts';
import { describeTopology, queueNameOf, ROUTING_KEYS, retryQueueNamesOf } from '../shared/domain/topology.ts';
import { findProjectFolder, readEnvironment } from '../shared/environment.ts';
import { CountersLostError, describeError, ServerUnavailableError } from '../shared/errors.ts';
import { EXIT, runToExit } from '../shared/exit-code.ts';
import { createLogger, quieted } from '../shared/logger.ts';
import { say, takesEscapes, writeData } from '../shared/output.ts';
import type { Logger } from '../shared/ports.ts';
import { listenForShutdown, shutdownOf } from '../shared/shutdown.ts';
import { systemClock } from '../shared/system-clock.ts';
import { generateRun } from './generate-sms.ts';
import { MOVE_WINDOW_SIZE, OverdueMover } from './move-overdue.ts';
import {
  DEFAULT_SMS_COUNT,
  declareOptions,
  judgeOptions,
  makeRandomText,
  makeRunName,
  type ProducerOptions,
} from './options.ts';
import { RunProducer } from './produce-run.ts';
import { showProgress } from './progress.ts';
import { InputFile } from './read-input.ts';
import {
  describeRequeue,
  describeRequeueHints,
  requeueOverdue,
  summarizeRequeue,
} from './requeue-overdue.ts';
import { describeRest, NEW_RUN, type RunStart, startAfterAnnounced, startUnknown } from './resume-run.ts';
import {
  describeHint,
  describeInOneLine,
  describeSummary,
  formatCount,
  type RunSummary,
  summarize,
} from './summary.ts';

// RabbitMQ batches what it writes to disk: more unconfirmed SMS than this make it no faster.
const WINDOW_SIZE = 1_500;
const MAX_ANNOUNCE_AGAIN_MS = 3_600_000;
// With a window unconfirmed, a killed producer has published at most 2,000 SMS that no announcement tells of.
const ANNOUNCE_EVERY = 500;
// Exit 69 is promised within 30 s of the start.
const OPEN_DEADLINE_MS = 25_000;
const PUBLISH_DEADLINE_MS = 30_000;
const INSPECT_DEADLINE_MS = 2_000;
const REDIS_DEADLINE_MS = 3_000;
const LOOK_DEADLINE_MS = 20_000;
const WAITING_IS_TOLD_AFTER_MS = 1_000;
const BAD_LINES_TOLD = 10;

await runToExit(async () => {
  const commandLine = readCommandLine(
    'producer',
    'Publishes SMS to RabbitMQ and waits until it has confirmed them.',
    [],
    declareOptions,
    process.argv.slice(2),
  );
  if (commandLine === undefined) return EXIT.done;
  const options = judgeOptions(commandLine.options);
  const shutdown = listenForShutdown();
  if (options.mode === 'requeue-overdue') return requeue(options, shutdown);
  const run = options.run ?? makeRunName(Date.now(), makeRandomText(Math.random));
  // Before the configuration is judged: an input that cannot be read is wrong usage.
  const input = options.file === undefined ? undefined : await openInput(options, run, shutdown);
  const config = loadConfig(readEnvironment(findProjectFolder()), commandLine.settings);
  const log = createTalk(config);
  const { summary, openCount } = await produce({ options, config, run, input, log, shutdown });
  const text = options.isJson ? `${printable(JSON.stringify(summary))}\n` : describeSummary(summary);
  await tell(text, describeInOneLine(summary), shutdown);
  if (shutdown.aborted) return endInterrupted(summary, openCount, shutdown);
  await giveHint(config, summary, log);
  return summary.accepted === summary.requested ? EXIT.done : EXIT.failed;
});

function openInput(options: ProducerOptions, run: string, shutdown: AbortSignal): Promise<InputFile> {
  let toldCount = 0;
  return InputFile.open({
    path: options.file ?? '-',
    stdin: process.stdin,
    run,
    maxRows: options.maxSms,
    signal: shutdown,
    onBadLine(lineNumber, problem) {
      toldCount += 1;
      if (toldCount <= BAD_LINES_TOLD) say(`line ${lineNumber}: ${problem}`);
      if (toldCount === BAD_LINES_TOLD + 1) say('more bad lines: they are only counted from here on');
    },
  });
}

interface Production {
  readonly options: ProducerOptions;
  readonly config: Config;
  readonly run: string;
  /** Undefined: SMS are generated. */
  readonly input: InputFile | undefined;
  readonly log: Logger;
  readonly shutdown: AbortSignal;
}

interface Produced {
  readonly summary: RunSummary;
  /** SMS that were given to RabbitMQ, and come again when the run is resumed. */
  readonly openCount: number;
}

/** The whole run: connect, see where it goes on, publish everything, close. */
async function produce({ options, config, run, input, log, shutdown }: Production): Promise<Produced> {
  const count = options.maxSms ?? DEFAULT_SMS_COUNT;
  const requested = () => input?.rowCount ?? count;
  const publisher = new RabbitMqPublisher({
    prefix: config.queueName,
    // Announcements have room beside the SMS.
    windowSize: WINDOW_SIZE + ANNOUNCE_EVERY,
    deadlineMs: PUBLISH_DEADLINE_MS,
  });
  const connection = new RabbitMqConnection(connectionOptionsOf(config, log));
  connection.add(new TopologyRole(() => describeTopology(config.queueName, [], config.queueShards)));
  connection.add(publisher);
  try {
    await openUnlessShutDown(connection, config, shutdown);
    const start =
      options.run === undefined ? NEW_RUN : await findStart({ config, run, input, log, shutdown });
    for (const note of start.notes) say(note);
    const { resumeAfter, repeatLimit } = start;
    const generatedBefore = Math.min(resumeAfter, count);
    const acceptedBefore = () => input?.acceptedBefore ?? generatedBefore;
    const producer = new RunProducer(
      {
        run,
        queueName: config.queueName,
        ...{ resumeAfter, acceptedBefore },
        inputIdentity: () => (input === undefined ? GENERATED_INPUT : input.identity),
        shardCount: config.queueShards,
        windowSize: WINDOW_SIZE,
        announceEvery: ANNOUNCE_EVERY,
        announceAgainMs: Math.min(MAX_ANNOUNCE_AGAIN_MS, config.keepTime / 4),
        smsPerSecond: options.smsPerSecond,
        announcerId: makeRandomText(Math.random),
      },
      { publisher, clock: systemClock, log, random: Math.random, shutdown },
    );
    const isProgressShown = options.isProgressWanted && takesEscapes(2);
    const total = input === undefined ? count : options.maxSms;
    const endProgress = isProgressShown
      ? showProgress(process.stderr, systemClock, total, () => producer.acceptedCount)
      : () => {};
    const batches = input?.batches(resumeAfter) ?? generateRun(run, count, resumeAfter + 1);
    await producer.produce(batches).finally(endProgress);
    const { acceptedNowCount: acceptedNow, elapsedMs } = producer;
    const isAnnounced = input === undefined || input.identity !== undefined;
    const openCount = isAnnounced ? producer.openCount : acceptedNow + producer.openCount;
    const mayBeRepeated = Math.min(repeatLimit + producer.republishedCount, acceptedNow);
    const result = {
      run,
      requested: requested(),
      acceptedBefore: acceptedBefore(),
      acceptedNow,
      mayBeRepeated,
    };
    return { summary: summarize({ ...result, elapsedMs, badLines: input?.badLineCount }), openCount };
  } finally {
    input?.close();
    await connection.close();
    publisher.abandon();
  }
}

/** Where a run of that name goes on. @throws UsageError where it belongs to another input */
async function findStart(production: Omit<Production, 'options'>): Promise<RunStart> {
  const { config, run, input, log, shutdown } = production;
  const redis = new RedisKnownRunReader({
    ...{ url: redisUrlOf(config), prefix: config.queueName },
    ...{ deadlineMs: REDIS_DEADLINE_MS, log: quieted(log) },
  });
  try {
    const [known, isJournalUnread] = await Promise.all([redis.read(run), isUnread(config, log)]);
    if (known.input !== undefined) await identify(input, run);
    if (shutdown.aborted) return NEW_RUN;
    const identity = input === undefined ? GENERATED_INPUT : input.identity;
    const unannouncedLimit = WINDOW_SIZE + ANNOUNCE_EVERY;
    return startAfterAnnounced({ run, known, input: identity, isJournalUnread, unannouncedLimit });
  } catch (error) {
    if (error instanceof CountersLostError || error instanceof ServerUnavailableError) {
      return startUnknown(run, describeError(error));
    }
    throw error;
  }
}

/** A stream is waited for: what belongs to another input must not be sent. */
async function identify(input: InputFile | undefined, run: string): Promise<void> {
  const endTelling = systemClock.after(WAITING_IS_TOLD_AFTER_MS, () =>
    say(`waiting for 64 KiB or the end of standard input, to see whether it is the input of run ${run}`),
  );
  await input?.identify().finally(endTelling);
}

/** Whether announcements wait in the journal that no sender reads. */
async function isUnread(config: Config, log: Logger): Promise<boolean> {
  const queueName = queueNameOf(config.queueName, ROUTING_KEYS.journal);
  const queues = await inspectQueues({ ...connectionOptionsOf(config, log), deadlineMs: LOOK_DEADLINE_MS }, [
    queueName,
  ]).catch(() => undefined);
  const journal = queues?.get(queueName);
  return journal !== undefined && journal.consumerCount === 0 && journal.messageCount > 0;
}

async function requeue(options: ProducerOptions, shutdown: AbortSignal): Promise<number> {
  const config = loadConfig(readEnvironment(findProjectFolder()));
  const log = createTalk(config);
  const startedAtMs = systemClock.nowMs();
  const publisher = new RabbitMqPublisher({
    prefix: config.queueName,
    windowSize: MOVE_WINDOW_SIZE,
    deadlineMs: PUBLISH_DEADLINE_MS,
  });
  // The retry queues are left as they are: one that somebody declared differently is what this is for.
  const connection = new RabbitMqConnection(connectionOptionsOf(config, log));
  connection.add(new TopologyRole(() => describeTopology(config.queueName)));
  connection.add(publisher);
  try {
    await openUnlessShutDown(connection, config, shutdown);
    const { names, expiredCount, silence } = await findRetryQueues(config);
    const requeued = await requeueOverdue(
      {
        overdue: new RabbitMqOverdueReader({
          ...connectionOptionsOf(config, log),
          deadlineMs: LOOK_DEADLINE_MS,
        }),
        move: (queueName, count) => moveFrom(queueName, count, { config, log, publisher, shutdown }),
        shutdown,
      },
      names,
    );
    const summary = summarizeRequeue(requeued, expiredCount, systemClock.nowMs() - startedAtMs);
    const description = describeRequeue(summary, config.queueName);
    const text = options.isJson ? `${printable(JSON.stringify(summary))}\n` : description;
    await tell(text, description.trimEnd(), shutdown);
    for (const hint of describeRequeueHints(summary, requeued.unknownCount, silence)) say(hint);
    if (shutdown.aborted) return endRequeueInterrupted(summary.moved, shutdown);
    return (summary.left ?? 0) === 0 ? EXIT.done : EXIT.failed;
  } finally {
    await connection.close();
    publisher.abandon();
  }
}

/** All retry queues there are, or those of our schedule where nobody tells. */
async function findRetryQueues(config: Config): Promise<{
  readonly names: readonly string[];
  /** SMS that RabbitMQ has to hand over. */
  readonly expiredCount?: number;
  /** Why the management API did not answer. */
  readonly silence?: string;
}> {
  const { queueName, retrySchedule } = config;
  try {
    const management = new ManagementQueueReader({ ...managementOf(config), prefix: queueName });
    const { queues } = await management.read();
    const names = new Set(retryQueueNamesOf(queueName, queues));
    const expiredCount = queues.reduce(
      (sum, { name, deadLettering = 0 }) => sum + (names.has(name) ? deadLettering : 0),
      0,
    );
    return { names: [...names], expiredCount };
  } catch (error) {
    const { queues } = describeTopology(queueName, retrySchedule);
    return { names: retryQueueNamesOf(queueName, queues), silence: describeError(error) };
  }
}

interface MoveParts {
  readonly config: Config;
  readonly log: Logger;
  readonly publisher: RabbitMqPublisher;
  readonly shutdown: AbortSignal;
}

/** Over a connection of its own: an alarm of RabbitMQ stops reading the one that publishes. */
async function moveFrom(
  queueName: string,
  overdueCount: number,
  { config, log, publisher, shutdown }: MoveParts,
): Promise<number> {
  const connection = new RabbitMqConnection(connectionOptionsOf(config, log));
  const consumer = new RabbitMqConsumer({ queueName, prefetchCount: MOVE_WINDOW_SIZE });
  connection.add(consumer);
  try {
    await openUnlessShutDown(connection, config, shutdown);
    const mover = new OverdueMover(consumer, {
      ...{ publisher, clock: systemClock, log, random: Math.random, shutdown },
    });
    await mover.move(overdueCount);
    return mover.movedCount;
  } finally {
    // Gives back what was not moved.
    await connection.close();
  }
}

function endRequeueInterrupted(movedCount: number, shutdown: AbortSignal): number {
  const signal = String(shutdown.reason) as keyof typeof EXIT.interrupted;
  say(
    `interrupted by ${signal}: ${formatCount(movedCount)} SMS were moved, the others are where they were. ` +
      'The same command moves the rest.',
  );
  return EXIT.interrupted[signal];
}

/** @throws ServerUnavailableError */
async function openUnlessShutDown(
  connection: RabbitMqConnection,
  config: Config,
  shutdown: AbortSignal,
): Promise<void> {
  const servers = rabbitmqUrlsOf(config).map(describeServer).join(', ');
  const endTelling = systemClock.after(WAITING_IS_TOLD_AFTER_MS, () =>
    say(`waiting up to ${OPEN_DEADLINE_MS / 1_000} s for RabbitMQ at ${servers}`),
  );
  const opened = connection.open(OPEN_DEADLINE_MS);
  try {
    await Promise.race([opened, shutdownOf(shutdown)]);
  } finally {
    endTelling();
    // Closing a connection that is being opened rejects this; nobody waits for it then.
    opened.catch(() => {});
  }
}

function endInterrupted(summary: RunSummary, openCount: number, shutdown: AbortSignal): number {
  const signal = String(shutdown.reason) as keyof typeof EXIT.interrupted;
  say(`interrupted by ${signal}: ${describeRest(summary, openCount)}`);
  return EXIT.interrupted[signal];
}

/** What to do next, which depends on whether somebody sends. */
async function giveHint(config: Config, summary: RunSummary, log: Logger): Promise<void> {
  const queueName = queueNameOf(config.queueName, ROUTING_KEYS.work);
  const queues = await inspectQueues(
    { ...connectionOptionsOf(config, log), deadlineMs: INSPECT_DEADLINE_MS },
    [queueName],
  ).catch(() => undefined);
  const consumerCount = queues?.get(queueName)?.consumerCount;
  const hint = describeHint(summary, consumerCount);
  if (hint !== undefined) say(hint);
}

function connectionOptionsOf(config: Config, log: Logger) {
  return { urls: rabbitmqUrlsOf(config), name: `redial producer@${hostname()}:${process.pid}`, log };
}

/** Prints the summary; where stdout does not take it, it is said on stderr. @throws OutputError */
async function tell(summary: string, inOneLine: string, shutdown: AbortSignal): Promise<void> {
  let isPrinted = false;
  try {
    isPrinted = await writeData(summary, shutdown);
  } finally {
    if (!isPrinted) say(inOneLine);
  }
}

function createTalk(config: Config): Logger {
  return createLogger({
    name: 'producer',
    // This command tells its own story in sentences; the usual level would tell it twice.
    level: config.logLevel === 'info' ? 'warn' : config.logLevel,
    format: config.logFormat ?? (process.stderr.isTTY ? 'pretty' : 'json'),
    fileDescriptor: 2,
  });
}
