/**
 * What a sender knows of directives, in memory: the way of an SMS asks nobody.
 *
 * Once a second it reads what is new and tells which number it knows. Where Redis was emptied, or is back on older data, it
 * gives again what it knows before it reads. So directives live as long as one sender or Redis does.
 */
import {
  type Directive,
  type DirectivesRead,
  directiveText,
  parseDirective,
} from '../../shared/domain/sms/directive.ts';
import type { Sms } from '../../shared/domain/sms/sms.ts';
import { describeError } from '../../shared/errors.ts';
import type { Directives } from '../../shared/pipeline/attempt/directives.ts';
import { abortOf, pause } from '../../shared/pipeline/waiting.ts';
import type { Clock } from '../../shared/ports/clock.ts';
import type { Logger } from '../../shared/ports/logger.ts';

/** Where directives are kept. Every call may throw ServerUnavailableError. */
export interface DirectiveStore {
  read(above: number): Promise<DirectivesRead>;
  giveAgain(texts: readonly string[]): Promise<number>;
  acknowledge(senderId: string, read: DirectivesRead): Promise<void>;
  leave(senderId: string): Promise<void>;
  noteMet(texts: readonly string[]): Promise<void>;
  forget(keepTimeMs: number): Promise<void>;
}

export interface KnownDirectivesOptions {
  readonly store: DirectiveStore;
  readonly senderId: string;
  readonly keepTimeMs: number;
  readonly clock: Clock;
  readonly log: Logger;
}

const READ_EVERY_MS = 1_000;
const FORGET_EVERY_READS = 60;
const FIRST_READ_WITHIN_MS = 5_000;
const FIRST_READ_AGAIN_MS = 100;

export class KnownDirectives implements Directives {
  readonly #options: KnownDirectivesOptions;
  readonly #stopping = new AbortController();
  #texts = new Set<string>();
  #cancelledIds = new Set<string>();
  #cancelledRuns = new Set<string>();
  /** `<id>|<attempt>` */
  #sentNow = new Set<string>();
  /** Directives that ended an SMS here and that Redis was not told of. */
  #met = new Set<string>();
  #identity: string | undefined;
  #last = 0;
  #readCount = 0;

  constructor(options: KnownDirectivesOptions) {
    this.#options = options;
  }

  isCancelled({ id, run }: Sms): boolean {
    if (this.#cancelledIds.size > 0 && this.#cancelledIds.has(id)) {
      this.#met.add(directiveText({ kind: 'cancel', smsId: id }));
      return true;
    }
    return this.#cancelledRuns.size > 0 && this.#cancelledRuns.has(run);
  }

  isSentNow(smsId: string, attempt: number): boolean {
    return this.#sentNow.size > 0 && this.#sentNow.has(`${smsId}|${attempt}`);
  }

  /** To be awaited before the first SMS. Without Redis the sender begins after a few seconds without directives. */
  async start(shutdown: AbortSignal): Promise<void> {
    const { clock, log } = this.#options;
    const giveUpAtMs = clock.nowMs() + FIRST_READ_WITHIN_MS;
    while (!shutdown.aborted) {
      const over = new AbortController();
      const late = pause(clock, Math.max(1, giveUpAtMs - clock.nowMs()), over.signal).then(() => 'no answer');
      const stopped = abortOf(shutdown).then(() => 'stopped');
      const read = this.refresh().catch(describeError);
      const failure = await Promise.race([read, late, stopped]).finally(() => over.abort());
      if (failure === undefined) break;
      if (clock.nowMs() >= giveUpAtMs) {
        log.warn({ reason: failure }, 'sending without knowing what was cancelled: Redis is away');
        break;
      }
      await pause(clock, FIRST_READ_AGAIN_MS, shutdown);
    }
    void this.#keepReading();
  }

  /** Reads no more. @returns when Redis was told, as far as it answers */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.all([this.#tellMet(), this.#options.store.leave(this.#options.senderId)]).catch(() => {});
  }

  /** Learns what is new and says so. @throws ServerUnavailableError */
  async refresh(): Promise<void> {
    const { store, senderId, keepTimeMs } = this.#options;
    const read = await this.#learn();
    await store.acknowledge(senderId, read);
    await this.#tellMet();
    if (this.#readCount % FORGET_EVERY_READS === 0) await store.forget(keepTimeMs);
    this.#readCount += 1;
  }

  async #learn(): Promise<DirectivesRead> {
    const { store } = this.#options;
    let read = await store.read(this.#last);
    if (read.identity !== this.#identity || read.last < this.#last) {
      if (this.#texts.size > 0) await store.giveAgain([...this.#texts]);
      read = await store.read(0);
      this.#identity = read.identity;
      this.#take(read.texts);
    } else if (read.texts.length > 0) this.#take(read.texts);
    // Some were forgotten: they are out of mind here too, and only then.
    if (read.count < this.#texts.size) {
      read = await store.read(0);
      if (read.identity === this.#identity && read.texts.length === read.count) {
        this.#texts.clear();
        this.#cancelledIds = new Set();
        this.#cancelledRuns = new Set();
        this.#sentNow = new Set();
        this.#take(read.texts);
      }
    }
    this.#last = read.last;
    return read;
  }

  #take(texts: readonly string[]): void {
    for (const text of texts) {
      this.#texts.add(text);
      const directive = parseDirective(text);
      if (directive !== undefined) this.#obey(directive);
    }
  }

  #obey(directive: Directive): void {
    if (directive.kind === 'cancel') this.#cancelledIds.add(directive.smsId);
    else if (directive.kind === 'cancel-run') this.#cancelledRuns.add(directive.run);
    else this.#sentNow.add(`${directive.smsId}|${directive.attempt}`);
  }

  async #tellMet(): Promise<void> {
    if (this.#met.size === 0) return;
    const met = this.#met;
    this.#met = new Set();
    try {
      await this.#options.store.noteMet([...met]);
    } catch (error) {
      for (const text of met) this.#met.add(text);
      throw error;
    }
  }

  async #keepReading(): Promise<void> {
    const { clock } = this.#options;
    const stopping = this.#stopping.signal;
    while (!stopping.aborted) {
      await pause(clock, READ_EVERY_MS, stopping);
      // Redis says itself that it is away; what is known stays known.
      if (!stopping.aborted) await Promise.race([this.refresh().catch(() => {}), abortOf(stopping)]);
    }
  }
}
