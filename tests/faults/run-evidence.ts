import { setTimeout as sleep } from 'node:timers/promises';
import { decodeJournal } from '../../shared/domain/outcome/journal.ts';
import type { OutcomeRecord } from '../../shared/domain/outcome/outcome.ts';
import { FOREIGN_RUN } from '../../shared/domain/sms/sms.ts';
import type { StoredRecord } from '../kit/stored-records.ts';
import type { Evidence, ParkedJournal } from './checker.ts';
import type { FaultRun } from './fault-run.ts';

const STATISTICS_ARE_THERE_MS = 10_000;
// Our RabbitMQ has its queues tell their numbers each second.
const NUMBERS_ARE_OF_NOW_MS = 2_000;

/** What is known of every SMS of a run when all is quiet, for the checker. */
export async function collectEvidence(run: FaultRun): Promise<Evidence> {
  const { expected, queues } = run;
  const { accepted, published, destroyed, parked, mayParkJournal, areClocksStepped } = expected;
  const { mayBeCancelled, cancelledAtMs, mayBeSentNow } = expected;
  // RabbitMQ's numbers are up to a second old, and missing at first: one look at empty queues proves nothing.
  await queues.waitUntilEmpty(STATISTICS_ARE_THERE_MS);
  await sleep(NUMBERS_ARE_OF_NOW_MS);
  await queues.waitUntilEmpty(STATISTICS_ARE_THERE_MS);
  const records = await run.records();
  const isOfParkedJournal = ({ record }: StoredRecord) => mayParkJournal && record.run === FOREIGN_RUN;
  return {
    ...{ accepted, published, destroyed, parked, areClocksStepped },
    ...{ mayBeCancelled, cancelledAtMs, mayBeSentNow },
    withheld: await withheldRecords(run),
    records: records.filter((each) => !isOfParkedJournal(each)),
    counters: await run.counters(),
    ...(mayParkJournal ? { parkedJournal: await parkedJournal(run, records.filter(isOfParkedJournal)) } : {}),
    waitingCount: await queues.countWaiting(),
    waitingIn: await queues.all(),
    conditions: run.conditions,
    logs: run.pipeline.processes.flatMap((each) => [each.stdout, each.stderr]),
  };
}

async function parkedJournal(run: FaultRun, records: readonly StoredRecord[]): Promise<ParkedJournal> {
  const messages = (await run.queues.parkedMessages()).filter(({ type }) => type === 'journal');
  const counters = (await run.allCounters()).get(FOREIGN_RUN);
  return { messageCount: messages.length, records: records.map(({ record }) => record), counters };
}

async function withheldRecords({ expected: { withheld }, queues }: FaultRun): Promise<OutcomeRecord[]> {
  if (withheld.size === 0) return [];
  const entries = (await queues.parkedMessages()).flatMap(({ body }) => decodeJournal(body).entries);
  const records = entries.flatMap((entry) => (entry.kind === 'outcome' ? entry.record : []));
  return records.filter(({ smsId }) => withheld.has(smsId));
}
