/** A selection of forged messages and journal pages on real servers. Many more: npm run test:fuzz. */
import { expect, inject, test } from 'vitest';
import { fuzz } from './fuzz/fuzz-run.ts';

const seed = Number(process.env.FUZZ_SEED ?? Math.floor(Math.random() * 1e9));

test('no message and no journal page of whatever form stops the SMS beside it, or is lost', async () => {
  const { problems } = await fuzz(inject('servers'), {
    ...{ seed, messages: 3_000, pages: 300, batches: 1, goodSms: 300, senders: 1 },
    say: () => {},
  });
  expect(problems, `again: FUZZ_SEED=${seed}`).toEqual([]);
});
