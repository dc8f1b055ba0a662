import { type Arbitrary, array, boolean, constantFrom, integer, oneof } from 'fast-check';
import { expect, test } from 'vitest';
import { forAll } from '../../../tests/kit/for-all.ts';
import { Acknowledgements } from './acknowledgements.ts';

/** A channel as the broker sees it: which tags are not acknowledged, and an error for those that are none. */
class BrokerChannel {
  readonly unacknowledged = new Set<number>();
  readonly acknowledged = new Set<number>();
  frameCount = 0;

  deliver(deliveryTag: number): void {
    this.unacknowledged.add(deliveryTag);
  }

  acknowledge(deliveryTag: number, isMultiple: boolean): void {
    this.frameCount += 1;
    if (!this.unacknowledged.has(deliveryTag)) throw new Error(`unknown delivery tag ${deliveryTag}`);
    for (const tag of isMultiple ? [...this.unacknowledged] : [deliveryTag]) {
      if (tag > deliveryTag) continue;
      this.unacknowledged.delete(tag);
      this.acknowledged.add(tag);
    }
  }

  reject(deliveryTag: number): void {
    if (!this.unacknowledged.delete(deliveryTag)) throw new Error(`unknown delivery tag ${deliveryTag}`);
  }
}

type Move =
  | { readonly kind: 'deliver' }
  | { readonly kind: 'flush' }
  /** Settles one of the open deliveries: which one, as a share of them. */
  | { readonly kind: 'acknowledge' | 'reject'; readonly pick: number };

const move: Arbitrary<Move> = oneof(
  { weight: 4, arbitrary: constantFrom<Move>({ kind: 'deliver' }) },
  { weight: 1, arbitrary: constantFrom<Move>({ kind: 'flush' }) },
  {
    weight: 4,
    arbitrary: integer({ min: 0, max: 999 }).map((pick): Move => ({ kind: 'acknowledge', pick })),
  },
  { weight: 1, arbitrary: integer({ min: 0, max: 999 }).map((pick): Move => ({ kind: 'reject', pick })) },
);

test('in whatever order deliveries are settled, exactly the acknowledged ones are acknowledged, once', () => {
  forAll(array(move, { maxLength: 200 }), boolean(), (moves, isFlushedAtEnd) => {
    const broker = new BrokerChannel();
    const acknowledgements = new Acknowledgements();
    const open: number[] = [];
    const settled = new Set<number>();
    let lastTag = 0;
    const flush = () => {
      for (const { deliveryTag, isMultiple } of acknowledgements.take())
        broker.acknowledge(deliveryTag, isMultiple);
      expect(broker.acknowledged).toEqual(settled);
    };
    for (const each of isFlushedAtEnd ? [...moves, { kind: 'flush' } as const] : moves) {
      if (each.kind === 'flush') flush();
      else if (each.kind === 'deliver') {
        lastTag += 1;
        open.push(lastTag);
        broker.deliver(lastTag);
      } else {
        const [tag] = open.splice(Math.floor((each.pick / 1_000) * open.length), 1);
        if (tag === undefined) continue;
        if (each.kind === 'acknowledge') {
          acknowledgements.add(tag);
          settled.add(tag);
        } else {
          acknowledgements.skip(tag);
          broker.reject(tag);
        }
      }
    }
  });
});

test('settled deliveries without a gap go out as one frame, those behind a gap one by one', () => {
  const acknowledgements = new Acknowledgements();
  for (const tag of [3, 1, 2, 5, 7]) acknowledgements.add(tag);
  expect(acknowledgements.take()).toEqual([
    { deliveryTag: 3, isMultiple: true },
    { deliveryTag: 5, isMultiple: false },
    { deliveryTag: 7, isMultiple: false },
  ]);
  acknowledgements.add(4);
  acknowledgements.add(6);
  expect(acknowledgements.take()).toEqual([{ deliveryTag: 6, isMultiple: true }]);
});

test('a rejected delivery is no gap', () => {
  const acknowledgements = new Acknowledgements();
  acknowledgements.skip(1);
  acknowledgements.add(2);
  acknowledgements.skip(3);
  acknowledgements.add(4);
  expect(acknowledgements.take()).toEqual([{ deliveryTag: 4, isMultiple: true }]);
});

test('only the first one since the last flush asks for the next flush', () => {
  const acknowledgements = new Acknowledgements();
  expect(acknowledgements.add(1)).toBe(true);
  expect(acknowledgements.add(2)).toBe(false);
  acknowledgements.take();
  expect(acknowledgements.add(3)).toBe(true);
  expect(acknowledgements.take()).toEqual([{ deliveryTag: 3, isMultiple: false }]);
  expect(acknowledgements.take()).toEqual([]);
});
