import { expect, test } from 'vitest';
import { OneAfterTheOther } from './one-after-the-other.ts';

test('what is asked for while a command runs is given with the next one, each id once', async () => {
  const calls: string[] = [];
  let running = 0;
  const directing = new OneAfterTheOther(async (command, ids) => {
    running += 1;
    expect(running).toBe(1);
    calls.push(`${command} ${ids.join(' ')}`);
    await new Promise((resolve) => setImmediate(resolve));
    running -= 1;
    if (ids.includes('bad')) throw new Error('Redis is away');
    return new Map(ids.map((id) => [id, 'cancelled'] as const));
  });
  const asked = [
    directing.direct('cancel', 'a'),
    directing.direct('cancel', 'b'),
    directing.direct('retry-now', 'c'),
    directing.direct('cancel', 'b'),
    directing.direct('cancel', 'd'),
  ];
  expect(await Promise.all(asked)).toEqual(Array.from({ length: 5 }, () => 'cancelled'));
  expect(calls).toEqual(['cancel a', 'cancel b d', 'retry-now c']);
  const failed = [directing.direct('cancel', 'bad'), directing.direct('cancel', 'e')];
  expect((await Promise.allSettled(failed)).map(({ status }) => status)).toEqual(['rejected', 'fulfilled']);
});
