#!/usr/bin/env node
/** The producer: publishes the SMS of a run, and ends when RabbitMQ has confirmed them. */
import { hostname } from 'node:os';
import { describeServer, RabbitMqConnection } from '../shared/adapters/rabbitmq/connection.ts';
import { inspectQueues } from '../shared/adapters/rabbitmq/inspect-queue.ts';
import { RabbitMqPublisher } from '../shared/adapters/rabbitmq/publisher.ts';
import { TopologyRole } from '../shared/adapters/rabbitmq/topology-role.ts';
import { readCommandLine } from '../shared/command-line.ts';
import { type Config, loadConfig, rabbitmqUrlsOf } from '../shared/config.ts';
import { GENERATED_INPUT } from '../shared/domain/outcome.ts';
import { describeTopology, queueNameOf, ROUTING_KEYS } from '../shared/domain/topology.ts';
import { findProjectFolder, readEnvironment } from '../shared/environment.ts';
import { EXIT, runToExit } from '../shared/exit-code.ts';
import { createLogger } from '../shared/logger.ts';
import type { Logger } from '../shared/ports.ts';
import { listenForShutdown, shutdownOf } from '../shared/shutdown.ts';
import { systemClock } from '../shared/system-clock.ts';
import { generateRun } from './generate-sms.ts';
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
import { describeSummary, formatCount, type RunSummary, summarize } from './summary.ts';

// RabbitMQ batches what it writes to disk: more unconfirmed SMS than this make it no faster.
const WINDOW_SIZE = 2_000;
// Exit 69 is promised within 30 s of the start.
const OPEN_DEADLINE_MS = 25_000;
const PUBLISH_DEADLINE_MS = 30_000;
const INSPECT_DEADLINE_MS = 2_000;
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
  const run = options.run ?? makeRunName(Date.now(), makeRandomText(Math.random));
  // Before the configuration is judged: an input that cannot be read is wrong usage.
  const input = options.file === undefined ? undefined : await openInput(options, run, shutdown);
  const config = loadConfig(readEnvironment(findProjectFolder()), commandLine.settings);
  const log = createLogger({
    name: 'producer',
    // This command tells its own story in sentences; the usual level would tell it twice.
    level: config.logLevel === 'info' ? 'warn' : config.logLevel,
    format: config.logFormat ?? (process.stderr.isTTY ? 'pretty' : 'json'),
    fileDescriptor: 2,
  });
  const summary = await produce({ options, config, run, input, log, shutdown });
  process.stdout.write(options.isJson ? `${JSON.stringify(summary)}\n` : describeSummary(summary));
  if (shutdown.aborted) return endInterrupted(summary, String(shutdown.reason) as 'SIGINT' | 'SIGTERM');
  await giveHint(config, run, log);
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

/** The whole run: connect, publish everything, close. */
async function produce({ options, config, run, input, log, shutdown }: Production): Promise<RunSummary> {
  const count = options.maxSms ?? DEFAULT_SMS_COUNT;
  const requested = () => input?.rowCount ?? count;
  const publisher = new RabbitMqPublisher({
    exchange: config.queueName,
    windowSize: WINDOW_SIZE,
    deadlineMs: PUBLISH_DEADLINE_MS,
  });
  const connection = new RabbitMqConnection({
    urls: rabbitmqUrlsOf(config),
    name: `redial producer@${hostname()}:${process.pid}`,
    log,
  });
  connection.add(new TopologyRole(describeTopology(config.queueName)));
  connection.add(publisher);
  try {
    await openUnlessShutDown(connection, config, shutdown);
    const producer = new RunProducer(
      {
        run,
        queueName: config.queueName,
        inputIdentity: () => (input === undefined ? GENERATED_INPUT : input.identity),
        windowSize: WINDOW_SIZE,
        smsPerSecond: options.smsPerSecond,
        announcerId: makeRandomText(Math.random),
      },
      { publisher, clock: systemClock, log, random: Math.random, shutdown },
    );
    const isProgressShown = options.isProgressWanted && process.stderr.isTTY;
    const total = input === undefined ? count : options.maxSms;
    const endProgress = isProgressShown
      ? showProgress(process.stderr, systemClock, total, () => producer.acceptedCount)
      : () => {};
    await producer.produce(input?.batches() ?? generateRun(run, count)).finally(endProgress);
    return summarize(run, requested(), producer.acceptedCount, producer.elapsedMs, input?.badLineCount);
  } finally {
    input?.close();
    await connection.close();
    publisher.abandon();
  }
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

function endInterrupted(summary: RunSummary, signal: keyof typeof EXIT.interrupted): number {
  const { run, accepted, requested } = summary;
  say(
    `interrupted by ${signal}: RabbitMQ has confirmed ${formatCount(accepted)} of ${formatCount(requested)} SMS. ` +
      `With the same input and --run ${run} the rest follows, nothing is doubled.`,
  );
  return EXIT.interrupted[signal];
}

/** What to do next, which depends on whether somebody sends. */
async function giveHint(config: Config, run: string, log: Logger): Promise<void> {
  const queueName = queueNameOf(config.queueName, ROUTING_KEYS.work);
  const queues = await inspectQueues(
    {
      urls: rabbitmqUrlsOf(config),
      name: `redial producer@${hostname()}:${process.pid}`,
      log,
      deadlineMs: INSPECT_DEADLINE_MS,
    },
    [queueName],
  ).catch(() => undefined);
  const consumerCount = queues?.get(queueName)?.consumerCount;
  say(
    consumerCount === 0
      ? 'no sender is running, so these SMS wait in RabbitMQ. Start one: npx sender'
      : `watch them being sent: npx monitor --run ${run}`,
  );
}

function say(sentence: string): void {
  process.stderr.write(`${sentence}\n`);
}
