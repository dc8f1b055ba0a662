/** Tells the story of an SMS: from Redis while Redis remembers it, from the archive after that. */

import type { OutcomeStatus } from '../../domain/outcome/outcome.ts';
import { type OutcomePrefixes, outcomeKeyStart } from '../../domain/outcome/outcome-object.ts';
import { decideNextStep, type SendingRules } from '../../domain/schedule/retry-schedule.ts';
import { smsNumberOf } from '../../domain/sms/sms.ts';
import type { KnownSms, KnownSmsReader } from '../../ports/api/known-sms.ts';
import type { Clock } from '../../ports/clock.ts';
import { findInObject, NewestOutcomes, type SearchBudget } from '../archive/newest-outcomes.ts';
import type { ReadableObjects } from '../archive/patient-objects.ts';
import { rulesOfSettings } from './rules-of-settings.ts';
import { type Story, storyOfOpen, storyOfRecord } from './story.ts';
import { readTold, type ToldSms } from './told-sms.ts';

export interface TellerOptions {
  readonly queue: string;
  readonly prefixes: OutcomePrefixes;
  /** Of this process, where no sender lives that tells its own. */
  readonly rules: SendingRules;
  readonly budget: SearchBudget;
  /** How far back is searched where nobody says when. */
  readonly lookBackMs: number;
  /** How long Redis remembers an SMS after its outcome, milliseconds. */
  readonly keepMs: number;
  /** When the first SMS of a run can have been accepted, milliseconds since the epoch; 0 where the name of the run does not tell. */
  earliestOf(run: string): number;
}

export interface TellerParts {
  /** True for an SMS that this process itself has accepted: senders tell Redis of it a moment later. */
  hasAccepted(id: string): boolean;
  readonly sms: KnownSmsReader;
  readonly objects: ReadableObjects;
  readonly clock: Clock;
}

export type Told =
  | { readonly kind: 'story'; readonly story: Story }
  /** Records that were written since then do not hold it; `isWhole` where that is all that was asked for. */
  | { readonly kind: 'unknown'; readonly searchedBackToMs: number | undefined; readonly isWhole: boolean };

/** A day (UTC) on which the SMS has its outcome, in milliseconds since the epoch: its first moment. */
type Day = number;

const DAY_MS = 86_400_000;
const SEARCHED: readonly OutcomeStatus[] = ['sent', 'failed', 'parked'];

export class StoryTeller {
  readonly #options: TellerOptions;
  readonly #parts: TellerParts;

  constructor(options: TellerOptions, parts: TellerParts) {
    this.#options = options;
    this.#parts = parts;
  }

  /** @throws ServerUnavailableError, and what the store throws */
  async tell(smsId: string, on?: Day): Promise<Told> {
    const known = await this.#parts.sms.read(smsId);
    if (known !== undefined)
      return {
        kind: 'story',
        story: (await this.#tellStored(smsId, known)) ?? (await this.#tellOpen(smsId, known)),
      };
    const nowMs = this.#parts.clock.nowMs();
    const accepted = await this.#findAccepted(smsId);
    // Once KEEP_TIME is over, Redis may have forgotten the SMS after its outcome: then S3 knows better.
    const isKept = accepted !== undefined && nowMs - accepted.sinceMs < this.#options.keepMs;
    const found = isKept ? undefined : await this.#search(smsId, on);
    if (found !== undefined && (found.kind === 'story' || accepted === undefined)) return found;
    const { told } = accepted ?? {};
    return { kind: 'story', story: storyOfOpen({ id: smsId, known, told, nextAttemptMs: undefined, nowMs }) };
  }

  async #tellStored(smsId: string, known: KnownSms | undefined): Promise<Story | undefined> {
    const outcome = known?.outcome;
    if (outcome === undefined) return undefined;
    const start = outcomeKeyStart(
      this.#options.prefixes[outcome.status],
      outcome.openedAtMs,
      outcome.recorderStart,
    );
    const { queue } = this.#options;
    const found = await findInObject(
      this.#parts.objects,
      start,
      (record) => record.smsId === smsId && record.queue === queue,
    );
    return found && storyOfRecord(found);
  }

  async #tellOpen(id: string, known: KnownSms): Promise<Story> {
    const { sms, clock } = this.#parts;
    const told = readTold((await sms.toldOf(id)) ?? '');
    const nextAttemptMs = await this.#nextAttemptMs(known, told);
    return storyOfOpen({ id, known, told, nextAttemptMs, nowMs: clock.nowMs() });
  }

  /** What tells that an SMS was accepted, and since when it may be; undefined where nothing does. */
  async #findAccepted(
    id: string,
  ): Promise<{ readonly told: ToldSms | undefined; readonly sinceMs: number } | undefined> {
    const { sms } = this.#parts;
    const told = readTold((await sms.toldOf(id)) ?? '');
    if (told !== undefined) return { told, sinceMs: told.acceptedAtMs };
    const run = id.slice(0, Math.max(0, id.lastIndexOf('-')));
    const smsNumber = smsNumberOf(run, id);
    if (smsNumber === undefined) return undefined;
    if (this.#parts.hasAccepted(id)) return { told, sinceMs: this.#options.earliestOf(run) };
    const { announced, met } = await sms.standingOf(run);
    // An SMS that Redis does not know and that waits is one of those that no recorder has met.
    if (smsNumber > announced || announced <= met) return undefined;
    return { told, sinceMs: this.#options.earliestOf(run) };
  }

  /** As the sender decides it, as far as what it knows is known here. */
  async #nextAttemptMs({ attempts }: KnownSms, told: ToldSms | undefined): Promise<number | undefined> {
    const last = attempts.at(-1);
    if (last === undefined || last.result === 'sent') return undefined;
    const rules = rulesOfSettings(await this.#parts.sms.senderSettings()) ?? this.#options.rules;
    const anchorMs = told && Math.max(told.acceptedAtMs, told.notBeforeMs ?? 0);
    if (rules.anchor === 'accepted' && anchorMs === undefined) return undefined;
    const finishedAtMs = last.startedAtMs + last.tookMs;
    const result =
      last.result === 'unknown'
        ? ({ kind: 'unknown', reason: '' } as const)
        : ({ kind: 'failed', reason: '', isPermanent: false } as const);
    const step = decideNextStep(
      {
        attempt: last.attempt,
        result,
        finishedAtMs,
        anchorMs: anchorMs ?? 0,
        expiresAtMs: told?.expiresAtMs,
      },
      rules,
    );
    return step.kind === 'retry' ? step.notBeforeMs : undefined;
  }

  async #search(smsId: string, on: Day | undefined): Promise<Told> {
    const { prefixes, queue, budget, lookBackMs } = this.#options;
    const { objects, clock } = this.#parts;
    const search = new NewestOutcomes(objects, prefixes, queue, clock, budget);
    const newestMs = on === undefined ? clock.nowMs() : on + DAY_MS - 1;
    const oldestMs = on ?? newestMs - lookBackMs;
    for await (const found of search.search({ statuses: SEARCHED, newestMs, oldestMs }))
      if (found.record.smsId === smsId) return { kind: 'story', story: storyOfRecord(found) };
    return { kind: 'unknown', searchedBackToMs: search.searchedBackToMs, isWhole: search.isWhole };
  }
}
