/**
 * The command line of the producer: which command it asks for, and its options. Without the name of a command it produces. A
 * new command is a kind of ProducerCommand, an entry of SUBCOMMANDS, and a case in main.ts.
 */
import { Command, type OptionValues } from 'commander';
import { UsageError } from '../shared/errors.ts';
import { type Aim, declareAim, judgeAim } from './move/direct/directive-options.ts';
import { declareRedrive, judgeRedrive, type RedriveOptions } from './move/redrive/redrive-options.ts';
import {
  declareProduceOptions,
  judgeProduceOptions,
  type ProduceOptions,
} from './produce/produce-options.ts';

export type ProducerCommand =
  | { readonly kind: 'produce'; readonly isJson: boolean; readonly options: ProduceOptions }
  | { readonly kind: 'requeue-overdue'; readonly isJson: boolean }
  | { readonly kind: 'serve'; readonly isJson: boolean; readonly flags: ServeFlags }
  | { readonly kind: 'redrive'; readonly isJson: boolean; readonly options: RedriveOptions }
  | { readonly kind: 'cancel' | 'retry-now'; readonly isJson: boolean; readonly aim: Aim };

/** As typed: they win over the settings. */
export interface ServeFlags {
  readonly apiPort?: string;
  readonly apiHost?: string;
}

interface Subcommand {
  /** As it is typed, with its arguments as commander writes them: `cancel [ids...]`. */
  readonly usage: string;
  readonly what: string;
  /** Its options beside `--json`. */
  readonly declareOptions: (command: Command) => void;
  /** @throws UsageError naming every option and argument that cannot be used */
  readonly judge: (
    values: OptionValues,
    ids: readonly string[],
    isJson: boolean,
    nowMs: number,
  ) => ProducerCommand;
}

const SUBCOMMANDS: readonly Subcommand[] = [
  {
    usage: 'serve',
    what: 'Serves the HTTP API: send SMS, ask what became of them, cancel them.',
    declareOptions: (command) => {
      command.option('--port <number>', 'as API_PORT').option('--host <address>', 'as API_HOST');
    },
    judge: ({ port, host }, _, isJson) => ({
      kind: 'serve',
      isJson,
      flags: {
        ...(port === undefined ? {} : { apiPort: port }),
        ...(host === undefined ? {} : { apiHost: host }),
      },
    }),
  },
  {
    usage: 'requeue-overdue',
    what: 'Moves SMS that are stuck in a retry queue past their time to the due queue.',
    declareOptions: () => {},
    judge: (_, __, isJson) => ({ kind: 'requeue-overdue', isJson }),
  },
  {
    usage: 'redrive',
    what: 'Sends SMS again that failed or were parked, in growing batches, as a new run.',
    declareOptions: declareRedrive,
    judge: (values, _, isJson, nowMs) => ({
      kind: 'redrive',
      isJson,
      options: judgeRedrive(values, nowMs),
    }),
  },
  {
    usage: 'cancel [ids...]',
    what: 'Ends SMS that wait: no attempt of them begins any more.',
    declareOptions: declareAim,
    judge: (values, ids, isJson) => ({ kind: 'cancel', isJson, aim: judgeAim(values, ids, 'cancel') }),
  },
  {
    usage: 'retry-now [ids...]',
    what: 'Sends SMS now that wait for their retry or their moment.',
    declareOptions: declareAim,
    judge: (values, ids, isJson) => ({
      kind: 'retry-now',
      isJson,
      aim: judgeAim(values, ids, 'retry-now'),
    }),
  },
];

const SETTINGS_HINT = '\nEvery setting may come from the environment or from .env.';

/**
 * Declares all commands. Reading a command line then takes the one it asks for, and throws UsageError for an unknown flag, a
 * stray argument and each option that cannot be used.
 * @param nowMs what a moment such as `10m` counts from
 */
export function declareCommands(nowMs: number, take: (command: ProducerCommand) => void): Command {
  // Positional options: what follows the name of a command belongs to that command.
  const program = new Command('producer').enablePositionalOptions().helpCommand(false);
  program
    .description(
      'Publishes SMS to RabbitMQ and waits until it has confirmed them; or does what a command says.',
    )
    .usage('[options]\n       producer <command> [options]');
  declareProduceOptions(program);
  declareJson(program);
  program.addHelpText('after', SETTINGS_HINT).action(() => {
    const values = program.opts();
    take({ kind: 'produce', isJson: values.json === true, options: judgeProduceOptions(values, nowMs) });
  });
  for (const { usage, what, declareOptions, judge } of SUBCOMMANDS) {
    const command = program.command(usage).description(what);
    declareOptions(command);
    declareJson(command);
    command.addHelpText('after', SETTINGS_HINT).action(() => {
      refuseFlagsBefore(command, program);
      const values = command.opts();
      take(judge(values, command.args, values.json === true, nowMs));
    });
  }
  return program;
}

function declareJson(command: Command): void {
  command.option('--json', 'print the summary as one JSON object');
}

/** @throws UsageError for options of producing that stand before the name of another command */
function refuseFlagsBefore(command: Command, program: Command): void {
  const before = program.options.filter(
    (option) => program.getOptionValueSource(option.attributeName()) === 'cli',
  );
  if (before.length === 0) return;
  const flags = before.map(({ long }) => long).join(', ');
  throw new UsageError(
    `producer: ${flags} must not stand before ${command.name()}: the options of a command follow its name ` +
      `(see producer ${command.name()} --help)`,
  );
}
