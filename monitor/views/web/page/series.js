/**
 * The samples of the last hour, and what charts draw of them. A sample holds sums, so a rate is the difference of two samples.
 * Where it is not known, it is null: the line has a gap there.
 *
 * @typedef {import('../../../../shared/domain/history.ts').HistorySample} Sample
 */

const HOUR_MS = 3_600_000;
/** Outcomes are recorded in batches of a second: differences of a second would jump. */
const SMOOTHED_MS = 5_000;
/** Samples that lie further apart say nothing about the time between them. */
const GAP_MS = 30_000;
/** Live samples of 15 minutes stay; older ones are thinned to what is kept in Redis. */
const FINE_MS = 900_000;
const COARSE_MS = 4_000;
/** As many as there are colours, but one for all others. */
const SHOWN_REASONS = 5;
/** A sample holds no more of them (shared/domain/history.ts). */
const MAX_REASONS = 6;

export class Series {
  /** @type {Sample[]} */
  #samples = [];

  get samples() {
    return this.#samples;
  }

  get newest() {
    return this.#samples.at(-1);
  }

  /** In any order; what is there already stays. @param {readonly Sample[]} samples */
  merge(samples) {
    const known = new Map([...samples, ...this.#samples].map((sample) => [sample.at, sample]));
    this.#samples = [...known.values()].sort((left, right) => left.at - right.at);
    this.#forgetOld();
  }

  /** The newest. @param {Sample} sample */
  add(sample) {
    const newest = this.newest;
    // A clock that was set back begins anew.
    if (newest !== undefined && sample.at <= newest.at)
      this.#samples = this.#samples.filter(({ at }) => at < sample.at);
    this.#samples.push(sample);
    this.#forgetOld();
  }

  #forgetOld() {
    const newestMs = this.newest?.at ?? 0;
    let keptMs = Number.NEGATIVE_INFINITY;
    this.#samples = this.#samples.filter(({ at }) => {
      if (at < newestMs - HOUR_MS) return false;
      if (at < newestMs - FINE_MS && at - keptMs < COARSE_MS) return false;
      keptMs = at;
      return true;
    });
  }

  /** Of the last seconds. @param {number} spanSeconds */
  within(spanSeconds) {
    const fromMs = (this.newest?.at ?? 0) - spanSeconds * 1_000;
    // One sample more, to make the first rate of.
    return this.#samples.filter(({ at }) => at >= fromMs - SMOOTHED_MS * 2);
  }

  /** Of now. @param {'accepted' | 'sent' | 'failed' | 'first' | 'retried'} field */
  rateNow(field) {
    return ratesOf(this.#samples.slice(-40), (sample) => sample[field]).at(-1) ?? null;
  }
}

/**
 * Per second, for each sample.
 *
 * @param {readonly Sample[]} samples @param {(sample: Sample) => number | null} read
 * @returns {(number | null)[]}
 */
export function ratesOf(samples, read) {
  let before = 0;
  return samples.map((sample, index) => {
    // The newest one that is old enough; as time goes on, it only moves on.
    while (before + 1 < index && sample.at - (samples[before + 1]?.at ?? 0) >= SMOOTHED_MS) before += 1;
    const older = samples[before];
    if (older === undefined || index === 0) return null;
    const tookMs = sample.at - older.at;
    const [now, then] = [read(sample), read(older)];
    // Counters that went down were lost, and are being rebuilt.
    if (now === null || then === null || now < then || tookMs <= 0 || tookMs > GAP_MS) return null;
    return ((now - then) / tookMs) * 1_000;
  });
}

/** `retry 1 · 5 s` and how many wait there, for each queue that any of the samples knows. @param {readonly Sample[]} samples */
export function waitingByQueue(samples) {
  /** @type {Map<string, {attempt: number, delaySeconds: number}>} */
  const queues = new Map();
  for (const { retry } of samples)
    for (const [attempt, delaySeconds] of retry)
      queues.set(`${attempt} ${delaySeconds}`, { attempt, delaySeconds });
  return [...queues.values()]
    .sort((left, right) => left.attempt - right.attempt || left.delaySeconds - right.delaySeconds)
    .map(({ attempt, delaySeconds }) => ({
      ...{ attempt, delaySeconds },
      messages: samples.map(
        ({ retry }) => retry.find(([a, delay]) => a === attempt && delay === delaySeconds)?.[2] ?? 0,
      ),
    }));
}

/**
 * Null where the sample does not tell it: another version wrote it, or more frequent reasons filled it.
 *
 * @param {Sample} sample @param {string} name
 */
function failedFor({ reasons }, name) {
  if (reasons === null) return null;
  const failed = reasons.find(([reason]) => reason === name)?.[1];
  return failed ?? (reasons.length < MAX_REASONS ? 0 : null);
}

/**
 * How many SMS failed per second for each reason that any of the samples tells, the most frequent last reasons first, and for
 * all others together.
 *
 * @param {readonly Sample[]} samples
 */
export function failuresByReason(samples) {
  /** @type {Map<string, number>} */
  const newest = new Map();
  for (const { reasons } of samples) for (const [reason, failed] of reasons ?? []) newest.set(reason, failed);
  const named = [...newest]
    .sort(([, left], [, right]) => right - left)
    .slice(0, SHOWN_REASONS)
    .map(([reason]) => reason);
  const others = ratesOf(samples, (sample) => {
    if (sample.failed === null || sample.reasons === null) return null;
    return named.reduce((left, name) => left - (failedFor(sample, name) ?? 0), sample.failed);
  });
  return [
    ...named.map((reason) => ({
      reason,
      perSecond: ratesOf(samples, (sample) => failedFor(sample, reason)),
    })),
    ...(others.some((rate) => (rate ?? 0) > 0) ? [{ reason: 'others', perSecond: others }] : []),
  ];
}

/** Each line on top of those before. @param {readonly (readonly number[])[]} lines */
export function stacked(lines) {
  /** @type {number[]} */
  let below = [];
  return lines.map((line) => {
    below = line.map((value, index) => value + (below[index] ?? 0));
    return below;
  });
}
