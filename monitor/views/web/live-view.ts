/**
 * One reading for all pages. While somebody watches, a look is taken each second. While nobody does, one each 5 s, for
 * the last hour that is kept in Redis. Requests that come meanwhile get the newest reading, or wait for the one under way.
 */
import {
  type HistorySample,
  isWorthKeeping,
  SAMPLE_SECONDS,
  sampleOf,
} from '../../../shared/domain/history.ts';
import type { Snapshot } from '../../../shared/domain/snapshot.ts';
import type { HistoryStore } from '../../../shared/ports/api/history-store.ts';
import type { Clock } from '../../../shared/ports/clock.ts';
import { ladderOf, type Rung } from '../picture/ladder.ts';
import { type Sentence, sentenceOf } from '../picture/sentence.ts';
import { watch } from '../watch.ts';

/** What a page shows of one moment. */
export interface View {
  readonly snapshot: Snapshot;
  readonly sentence: Sentence;
  readonly ladder: readonly Rung[];
  readonly sample: HistorySample;
}

export interface LiveViewParts {
  readonly look: () => Promise<Snapshot>;
  readonly history: HistoryStore;
  readonly clock: Clock;
  /** Whether somebody watches now. */
  readonly isWatched: () => boolean;
  readonly onView: (view: View) => void;
}

const LOOK_EVERY_MS = 1_000;
const FRESH_MS = 1_000;
// The clock and the interval must not make it every sixth second.
const UNWATCHED_EVERY_MS = SAMPLE_SECONDS * 1_000 - LOOK_EVERY_MS / 2;

export class LiveView {
  readonly #parts: LiveViewParts;
  #newest: { readonly view: View; readonly takenAtMs: number } | undefined;
  #underway: Promise<View> | undefined;
  #lastFresh: Snapshot | undefined;

  constructor(parts: LiveViewParts) {
    this.#parts = parts;
  }

  get newest(): View | undefined {
    return this.#newest?.view;
  }

  /** Until the signal. */
  run(signal: AbortSignal): Promise<void> {
    const { clock, isWatched } = this.#parts;
    return watch(clock, LOOK_EVERY_MS, signal, async () => {
      if (isWatched() || this.#ageMs() >= UNWATCHED_EVERY_MS) await this.take();
    });
  }

  /** The newest view where it is of now, else a new one. */
  current(): Promise<View> {
    return this.#newest !== undefined && this.#ageMs() < FRESH_MS
      ? Promise.resolve(this.#newest.view)
      : this.take();
  }

  /** A new view; of calls at the same time, the same one. */
  take(): Promise<View> {
    this.#underway ??= this.#take().finally(() => {
      this.#underway = undefined;
    });
    return this.#underway;
  }

  async #take(): Promise<View> {
    const { look, clock, history, onView } = this.#parts;
    const snapshot = await look();
    if (snapshot.state !== 'stale') this.#lastFresh = snapshot;
    const view = {
      snapshot,
      sentence: sentenceOf(snapshot, this.#lastFresh),
      ladder: ladderOf(snapshot),
      sample: sampleOf(snapshot),
    };
    this.#newest = { view, takenAtMs: clock.nowMs() };
    onView(view);
    // A Redis that does not keep it is told by the snapshot.
    if (isWorthKeeping(snapshot)) void history.keep(view.sample).catch(() => {});
    return view;
  }

  #ageMs(): number {
    if (this.#newest === undefined) return Number.POSITIVE_INFINITY;
    const ageMs = this.#parts.clock.nowMs() - this.#newest.takenAtMs;
    // After a clock was set back, nobody can tell.
    return ageMs < 0 ? Number.POSITIVE_INFINITY : ageMs;
  }
}
