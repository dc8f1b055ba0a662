import { expect, test } from 'vitest';
import { nativeRetry } from './native-retry.ts';

test.each(['3.10.8', '4.0.5', '4.3.0'])(
  'RabbitMQ %s is not asked for a delayed retry of its own',
  (version) => {
    expect(nativeRetry.whyNotAsked?.(version)).toMatch(
      `RabbitMQ ${version} has no delayed retry of its own, 4.3.1 and later have it`,
    );
  },
);

test.each(['4.3.1', '4.3.6', '5.0.0'])('RabbitMQ %s is asked', (version) => {
  expect(nativeRetry.whyNotAsked?.(version)).toBeUndefined();
});
