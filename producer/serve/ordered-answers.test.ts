import fc from 'fast-check';
import { expect, test } from 'vitest';
import { OrderedAnswers } from './ordered-answers.ts';

test('in whatever order answers are given, they are taken in the order of their questions', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(1_000), { maxLength: 30 }), async (ranks) => {
      const answers = new OrderedAnswers();
      const open = ranks.map((rank, index) => ({ rank, index, give: answers.ask() }));
      let taken = '';
      for (const { index, give } of open.toSorted((left, right) => left.rank - right.rank)) {
        const isFirst =
          answers.openCount === ranks.length - taken.split(' ').length + 1 &&
          taken.split(' ').length - 1 === index;
        const changed = answers.changed();
        give(`${index} `);
        if (isFirst) await changed;
        taken += answers.take();
      }
      expect(taken).toBe(ranks.map((_, index) => `${index} `).join(''));
      expect(answers.openCount).toBe(0);
    }),
  );
});
