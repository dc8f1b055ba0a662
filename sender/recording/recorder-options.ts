import type { OutcomeStatus } from '../../shared/domain/outcome/outcome.ts';
import type { OutcomePrefixes } from '../../shared/domain/outcome/outcome-object.ts';
import type { Digest } from '../../shared/domain/sms/parking.ts';
import type { Pause } from '../../shared/pipeline/publish-until-confirmed.ts';
import type { Traces } from '../../shared/pipeline/traces.ts';
import type { Clock } from '../../shared/ports/clock.ts';
import type { CounterStore } from '../../shared/ports/counter-store.ts';
import type { DeliverySource } from '../../shared/ports/delivery-source.ts';
import type { Logger } from '../../shared/ports/logger.ts';
import type { ObjectStore } from '../../shared/ports/object-store.ts';
import type { PublisherWithState } from '../../shared/ports/publisher.ts';
import type { PassOn } from '../sending/pass-on.ts';
import type { Journal } from './journal.ts';

/** What a recorder and its parts work with. */
export interface RecorderOptions {
  readonly source: DeliverySource;
  readonly counters: CounterStore;
  readonly objects: ObjectStore;
  readonly prefixes: OutcomePrefixes;
  /** QUEUE_NAME. */
  readonly queue: string;
  readonly recorderId: string;
  readonly clock: Clock;
  readonly digest: Digest;
  /** Rejects once the shutdown timeout is over. */
  readonly pause: Pause;
  /** Parks journal messages. */
  readonly passOn: Pick<PassOn, 'park'>;
  /** Keeps lines for a newer version, and those without their event: they come back to the journal queue after a while. */
  readonly later: Pick<Journal, 'append'>;
  /** Publishes outcome events. Undefined: there are none. */
  readonly events?: PublisherWithState | undefined;
  readonly log: Logger;
  /** Journal messages that RabbitMQ hands out at once. */
  readonly prefetchCount: number;
  readonly batchSize: number;
  readonly batchMs: number;
  /** Undefined: there are no spans. */
  readonly traces?: Traces | undefined;
  /** Hears of outcomes that are stored and counted. */
  readonly onStored?: (status: OutcomeStatus, count: number) => void;
}
