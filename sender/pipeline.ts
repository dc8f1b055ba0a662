/** What sends and what records, made of ports: in a sender these lead to servers, in tests to a simulated world. */
import type { OutcomePrefixes } from '../shared/domain/outcome/outcome-object.ts';
import type { SendingRules } from '../shared/domain/schedule/retry-schedule.ts';
import type { Digest } from '../shared/domain/sms/parking.ts';
import { ROUTING_KEYS } from '../shared/domain/topology/topology.ts';
import type { Directives } from '../shared/pipeline/attempt/directives.ts';
import type { Pause } from '../shared/pipeline/publish-until-confirmed.ts';
import type { Traces } from '../shared/pipeline/traces.ts';
import type { Clock } from '../shared/ports/clock.ts';
import type { CounterStore } from '../shared/ports/counter-store.ts';
import type { DeliverySource } from '../shared/ports/delivery-source.ts';
import type { Gateway, PauseBoard } from '../shared/ports/gateway.ts';
import type { Logger } from '../shared/ports/logger.ts';
import type { ObjectStore } from '../shared/ports/object-store.ts';
import type { Publisher, PublisherWithState } from '../shared/ports/publisher.ts';
import type { StartMarks } from '../shared/ports/start-marks.ts';
import { SenderTally } from './metrics/tally.ts';
import { Journal } from './recording/journal.ts';
import { Recorder } from './recording/recorder.ts';
import { PassOn } from './sending/pass-on.ts';
import { SmsSender } from './sending/sms-sender.ts';

const JOURNAL_GATHER_MS = 5;

export interface SenderPorts {
  readonly gateway: Gateway;
  readonly publisher: Publisher;
  /** One source for each lane, in the order of LANES. */
  readonly laneSources: readonly DeliverySource[];
  /** What RabbitMQ itself took out of its queues. */
  readonly deadLetterSource: DeliverySource;
  readonly journalSource: DeliverySource;
  /** Publishes outcome events. Undefined: there are none. */
  readonly events?: PublisherWithState | undefined;
  readonly counters: CounterStore;
  readonly objects: ObjectStore;
  readonly marks: StartMarks;
  readonly directives: Directives;
  /** Where senders share the pauses of the gateway. Default: each pauses for itself. */
  readonly pauseBoard?: PauseBoard;
  /** Uniform in [0, 1), for the length of pauses. Default: each is as long as it may be. */
  readonly random?: () => number;
  /** Undefined: there are no spans. */
  readonly traces?: Traces | undefined;
  readonly clock: Clock;
  readonly digest: Digest;
  readonly pause: Pause;
  readonly log: Logger;
}

export interface SenderOptions extends SendingRules {
  /** Letters and digits; part of the ids of journal messages and objects. */
  readonly senderId: string;
  /** QUEUE_NAME. */
  readonly queue: string;
  readonly concurrency: number;
  /** What RabbitMQ hands out at once, over all lanes. */
  readonly maxUnfinished: number;
  readonly journalBytes: number;
  /** Journal messages held at once: the prefetch count of their source. */
  readonly windowSize: number;
  readonly batchSize: number;
  readonly batchMs: number;
  readonly prefixes: OutcomePrefixes;
}

/** A sender and its recorder on any ports. @param journal another one than is made here */
export function composePipeline(
  ports: SenderPorts,
  options: SenderOptions,
  journal: Journal = journalOf(ports, options),
) {
  const tally = new SenderTally();
  const { noteAttempt: onAttempt, notePassedOn: onPassedOn, noteStored: onStored } = tally;
  const parts = { ...ports, ...options, journal, onAttempt, onPassedOn, onStored };
  const recorder = new Recorder({
    ...parts,
    source: ports.journalSource,
    recorderId: options.senderId,
    prefetchCount: options.windowSize,
    passOn: new PassOn(parts),
    later: journalOf(ports, { ...options, senderId: `${options.senderId}-later` }, ROUTING_KEYS.later),
  });
  return { sender: new SmsSender({ ...parts, passOn: new PassOn(parts) }), recorder, journal, tally };
}

/** The journal of a sender, or the one of what waits for a newer version. */
export function journalOf(
  { publisher, clock, pause }: Pick<SenderPorts, 'publisher' | 'clock' | 'pause'>,
  { senderId, journalBytes: maxBytes }: Pick<SenderOptions, 'senderId' | 'journalBytes'>,
  routingKey: string = ROUTING_KEYS.journal,
): Journal {
  const gatherMs = JOURNAL_GATHER_MS;
  return new Journal({ publisher, clock, pause, senderId, routingKey, gatherMs, maxBytes });
}
