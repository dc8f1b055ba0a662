/** What `--fail-if` says: a number of the run, an operator, and a limit. Reading and judging are pure. */
import { formatCount } from '../../shared/domain/format-count.ts';
import { parseDuration } from '../../shared/domain/schedule/duration.ts';
import type { Snapshot } from '../../shared/domain/snapshot.ts';
import { UsageError } from '../../shared/errors.ts';

/** What conditions are about. */
export interface Judged {
  readonly snapshot: Snapshot;
  /** Accepted SMS without an outcome, from the audit. Null where the audit does not know, or was not made. */
  readonly missing: number | null;
}

export interface Condition {
  /** As typed. */
  readonly text: string;
  readonly name: string;
  readonly operator: Operator;
  /** SMS, a share from 0 to 1, or seconds. */
  readonly limit: number;
  readonly unit: 'count' | 'share' | 'seconds';
}

export interface Verdict {
  readonly condition: string;
  /** In the unit of the condition: a count, a share from 0 to 1, or seconds. Null where it is not known. */
  readonly value: number | null;
  /** Null where it cannot be said, because the number is not known. Only false passes. */
  readonly holds: boolean | null;
  readonly sentence: string;
}

type Operator = '>' | '>=' | '<' | '<=' | '=';
type Read = (judged: Judged) => number | null;

const OPERATORS: Readonly<Record<Operator, (value: number, limit: number) => boolean>> = {
  '>': (value, limit) => value > limit,
  '>=': (value, limit) => value >= limit,
  '<': (value, limit) => value < limit,
  '<=': (value, limit) => value <= limit,
  '=': (value, limit) => value === limit,
};

const ofSnapshot =
  (numberOf: (snapshot: Snapshot) => number | null): Read =>
  ({ snapshot }) =>
    numberOf(snapshot);

const COUNTS: Readonly<Record<string, Read>> = {
  accepted: ofSnapshot(({ accepted }) => accepted),
  sent: ofSnapshot(({ sent }) => sent),
  failed: ofSnapshot(({ failed }) => failed),
  parked: ofSnapshot(({ parked }) => parked),
  known: ofSnapshot(({ known }) => known),
  expired: ofSnapshot(({ expired }) => expired),
  cancelled: ofSnapshot(({ cancelled }) => cancelled),
  missing: ({ missing }) => missing,
  attempts: ofSnapshot(({ attempts }) => attempts),
  attemptsFailed: ofSnapshot(({ attemptsFailed }) => attemptsFailed),
  unknown: ofSnapshot(({ unknown }) => unknown),
  throttled: ofSnapshot(({ throttled }) => throttled),
  repeatedSends: ofSnapshot(({ repeatedSends }) => repeatedSends),
  idConflicts: ofSnapshot(({ idConflicts }) => idConflicts),
};

const SHARES: Readonly<Record<string, Read>> = {
  failureRate: ofSnapshot(({ failureRate }) => failureRate),
};

const TIMES: Readonly<Record<string, Read>> = {
  latenessP50: ofSnapshot((snapshot) => latenessOf(snapshot, 'p50')),
  latenessP99: ofSnapshot((snapshot) => latenessOf(snapshot, 'p99')),
  latenessMax: ofSnapshot((snapshot) => latenessOf(snapshot, 'max')),
  processingMean: ofSnapshot(({ meanProcessingSeconds }) => meanProcessingSeconds),
  processingP50: ofSnapshot(({ processingSeconds }) => processingSeconds.p50),
  processingP95: ofSnapshot(({ processingSeconds }) => processingSeconds.p95),
  processingP99: ofSnapshot(({ processingSeconds }) => processingSeconds.p99),
};

export const CONDITION_NAMES: readonly string[] = [COUNTS, SHARES, TIMES].flatMap((table) =>
  Object.keys(table),
);

/** @throws UsageError that names what is known */
export function readCondition(text: string): Condition {
  const match = /^\s*([A-Za-z][A-Za-z0-9]*)\s*(>=|<=|==?|>|<)\s*([\d.]+)\s*([a-z%]*)\s*$/.exec(text);
  const [, name = '', typedOperator = '', digits = '', typedUnit = ''] = match ?? [];
  const number = /^\d+(\.\d+)?$/.test(digits) ? Number(digits) : undefined;
  if (match === null || number === undefined)
    throw refusal(
      text,
      'write a number, an operator (> >= < <= =) and a limit, as in "failed>2%" or "latenessP99>1s"',
    );
  const operator = (typedOperator === '==' ? '=' : typedOperator) as Operator;
  const condition = { text: text.trim(), name, operator };
  if (Object.hasOwn(TIMES, name)) {
    const seconds = secondsOf(number, typedUnit);
    if (seconds === undefined) throw refusal(text, `${name} is a time: write the limit as 500ms, 1.5s or 2m`);
    return { ...condition, limit: seconds, unit: 'seconds' };
  }
  const isShare = Object.hasOwn(SHARES, name);
  if (!isShare && !Object.hasOwn(COUNTS, name))
    throw refusal(text, `"${name}" is not known. Known are: ${CONDITION_NAMES.join(', ')}`);
  if (typedUnit === '%') return { ...condition, limit: number / 100, unit: 'share' };
  if (typedUnit !== '') throw refusal(text, `${name} is not a time: write the limit as a number or with %`);
  return { ...condition, limit: number, unit: isShare ? 'share' : 'count' };
}

function refusal(text: string, sentence: string): UsageError {
  return new UsageError(`--fail-if "${text}": ${sentence}`);
}

function secondsOf(number: number, unit: string): number | undefined {
  const unitMs = parseDuration(`1${unit}`);
  return unitMs === undefined ? undefined : (number * unitMs) / 1_000;
}

export function judge(condition: Condition, judged: Judged): Verdict {
  const { text, name, operator, limit, unit } = condition;
  const count = (COUNTS[name] ?? SHARES[name] ?? TIMES[name])?.(judged) ?? null;
  const { accepted } = judged.snapshot;
  const isShareOfAccepted = unit === 'share' && Object.hasOwn(COUNTS, name);
  const value = isShareOfAccepted ? shareOf(count, accepted) : count;
  const verdict = { condition: text, value };
  if (value === null)
    return { ...verdict, holds: null, sentence: `${text} cannot be judged: ${name} is not known` };
  const holds = OPERATORS[operator](value, limit);
  const whole = isShareOfAccepted ? ` (${formatCount(count ?? 0)} of ${formatCount(accepted ?? 0)})` : '';
  return {
    ...verdict,
    holds,
    sentence: `${text} ${holds ? 'holds' : 'does not hold'}: ${name} is ${told(value, unit)}${whole}`,
  };
}

function shareOf(count: number | null, accepted: number | null): number | null {
  return count === null || accepted === null || accepted === 0 ? null : count / accepted;
}

function told(value: number, unit: Condition['unit']): string {
  if (unit === 'count') return formatCount(value);
  if (unit === 'seconds') return value < 1 ? `${Math.round(value * 1_000)} ms` : `${value} s`;
  return `${Number((value * 100).toFixed(3))} %`;
}

/** Where no retry was made, none was late. Percentiles come from buckets, the largest is exact. */
function latenessOf(
  { retryLatenessSeconds, attemptsByNumber, attempts }: Snapshot,
  key: 'p50' | 'p99' | 'max',
) {
  const isWithoutRetry = attempts !== null && Object.keys(attemptsByNumber).every((number) => number === '1');
  const { max } = retryLatenessSeconds;
  const value = retryLatenessSeconds[key];
  if (value === null) return isWithoutRetry ? 0 : null;
  return max === null ? value : Math.min(value, max);
}
