import { expect, test } from 'vitest';
import { decodeJournal } from '../../shared/domain/outcome/journal.ts';
import type { OutgoingMessage } from '../../shared/domain/sms/message.ts';
import { ManualClock } from '../../tests/kit/manual-clock.ts';
import { RecordedLog } from '../../tests/kit/recorded-log.ts';
import { RecordingBulkPublisher } from '../../tests/kit/recording-publisher.ts';
import { SmsIntake } from './sms-intake.ts';

const SMS = { content: { to: '+4915112345678', text: 'hello' }, sending: {} };
const isOfSms = ({ type }: OutgoingMessage) => type === 'sms';

function createIntake(clock: ManualClock, publisher: RecordingBulkPublisher): SmsIntake {
  return new SmsIntake(
    {
      ...{ queueName: 'sms', shardCount: 1, confirmWithinMs: 10_000, processMark: '3f9a1c' },
      ...{ announceEvery: 500, announceAgainMs: 3_600_000 },
    },
    { publisher, clock, log: new RecordedLog(), random: () => 0.5 },
  );
}

/** What was announced last of each run: how many SMS, and up to which number. */
function announced({ published }: RecordingBulkPublisher): Record<string, string> {
  const last: Record<string, string> = {};
  for (const { type, body } of published) {
    if (type !== 'journal') continue;
    for (const entry of decodeJournal(body).entries)
      if (entry.kind === 'accepted') {
        const { run, accepted, acceptedUpTo } = entry.announcement;
        last[run] = `${accepted} up to ${acceptedUpTo}`;
      }
  }
  return last;
}

test('what is accepted within a day is one run, whose end is announced after midnight, with what is confirmed late', async () => {
  const clock = new ManualClock(Date.UTC(2026, 10, 29, 23, 59, 58));
  const publisher = new RecordingBulkPublisher();
  const intake = createIntake(clock, publisher);
  const first = intake.name(SMS);
  expect(first.id).toBe('api-20261129-3f9a1c-000001');
  publisher.confirmsAtOnce = false;
  const accepting = intake.accept(first, () => {});
  await clock.advance(3_000);
  const second = intake.name(SMS);
  expect(second.id).toBe('api-20261130-3f9a1c-000001');
  publisher.confirmsAtOnce = true;
  publisher.confirmOpen();
  await Promise.all([accepting, intake.accept(second, () => {})]);
  await clock.advance(62_000);
  expect(announced(publisher)).toEqual({
    'api-20261129-3f9a1c': '1 up to 1',
    'api-20261130-3f9a1c': '1 up to 1',
  });
  // A clock that is set back begins no day anew.
  clock.stepBy(-120_000);
  expect(intake.name(SMS).id).toBe('api-20261130-3f9a1c-000002');
});

test('a number that was given and not used leaves no gap, and one that is open is not announced', async () => {
  const clock = new ManualClock();
  const publisher = new RecordingBulkPublisher();
  const intake = createIntake(clock, publisher);
  const [first, second, third] = [intake.name(SMS), intake.name(SMS), intake.name(SMS)];
  await intake.accept(third, () => {});
  intake.drop(second);
  await clock.advance(1_500);
  expect(announced(publisher)).toEqual({ [first.dayRun.run]: '1 up to 0' });
  await intake.accept(first, () => {});
  await clock.advance(1_500);
  expect(announced(publisher)).toEqual({ [first.dayRun.run]: '2 up to 3' });
});

test('a client waits ten seconds for the confirm; what RabbitMQ confirms later is accepted, and told', async () => {
  const clock = new ManualClock();
  const publisher = new RecordingBulkPublisher({ confirmsAtOnce: false });
  const intake = createIntake(clock, publisher);
  const late: boolean[] = [];
  const answer = expect(
    intake.accept(intake.name(SMS), (isConfirmed) => late.push(isConfirmed)),
  ).rejects.toMatchObject({
    reason: 'unanswered',
  });
  await clock.advance(10_000);
  await answer;
  expect([late, intake.acceptedCount]).toEqual([[], 0]);
  publisher.confirmOpen(isOfSms);
  await clock.advance(0);
  expect([late, intake.acceptedCount]).toEqual([[true], 1]);
});

test('an intake that closes accepts nothing more, and tells those who wait for SMS to come', async () => {
  const intake = createIntake(new ManualClock(), new RecordingBulkPublisher());
  let told = 0;
  intake.onClosing(() => {
    told += 1;
  });
  intake.onClosing(() => {
    told += 10;
  })();
  intake.stopAccepting();
  expect([told, intake.trouble]).toEqual([1, 'closing']);
  await expect(intake.accept(intake.name(SMS), () => {})).rejects.toMatchObject({ reason: 'closing' });
});
