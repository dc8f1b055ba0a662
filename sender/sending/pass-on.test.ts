import { beforeEach, describe, expect, it } from 'vitest';
import { decodeJournal } from '../../shared/domain/outcome/journal.ts';
import type { OutgoingMessage } from '../../shared/domain/sms/message.ts';
import { MessageTooLargeError, StoppedError, UnencodableError } from '../../shared/errors.ts';
import type { Settlement } from '../../shared/pipeline/attempt/settlement.ts';
import type { Delivery } from '../../shared/ports/delivery-source.ts';
import { HandDrivenQueue } from '../../tests/kit/hand-driven-queue.ts';
import { letRun, ManualClock } from '../../tests/kit/manual-clock.ts';
import { RecordedLog } from '../../tests/kit/recorded-log.ts';
import { RecordingPublisher } from '../../tests/kit/recording-publisher.ts';
import { journalOf } from '../pipeline.ts';
import { PassOn } from './pass-on.ts';

const ATTEMPT = { attempt: 1, startedAt: '2026-11-22T10:00:00.000Z', tookMs: 1, result: 'failed' };
const RETRY: OutgoingMessage = {
  ...{ routingKey: 'retry.1.5s', messageId: 'a', type: 'sms', contentType: 'application/json' },
  ...{ timestampMs: 0, headers: { history: JSON.stringify([ATTEMPT]) }, body: Buffer.from('{}') },
};
const SETTLEMENT: Settlement = { message: RETRY, journalLine: '{"entry":"x"}' };

let clock: ManualClock;
let log: RecordedLog;
let queue: HandDrivenQueue;
let publisher: RecordingPublisher;
let digest: () => string;
/** Where the messages went that were told of. */
let passedOn: (string | undefined)[];

beforeEach(() => {
  clock = new ManualClock();
  log = new RecordedLog();
  queue = new HandDrivenQueue();
  publisher = new RecordingPublisher();
  digest = () => 'digest';
  passedOn = [];
});

/** Hands over one message, and what a test refuses of what it leads to. */
async function passOn(
  refuse: (message: OutgoingMessage) => Error | undefined,
  act: (passing: PassOn, delivery: Delivery) => Promise<void>,
  messageId = 'a',
): Promise<void> {
  const refusing = {
    publish: (message: OutgoingMessage) => {
      const error = refuse(message);
      return error === undefined ? publisher.publish(message) : Promise.reject(error);
    },
  };
  const ports = { publisher: refusing, clock, pause: async () => {} };
  const journal = journalOf(ports, { senderId: 's1', journalBytes: 10_000 });
  const onPassedOn = ({ message }: Settlement) => passedOn.push(message?.routingKey);
  const passing = new PassOn({ ...ports, queue: 'sms', digest: () => digest(), log, journal, onPassedOn });
  queue.consumer().start((delivery) => void act(passing, delivery));
  queue.publish({ body: Buffer.from('body'), messageId, headers: { run: 'demo', tenant: 'x' } });
  // The journal gathers, and what is parked then gathers once more.
  for (let turn = 0; turn < 2; turn += 1) {
    await letRun();
    await clock.advance(5);
  }
  await letRun();
}

const publishedTo = (routingKey: string) =>
  publisher.published.filter((message) => message.routingKey === routingKey);
const recorded = () =>
  publishedTo('journal').flatMap(({ body }) =>
    decodeJournal(body).entries.flatMap((entry) => (entry.kind === 'outcome' ? [entry.record] : [])),
  );
const confirms = (passing: PassOn, delivery: Delivery) => passing.confirm(delivery, SETTLEMENT);

describe('a delivery whose retry cannot be published', () => {
  it('is parked in the minimal form, with the attempts it had', async () => {
    const refuse = ({ routingKey }: OutgoingMessage) =>
      routingKey === 'retry.1.5s' ? new UnencodableError({ cause: 'test' }) : undefined;
    await passOn(refuse, confirms);
    expect(queue.acknowledged.length).toBe(1);
    // What counts is what RabbitMQ has confirmed.
    expect(passedOn).toEqual(['parked']);
    expect(publishedTo('parked')).toMatchObject([
      {
        messageId: 'a',
        body: Buffer.from('body'),
        headers: { 'parked-reason': 'an error inside Redial broke it off', 'parked-message-id': 'YQ==' },
      },
    ]);
    expect(publishedTo('parked')[0]?.headers).not.toHaveProperty('tenant');
    expect(recorded()).toMatchObject([{ smsId: 'a', status: 'parked', attempts: [ATTEMPT] }]);
  });

  it('is parked also where the error is one that nobody thought of', async () => {
    await passOn(
      ({ routingKey }) =>
        routingKey === 'retry.1.5s' ? new UnencodableError({ cause: new TypeError('x') }) : undefined,
      confirms,
      'no id!',
    );
    expect(recorded()).toMatchObject([
      { smsId: 'parked-digest', raw: Buffer.from('body').toString('base64') },
    ]);
  });

  it('is rejected where it cannot even be parked: RabbitMQ needs nothing of it', async () => {
    const refuse = ({ routingKey }: OutgoingMessage) =>
      routingKey === 'journal' ? undefined : new UnencodableError({ cause: 'test' });
    await passOn(refuse, confirms);
    expect([queue.acknowledged.length, queue.rejected.length, queue.unacknowledgedCount]).toEqual([0, 1, 0]);
  });

  it('is left as it is where the process must end', async () => {
    await passOn(
      () => new UnencodableError({ cause: 'test' }),
      (passing, delivery) => {
        passing.stop();
        return passing.confirm(delivery, SETTLEMENT);
      },
    );
    await passOn(({ routingKey }) => {
      throw new StoppedError(routingKey);
    }, confirms);
    expect(queue.acknowledged.length + queue.rejected.length).toBe(0);
  });
});

describe('a message that is to be parked', () => {
  it('is, with its reason and its headers', async () => {
    await passOn(
      () => undefined,
      (passing, delivery) => passing.park(delivery, 'S3 refuses it'),
    );
    expect(publishedTo('parked')).toMatchObject([
      { headers: { 'parked-reason': 'S3 refuses it', tenant: 'x' } },
    ]);
    expect(recorded()).toMatchObject([{ reason: 'S3 refuses it', headers: { tenant: 'x' } }]);
    expect(queue.acknowledged.length).toBe(1);
  });

  it('leaves no copy for each try where its record is too large', async () => {
    await passOn(
      ({ routingKey, body }) =>
        routingKey === 'journal' && body.includes('tenant') ? new MessageTooLargeError(9, 8) : undefined,
      (passing, delivery) => passing.park(delivery, 'any'),
    );
    expect(publishedTo('parked').map(({ headers }) => 'tenant' in headers)).toEqual([false]);
    expect(recorded()).toMatchObject([{ reason: 'an error inside Redial broke it off' }]);
    expect(queue.acknowledged.length).toBe(1);
  });

  it('is parked without its attempts where its record is too large with them', async () => {
    await passOn(
      ({ routingKey, body }) =>
        routingKey === 'journal' && body.includes(ATTEMPT.startedAt)
          ? new MessageTooLargeError(9, 8)
          : undefined,
      (passing, delivery) =>
        passing.confirm(delivery, {
          message: { ...RETRY, routingKey: 'parked' },
          journalLine: JSON.stringify({ attempts: [ATTEMPT] }),
        }),
    );
    expect(recorded()).toMatchObject([{ status: 'parked', attempts: [] }]);
    expect([queue.acknowledged.length, queue.rejected.length]).toEqual([1, 0]);
  });

  it('is rejected where not even its identity can be made', async () => {
    digest = () => {
      throw new TypeError('broken');
    };
    await passOn(
      () => undefined,
      (passing, delivery) => passing.park(delivery, 'any'),
      'no id!',
    );
    expect(queue.rejected.length).toBe(1);
  });
});

describe('a journal entry larger than RabbitMQ takes', () => {
  it('does not harm those that share its message, and its own SMS is parked', async () => {
    const settlementOf = (entry: string): Settlement => ({ journalLine: JSON.stringify({ entry }) });
    const others: string[] = [];
    const other = (name: string): Delivery => ({
      message: { body: Buffer.from(name), headers: {} },
      isLive: () => true,
      acknowledge: () => void others.push(name),
      reject: () => void others.push(`${name} rejected`),
    });
    await passOn(
      ({ body }) => (body.length > 800 ? new MessageTooLargeError(body.length, 800) : undefined),
      async (passing, delivery) => {
        await Promise.all([
          passing.confirm(other('before'), settlementOf('before')),
          passing.confirm(delivery, settlementOf('x'.repeat(900))),
          passing.confirm(other('after'), settlementOf('after')),
        ]);
      },
    );
    expect(others.sort()).toEqual(['after', 'before']);
    expect(publishedTo('parked').map(({ body }) => body.toString())).toEqual(['body']);
    expect(recorded()).toMatchObject([{ reason: 'an error inside Redial broke it off' }]);
    expect(queue.acknowledged.length).toBe(1);
  });
});
