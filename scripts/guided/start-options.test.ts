import { expect, test } from 'vitest';
import { chooseSettings, nameRun, readRunOptions, sharedSettings } from './start-options.ts';

const now = new Date('2026-11-22T10:15:30.123Z');

test('a run is named by its time', () => {
  expect(nameRun(now, 'ab12cd')).toBe('start-20261122-101530-ab12cd');
});

test('flags are read, and without them there are defaults', () => {
  expect(readRunOptions(['--num-messages', '50', '--senders', '2', '--run', 'mine', '--keep'], now)).toEqual({
    numMessages: 50,
    senders: 2,
    run: 'mine',
    keep: true,
  });
  expect(readRunOptions([], now)).toMatchObject({ numMessages: 1_000, senders: 3, keep: false });
});

test.each([
  [['--num-messages', '1e3'], /--num-messages must be a whole number .*got "1e3"/],
  [['--senders', '0'], /--senders must be a whole number from 1 to 64, got "0"/],
  [['--run', 'a b'], /--run must be 1 to 64 letters/],
  [['--run', '..'], /--run must be .*, and not \. or \.\., got "\.\."/],
  [['--sender', '1'], /Did you mean --senders/],
])('%j is wrong usage', (argv, sentence) => {
  expect(() => readRunOptions(argv, now)).toThrow(sentence);
});

test('the environment overrides the quick settings', () => {
  expect(chooseSettings({ FAILURE_RATE: '0.5', RETRY_SCHEDULE: '' })).toEqual({
    MEAN_PROCESSING_TIME: '0.2',
    FAILURE_RATE: '0.5',
    RETRY_SCHEDULE: '1s,2s,4s',
    RANDOM_SEED: '1',
  });
});

test('settings of the environment are shared, where servers are and what belongs to one process is not', () => {
  const shared = { QUEUE_NAME: 'mine', SENDER_CONCURRENCY: '7', KEEP_TIME: '2d', FAILURE_RATE: '0.5' };
  const unshared = { RABBITMQ_HOST: 'a', REDIS_URL: 'b', AWS_ACCESS_KEY_ID: 'c', LOG_FORMAT: 'json' };
  const others = { HEARTBEAT_FILE: 'd', MONITOR_UPDATE_INTERVAL: '1', S3_BUCKET: '', PATH: '/bin' };
  expect(sharedSettings({ ...shared, ...unshared, ...others })).toEqual({
    ...{ MEAN_PROCESSING_TIME: '0.2', RETRY_SCHEDULE: '1s,2s,4s', RANDOM_SEED: '1' },
    ...shared,
  });
});
