import { describe, expect, test } from 'vitest';
import { UsageError } from '../shared/errors.ts';
import { parseCommandLine } from '../shared/process/command-line.ts';
import { declareCommands, type ProducerCommand } from './producer-command.ts';

function read(argv: readonly string[], writeHelp?: (text: string) => void): ProducerCommand | undefined {
  let asked: ProducerCommand | undefined;
  const program = declareCommands(Date.UTC(2026, 10, 30, 12), (command) => {
    asked = command;
  });
  parseCommandLine(program, argv, writeHelp);
  return asked;
}

describe('a command line asks for', () => {
  test.each([
    [[], { kind: 'produce', isJson: false, options: { maxSms: undefined } }],
    [['--num-messages', '5', '--json'], { kind: 'produce', isJson: true, options: { maxSms: 5 } }],
    [['--run', 'requeue-overdue'], { kind: 'produce', options: { run: 'requeue-overdue' } }],
    [['requeue-overdue'], { kind: 'requeue-overdue', isJson: false }],
    [['requeue-overdue', '--json'], { kind: 'requeue-overdue', isJson: true }],
  ])('%j', (argv, command) => expect(read(argv)).toMatchObject(command));
});

describe('wrong usage is told in a sentence', () => {
  test.each([
    [
      ['requeue'],
      "producer: unknown command 'requeue' (there is serve, requeue-overdue, redrive, cancel, retry-now) (see producer --help)",
    ],
    [
      ['--requeue-overdue', '--json'],
      "producer: unknown option '--requeue-overdue' (it is a command: producer requeue-overdue) (see producer --help)",
    ],
    [
      ['--rate', '5', '--no-progress', 'requeue-overdue'],
      'producer: --rate, --no-progress must not stand before requeue-overdue: the options of a command follow its name (see producer requeue-overdue --help)',
    ],
    [
      ['requeue-overdue', '--rate', '5'],
      "producer requeue-overdue: unknown option '--rate' (see producer requeue-overdue --help)",
    ],
    [
      ['requeue-overdue', 'demo-000001'],
      "producer requeue-overdue: too many arguments for 'requeue-overdue'. Expected 0 arguments but got 1. (see producer requeue-overdue --help)",
    ],
    [['--rate', '0'], '--rate must be a number above 0, at most 1000000, got "0"'],
  ])('%j', (argv, sentence) => expect(() => read(argv)).toThrow(new UsageError(sentence)));
});

test.each([
  [['--help'], ['producer <command> [options]', '--num-messages <count>', 'requeue-overdue']],
  [
    ['requeue-overdue', '--help'],
    ['Usage: producer requeue-overdue [options]', '--json'],
  ],
  [['--rate', '5', 'requeue-overdue', '--help'], ['Usage: producer requeue-overdue [options]']],
])('%j prints help and asks for nothing', (argv, parts) => {
  let help = '';
  const write = (text: string) => {
    help += text;
  };
  expect(read(argv, write)).toBeUndefined();
  for (const part of parts) expect(help).toContain(part);
});
