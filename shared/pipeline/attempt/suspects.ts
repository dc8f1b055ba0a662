/**
 * Suspects are deliveries that were handed out again and again. One of them may be a poison message, which ends its sender
 * each time. Most are its neighbours in the prefetch window, or came often because connections were lost: RabbitMQ counts
 * all of these alike. So each start of a suspect is marked in Redis, and its marks are taken away when the SMS has come to an
 * end in this process. Only an SMS whose process died keeps its marks:
 *
 *   handed out 5 times -> Redis is asked for its marks
 *     none     it begins beside others, but few suspects at once: if the process dies, all of them keep a mark
 *     1 to 4   it begins alone, when nothing else is in progress: if the process dies now, this SMS is the reason
 *     5        it is parked
 *
 * While Redis is away no start can be marked. Suspects are sent all the same, because an outage of Redis must not stop the
 * sending; a poison message is found when Redis is back.
 */
import type { Delivery } from '../../ports/delivery-source.ts';
import type { Logger } from '../../ports/logger.ts';
import type { StartMarks } from '../../ports/start-marks.ts';

export interface SuspectsOptions {
  readonly marks: StartMarks;
  /** The id of an SMS, readable or not. */
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

/** What may begin next: a suspect, nothing until others have ended, or any delivery. */
export type NextTurn = Suspect | 'wait' | 'anybody';

/** A message that was handed out this often before is a suspect; quorum queues tell the number as `x-delivery-count`. */
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

  /** Asks Redis for the marks of a delivery. The delivery is queued once Redis has answered. */
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

  /**
   * @param unfinishedCount deliveries that have begun here and not ended
   * @param isGatewayOpen where it is not, a suspect may only be parked
   */
  next(unfinishedCount: number, isGatewayOpen = true): NextTurn {
    if (this.#isOneAlone) return 'wait';
    this.#waiting = this.#waiting.filter(({ delivery }) => delivery.isLive());
    if (!isGatewayOpen) return this.#take(this.#waiting.find(({ manner }) => manner === 'park'));
    const wantsToBeAlone = this.#waiting.find(({ manner }) => manner === 'alone');
    if (wantsToBeAlone !== undefined && unfinishedCount > 0) return 'wait';
    const next =
      wantsToBeAlone ??
      this.#waiting.find(({ manner }) => manner === 'park' || this.#beganTogether < MAX_TOGETHER);
    return this.#take(next);
  }

  #take(next: Suspect | undefined): NextTurn {
    if (next === undefined) return 'anybody';
    this.#waiting.splice(this.#waiting.indexOf(next), 1);
    if (next.manner === 'alone') this.#isOneAlone = true;
    if (next.manner === 'together') this.#beganTogether += 1;
    return next;
  }

  /** Marks the start. To be awaited before anything is done with the SMS. */
  async begin({ smsId, manner }: Suspect): Promise<void> {
    if (manner !== 'park') await this.#options.marks.begin(smsId).catch(() => {});
  }

  /** The SMS has come to an end here. */
  async end({ smsId, manner }: Suspect): Promise<void> {
    await this.#options.marks.end(smsId).catch(() => {});
    if (manner === 'alone') this.#isOneAlone = false;
    if (manner === 'together') this.#beganTogether -= 1;
  }

  /** Takes out those that wait to be sent. */
  takeUnsent(): Delivery[] {
    const unsent = this.#waiting.filter(({ manner }) => manner !== 'park');
    this.#waiting = this.#waiting.filter(({ manner }) => manner === 'park');
    return unsent.map(({ delivery }) => delivery);
  }

  clear(): void {
    this.#waiting = [];
  }
}
