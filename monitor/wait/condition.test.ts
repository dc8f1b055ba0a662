import { constantFrom, integer } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { forAll } from '../../tests/kit/for-all.ts';
import { anySnapshot, GOING_WELL } from '../../tests/kit/snapshots.ts';
import { CONDITION_NAMES, judge, readCondition } from './condition.ts';

const judged = { snapshot: GOING_WELL, missing: 3 };
const verdictOf = (text: string) => judge(readCondition(text), judged);

describe('a condition', () => {
  it.each([
    ['failed>2%', false, 'failed>2% does not hold: failed is 1.12 % (112 of 10,000)'],
    ['failed > 1.1%', true, 'failed > 1.1% holds: failed is 1.12 % (112 of 10,000)'],
    ['failed>111', true, 'failed>111 holds: failed is 112'],
    ['failed>112', false, 'failed>112 does not hold: failed is 112'],
    ['failed>=112', true, 'failed>=112 holds: failed is 112'],
    ['sent<4701', true, 'sent<4701 holds: sent is 4,700'],
    ['sent<=4699', false, 'sent<=4699 does not hold: sent is 4,700'],
    ['parked==0', true, 'parked==0 holds: parked is 0'],
    ['missing>0', true, 'missing>0 holds: missing is 3'],
    ['latenessP99>30ms', true, 'latenessP99>30ms holds: latenessP99 is 31 ms'],
    ['latenessMax>1s', false, 'latenessMax>1s does not hold: latenessMax is 120 ms'],
    ['processingP99>0.5m', false, 'processingP99>0.5m does not hold: processingP99 is 2.3 s'],
    ['processingP95>=1.5s', true, 'processingP95>=1.5s holds: processingP95 is 1.5 s'],
    ['failureRate>20%', false, 'failureRate>20% does not hold: failureRate is 20 %'],
    ['failureRate>0.1', true, 'failureRate>0.1 holds: failureRate is 20 %'],
  ])('%s: %s', (text, holds, sentence) => {
    expect(verdictOf(text)).toMatchObject({ condition: text, holds, sentence });
  });

  it.each([
    ['', 'write a number, an operator'],
    ['failed', 'write a number, an operator'],
    ['failed>', 'write a number, an operator'],
    ['failed>1.2.3', 'write a number, an operator'],
    ['failed>-1', 'write a number, an operator'],
    ['failed>2% or sent<1', 'write a number, an operator'],
    ['fialed>2%', '"fialed" is not known. Known are: accepted, sent, failed, parked'],
    ['constructor>0', '"constructor" is not known'],
    ['failed>2s', 'failed is not a time: write the limit as a number or with %'],
    ['latenessP99>1', 'latenessP99 is a time: write the limit as 500ms, 1.5s or 2m'],
    ['latenessP99>1%', 'latenessP99 is a time'],
  ])('"%s" is refused: %s', (text, sentence) => {
    expect(() => readCondition(text)).toThrow(expect.objectContaining({ code: 'USAGE' }));
    expect(() => readCondition(text)).toThrow(`--fail-if "${text}": ${sentence}`);
  });

  it('about a number that is not known neither holds nor passes', () => {
    const unread = { snapshot: { ...GOING_WELL, idConflicts: null, accepted: null }, missing: null };
    for (const text of ['missing>0', 'idConflicts>0', 'failed>2%'])
      expect(judge(readCondition(text), unread)).toMatchObject({ value: null, holds: null });
    expect(judge(readCondition('missing>0'), unread).sentence).toBe(
      'missing>0 cannot be judged: missing is not known',
    );
  });

  it('about lateness passes where there was no retry, and is not known where it was not measured', () => {
    const unmeasured = { p50: null, p99: null, max: null };
    const once = { ...GOING_WELL, retryLatenessSeconds: unmeasured, attemptsByNumber: { 1: 10 } };
    expect(judge(readCondition('latenessP99>1s'), { snapshot: once, missing: 0 })).toMatchObject({
      value: 0,
    });
    const twice = { ...once, attemptsByNumber: { 1: 10, 2: 1 } };
    expect(judge(readCondition('latenessP99>1s'), { snapshot: twice, missing: 0 }).holds).toBeNull();
  });

  it('is judged alike for each name and whatever the numbers: more than a limit excludes at most the limit', () => {
    forAll(
      anySnapshot,
      constantFrom(...CONDITION_NAMES),
      integer({ min: 0, max: 1_000 }),
      (snapshot, name, limit) => {
        const unit = /^(lateness|processing)/.test(name) ? 's' : '';
        const [above, atMost] = ['>', '<='].map((operator) =>
          judge(readCondition(`${name}${operator}${limit}${unit}`), { snapshot, missing: null }),
        );
        expect(above?.holds).toBe(atMost?.holds == null ? null : !atMost.holds);
        expect(above?.sentence).not.toMatch(/null|undefined|NaN/);
      },
    );
  });
});
