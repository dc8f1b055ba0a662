/** Builds the HTTP API, and serves until the shutdown. */
import { hash, randomBytes } from 'node:crypto';
import { setFlagsFromString } from 'node:v8';
import { RabbitMqConnection } from '../../shared/adapters/rabbitmq/connection.ts';
import { RabbitMqPublisher } from '../../shared/adapters/rabbitmq/publisher.ts';
import { TopologyDeclarer } from '../../shared/adapters/rabbitmq/topology-declarer.ts';
import { RedisRequestStore } from '../../shared/adapters/redis/clients/request-store.ts';
import type { S3ObjectStore } from '../../shared/adapters/s3/object-store.ts';
import {
  createLook,
  createObjectStore,
  MANAGEMENT_SHARE,
  ServersRead,
} from '../../shared/composing/servers-read.ts';
import { createStories } from '../../shared/composing/stories.ts';
import type { Snapshot } from '../../shared/domain/snapshot.ts';
import { topologyOf } from '../../shared/domain/topology/topology.ts';
import { describeError } from '../../shared/errors.ts';
import { isBucketMissing } from '../../shared/pipeline/archive/patient-objects.ts';
import { tracesOfProcess } from '../../shared/pipeline/traces.ts';
import { untilAborted } from '../../shared/pipeline/waiting.ts';
import type { Logger } from '../../shared/ports/logger.ts';
import type { Config } from '../../shared/process/config/config.ts';
import {
  type Listening,
  listenAsConfigured,
  NO_TOKEN,
  requireTokenBeyondLoopback,
} from '../../shared/process/config/listening.ts';
import { connectionOptionsOf } from '../../shared/process/config/rabbitmq.ts';
import { EXIT } from '../../shared/process/exit-code.ts';
import { keepHealthFile } from '../../shared/process/health-file.ts';
import { createLogger } from '../../shared/process/logger.ts';
import { systemClock } from '../../shared/process/system-clock.ts';
import { createDirecting } from '../move/direct/compose.ts';
import { generateSms } from '../produce/generate-sms.ts';
import { AcceptOnce } from './accept-once.ts';
import { createApi } from './api.ts';
import { ApiMetrics } from './api-metrics.ts';
import { BulkIntake } from './bulk-intake.ts';
import { judgePossible } from './judge-number.ts';
import type { ServerStates } from './routes/state.ts';
import { SmsIntake } from './sms-intake.ts';

const OPEN_DEADLINE_MS = 25_000;
// RabbitMQ batches what it writes to disk: more unconfirmed SMS than this make it no faster.
const MAX_UNCONFIRMED = 1_500;
const PUBLISH_DEADLINE_MS = 10_000;
const CONFIRM_WITHIN_MS = 10_000;
const ANNOUNCE_EVERY = 500;
const MAX_ANNOUNCE_AGAIN_MS = 3_600_000;
const SNAPSHOT_DEADLINE_MS = 3_000;
const SHARED_MS = 250;
/** How long Redis is waited for before the API listens. It may come later, too. */
const REDIS_FIRST_MS = 2_000;
const ASK_DEADLINE_MS = 2_000;
// V8 lets garbage grow to a multiple of what lives: 217 MB beside NDJSON of 300,000 lines; with this 146 MB.
const HEAP_FLAG = '--heap-growing-percent=50';
// Requests that are being answered at the shutdown.
const CLOSE_WITHIN_MS = 10_000;

/** @returns the exit code @throws ConfigurationError, ServerUnavailableError where RabbitMQ does not answer at the start */
export async function serve(config: Config, shutdown: AbortSignal): Promise<number> {
  const listening = listeningOf(config);
  requireTokenBeyondLoopback(listening);
  setFlagsFromString(HEAP_FLAG);
  const { logLevel: level, logFormat: format, logFile: file, queueName } = config;
  const log = createLogger({ name: 'api', level, format, file, fileDescriptor: 1 });
  const publisher = new RabbitMqPublisher({
    ...{
      prefix: queueName,
      maxUnconfirmed: MAX_UNCONFIRMED + ANNOUNCE_EVERY,
      deadlineMs: PUBLISH_DEADLINE_MS,
    },
  });
  const connection = new RabbitMqConnection(connectionOptionsOf(config, 'api', log));
  connection.add(new TopologyDeclarer(() => topologyOf(queueName, [], config.queueShards)));
  connection.add(publisher);
  const servers = new ServersRead(config, 'api', log, SNAPSHOT_DEADLINE_MS * MANAGEMENT_SHARE);
  const objects = await createObjectStore(config);
  const directing = createDirecting(config, log, servers.redis, shutdown);
  const intake = new SmsIntake(
    {
      ...{ queueName, shardCount: config.queueShards, confirmWithinMs: CONFIRM_WITHIN_MS },
      ...{ announceEvery: ANNOUNCE_EVERY, processMark: randomBytes(3).toString('hex') },
      announceAgainMs: Math.min(MAX_ANNOUNCE_AGAIN_MS, config.keepTime / 4),
    },
    { publisher, clock: systemClock, log, random: Math.random, traces: tracesOfProcess() },
  );
  const once = new AcceptOnce({
    intake,
    requests: new RedisRequestStore(servers.redis, queueName, randomBytes(5).toString('hex')),
    clock: systemClock,
    digest: (text) => hash('sha256', text, 'hex'),
  });
  const judgeNumber = config.apiNumbers === 'e164' ? () => undefined : judgePossible;
  const app = await createApi(
    { token: config.apiToken === NO_TOKEN ? undefined : config.apiToken, log },
    {
      ...createStories(config, servers.redis, objects, { hasAccepted: (id) => intake.hasAccepted(id) }),
      ...{ once, judgeNumber, clock: systemClock },
      bulk: new BulkIntake({ intake, once, judgeNumber, clock: systemClock, log }),
      makeNumber: (smsNumber) => generateSms('api', smsNumber).to,
      direct: directing.direct,
      takeSnapshot: shareLooks((run) => createLook(servers, queueName, run)),
      metrics: new ApiMetrics(() => intake.acceptedCount),
      trouble: () => intake.trouble,
      askServers: () => askServers(intake, servers, objects),
    },
  );
  try {
    // Without it the first requests would be told that Redis is away.
    const connected = servers.connectWithin(REDIS_FIRST_MS, shutdown);
    await untilAborted(connection.open(OPEN_DEADLINE_MS), shutdown);
    await connected;
    if (!shutdown.aborted) {
      await listenAsConfigured(app, listening);
      await listenUntil(shutdown, config, () => connection.isUp, log);
    }
    intake.stopAccepting();
    await untilAborted(app.close(), AbortSignal.timeout(CLOSE_WITHIN_MS));
    // Whoever has no answer by now is cut: nothing that is said later would be true.
    app.server.closeAllConnections();
    await intake.close();
    log.info({ accepted: intake.acceptedCount }, 'the HTTP API has ended');
    return EXIT.done;
  } finally {
    await Promise.all([connection.close(), directing.close()]);
    publisher.abandon();
    servers.close();
    objects.close();
  }
}

async function listenUntil(shutdown: AbortSignal, config: Config, isWorking: () => boolean, log: Logger) {
  const { apiHost, apiPort, healthFile: file } = config;
  log.info({ url: `http://${apiHost}:${apiPort}` }, 'the HTTP API listens');
  const endHealthFile = keepHealthFile({ file, isWorking, clock: systemClock, log });
  await untilAborted(new Promise(() => {}), shutdown);
  endHealthFile();
}

/** Requests that come within a moment get the same snapshot. The look at all runs stays, and knows what it saw before. */
function shareLooks(createLookOf: (run: string | undefined) => (deadlineMs: number) => Promise<Snapshot>) {
  const lookAtAll = createLookOf(undefined);
  const taken = new Map<string | undefined, Promise<Snapshot>>();
  return (run: string | undefined): Promise<Snapshot> => {
    const known = taken.get(run);
    if (known !== undefined) return known;
    const look = run === undefined ? lookAtAll : createLookOf(run);
    const snapshot = look(SNAPSHOT_DEADLINE_MS);
    taken.set(run, snapshot);
    systemClock.after(SHARED_MS, () => taken.delete(run));
    return snapshot;
  };
}

function listeningOf({ apiHost: host, apiPort: port, apiToken: token }: Config): Listening {
  return { prefix: 'API', title: 'the HTTP API', host, port, token };
}

async function askServers(
  intake: SmsIntake,
  { redis }: ServersRead,
  objects: S3ObjectStore,
): Promise<ServerStates> {
  const [ofRedis, ofS3] = await Promise.all([
    troubleOf(() => redis.ask((session) => session.redis.ping())),
    troubleOf(() => lookIntoBucket(objects)),
  ]);
  return { rabbitmq: intake.trouble, redis: ofRedis, s3: ofS3 };
}

async function lookIntoBucket(objects: S3ObjectStore): Promise<void> {
  try {
    for await (const _ of objects.list('runs/')) return;
  } catch (error) {
    // A bucket that is missing is made at the first put.
    if (!isBucketMissing(error)) throw error;
  }
}

/** Undefined where the server answered in time. */
async function troubleOf(ask: () => Promise<unknown>): Promise<string | undefined> {
  try {
    await Promise.race([ask(), rejectAfter(ASK_DEADLINE_MS)]);
    return undefined;
  } catch (error) {
    return describeError(error);
  }
}

function rejectAfter(deadlineMs: number): Promise<never> {
  return new Promise((_, reject) => {
    systemClock.after(deadlineMs, () => reject(new Error(`no answer within ${deadlineMs / 1_000} s`)));
  });
}
