import type { RunCounters } from '../../shared/ports/counter-reader.ts';

/** What must have become of the SMS of a run, as the fault says while it happens. */
export class ExpectedOutcomes {
  /** Ids that RabbitMQ confirmed. */
  readonly accepted = new Set<string>();
  /** Ids that were published, perhaps without a confirm. */
  readonly published = new Set<string>();
  readonly destroyed = new Set<string>();
  readonly parked = new Set<string>();
  readonly withheld = new Set<string>();
  /** SMS that a command was asked to cancel: they may end so. */
  readonly mayBeCancelled = new Set<string>();
  /** When a command said of an SMS that it is cancelled, milliseconds since the epoch. */
  readonly cancelledAtMs = new Map<string, number>();
  /** SMS of which one attempt may not have waited for its time. */
  readonly mayBeSentNow = new Set<string>();
  mayParkJournal = false;
  /** Clocks are stepped while SMS are being sent: what the records tell of a wait is not exact. */
  areClocksStepped = false;
  readonly #judges: ((counters: RunCounters) => string[])[] = [];

  readonly accept = adderTo(this.accepted);
  readonly publish = adderTo(this.published);
  /** SMS that are gone with their queue. */
  readonly destroy = adderTo(this.destroyed);
  readonly park = adderTo(this.parked);
  /** SMS whose outcome cannot be stored: their journal messages must lie in the parked queue. */
  readonly withhold = adderTo(this.withheld);

  /** Outcomes that must come. */
  get count(): number {
    return this.accepted.size - this.destroyed.size - this.withheld.size;
  }

  /** Journal messages will be parked: each gets a record and is counted, in the run of what belongs to none. */
  parkJournal(): void {
    this.mayParkJournal = true;
  }

  stepClocks(): void {
    this.areClocksStepped = true;
  }

  /** No attempt may have been made twice. */
  noRepeats(): void {
    this.#judges.push(({ repeatedSends }) =>
      repeatedSends === 0 ? [] : [`${repeatedSends} attempts were repeated`],
    );
  }

  idConflicts(count: number): void {
    this.#judges.push(({ idConflicts }) =>
      idConflicts === count ? [] : [`${idConflicts} id conflicts were counted, there were ${count}`],
    );
  }

  /** What the counters say otherwise, as sentences. */
  differencesFrom(counters: RunCounters): string[] {
    return this.#judges.flatMap((judge) => judge(counters));
  }
}

function adderTo(ids: Set<string>): (more: readonly string[]) => void {
  return (more) => {
    for (const id of more) ids.add(id);
  };
}
