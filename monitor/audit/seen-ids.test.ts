import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { smsIdOf } from '../../shared/domain/sms/sms.ts';
import { SeenIds } from './seen-ids.ts';

describe('the ids that were seen', () => {
  it.each([
    ['demo-000001'],
    ['demo-2-004096'],
    ['demo-123456789012345'],
    ['demo-0000001'],
    ['demo-000000'],
    ['order:17'],
    ['-'],
  ])('know %s again, and only that', (smsId) => {
    const seen = new SeenIds();
    expect(seen.add('demo-000002')).toBe(true);
    expect(seen.add(smsId)).toBe(true);
    expect(seen.add(smsId)).toBe(false);
    expect(seen.add('demo-000003')).toBe(true);
  });

  it('tell the missing numbers of a run exactly', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(
          fc.oneof(fc.integer({ min: 1, max: 9_000 }), fc.integer({ min: 1, max: 10 ** 15 - 1 })),
        ),
        fc.integer({ min: 0, max: 9_000 }),
        (numbers, last) => {
          const seen = new SeenIds();
          for (const smsNumber of numbers) seen.add(smsIdOf('demo', smsNumber));
          const missing = Array.from({ length: last }, (_, index) => index + 1).filter(
            (each) => !numbers.includes(each),
          );
          expect(seen.findMissing('demo', last, 3)).toEqual({
            count: missing.length,
            firstIds: missing.slice(0, 3).map((each) => smsIdOf('demo', each)),
          });
        },
      ),
      { numRuns: 100 },
    );
  });

  it('answer at once for a run that claims to be endless', () => {
    const seen = new SeenIds();
    seen.add('demo-000002');
    const { count, firstIds } = seen.findMissing('demo', Number.MAX_SAFE_INTEGER, 2);
    expect({ count, firstIds }).toEqual({
      count: Number.MAX_SAFE_INTEGER - 1,
      firstIds: ['demo-000001', 'demo-000003'],
    });
  });

  it.each([
    ['scattered, as moments are', (index: number) => `acct-${1_764_000_000_000 + index * 86_413}`],
    ['each of a run of its own', (index: number) => `customer${index}-000001`],
  ])('cost less than 150 bytes each where they are %s', (_, idOf) => {
    const ids = 200_000;
    const seen = new SeenIds();
    const heldBefore = heldBytes();
    for (let index = 0; index < ids; index += 1) seen.add(idOf(index));
    expect((heldBytes() - heldBefore) / ids).toBeLessThan(150);
    for (let index = 0; index < ids; index += 1) if (seen.add(idOf(index))) throw new Error('forgotten');
  });

  it('are known again in whatever order they come, scattered or not', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 10 ** 12 })), {
          maxLength: 400,
        }),
        (numbers) => {
          const seen = new SeenIds();
          const known = new Set<number>();
          return numbers.every((number) => {
            const isNew = !known.has(number);
            known.add(number);
            return seen.add(smsIdOf('demo', number)) === isNew;
          });
        },
      ),
    );
  });
});

/** Without what is only waiting to be collected. */
function heldBytes(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
