import { describe, expect, test } from 'vitest';
import { UsageError } from '../errors.ts';
import { readCommandLine } from './command-line.ts';
import { SETTINGS, type SettingKey } from './config/config.ts';

const SENDER: readonly SettingKey[] = [
  'senderConcurrency',
  'meanProcessingTime',
  'failureRate',
  'retrySchedule',
];

function read(...argv: string[]) {
  return readCommandLine('sender', 'Sends SMS.', SENDER, (command) => void command.option('--json'), argv);
}

function refusal(...argv: string[]): UsageError {
  try {
    read(...argv);
  } catch (error) {
    if (error instanceof UsageError) return error;
    throw error;
  }
  throw new Error('the command line was accepted');
}

test('flags come as typed, apart from the options of the command itself', () => {
  expect(read('--concurrency', '7', '--failure-rate=1e3', '--retry-schedule', '', '--json')).toEqual({
    settings: { senderConcurrency: '7', failureRate: '1e3', retrySchedule: '' },
    options: { json: true },
  });
});

test('a flag that is not given is not there', () => expect(read()).toEqual({ settings: {}, options: {} }));

test('a value may begin with a hyphen, and is judged later', () => {
  expect(read('--concurrency', '-5')?.settings).toEqual({ senderConcurrency: '-5' });
});

test('every flag of every setting is understood', () => {
  for (const [key, setting] of Object.entries(SETTINGS)) {
    if (setting.flag === undefined) continue;
    const argv = [setting.flag.split(' ')[0] ?? '', 'typed'];
    const commandLine = readCommandLine('any', '', [key as SettingKey], () => {}, argv);
    expect(commandLine).toEqual({ settings: { [key]: 'typed' }, options: {} });
  }
});

describe('wrong usage is told in a sentence', () => {
  test.each([
    [
      ['--concurency', '7'],
      /^sender: unknown option '--concurency'\s+\(Did you mean --concurrency\?\) \(see sender --help\)$/,
    ],
    [['--frobnicate'], /^sender: unknown option '--frobnicate' \(see sender --help\)$/],
    [['--concurrency'], /^sender: option '--concurrency <number>' argument missing \(see sender --help\)$/],
    [['stray'], /^sender: too many arguments\. Expected 0 arguments but got 1.* \(see sender --help\)$/],
  ])('%j', (argv, sentence) => expect(refusal(...argv).message).toMatch(sentence));
});

describe('help', () => {
  test('is printed where asked for, with every flag, its variable and its default', () => {
    const written: string[] = [];
    const write = (text: string) => void written.push(text);
    expect(readCommandLine('sender', 'Sends SMS.', SENDER, () => {}, ['--help'], write)).toBeUndefined();
    const help = written.join('').replace(/\s+/g, ' ');
    for (const key of SENDER) {
      const { name, default: defaultText } = SETTINGS[key];
      expect(help).toContain(`(${name}, default ${defaultText})`);
    }
  });
});
