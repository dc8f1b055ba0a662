import { expect, test } from 'vitest';
import { Measurements } from '../instruments/measurements.ts';
import type { Question } from '../question.ts';
import { renewReadme } from './readme.ts';
import type { Circumstances } from './results.ts';

const questionNamed = (name: string): Question => ({
  ...{ name, title: `What about ${name}?`, method: ['By hand.'], quickRounds: 1 },
  ask: async () => new Measurements(),
});
const questions = [questionNamed('publish'), questionNamed('drain')] as const;
const circumstances = (commit: string): Circumstances => ({
  ...{ at: '2026-11-22T10:00:00.000Z', command: 'npm run bench', commit, rounds: 5 },
  machine: { processor: 'abacus', cores: 2, memoryGigabytes: 8, system: 'Debian', loadAverage: 0 },
  versions: { node: '20', rabbitMq: '3.10', redis: '7' },
});
const answer = (question: Question, rate: number) => {
  const measurements = new Measurements();
  measurements.add('Redial', { smsPerSecond: rate });
  return { question, measurements, verdicts: [] };
};

test('a question that is asked again gets new results, the others keep theirs', () => {
  const empty = renewReadme(undefined, questions, undefined, []);
  expect(empty.match(/Not measured yet/g)).toHaveLength(2);
  const both = questions.map((question) => answer(question, 1_111));
  const first = renewReadme(empty, questions, circumstances('aaaa'), both);
  expect(first).not.toContain('Not measured yet');
  const second = renewReadme(first, questions, circumstances('bbbb'), [answer(questions[1], 2_222)]);
  expect(second.match(/1,111 \(1,111–1,111\)|2,222 \(|aaaa|bbbb/g)).toEqual([
    'aaaa',
    '1,111 (1,111–1,111)',
    'bbbb',
    '2,222 (',
  ]);
  expect(renewReadme(second, questions, undefined, [])).toBe(second);
});
