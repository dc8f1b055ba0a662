/** Faults of a part: one of two senders cannot reach a store, or S3 refuses one prefix. Everything beside the part works on. */
import { decodeJournal } from '../../../shared/domain/outcome/journal.ts';
import { waitFor } from '../../kit/wait-for.ts';
import { expectThat } from '../expect-that.ts';
import type { Fault } from '../fault.ts';
import type { FaultRun } from '../fault-run.ts';
import type { QueuedMessage } from '../servers/pipeline-queues.ts';
import type { S3Fault } from '../servers/s3-fault-proxy.ts';

const RECORDED_WITHIN_SECONDS = 60;
// A store counts as away, and a put as refused for good, after a minute: these faults outlast it.
const AWAY_MS = 90_000;
// Either sender may try for its minute.
const PARKED_WITHIN_MS = 150_000;
// 300 SMS in 75 s: S3 counts as away a minute after the first try that failed, and a try that hangs fails after 20 s.
const RATE = '4';
const LATE_COUNT = 50;

/** Lets one of two senders be sick from some point of the run on, for good, and waits until nothing is left to send. */
async function produceBesideSickSender(
  run: FaultRun,
  sick: Record<string, string>,
  sicken: () => void | Promise<void>,
): Promise<void> {
  // The first one that is started is given the journal, as long as it takes it.
  await run.startSender(sick);
  await run.startSender();
  const producer = run.spawnProducer(['--rate', RATE]);
  await run.waitForAttempts(30);
  await sicken();
  await run.finishProducing(producer);
  await run.queues.waitUntilSent();
  run.endFault();
}

async function answerOneSender(run: FaultRun, fault: S3Fault): Promise<void> {
  const way = await run.openS3Way();
  await produceBesideSickSender(run, { AWS_ENDPOINT_URL: way.endpoint }, () => way.inject(() => fault));
  await expectSendersUntilRecorded(run);
  way.heal();
  await waitFor('both senders to record again', async () => (await run.queues.recorderCount()) === 2);
}

/** A sender that cannot record is a sender all the same. */
async function expectSendersUntilRecorded(run: FaultRun): Promise<void> {
  const giveUpAtMs = Date.now() + RECORDED_WITHIN_SECONDS * 1_000;
  for (;;) {
    const { senders, inProgress } = await run.pipeline.snapshotOnce();
    expectThat(senders === 2, `the monitor tells of ${senders} senders`);
    if (inProgress === 0) return;
    expectThat(Date.now() < giveUpAtMs, `${inProgress} SMS have no outcome although a sender is healthy`);
    await run.pause(2_000, 3_000);
  }
}

/** From now on puts under that prefix are answered so. */
function answerPuts(run: FaultRun, prefix: string, status: number): void {
  const path = `/${run.queueName}/${prefix}/`;
  run.s3Proxy.inject((method, asked) =>
    method === 'PUT' && asked.startsWith(path) ? { kind: 'refuse', status } : undefined,
  );
}

/** Something is parked, and nothing else waits. */
async function waitUntilParked(run: FaultRun): Promise<void> {
  const isParked = async () => (await run.queues.parkedCount()) > 0 && (await run.queues.areEmpty());
  await waitFor('what S3 refuses to be parked', isParked, PARKED_WITHIN_MS);
}

/** The parked journal messages; each says what it is and why it is there. */
async function parkedWithReasons(run: FaultRun): Promise<QueuedMessage[]> {
  const parked = await run.queues.parkedMessages();
  for (const { headers, type } of parked) {
    expectThat(type === 'journal', `a parked message has the type ${type}`);
    expectThat(String(headers['parked-reason'] ?? '') !== '', 'a parked journal message does not say why');
  }
  return parked;
}

/** Ids of further SMS of this run, which were accepted. */
async function publishMore(run: FaultRun): Promise<void> {
  const ids = Array.from({ length: LATE_COUNT }, (_, index) => run.idOf(run.settings.smsCount + index + 1));
  await run.publishForeign(ids);
  run.expected.accept(ids);
}

export const PARTIAL_FAULTS: readonly Fault[] = [
  {
    name: 'one-sender-s3-forbidden',
    title: 'S3 answers one of two senders 403, whatever it asks: the other records for both',
    runs: 5,
    recoversWithinSeconds: RECORDED_WITHIN_SECONDS,
    inject: (run) => answerOneSender(run, { kind: 'refuse', status: 403 }),
  },
  {
    name: 'one-sender-s3-hanging',
    title: 'S3 never answers one of two senders: the other records for both',
    runs: 5,
    recoversWithinSeconds: RECORDED_WITHIN_SECONDS,
    inject: (run) => answerOneSender(run, { kind: 'hang' }),
  },
  {
    name: 'one-sender-redis-cut',
    title: 'one of two senders cannot reach Redis: the other records for both',
    runs: 5,
    recoversWithinSeconds: RECORDED_WITHIN_SECONDS,
    async inject(run) {
      const way = await run.openRedisWay();
      const sick = { REDIS_URL: `redis://127.0.0.1:${way.port}` };
      await produceBesideSickSender(run, sick, () => way.close());
    },
  },
  {
    name: 's3-runs-forbidden',
    title: 'S3 refuses PUT under runs/ for good: announcements are parked, whatever comes then is recorded',
    runs: 5,
    async inject(run) {
      await Promise.all([run.startSender(), run.startSender()]);
      answerPuts(run, 'runs', 403);
      run.expected.parkJournal();
      await run.produce();
      await waitUntilParked(run);
      await publishMore(run);
    },
    async verify(run) {
      const parked = await parkedWithReasons(run);
      const others = parked
        .flatMap(({ body }) => decodeJournal(body).entries)
        .filter(({ kind }) => kind !== 'accepted');
      expectThat(others.length === 0, `${others.length} entries were parked with the announcements`);
    },
  },
  {
    name: 's3-failed-forbidden',
    title:
      'S3 refuses PUT under failed/ for good: what failed is parked with a reason, what was sent is recorded',
    runs: 5,
    recoversWithinSeconds: RECORDED_WITHIN_SECONDS,
    async inject(run) {
      await Promise.all([run.startSender(), run.startSender()]);
      answerPuts(run, 'failed', 403);
      run.expected.parkJournal();
      run.expected.withhold(run.predictedIds('failed'));
      await run.produce();
      await waitUntilParked(run);
    },
    async verify(run) {
      await parkedWithReasons(run);
      const { inProgress } = await run.pipeline.snapshotOnce();
      const withheldCount = run.predictedIds('failed').length;
      expectThat(inProgress === withheldCount, `${inProgress} SMS are in progress, not ${withheldCount}`);
    },
  },
  {
    name: 's3-success-broken-90s',
    title:
      'S3 answers PUT under success/ with 500 for 90 s: what failed is recorded meanwhile, nothing is parked',
    runs: 5,
    async inject(run) {
      await Promise.all([run.startSender(), run.startSender()]);
      answerPuts(run, 'success', 500);
      const healed = run.pause(AWAY_MS, AWAY_MS);
      await run.produce();
      const failedCount = run.predictedIds('failed').length;
      const areRecorded = async () => (await run.counters())?.failed === failedCount;
      await waitFor(`${failedCount} failed SMS to be recorded`, areRecorded);
      await healed;
      run.s3Proxy.heal();
    },
    async verify(run) {
      const parkedCount = await run.queues.parkedCount();
      expectThat(parkedCount === 0, `${parkedCount} messages were parked`);
    },
  },
];
