import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { isRunName } from '../../shared/domain/sms/sms.ts';
import { UsageError } from '../../shared/errors.ts';
import {
  declareProduceOptions,
  judgeProduceOptions,
  makeRandomText,
  makeRunName,
} from './produce-options.ts';

const NOW = Date.UTC(2026, 10, 30, 12);

function read(...argv: string[]) {
  const command = new Command('producer');
  declareProduceOptions(command);
  command.parse(argv, { from: 'user' });
  return judgeProduceOptions(command.opts(), NOW);
}

describe('the options', () => {
  it('are read as typed', () => {
    expect(
      read('--num-messages', '42', '--run', 'a.b_c-1', '--rate', '2.5', '--file', '-', '--no-progress'),
    ).toEqual({
      maxSms: 42,
      run: 'a.b_c-1',
      smsPerSecond: 2.5,
      file: '-',
      sending: undefined,
      isProgressWanted: false,
    });
  });

  it('may all be left out', () => {
    expect(read()).toEqual({
      maxSms: undefined,
      run: undefined,
      smsPerSecond: undefined,
      file: undefined,
      sending: undefined,
      isProgressWanted: true,
    });
  });

  it.each([
    ['--num-messages', '0'],
    ['--num-messages', '-5'],
    ['--num-messages', '1.5'],
    ['--num-messages', '1e3'],
    ['--num-messages', '0x10'],
    ['--num-messages', ' 5'],
    ['--num-messages', ''],
    ['--num-messages', 'many'],
    ['--num-messages', '1000000000000'],
    ['--num-messages', '9007199254740993'],
    ['--rate', '0'],
    ['--rate', '0.0'],
    ['--rate', '-1'],
    ['--rate', '1e3'],
    ['--rate', 'Infinity'],
    ['--rate', '9'.repeat(400)],
    ['--rate', ''],
    ['--run', ''],
    ['--run', 'a b'],
    ['--run', 'ä'],
    ['--run', '.'],
    ['--run', '..'],
    ['--run', 'x'.repeat(65)],
    ['--file', ''],
  ])('%s "%s" is refused, naming option, value and what is allowed', (flag, value) => {
    expect(() => read(flag, value)).toThrow(UsageError);
    expect(() => read(flag, value)).toThrow(`${flag} must be `);
    expect(() => read(flag, value)).toThrow(`got "${value}"`);
  });

  it.each([
    [['--send-at', '10m'], { sendAtMs: NOW + 600_000 }],
    [['--send-at', '2026-12-01T09:00:00+01:00'], { sendAtMs: Date.UTC(2026, 11, 1, 8) }],
    [['--send-at', '2020-01-01T00:00:00Z'], { sendAtMs: Date.UTC(2020, 0, 1) }],
    [['--priority', 'low', '--valid-for', '1h'], { priority: 'low', validForMs: 3_600_000 }],
  ])('%j say when and how urgently', (argv, sending) => expect(read(...argv).sending).toEqual(sending));

  it.each([
    ['--send-at', '2026-12-01T09:00:00', 'has no offset from UTC (write Z or'],
    ['--send-at', '', 'is not a time'],
    ['--send-at', '367d', 'is more than 366 days ahead'],
    ['--priority', 'urgent', 'is not high, normal or low'],
    ['--priority', '', 'is not high, normal or low'],
    ['--valid-for', '1s', 'is too short (at least 2s)'],
    ['--valid-for', '1w', 'is not a duration'],
    ['--valid-for', '366d', 'is too long (at most a year, 8760h)'],
  ])('%s "%s" is refused: %s', (flag, value, problem) => {
    expect(() => read(flag, value)).toThrow(UsageError);
    expect(() => read(flag, value)).toThrow(`${flag}: "${value}" ${problem}`);
  });

  it('are refused all at once', () => {
    expect(() => read('--num-messages', 'x', '--rate', 'y')).toThrow(/--num-messages.*\n--rate/);
  });
});

it('a run without a name is called by its time and six random characters', () => {
  const draws = [0, 0.999, 0.5, 0.3, 0.1, 0.7];
  const randomText = makeRandomText(() => draws.shift() ?? 0);
  const name = makeRunName(Date.UTC(2026, 10, 22, 10, 15, 30, 999), randomText);
  expect(name).toBe('20261122-101530-0zia3p');
  expect(isRunName(name)).toBe(true);
});
