import { mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { RedialError } from '../errors.ts';
import type { Logger } from '../ports/logger.ts';
import { createLogger, type LoggerOptions } from './logger.ts';

const folder = mkdtempSync(join(tmpdir(), 'redial-logger-'));
afterAll(() => rmSync(folder, { recursive: true }));
const ESCAPE = '\u001b';

/** What a logger wrote; a file stands in for stdout. */
function written(log: (logger: Logger) => void, options: Partial<LoggerOptions> = {}): string {
  const path = join(folder, 'log');
  const fileDescriptor = openSync(path, 'w') as 1;
  log(
    createLogger({
      name: 'sender',
      level: 'info',
      format: 'json',
      file: undefined,
      ...options,
      fileDescriptor,
    }),
  );
  return readFileSync(path, 'utf8');
}

test('a log line is one JSON object with level, time, name and message', () => {
  expect(JSON.parse(written((log) => log.info({ smsId: 'demo-000001' }, 'parked')))).toMatchObject({
    level: 'info',
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
    name: 'sender',
    smsId: 'demo-000001',
    msg: 'parked',
  });
});

test('what is below the level is not written', () => {
  const log = (logger: Logger) => {
    logger.debug({}, 'one');
    logger.info({}, 'two');
    logger.warn({}, 'three');
  };
  expect(written(log, { level: 'warn' })).toMatch(/^[^\n]*three[^\n]*\n$/);
  expect(written(log, { level: 'silent' })).toBe('');
});

test('an error is its code, its message and its causes', () => {
  const cause = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
  const line = written((log) =>
    log.error({ err: new RedialError('AWAY', 'Redis is away', { cause }) }, 'failed'),
  );
  expect(JSON.parse(line).err).toEqual({
    code: 'AWAY',
    message: 'Redis is away',
    cause: { code: 'ECONNREFUSED', message: 'connect ECONNREFUSED' },
  });
});

describe.each(['json', 'pretty'] as const)('in a %s log line', (format) => {
  const phoneNumber = '+15550100001';
  test.each([
    ['the message', (log: Logger) => log.warn({}, `cannot send to ${phoneNumber}`)],
    ['a field', (log: Logger) => log.warn({ sms: { to: phoneNumber } }, 'failed')],
    ['an error', (log: Logger) => log.warn({ err: new Error(`bad ${phoneNumber}`) }, 'failed')],
    [
      'the cause of an error',
      (log: Logger) => log.warn({ err: new Error('a', { cause: `bad ${phoneNumber}` }) }, 'failed'),
    ],
  ])('a phone number in %s is masked', (_, log) => {
    const line = written(log, { format });
    expect(line).toContain('+1555…0001');
    expect(line).not.toContain('0100001');
  });

  test('what a client library hangs on its error is not told: it may hold a password', () => {
    const err = Object.assign(new TypeError('Invalid URL'), {
      input: 'amqp://me:hidden@mq',
      config: { auth: 'hidden' },
    });
    expect(written((log) => log.error({ err }, 'failed'), { format })).not.toContain('hidden');
  });
});

test('a log on a full disk ends nothing', () => {
  const log = createLogger({
    name: 'sender',
    level: 'info',
    format: 'json',
    file: undefined,
    fileDescriptor: openSync('/dev/full', 'w') as 2,
  });
  expect(() => log.info({}, 'one')).not.toThrow();
});

test.each(['json', 'pretty'] as const)(
  'in a %s log nothing of others reaches the terminal as a command',
  (format) => {
    const hostile = 'runs/\u001b[2J\u009b1A\r\u202e\u007f.json';
    const line = written(
      (log) => log.warn({ key: hostile, err: new Error(hostile), list: [{ [hostile]: hostile }] }, hostile),
      { format },
    );
    // Colours are ours.
    const colours = new RegExp(`${ESCAPE}\\[\\d+m`, 'g');
    expect(line.replace(colours, '')).not.toMatch(/[^\P{Cc}\n]|\u202e/u);
    expect(line).toContain('\\u009b1A');
    if (format === 'json') expect(JSON.parse(line)).toMatchObject({ key: hostile, msg: hostile });
  },
);

test('a message of several lines is one line in a pretty log, so that it cannot forge another', () => {
  const line = written((log) => log.warn({}, 'one\n[10:00:00.000] INFO: two'), { format: 'pretty' });
  expect(line.trimEnd().split('\n')).toHaveLength(1);
});
