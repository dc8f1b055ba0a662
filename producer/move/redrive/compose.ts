/** Builds what sends SMS again that failed or were parked. */
import { inspectQueues } from '../../../shared/adapters/rabbitmq/inspect-queue.ts';
import { TopologyDeclarer } from '../../../shared/adapters/rabbitmq/topology-declarer.ts';
import { RedriveQueue, type StagedMessage } from '../../../shared/adapters/rabbitmq/waiting/redrive-queue.ts';
import { RedisRedrivenSmsReader } from '../../../shared/adapters/redis/clients/redriven-sms-reader.ts';
import { RedisConnection } from '../../../shared/adapters/redis/connection.ts';
import { RedisKnownRunReader } from '../../../shared/adapters/redis/known-run-reader.ts';
import { createObjectStore } from '../../../shared/composing/servers-read.ts';
import { redriveRoutingKey, withRedriveQueue } from '../../../shared/domain/topology/redrive-queue.ts';
import { queueNameOf, topologyOf } from '../../../shared/domain/topology/topology.ts';
import { CountersLostError, ServerUnavailableError, UsageError } from '../../../shared/errors.ts';
import { Archive } from '../../../shared/pipeline/archive/archive.ts';
import { Republisher } from '../../../shared/pipeline/publish-until-confirmed.ts';
import { Grace, untilAborted } from '../../../shared/pipeline/waiting.ts';
import { redisAddressOf } from '../../../shared/process/config/redis.ts';
import { outcomePrefixesOf } from '../../../shared/process/config/s3.ts';
import { quieted } from '../../../shared/process/logger.ts';
import { say } from '../../../shared/process/output.ts';
import { systemClock } from '../../../shared/process/system-clock.ts';
import { LOOK_DEADLINE_MS, type Report, type Surroundings } from '../../compose.ts';
import { RunAnnouncer, type Standing } from '../../produce/announce-run.ts';
import { makeRandomText, makeRunName } from '../../produce/produce-options.ts';
import type { RedriveOptions } from './redrive-options.ts';
import { type RedriveEnd, RedriveRun } from './redrive-run.ts';
import { describeRedrive, describeRest, renderDryRun, renderRedrive } from './report.ts';
import { selectOutcomes, summarizeDryRun } from './select-outcomes.ts';

/** What the announcements of a redrive name as their input. */
const REDRIVE_INPUT = 'redrive';
const REDIS_DEADLINE_MS = 10_000;
const MAX_UNCONFIRMED = 100;
const ANNOUNCE_EVERY = 500;
const MAX_ANNOUNCE_AGAIN_MS = 3_600_000;
// How long an interrupted redrive may take to give back what it holds.
const INTERRUPT_GRACE_MS = 3_000;
const ANNOUNCE_GRACE_MS = 2_000;

/** @throws ServerUnavailableError without RabbitMQ, Redis or S3; UsageError for a run of another origin */
export async function redrive(options: RedriveOptions, surroundings: Surroundings): Promise<Report> {
  const startedAtMs = systemClock.nowMs();
  const { config } = surroundings;
  const run = options.run ?? makeRunName(startedAtMs, makeRandomText(Math.random));
  const objects = await createObjectStore(config);
  const archive = new Archive(objects, outcomePrefixesOf(config), config.queueName);
  const { selection, maxSms } = options;
  // What fails from now on is for another redrive, so that this one has an end.
  const untilMs = Math.min(selection.untilMs ?? startedAtMs, startedAtMs);
  const records = selectOutcomes(archive, { selection: { ...selection, untilMs }, run, maxSms });
  try {
    const report = options.isDryRun
      ? await reportDryRun(records, selection.status, run)
      : await sendAgain(run, options, records, surroundings);
    const { count, firstReason } = archive.unreadable;
    if (count > 0) say(`${count} objects in S3 hold something that cannot be read; the first ${firstReason}`);
    return report;
  } finally {
    objects.close();
  }
}

type Records = ReturnType<typeof selectOutcomes>;

async function reportDryRun(
  records: Records,
  status: RedriveOptions['selection']['status'],
  run: string,
): Promise<Report> {
  const summary = await summarizeDryRun(records, status, run);
  const text = renderDryRun(summary);
  return {
    ...{ summary, text, line: text.split('\n')[0] ?? '', rest: 'nothing was sent' },
    ...{ findHints: async () => [], isComplete: true },
  };
}

async function sendAgain(
  run: string,
  options: RedriveOptions,
  records: Records,
  surroundings: Surroundings,
): Promise<Report> {
  const startedAtMs = systemClock.nowMs();
  const { config, log, shutdown } = surroundings;
  const redis = new RedisConnection({ ...redisAddressOf(config), log: quieted(log) });
  const queue = new RedriveQueue(config.queueName, run);
  const publisher = surroundings.createPublisher(MAX_UNCONFIRMED);
  const topology = new TopologyDeclarer(() =>
    withRedriveQueue(topologyOf(config.queueName, [], config.queueShards), run),
  );
  try {
    await untilAborted(redis.open(REDIS_DEADLINE_MS), shutdown);
    // A name that was just made up is that of a new run.
    const mayBeResumed = options.run !== undefined && !shutdown.aborted;
    const acceptedBefore = mayBeResumed ? await countAcceptedBefore(run, surroundings) : 0;
    const isResumed = mayBeResumed && (await isQueueThere(run, surroundings));
    return await surroundings.connected([topology, publisher, queue], async () => {
      if (!shutdown.aborted && !(await queue.lock()))
        throw new UsageError(`run ${run} is being redriven by another process. Nothing was sent`);
      const reader = new RedisRedrivenSmsReader(redis, config.queueName);
      const acceptedCount = () => redriving.acceptedCount;
      const ended = new AbortController();
      const announcer = createAnnouncer(run, surroundings, publisher, acceptedCount, ended.signal);
      const redriving = new RedriveRun<StagedMessage>(
        {
          ...{ run, smsPerSecond: options.smsPerSecond, keepTimeMs: config.keepTime },
          ...{ isResumed, acceptedBefore },
        },
        {
          ...{ records, clock: systemClock, shutdown, say },
          take: (isExpected) => queue.take(isExpected),
          statesOf: (ids) => reader.statesOf(ids),
          onAccepted: (count) => announcer.noteAccepted(count),
        },
      );
      const end = await performAnnounced(redriving, announcer, shutdown).finally(() => ended.abort());
      // All that was sent has its outcome, and Redis knows it: nothing is left to remember.
      if (end !== 'interrupted') await queue.remove();
      return reportOf(run, options, redriving, end, systemClock.nowMs() - startedAtMs);
    });
  } finally {
    redis.close();
    publisher.abandon();
  }
}

/** A server that hangs does not hold up an interrupt. */
async function performAnnounced(
  redriving: RedriveRun<StagedMessage>,
  announcer: RunAnnouncer,
  shutdown: AbortSignal,
): Promise<RedriveEnd> {
  if (shutdown.aborted) return 'interrupted';
  const grace = new Grace(systemClock, shutdown, INTERRUPT_GRACE_MS);
  let end: RedriveEnd = 'interrupted';
  const perform = async () => {
    end = await redriving.perform();
  };
  announcer.start();
  try {
    await untilAborted(perform(), grace.over);
  } finally {
    grace.end();
    announcer.stop();
    await untilAborted(announcer.announceEnd(), AbortSignal.timeout(ANNOUNCE_GRACE_MS));
  }
  return end;
}

function reportOf(
  run: string,
  { selection, isDryRun: _ }: RedriveOptions,
  redriving: RedriveRun<StagedMessage>,
  end: RedriveEnd,
  elapsedMs: number,
): Report {
  const summary = {
    ...{ run, status: selection.status, selected: redriving.selectedCount },
    ...{ before: redriving.beforeCount, sent: redriving.sentCount },
    ...{ failedAgain: redriving.failedAgainCount, left: redriving.leftCount },
    ...{ batches: redriving.batchCount, seconds: Math.max(0, elapsedMs) / 1_000, end },
  };
  const hint = `see what became of them: npx monitor --once --run ${run}`;
  return {
    ...{ summary, text: renderRedrive(summary), line: describeRedrive(summary) },
    rest: describeRest(run, redriving.acceptedCount),
    findHints: async () => (redriving.acceptedCount === 0 ? [] : [hint]),
    isComplete: end === 'done' && redriving.leftCount === 0,
  };
}

function createAnnouncer(
  run: string,
  { config, log }: Surroundings,
  publisher: ReturnType<Surroundings['createPublisher']>,
  acceptedCount: () => number,
  announceGrace: AbortSignal,
): RunAnnouncer {
  const republisher = new Republisher(
    { publisher, clock: systemClock, log, random: Math.random },
    announceGrace,
  );
  const standingNow = (): Standing | undefined => {
    const accepted = acceptedCount();
    if (accepted === 0) return undefined;
    return { run, queue: config.queueName, accepted, acceptedUpTo: accepted, input: REDRIVE_INPUT };
  };
  return new RunAnnouncer(
    {
      announcerId: makeRandomText(Math.random),
      announceEvery: ANNOUNCE_EVERY,
      announceAgainMs: Math.min(MAX_ANNOUNCE_AGAIN_MS, config.keepTime / 4),
    },
    { publisher, republisher, clock: systemClock, standingNow },
  );
}

/** How many SMS of the run senders have met. @throws UsageError where the run is none of a redrive */
async function countAcceptedBefore(run: string, { config, log }: Surroundings): Promise<number> {
  const redis = new RedisKnownRunReader({
    ...{ ...redisAddressOf(config), prefix: config.queueName },
    ...{ deadlineMs: REDIS_DEADLINE_MS, log: quieted(log) },
  });
  try {
    const { input, hasInputConflict, met } = await redis.read(run);
    if (hasInputConflict || (input !== undefined && input !== REDRIVE_INPUT))
      throw new UsageError(
        `--run ${run} is the name of a run that was produced. Nothing was sent. Take another one`,
      );
    return met;
  } catch (error) {
    if (!(error instanceof CountersLostError)) throw error;
    throw new ServerUnavailableError(
      'Redis holds no valid counters, so nobody can tell what was sent before. Start a sender, which makes them from S3',
      { isRefusal: false, cause: error },
    );
  }
}

async function isQueueThere(run: string, surroundings: Surroundings): Promise<boolean> {
  const name = queueNameOf(surroundings.config.queueName, redriveRoutingKey(run));
  const options = { ...surroundings.connectionOptions, deadlineMs: LOOK_DEADLINE_MS };
  return (await inspectQueues(options, [name])).get(name) !== undefined;
}
