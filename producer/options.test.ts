import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { isRunName } from '../shared/domain/sms.ts';
import { UsageError } from '../shared/errors.ts';
import { declareOptions, judgeOptions, makeRandomText, makeRunName } from './options.ts';

function read(...argv: string[]) {
  const command = new Command('producer');
  declareOptions(command);
  command.parse(argv, { from: 'user' });
  return judgeOptions(command.opts());
}

describe('the options', () => {
  it('are read as typed', () => {
    expect(
      read(
        '--num-messages',
        '42',
        '--run',
        'a.b_c-1',
        '--rate',
        '2.5',
        '--file',
        '-',
        '--json',
        '--no-progress',
      ),
    ).toEqual({
      mode: 'produce',
      maxSms: 42,
      run: 'a.b_c-1',
      smsPerSecond: 2.5,
      file: '-',
      isJson: true,
      isProgressWanted: false,
    });
  });

  it('may all be left out', () => {
    expect(read()).toEqual({
      mode: 'produce',
      maxSms: undefined,
      run: undefined,
      smsPerSecond: undefined,
      file: undefined,
      isJson: false,
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

  it('move on what is overdue instead, alone or with --json', () => {
    expect(read('--requeue-overdue', '--json')).toMatchObject({ mode: 'requeue-overdue', isJson: true });
  });

  it.each([
    ['--num-messages', '5'],
    ['--file', 'a.csv'],
    ['--rate', '5'],
    ['--run', 'demo'],
  ])('--requeue-overdue with %s is refused', (flag, value) => {
    expect(() => read('--requeue-overdue', flag, value)).toThrow(
      `--requeue-overdue produces nothing, so it cannot be used with ${flag}`,
    );
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
