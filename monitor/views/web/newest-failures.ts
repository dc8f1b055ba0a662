/** The newest SMS that failed, for the page: read when their number has changed, with phone numbers masked. */
import { maskPhoneNumber, maskPhoneNumbersIn } from '../../../shared/domain/sms/sms.ts';
import { describeError } from '../../../shared/errors.ts';
import type { OutcomeList } from '../../../shared/pipeline/story/outcome-list.ts';
import type { Clock } from '../../../shared/ports/clock.ts';

export interface FailureRow {
  readonly id: string;
  readonly to: string;
  readonly reason: string;
  readonly attempts: number;
  /** ISO 8601; empty where the record does not tell. */
  readonly finishedAt: string;
}

export interface Failures {
  readonly rows: readonly FailureRow[];
  /** Why there are no newer ones; empty where these are the newest. */
  readonly problem: string;
}

const ROWS = 12;
const READ_EVERY_MS = 3_000;

export class NewestFailures {
  readonly #list: () => Promise<OutcomeList>;
  readonly #clock: Clock;
  #newest: Failures = { rows: [], problem: '' };
  #readAtMs = Number.NEGATIVE_INFINITY;
  #ofCount: number | null = 0;
  #isReading = false;

  constructor(list: () => Promise<OutcomeList>, clock: Clock) {
    this.#list = list;
    this.#clock = clock;
  }

  get newest(): Failures {
    return this.#newest;
  }

  /** @param failed how many SMS have failed @returns the failures where they were read anew */
  async follow(failed: number | null): Promise<Failures | undefined> {
    const isNews = failed !== this.#ofCount || this.#newest.problem !== '';
    const waitedMs = this.#clock.nowMs() - this.#readAtMs;
    if (failed === null || !isNews || this.#isReading || (waitedMs >= 0 && waitedMs < READ_EVERY_MS))
      return undefined;
    this.#isReading = true;
    this.#readAtMs = this.#clock.nowMs();
    try {
      this.#newest = { rows: await this.#read(), problem: '' };
      this.#ofCount = failed;
    } catch (error) {
      const problem = `S3 does not tell them: ${maskPhoneNumbersIn(describeError(error))}`;
      this.#newest = { rows: this.#newest.rows, problem };
    } finally {
      this.#isReading = false;
    }
    return this.#newest;
  }

  async #read(): Promise<FailureRow[]> {
    const list = await this.#list();
    const { stories } = await list.read({ statuses: ['failed'], limit: ROWS });
    return stories.map(({ id, to, reason, attempts, finishedAt }) => ({
      id: maskPhoneNumbersIn(id),
      to: to === undefined ? '' : maskPhoneNumber(to),
      reason: maskPhoneNumbersIn(reason ?? ''),
      attempts: attempts.length,
      finishedAt: finishedAt ?? '',
    }));
  }
}
