import { expect, test } from 'vitest';
import { isComposeNewEnough } from './find-compose.ts';

test.each([
  ['2.39.1\n', true],
  ['v2.6.0\n', true],
  ['5.0.0\n', true],
  ['1.29.2\n', true],
  ['1.28.6\n', false],
  ['unknown\n', false],
  ['', false],
])('Compose that says %j of itself: new enough is %s', (output, isNewEnough) => {
  expect(isComposeNewEnough(output)).toBe(isNewEnough);
});
