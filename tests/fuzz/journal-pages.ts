/** Journal pages as somebody with rights on the internal exchange may forge them, around lines that are fine. */
import {
  type Arbitrary,
  array,
  boolean,
  constant,
  constantFrom,
  integer,
  jsonValue,
  oneof,
  record,
  string,
  tuple,
  uint8Array,
} from 'fast-check';
import type { Dice } from '../../shared/rehearsal/dice.ts';
import { mutated } from './mutate.ts';

/** What a page is made of; ids come when it is encoded. */
export interface ForgedPage {
  readonly goodLineCount: number;
  readonly badLines: readonly BadLine[];
  /** The place of the first bad line among the good ones. */
  readonly badAt: number;
}

interface BadLine {
  readonly base: 'outcome' | 'attempt' | 'accepted' | 'sender';
  /** Fields that take another value: undefined takes them away. */
  readonly changes: readonly (readonly [name: string, value: unknown])[];
  /** JSON that replaces the value of a field as it is, where no value could say it. */
  readonly inserted: readonly [name: string, json: string] | undefined;
  readonly harm: 'none' | 'none' | 'bytes' | 'cut' | 'noise';
  readonly noise: Buffer;
}

export interface EncodedPage {
  readonly body: Buffer;
  /** Ids of outcomes that must be recorded, whatever stands beside them. */
  readonly goodIds: readonly string[];
}

export const FORGED_RUN = 'forged';
const STATUSES = ['sent', 'failed', 'parked'] as const;
const AT = '2026-11-22T10:00:00.000Z';
const FIELDS = [
  ...'entry smsId run queue to text status reason acceptedAt finishedAt attempts attempt accepted'.split(' '),
  ...'acceptedUpTo input at sender settings raw rawBytes headers odd'.split(' '),
];
const ATTEMPT_FIELDS = ['attempt', 'startedAt', 'tookMs', 'lateMs', 'result', 'reason', '__proto__', 'odd'];
const SAFE = 2 ** 53 - 1;
const small = [0, -0, -1, 1, 0.5, 1_000, 1_001] as const;
const large = [2 ** 31, 2 ** 40, SAFE, 2 ** 53, -SAFE, 1e21, 1e308, 5e-324] as const;
const numbers = constantFrom(...small, ...large);
const words = constantFrom(
  ...' sent failed parked unknown receipt throttled known UPPER __proto__ constructor other generated'.split(
    ' ',
  ),
  ..."file:1 2026 1970-01-01 +275760-09-13 a|b a,b a;b %d ' \r \u0000 \ud800 \u2028".split(' '),
  'x'.repeat(300),
);
const odd: Arbitrary<unknown> = oneof(
  numbers,
  words,
  string({ unit: 'binary', maxLength: 30 }),
  jsonValue(),
  constantFrom<unknown>(
    null,
    true,
    [],
    {},
    { toString: 1 },
    { toJSON: 1 },
    { valueOf: null },
    { length: -1 },
  ),
  array(numbers, { maxLength: 5 }),
);
const attempts = array(
  tuple(constantFrom(...ATTEMPT_FIELDS), odd).map(([name, value]) => ({
    ...{ attempt: 1, startedAt: AT, tookMs: 5, result: 'failed', reason: 'timeout' },
    [name]: value,
  })),
  { maxLength: 3 },
);
const changes = array(
  oneof(
    { weight: 6, arbitrary: tuple(constantFrom(...FIELDS), odd) },
    { weight: 1, arbitrary: tuple(constantFrom('attempts'), attempts) },
    {
      weight: 1,
      arbitrary: tuple(
        constantFrom('attempt'),
        attempts.map(([first]) => first),
      ),
    },
    { weight: 1, arbitrary: tuple(constantFrom(...FIELDS), constant(undefined)) },
    {
      weight: 1,
      arbitrary: tuple(constantFrom('settings'), record({ retrySchedule: odd, seed: odd, concurrency: odd })),
    },
    {
      weight: 1,
      arbitrary: tuple(constantFrom('attempts'), integer({ min: 5, max: 1_100 }).map(attemptsUpTo)),
    },
  ),
  { minLength: 1, maxLength: 3 },
);
const deep = tuple(integer({ min: 100, max: 20_000 }), boolean()).map(([depth, isArray]) =>
  isArray ? `${'['.repeat(depth)}${']'.repeat(depth)}` : `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`,
);
const long = tuple(integer({ min: 200_000, max: 2_000_000 }), constantFrom('"', '9', '€')).map(
  ([length, kind]) => {
    if (kind === '9') return '9'.repeat(length);
    return kind === '"' ? `"${'x'.repeat(length)}"` : `"${'€'.repeat(length / 3)}"`;
  },
);
const inserted = oneof(
  { weight: 200, arbitrary: constant(undefined) },
  {
    weight: 12,
    arbitrary: tuple(oneof(constantFrom(...FIELDS), constantFrom('retrySchedule')), deep),
  },
  { weight: 1, arbitrary: tuple(constantFrom('text', 'odd', 'accepted', 'raw'), long) },
  {
    weight: 3,
    arbitrary: tuple(
      constantFrom(...FIELDS),
      constantFrom('1e999', '-0', '"\\ud800"', '{"__proto__":{"a":1}}'),
    ),
  },
) as Arbitrary<BadLine['inserted']>;

export const forgedPages: Arbitrary<ForgedPage> = record({
  goodLineCount: integer({ min: 0, max: 3 }),
  badAt: integer({ min: 0, max: 3 }),
  badLines: array(
    record({
      base: constantFrom<BadLine['base']>('outcome', 'outcome', 'attempt', 'accepted', 'sender'),
      changes,
      inserted,
      harm: constantFrom<BadLine['harm']>('none', 'none', 'none', 'none', 'bytes', 'bytes', 'cut', 'noise'),
      noise: uint8Array({ maxLength: 80 }).map((each) => Buffer.from(each)),
    }),
    { minLength: 1, maxLength: 3 },
  ),
});

/** @param id the beginning of all ids of the page, its own */
export function encodePage(page: ForgedPage, id: string, queue: string, dice: Dice): EncodedPage {
  const goodIds = Array.from({ length: page.goodLineCount }, (_, index) => `${id}-g${index}`);
  const lines: Buffer[] = goodIds.map((smsId) => Buffer.from(JSON.stringify(outcomeOf(smsId, queue, dice))));
  const bad = page.badLines.map((line, index) => encodeBad(line, `${id}-b${index}`, queue, dice));
  lines.splice(Math.min(page.badAt, lines.length), 0, ...bad);
  return { body: Buffer.concat(lines.flatMap((line) => [line, Buffer.from('\n')])), goodIds };
}

/** The outcome that an SMS of a forged attempt comes to: without it the books would rightly miss it. */
export function outcomeOf(smsId: string, queue: string, dice: Dice): Record<string, unknown> {
  const status = dice.oneOf(STATUSES);
  return {
    ...{ smsId, run: FORGED_RUN, queue, to: '+15550100001', text: 'forged', status },
    ...(status === 'sent' ? {} : { reason: 'timeout' }),
    ...{ acceptedAt: AT, finishedAt: AT },
    attempts: attemptsUpTo(dice.below(4)),
  };
}

function attemptsUpTo(count: number): unknown[] {
  return Array.from({ length: count }, (_, index) => ({
    ...{ attempt: index + 1, startedAt: AT, tookMs: 7 * index, result: 'failed', reason: 'timeout' },
  }));
}

function baseOf(base: BadLine['base'], smsId: string, queue: string, dice: Dice): Record<string, unknown> {
  switch (base) {
    case 'outcome':
      return outcomeOf(smsId, queue, dice);
    case 'attempt':
      return { entry: 'attempt', smsId, run: FORGED_RUN, attempt: attemptsUpTo(1)[0] };
    case 'accepted':
      return {
        ...{ entry: 'accepted', run: `told-${dice.below(20)}`, queue, accepted: dice.below(10) },
        ...{ acceptedUpTo: 3, input: 'generated', at: AT },
      };
    case 'sender':
      return {
        ...{ entry: 'sender', sender: `s${dice.below(50)}`, at: AT },
        settings: { retrySchedule: '5s,30s', seed: 1, concurrency: 100, failureRate: 0.1 },
      };
  }
}

function encodeBad(line: BadLine, smsId: string, queue: string, dice: Dice): Buffer {
  const { base, changes, inserted, harm, noise } = line;
  if (harm === 'noise') return noise;
  const fields = new Map(Object.entries(baseOf(base, smsId, queue, dice)));
  for (const [name, value] of changes) {
    // Only announcements may name runs, or SMS of another pipeline's id would come to collide.
    if (name === 'smsId' && typeof value === 'string' && /^[\w.:-]+$/.test(value)) continue;
    fields.set(name, value);
  }
  const json = [...fields]
    .filter(([, value]) => value !== undefined)
    .filter(([name]) => name !== inserted?.[0])
    .map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`);
  if (inserted?.[0] === 'retrySchedule') json.push(`"settings":{"retrySchedule":${inserted[1]}}`);
  else if (inserted !== undefined) json.push(`${JSON.stringify(inserted[0])}:${inserted[1]}`);
  const bytes = Buffer.from(`{${json.join(',')}}`);
  if (harm === 'bytes') return mutated(bytes, dice);
  return harm === 'cut' ? bytes.subarray(0, dice.below(bytes.length)) : bytes;
}
