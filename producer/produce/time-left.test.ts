import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { forAll } from '../../tests/kit/for-all.ts';
import { type CountAt, rateOf, renderRate, renderTimeLeft, withCount } from './time-left.ts';

describe('the time left', () => {
  it.each([
    [0, 10, '0s'],
    [1, 1_000_000, '1s'],
    [59, 1, '59s'],
    [60, 1, '1m 00s'],
    [61, 1, '1m 01s'],
    [3_599, 1, '59m 59s'],
    [3_600, 1, '1h 00m'],
    // This was "07h60m".
    [28_790, 1, '8h 00m'],
    [28_741, 1, '8h 00m'],
    [28_740, 1, '7h 59m'],
    [86_400, 1, '1d 00h'],
    // And this "NFs".
    [10_000_000, 1, '115d 18h'],
    [10_000_000, 0.001, '115,740d 18h'],
    [10, 0, 'unknown time'],
    [10, Number.NaN, 'unknown time'],
  ])('of %d SMS at %d a second is %s', (smsLeft, smsPerSecond, text) => {
    expect(renderTimeLeft(smsLeft, smsPerSecond)).toBe(text);
  });

  it('is never less than it takes, nor more than it takes by a sixtieth, in units that exist', () => {
    const counts = fc.integer({ min: 1, max: 1_000_000_000 });
    const rates = fc.double({ min: 1e-3, max: 1e6, noNaN: true });
    forAll(counts, rates, (smsLeft, smsPerSecond) => {
      const text = renderTimeLeft(smsLeft, smsPerSecond);
      const units = { d: 86_400, h: 3_600, m: 60, s: 1 };
      const told = text
        .replaceAll(',', '')
        .split(' ')
        .map((part) => {
          const [, number, unit] = /^(\d+)([dhms])$/.exec(part) ?? [];
          return { number: Number(number), unit: unit as keyof typeof units };
        });
      const seconds = told.reduce((sum, { number, unit }) => sum + number * units[unit], 0);
      const real = smsLeft / smsPerSecond;
      expect(told[1]?.number ?? 0).toBeLessThan(told[1]?.unit === 'h' ? 24 : 60);
      return seconds >= real - 1e-6 && seconds <= Math.ceil(real) + Math.max(0, real / 16);
    });
  });
});

describe('the rate', () => {
  const at = (counts: readonly (readonly [seconds: number, count: number])[]): readonly CountAt[] =>
    counts.reduce<readonly CountAt[]>(
      (sum, [seconds, count]) => withCount(sum, { count, atMs: seconds * 1_000 }),
      [],
    );

  it('is measured over the last ten seconds', () => {
    const first = Array.from({ length: 40 }, (_, index) => [index / 2, 0] as const);
    const then = Array.from({ length: 40 }, (_, index) => [20 + index / 2, (index + 1) * 5] as const);
    expect(rateOf(at(first))).toBe(0);
    expect(rateOf(at([...first, ...then]))).toBe(10);
    expect(at([...first, ...then]).length).toBeLessThan(25);
  });

  it('of one SMS a second is one, at whatever half second one looks', () => {
    const counts = Array.from({ length: 60 }, (_, index) => [index / 2, Math.floor(index / 2)] as const);
    for (let length = 21; length < 60; length += 1)
      expect(rateOf(at(counts.slice(0, length)))).toBeCloseTo(1, 0);
  });

  it('is nothing after the clock was set back, and right again after that', () => {
    expect(
      rateOf(
        at([
          [100, 5],
          [50, 10],
        ]),
      ),
    ).toBe(0);
    expect(
      rateOf(
        at([
          [100, 5],
          [50, 10],
          [51, 20],
        ]),
      ),
    ).toBe(10);
  });

  it.each([
    [0, '0'],
    [0.02, '<0.1'],
    [0.05, '0.1'],
    [0.96, '1.0'],
    [9.94, '9.9'],
    [9.96, '10'],
    [46_000.4, '46,000'],
  ])('%d is shown as %s', (rate, text) => expect(renderRate(rate)).toBe(text));
});
