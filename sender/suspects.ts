/**
 * Deliveries that were handed out again and again. One of them may be what ends its sender each time (a poison
 * message); most are only its neighbours in the prefetch window, or came often because connections were lost: RabbitMQ
 * counts all of them alike. So each start of a suspect is marked outside of this process, and the mark is taken away
 * when the SMS has come to an end here. Only what really ends a process leaves its marks:
 *
 *   handed out 5 times -> its marks are asked for
 *     none     begun beside the others, but few suspects at once: all that are begun when the process dies are marked
 *     1 to 4   begun alone, when nothing else is in progress: whoever dies now dies of this one
 *     5        parked
 *
 * Where Redis is away nothing can be marked: suspects are sent all the same, because an outage of Redis must not stop
 * the sending, and a poison message is found when Redis is back.
 */
import type { Delivery, Logger, StartMarks } from '../shared/ports.ts';

export interface SuspectsOptions {
  readonly marks: StartMarks;
  /** Who the SMS is, readable or not. */
  readonly identify: (delivery: Delivery) => string;
  readonly log: Logger;
  /** Another suspect may be begun. */
  readonly onReady: () => void;
}

/** A suspect that may begin now. */
export interface Suspect {
  readonly delivery: Delivery;
  readonly smsId: string;
  readonly manner: 'together' | 'alone' | 'park';
}

/** What may begin next: a suspect, nothing at all until others have ended, or anybody. */
export type NextTurn = Suspect | 'wait' | 'anybody';

/** Times a message was handed out before, from which on it is a suspect; `x-delivery-count` of quorum queues. */
const SUSPECT_AFTER_DELIVERIES = 5;
const PARK_AFTER_STARTS = 5;
const MAX_TOGETHER = 10;

export function isSuspect({ message }: Delivery): boolean {
  // A client may have sent a count of its own.
  if (message.isRedelivered !== true) return false;
  const deliveryCount = message.headers['x-delivery-count'];
  return typeof deliveryCount === 'number' && deliveryCount >= SUSPECT_AFTER_DELIVERIES;
}

export class Suspects {
  readonly #options: SuspectsOptions;
  #waiting: Suspect[] = [];
  #beganTogether = 0;
  #isOneAlone = false;

  constructor(options: SuspectsOptions) {
    this.#options = options;
  }

  /** Asks for the marks of a delivery; it has its turn when they are known. */
  async add(delivery: Delivery): Promise<void> {
    const smsId = this.#options.identify(delivery);
    const starts = await this.#options.marks.unendedStarts(smsId).catch(() => 0);
    const manner = starts >= PARK_AFTER_STARTS ? 'park' : starts > 0 ? 'alone' : 'together';
    if (manner === 'park')
      this.#options.log.error({ smsId, starts }, 'SMS ended its sender each time, parked');
    this.#waiting.push({ delivery, smsId, manner });
    this.#options.onReady();
  }

  get areWaiting(): boolean {
    return this.#waiting.length > 0;
  }

  /** @param unfinishedCount deliveries that have begun here and not ended */
  next(unfinishedCount: number): NextTurn {
    if (this.#isOneAlone) return 'wait';
    this.#waiting = this.#waiting.filter(({ delivery }) => delivery.isLive());
    const wantsToBeAlone = this.#waiting.find(({ manner }) => manner === 'alone');
    if (wantsToBeAlone !== undefined && unfinishedCount > 0) return 'wait';
    const next =
      wantsToBeAlone ??
      this.#waiting.find(({ manner }) => manner === 'park' || this.#beganTogether < MAX_TOGETHER);
    if (next === undefined) return 'anybody';
    this.#waiting.splice(this.#waiting.indexOf(next), 1);
    if (next.manner === 'alone') this.#isOneAlone = true;
    if (next.manner === 'together') this.#beganTogether += 1;
    return next;
  }

  /** Marks the start; to be awaited before anything is done with the SMS. */
  async begin({ smsId, manner }: Suspect): Promise<void> {
    if (manner !== 'park') await this.#options.marks.begin(smsId).catch(() => {});
  }

  /** The SMS has come to an end here. */
  async end({ smsId, manner }: Suspect): Promise<void> {
    await this.#options.marks.end(smsId).catch(() => {});
    if (manner === 'alone') this.#isOneAlone = false;
    if (manner === 'together') this.#beganTogether -= 1;
  }

  clear(): void {
    this.#waiting = [];
  }
}
