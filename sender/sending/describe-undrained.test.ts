import { expect, test } from 'vitest';
import { describeUndrained } from './describe-undrained.ts';

test.each([
  [1, 1, '1 SMS and 1 journal message go back to their queues'],
  [0, 2, '2 journal messages go back to their queue'],
  [0, 1, '1 journal message goes back to its queue'],
  [1, 0, '1 SMS goes back to its queue'],
  [12_000, 0, '12000 SMS go back to their queues'],
])(
  '%i SMS and %i journal messages that a sender leaves are told in one sentence',
  (sms, messages, sentence) => {
    expect(describeUndrained(sms, messages)).toBe(`not drained within SHUTDOWN_TIMEOUT: ${sentence}`);
  },
);
