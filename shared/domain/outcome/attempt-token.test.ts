import { expect, it } from 'vitest';
import { isoTime } from '../iso-time.ts';
import { tokenOf } from './attempt-token.ts';

const AT_MS = Date.UTC(2026, 10, 22, 10, 0, 0, 123);
const tokenAt = (startedAt: string) => tokenOf({ attempt: 1, startedAt, tookMs: 7, result: 'sent' });

it('a start in milliseconds is told as older versions tell it', () => {
  expect(tokenAt(isoTime(AT_MS))).toBe(`1:${AT_MS.toString(36)}:7::s`);
});

it('two executions that began in one millisecond are told apart, in no more characters', () => {
  const tokens = Array.from({ length: 1_000 }, (_, microsecond) => tokenAt(isoTime(AT_MS, microsecond)));
  expect(new Set(tokens).size).toBe(1_000);
  expect(Math.max(...tokens.map((token) => token.length))).toBeLessThanOrEqual('1:mwro18g0:7::s'.length);
});
