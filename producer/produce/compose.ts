/** Builds what publishes one run. */
import { inspectQueues } from '../../shared/adapters/rabbitmq/inspect-queue.ts';
import { TopologyDeclarer } from '../../shared/adapters/rabbitmq/topology-declarer.ts';
import { RedisKnownRunReader } from '../../shared/adapters/redis/known-run-reader.ts';
import { queueNameOf, ROUTING_KEYS, topologyOf } from '../../shared/domain/topology/topology.ts';
import { CountersLostError, describeError, ServerUnavailableError } from '../../shared/errors.ts';
import { tracesOfProcess } from '../../shared/pipeline/traces.ts';
import { redisAddressOf } from '../../shared/process/config/redis.ts';
import { quieted } from '../../shared/process/logger.ts';
import { say, takesEscapes } from '../../shared/process/output.ts';
import { systemClock } from '../../shared/process/system-clock.ts';
import { LOOK_DEADLINE_MS, type Report, type Surroundings } from '../compose.ts';
import { GeneratedInput } from './generate-sms.ts';
import { InputFile } from './input/read-input.ts';
import { DEFAULT_SMS_COUNT, makeRandomText, type ProduceOptions } from './produce-options.ts';
import { RunProducer } from './produce-run.ts';
import { showProgress } from './progress.ts';
import { describeRest, NEW_RUN, type RunStart, startAfterAnnounced, startUnknown } from './resume-run.ts';
import { describeHint, describeInOneLine, type RunSummary, renderSummary, summarize } from './summary.ts';

// RabbitMQ batches what it writes to disk: more unconfirmed SMS than this make it no faster.
const MAX_UNCONFIRMED = 1_500;
// With all of them unconfirmed, a killed producer has published at most 2,000 SMS that no announcement tells of.
const ANNOUNCE_EVERY = 500;
const MAX_ANNOUNCE_AGAIN_MS = 3_600_000;
const INSPECT_DEADLINE_MS = 2_000;
const REDIS_DEADLINE_MS = 3_000;
const WAITING_IS_TOLD_AFTER_MS = 1_000;
const BAD_LINES_TOLD = 10;

/** What a run is made of. */
type RunInput = GeneratedInput | InputFile;

/** The rows of the file, or generated SMS where there is none. @throws UsageError for a file that cannot be read */
export async function openInput(
  { file, maxSms, sending }: ProduceOptions,
  run: string,
  shutdown: AbortSignal,
): Promise<RunInput> {
  if (file === undefined) return new GeneratedInput(run, maxSms ?? DEFAULT_SMS_COUNT);
  let toldCount = 0;
  return InputFile.open({
    path: file,
    stdin: process.stdin,
    run,
    maxRows: maxSms,
    sending,
    nowMs: () => systemClock.nowMs(),
    signal: shutdown,
    onBadLine(lineNumber, problem) {
      toldCount += 1;
      if (toldCount <= BAD_LINES_TOLD) say(`line ${lineNumber}: ${problem}`);
      if (toldCount === BAD_LINES_TOLD + 1) say('more bad lines: they are only counted from here on');
    },
  });
}

/** What one call of the producer publishes. */
export interface RunOrder {
  readonly run: string;
  readonly input: RunInput;
  readonly options: ProduceOptions;
}

/** Connects, sees where the run goes on, publishes all of it, and closes everything. */
export async function produceRun(order: RunOrder, surroundings: Surroundings): Promise<Report> {
  const { run, input, options } = order;
  const { config, log, shutdown } = surroundings;
  // Announcements have room beside the SMS.
  const publisher = surroundings.createPublisher(MAX_UNCONFIRMED + ANNOUNCE_EVERY);
  const topology = new TopologyDeclarer(() => topologyOf(config.queueName, [], config.queueShards));
  const publish = async () => {
    const { notes, resumeAfter, repeatLimit } = await findStart(order, surroundings);
    for (const note of notes) say(note);
    const producer = new RunProducer(
      {
        run,
        queueName: config.queueName,
        resumeAfter,
        input,
        sending: options.sending,
        shardCount: config.queueShards,
        maxUnconfirmed: MAX_UNCONFIRMED,
        announceEvery: ANNOUNCE_EVERY,
        announceAgainMs: Math.min(MAX_ANNOUNCE_AGAIN_MS, config.keepTime / 4),
        smsPerSecond: options.smsPerSecond,
        announcerId: makeRandomText(Math.random),
      },
      { publisher, clock: systemClock, log, random: Math.random, shutdown, traces: tracesOfProcess() },
    );
    const batches = input.batches(resumeAfter);
    const endProgress =
      options.isProgressWanted && takesEscapes(2)
        ? showProgress(process.stderr, systemClock, input.maxRows, () => producer.acceptedCount)
        : () => {};
    await producer.produce(batches).finally(endProgress);
    const acceptedNow = producer.acceptedNowCount;
    const summary = summarize({
      run,
      requested: input.rowCount,
      acceptedBefore: input.acceptedBefore,
      acceptedNow,
      mayBeRepeated: Math.min(repeatLimit + producer.republishedCount, acceptedNow),
      elapsedMs: producer.elapsedMs,
      badLines: input.badLineCount,
    });
    const isAnnounced = input.identity !== undefined;
    // SMS that were given to RabbitMQ, and come again when the run is resumed.
    const openCount = producer.openCount + (isAnnounced ? 0 : acceptedNow);
    return reportOf(summary, openCount, surroundings);
  };
  try {
    return await surroundings.connected([topology, publisher], publish);
  } finally {
    input.close();
    publisher.abandon();
  }
}

function reportOf(summary: RunSummary, openCount: number, surroundings: Surroundings): Report {
  return {
    summary,
    text: renderSummary(summary),
    line: describeInOneLine(summary),
    rest: describeRest(summary, openCount),
    findHints: () => findHints(summary, surroundings),
    isComplete: summary.accepted === summary.requested,
  };
}

/** Where a run of that name goes on. @throws UsageError where it belongs to another input */
async function findStart({ run, input, options }: RunOrder, surroundings: Surroundings): Promise<RunStart> {
  // A name that was just made up is that of a new run.
  if (options.run === undefined) return NEW_RUN;
  const { config, log, shutdown } = surroundings;
  const redis = new RedisKnownRunReader({
    ...{ ...redisAddressOf(config), prefix: config.queueName },
    ...{ deadlineMs: REDIS_DEADLINE_MS, log: quieted(log) },
  });
  try {
    const [known, journal] = await Promise.all([
      redis.read(run),
      inspectQueue(ROUTING_KEYS.journal, LOOK_DEADLINE_MS, surroundings),
    ]);
    if (known.input !== undefined) await identify(input, run);
    if (shutdown.aborted) return NEW_RUN;
    // Announcements wait in the journal, and no sender reads them.
    const isJournalUnread = journal !== undefined && journal.consumerCount === 0 && journal.messageCount > 0;
    const unannouncedLimit = MAX_UNCONFIRMED + ANNOUNCE_EVERY;
    return startAfterAnnounced({ run, known, input: input.identity, isJournalUnread, unannouncedLimit });
  } catch (error) {
    if (error instanceof CountersLostError || error instanceof ServerUnavailableError) {
      return startUnknown(run, describeError(error));
    }
    throw error;
  }
}

/** A stream is waited for: what belongs to another input must not be sent. */
async function identify(input: RunInput, run: string): Promise<void> {
  const endTelling = systemClock.after(WAITING_IS_TOLD_AFTER_MS, () =>
    say(`waiting for 64 KiB or the end of standard input, to see whether it is the input of run ${run}`),
  );
  await input.identify().finally(endTelling);
}

/** What to do next, which depends on whether somebody sends. */
async function findHints(summary: RunSummary, surroundings: Surroundings): Promise<string[]> {
  const work = await inspectQueue(ROUTING_KEYS.work, INSPECT_DEADLINE_MS, surroundings);
  return [describeHint(summary, work?.consumerCount) ?? []].flat();
}

/** Undefined where the queue does not exist, or RabbitMQ does not tell. */
async function inspectQueue(routingKey: string, deadlineMs: number, surroundings: Surroundings) {
  const name = queueNameOf(surroundings.config.queueName, routingKey);
  const options = { ...surroundings.connectionOptions, deadlineMs };
  const queues = await inspectQueues(options, [name]).catch(() => undefined);
  return queues?.get(name);
}
