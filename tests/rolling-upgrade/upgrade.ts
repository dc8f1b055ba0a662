/**
 * Two versions of Redial beside each other on one pipeline. Whatever happens to their processes, every SMS has the one
 * outcome that run, seed and settings predict, and what the older version cannot know waits for the newer one.
 */
import type { AttemptRecord } from '../../shared/domain/outcome/attempt.ts';
import type { OutcomeRecord } from '../../shared/domain/outcome/outcome.ts';
import { check, named, violationsOf } from '../faults/checker.ts';
import { expectThat } from '../faults/expect-that.ts';
import type { Fault } from '../faults/fault.ts';
import { FaultRun } from '../faults/fault-run.ts';
import { collectEvidence } from '../faults/run-evidence.ts';
import type { FaultServers } from '../faults/servers/fault-servers.ts';
import type { RunningProcess } from '../kit/process/running-process.ts';
import type { StoredRecord } from '../kit/stored-records.ts';
import { waitFor } from '../kit/wait-for.ts';
import { NEWER, NEWER_RESULT } from './newer-build.ts';

/** The folders of the built programs. */
export interface Versions {
  readonly older: string;
  readonly newer: string;
}

export interface Upgrade extends Pick<Fault, 'name' | 'title' | 'runs' | 'settings' | 'isCrashFree'> {
  /** Ends with senders of the newer version only. */
  play(run: FaultRun, versions: Versions): Promise<void>;
}

const SETTLE_MS = 120_000;
const SMS_PER_SECOND = '120';
/** So many that some of the SMS that failed at one version were retried by the other. */
const SHARED_ATTEMPTS = 60;

export const UPGRADES: readonly Upgrade[] = [
  {
    name: 'side-by-side',
    title: 'both versions send and record under load, then the older one drains',
    runs: 2,
    isCrashFree: true,
    async play(run, { newer }) {
      const [older] = await Promise.all([run.startSender(), run.startSender({}, { folder: newer })]);
      await run.finishProducing(startLoad(run, newer));
      await older?.stop('SIGTERM');
    },
  },
  {
    name: 'killed',
    title: 'both are killed and started again, at random moments under load',
    runs: 5,
    settings: { smsCount: 1_200 },
    play: (run, versions) => killBoth(run, versions, 6),
  },
  {
    name: 'killed-a-little',
    title: 'both are killed and started again once, under load',
    runs: 2,
    settings: { smsCount: 300 },
    play: (run, versions) => killBoth(run, versions, 2),
  },
  {
    name: 'way-back',
    title: 'the newer one is stopped for good, the older one goes on, and later a newer one is started again',
    runs: 3,
    play: goBack,
  },
];

export function upgradeNamed(name: string): Upgrade {
  const upgrade = UPGRADES.find((each) => each.name === name);
  if (upgrade === undefined)
    throw new Error(`there is no upgrade "${name}": ${UPGRADES.map((each) => each.name).join(', ')}`);
  return upgrade;
}

/** Plays it once. @returns what is wrong, as sentences; and never throws */
export async function playUpgrade(
  upgrade: Upgrade,
  seed: number,
  servers: FaultServers,
  newer: string,
): Promise<string[]> {
  const versions = { older: servers.programFolder, newer };
  const problems: string[] = [];
  const run = await FaultRun.start(servers, seed, { smsCount: 500, ...upgrade.settings });
  try {
    await upgrade.play(run, versions);
    await run.settle(SETTLE_MS);
    problems.push(...(await judge(run, upgrade.isCrashFree ?? false, versions)));
  } catch (error) {
    problems.push(error instanceof Error ? error.message : String(error));
  } finally {
    await run.end(problems.length > 0);
  }
  return problems.length === 0 ? [] : [...problems, `logs in ${run.folder}`];
}

function startLoad(run: FaultRun, newer: string): RunningProcess {
  return run.spawnProducer(['--rate', SMS_PER_SECOND], {}, { folder: newer });
}

async function killBoth(run: FaultRun, { older, newer }: Versions, killCount: number): Promise<void> {
  const builds = [{ folder: older }, { folder: newer }];
  const senders = await Promise.all(builds.map((build) => run.startSender({}, build)));
  const producer = startLoad(run, newer);
  await run.waitForAttempts(SHARED_ATTEMPTS);
  // Each is killed as often as the other, in an order of chance.
  const victims = run.random.shuffled(Array.from({ length: killCount }, (_, index) => index % 2));
  for (const victim of victims) {
    await run.pause(200, 1_500);
    await senders[victim]?.stop('SIGKILL');
    await run.pause(0, 500);
    senders[victim] = await run.startSender({}, builds[victim]);
  }
  await run.finishProducing(producer);
  await run.pause(0, 1_000);
  await senders[0]?.stop(run.random.oneOf(['SIGKILL', 'SIGTERM']));
}

async function goBack(run: FaultRun, { older, newer }: Versions): Promise<void> {
  const [olderSender, newerSender] = await Promise.all([
    run.startSender(),
    run.startSender({}, { folder: newer }),
  ]);
  const producer = startLoad(run, newer);
  await run.waitForAttempts(SHARED_ATTEMPTS);
  await run.pause(500, 2_500);
  await newerSender?.stop(run.random.oneOf(['SIGKILL', 'SIGTERM']));
  await run.finishProducing(producer);
  const waiting = await waitForTheRest(run);
  const { problems } = await run.pipeline.snapshotOnce();
  const told = JSON.stringify(problems);
  expectThat(told.includes('for a newer version of Redial'), `the monitor does not say what waits: ${told}`);
  const { report } = await run.pipeline.audit([], { folder: older });
  expectThat(report.parked === 0, `the audit counts ${report.parked} as parked`);
  expectThat(!(Number(report.missing) > 0), `the audit calls ${report.missing} SMS missing`);
  // The lines have been looked at again meanwhile, and wait as before.
  const still = await waitForTheRest(run);
  expectThat(
    still.join() === waiting.join(),
    `${waiting.length} SMS waited for the newer version, then ${still.length}`,
  );
  await run.startSender({}, { folder: newer });
  await olderSender?.stop('SIGTERM');
  await run.settle(SETTLE_MS);
  const knowable = (await run.records())
    .filter(({ record }) => waiting.includes(record.smsId) && !record.attempts.some(isOfNewerResult))
    .map(({ record }) => record.smsId);
  expectThat(knowable.length === 0, `the older version could have recorded ${knowable.slice(0, 5)}`);
}

/** Until nothing moves but what waits for the newer version. @returns the SMS without a record then */
async function waitForTheRest(run: FaultRun): Promise<string[]> {
  let seen = '';
  let quietCount = 0;
  await waitFor(
    'nothing to wait but lines of the newer version',
    async () => {
      const waiting = (await run.queues.all()).filter(({ messages }) => messages !== 0);
      seen = JSON.stringify(waiting);
      const isQuiet = waiting.length === 1 && waiting[0]?.name === `${run.queueName}.journal.later`;
      // Its statistics are a second old.
      quietCount = isQuiet ? quietCount + 1 : 0;
      return quietCount >= 4;
    },
    SETTLE_MS,
    () => seen,
    500,
  );
  const recorded = new Set((await run.records()).map(({ record }) => record.smsId));
  return run.idsUpTo(run.settings.smsCount).filter((id) => !recorded.has(id));
}

async function judge(run: FaultRun, isCrashFree: boolean, versions: Versions): Promise<string[]> {
  const evidence = await collectEvidence(run);
  const { records } = evidence;
  const verdict = check({ ...evidence, records: records.map(asOlderVersion) });
  const repeats = isCrashFree && verdict.repeatedSends > 0 ? [`${verdict.repeatedSends} repeated sends`] : [];
  const errors = evidence.logs
    .flatMap((log) => log.split('\n'))
    .filter((line) => /"level":"error"/.test(line));
  return [
    ...violationsOf(verdict, isCrashFree),
    ...repeats,
    ...errors.slice(0, 3),
    ...findLostFields(records.map(({ record }) => record)),
    ...(await findLostReceipts(run, records, isCrashFree)),
    ...(await findLostSettings(run)),
    ...(await auditOf(run, versions)),
  ];
}

/** A result of the newer version is a failure for the version that does not know it. */
function asOlderVersion({ objectId, record }: StoredRecord): StoredRecord {
  const attempts = record.attempts.map((made) =>
    isOfNewerResult(made) ? { ...made, result: 'failed' } : made,
  );
  return { objectId, record: { ...record, attempts } };
}

function isOfNewerResult({ result }: AttemptRecord): boolean {
  return result === NEWER_RESULT.result;
}

function isOfNewer(written: object): boolean {
  return 'build' in written && written.build === NEWER;
}

function hasHeader(record: object): boolean {
  return 'origin' in record && record.origin === NEWER;
}

function isOfOtherThanLast(record: OutcomeRecord): boolean {
  const last = record.attempts.at(-1);
  return last !== undefined && isOfNewer(record) !== isOfNewer(last);
}

/** What the newer version wrote must have come through the hands of the older one. */
function findLostFields(records: readonly OutcomeRecord[]): string[] {
  const idsWhere = (isSo: (record: OutcomeRecord) => boolean) =>
    records.filter(isSo).map(({ smsId }) => smsId);
  const isResultOfOther = (made: AttemptRecord) =>
    isOfNewerResult(made) !== (isOfNewer(made) && made.reason === NEWER_RESULT.reason);
  const isMixed = ({ attempts }: OutcomeRecord) => new Set(attempts.map(isOfNewer)).size > 1;
  return [
    ...named(
      'attempts that lost their version or their result',
      idsWhere(({ attempts }) => attempts.some(isResultOfOther)),
    ),
    ...named('outcomes of another version than their last attempt', idsWhere(isOfOtherThanLast)),
    ...named(
      'SMS that lost a header',
      idsWhere((record) => isOfNewer(record) && !hasHeader(record)),
    ),
    ...(records.some(isMixed) ? [] : ['no SMS was attempted by both versions']),
  ];
}

/** Of each SMS that the newer version has sent one receipt, and none of an SMS that was not sent. */
async function findLostReceipts(
  run: FaultRun,
  records: readonly StoredRecord[],
  isCrashFree: boolean,
): Promise<string[]> {
  const lines = async (...command: string[]) =>
    (await run.redisCommand(...command)).split('\n').filter((line) => line !== '');
  const receipts = await lines('SMEMBERS', `${run.queueName}:receipts`);
  const [counted] = await lines('HGET', `${run.queueName}:run:${run.runName}`, 'receipts');
  const sent = records.filter(({ record }) => record.status === 'sent');
  const sentIds = new Set(sent.map(({ record }) => record.smsId));
  const ofNewer = new Set(sent.filter(({ record }) => isOfNewer(record)).map(({ record }) => record.smsId));
  const lost = [...ofNewer].filter((id) => !receipts.includes(id));
  const strange = receipts.filter((id) => !(isCrashFree ? ofNewer : sentIds).has(id));
  return [
    ...(ofNewer.size === 0 ? ['the newer version has sent nothing'] : []),
    ...named('lost receipts', lost),
    ...named('receipts too many', strange),
    ...(Number(counted) === receipts.length
      ? []
      : [`${counted} receipts counted, there are ${receipts.length}`]),
  ];
}

async function findLostSettings(run: FaultRun): Promise<string[]> {
  const settings = await run.redisCommand('HVALS', `${run.queueName}:senders`);
  const { objects } = run.pipeline;
  const announcements: object[] = [];
  for await (const key of objects.list('runs/'))
    announcements.push(JSON.parse(String(await objects.get(key))) as object);
  return [
    ...(settings.includes(`"build":"${NEWER}"`) ? [] : [`settings without a version: ${settings}`]),
    ...(announcements.every(isOfNewer) ? [] : ['an announcement lost a field']),
    ...(announcements.length > 0 ? [] : ['no announcement is stored']),
  ];
}

async function auditOf(run: FaultRun, { older, newer }: Versions): Promise<string[]> {
  const audits = await Promise.all([older, newer].map((folder) => run.pipeline.audit([], { folder })));
  return audits.flatMap(({ exitCode, report }, index) =>
    exitCode === 0
      ? []
      : [`the audit of the ${index === 0 ? 'older' : 'newer'} version: ${JSON.stringify(report)}`],
  );
}
