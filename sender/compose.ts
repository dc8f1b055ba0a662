/** A sender and its recorder, made of the ports they work on. */

import type { OutcomePrefixes } from '../shared/domain/outcome-object.ts';
import type { Digest } from '../shared/domain/parking.ts';
import type { RetrySchedule } from '../shared/domain/retry-schedule.ts';
import { ROUTING_KEYS } from '../shared/domain/topology.ts';
import type {
  Clock,
  CounterStore,
  DeliverySource,
  Gateway,
  Logger,
  ObjectStore,
  Publisher,
  StartMarks,
} from '../shared/ports.ts';
import { Journal } from './journal.ts';
import { PassOn } from './pass-on.ts';
import type { Pause } from './publish-until-confirmed.ts';
import { Recorder } from './recorder.ts';
import { SmsSender } from './sms-sender.ts';

const JOURNAL_GATHER_MS = 5;

export interface SenderPorts {
  readonly gateway: Gateway;
  readonly publisher: Publisher;
  /** One source for each lane, in the order of LANES. */
  readonly laneSources: readonly DeliverySource[];
  readonly deadLetterSource: DeliverySource;
  readonly journalSource: DeliverySource;
  readonly counters: CounterStore;
  readonly objects: ObjectStore;
  readonly marks: StartMarks;
  readonly clock: Clock;
  readonly digest: Digest;
  readonly pause: Pause;
  readonly log: Logger;
}

export interface SenderOptions {
  /** Letters and digits; part of the ids of journal messages and objects. */
  readonly senderId: string;
  /** QUEUE_NAME. */
  readonly queue: string;
  readonly schedule: RetrySchedule;
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

export interface ComposedSender {
  readonly sender: SmsSender;
  readonly recorder: Recorder;
  readonly journal: Journal;
}

/** @param journal another one than is made here */
export function composeSender(
  ports: SenderPorts,
  options: SenderOptions,
  journal: Journal = journalOf(ports, options),
): ComposedSender {
  const { laneSources: sources, deadLetterSource: deadLetters, journalSource: source, marks } = ports;
  const { gateway, counters, objects, clock, digest, pause, log } = ports;
  const { senderId, queue, schedule, concurrency, maxUnfinished } = options;
  const passing = { ...ports, queue, journal };
  const later = journalOf(ports, { ...options, senderId: `${senderId}-later` }, ROUTING_KEYS.later);
  const recorder = new Recorder({
    ...{ source, counters, objects, clock, digest, pause, log, later, passOn: new PassOn(passing) },
    ...{ ...options, recorderId: senderId },
  });
  const sender = new SmsSender({
    ...{ sources, deadLetters, passOn: new PassOn(passing), journal, marks, concurrency, maxUnfinished, log },
    attempt: { gateway, schedule, queue, clock, digest, log },
  });
  return { sender, recorder, journal };
}

/** The journal of a sender, or the one of what waits for a newer version. */
export function journalOf(
  { publisher, clock, pause }: Pick<SenderPorts, 'publisher' | 'clock' | 'pause'>,
  { senderId, journalBytes: maxBytes }: Pick<SenderOptions, 'senderId' | 'journalBytes'>,
  routingKey: string = ROUTING_KEYS.journal,
): Journal {
  return new Journal({
    publisher,
    clock,
    pause,
    senderId,
    routingKey,
    gatherMs: JOURNAL_GATHER_MS,
    maxBytes,
  });
}
