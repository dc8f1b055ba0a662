/** Another service in a simulated world: gets every outcome event that reaches RabbitMQ. */
import { identityOf, type OutcomeRecord } from '../../../shared/domain/outcome/outcome.ts';
import type { OutgoingMessage } from '../../../shared/domain/sms/message.ts';
import { PublishUnknownError } from '../../../shared/errors.ts';
import type { PublisherWithState } from '../../../shared/ports/publisher.ts';
import type { ProcessLife } from '../../../shared/rehearsal/network.ts';
import type { StoredRecord } from '../stored-records.ts';

export class Subscriber {
  readonly events: OutgoingMessage[] = [];

  /** How one process publishes events. */
  publisher(life: ProcessLife): PublisherWithState {
    const publish = (message: OutgoingMessage) =>
      life.call(
        `publishes the event of ${message.messageId}`,
        life.network.publishFate(),
        () => void this.events.push(message),
        () => new PublishUnknownError('the connection ended before the confirm'),
      );
    return {
      publish,
      publishThen: (message, onSettled) => void publish(message).then(() => onSettled(undefined), onSettled),
      trouble: undefined,
    };
  }

  /** Each stored outcome has an event, and each event tells what is stored. @param stored raw */
  judge(stored: readonly StoredRecord[]): string[] {
    const told = new Set(this.events.map(({ body }) => fateIn(JSON.parse(body.toString()))));
    const fates = new Set(stored.map(({ record }) => fateIn(record)));
    const toldIds = new Set(this.events.map(({ messageId }) => messageId));
    const untold = stored.filter(
      ({ record }) => record.status !== 'known' && !toldIds.has(identityOf(record)),
    );
    const stray = [...told].filter((fate) => !fates.has(fate));
    return [
      ...untold.map(({ record }) => `the outcome of ${record.smsId} has no event`),
      ...stray.map((fate) => `an event tells of what is not stored: ${fate}`),
    ];
  }
}

/** What two tellings of one outcome have in common. An SMS that ended without an attempt may be ended twice, at two times. */
function fateIn({ smsId, run, status, attempts }: OutcomeRecord): string {
  return JSON.stringify({ smsId, run, status, attempts });
}
