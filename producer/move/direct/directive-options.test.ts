import { describe, expect, test } from 'vitest';
import { UsageError } from '../../../shared/errors.ts';
import { judgeAim, MAX_IDS } from './directive-options.ts';

test('ids, each once; a run; or stdin', () => {
  expect(judgeAim({}, ['a-000001', 'b', 'a-000001'], 'cancel')).toEqual({
    kind: 'ids',
    ids: ['a-000001', 'b'],
  });
  expect(judgeAim({ run: 'a' }, [], 'cancel')).toEqual({ kind: 'run', run: 'a' });
  expect(judgeAim({}, ['-'], 'cancel')).toEqual({ kind: 'stdin' });
});

describe('wrong usage is told in a sentence', () => {
  const manyIds = Array.from({ length: MAX_IDS + 1 }, (_, index) => `id-${index}`);
  test.each<[string | undefined, string[], RegExp]>([
    [undefined, [], /give ids of SMS/],
    ['a', ['b'], /not both/],
    ['a/b', [], /--run must be/],
    ['..', [], /--run must be/],
    [undefined, ['a b'], /"a b" is no id of an SMS/],
    [undefined, ['ä'], /is no id/],
    [undefined, ['\u001b[31m'], /is no id/],
    [undefined, ['x'.repeat(129)], /is no id/],
    [undefined, [''], /is no id/],
    [undefined, manyIds, /at most 10000 ids at once, got 10001/],
  ])('--run %j with ids %j', (run, ids, sentence) => {
    const judge = () => judgeAim(run === undefined ? {} : { run }, ids, 'cancel');
    expect(judge).toThrow(UsageError);
    expect(judge).toThrow(sentence);
    expect(judge).not.toThrow('\u001b');
  });
});
