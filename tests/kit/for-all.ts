import { type Arbitrary, assert, property } from 'fast-check';

/**
 * A law: the predicate holds for whatever the arbitraries make. Throws with the seed and the smallest counterexample.
 * (fast-check's own `assert` looks like a promise to the linter, because it has an asynchronous overload.)
 */
export function forAll<Values extends [unknown, ...unknown[]]>(
  ...law: [
    ...arbitraries: { [Index in keyof Values]: Arbitrary<Values[Index]> },
    predicate: (...values: Values) => boolean | undefined,
  ]
): void {
  void assert(property(...law));
}
