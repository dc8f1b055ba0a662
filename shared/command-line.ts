import { Command, CommanderError, type OptionValues } from 'commander';
import { type FlagValues, SETTINGS, type SettingKey } from './config.ts';
import { UsageError } from './errors.ts';
import { writeDataNow } from './output.ts';

export interface CommandLine {
  /** Flags that are settings, as typed. */
  readonly settings: FlagValues;
  /** The command's own options, by commander's names. */
  readonly options: OptionValues;
}

/**
 * Reads a command line: flags for the given settings, and the command's own options, declared by the caller.
 * Undefined where help was asked for and printed.
 * @throws UsageError for an unknown flag (naming the nearest one), a missing value or a stray argument
 */
export function readCommandLine(
  name: string,
  description: string,
  settingKeys: readonly SettingKey[],
  declareOptions: (command: Command) => void,
  argv: readonly string[],
  writeHelp?: (text: string) => void,
): CommandLine | undefined {
  const command = new Command(name)
    .description(description)
    .addHelpText('after', '\nEvery setting may also come from the environment or from .env; flags win.');
  declareOptions(command);
  for (const key of settingKeys) {
    const {
      flag,
      help,
      name: variable,
      default: defaultText,
    } = SETTINGS[key] as (typeof SETTINGS)['failureRate'];
    command.option(flag ?? '', `${help} (${variable}, default ${defaultText})`);
  }
  const options = parseCommandLine(command, argv, writeHelp);
  return options === undefined ? undefined : splitOptions(options, settingKeys);
}

/**
 * The options of a command. Undefined where only help was asked for, and given.
 * @throws UsageError for an unknown flag (naming the nearest one), a missing value or a stray argument
 * @throws OutputError where the help cannot be written
 */
export function parseCommandLine(
  command: Command,
  argv: readonly string[],
  writeHelp: (text: string) => void = writeDataNow,
): OptionValues | undefined {
  command
    .exitOverride()
    .configureOutput({ writeOut: writeHelp, writeErr: () => {} })
    .showSuggestionAfterError(true)
    .allowExcessArguments(false);
  try {
    return command.parse(argv, { from: 'user' }).opts();
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return undefined;
    const name = command.name();
    throw new UsageError(`${error.message.replace(/^error: /, `${name}: `)} (see ${name} --help)`);
  }
}

function splitOptions(values: OptionValues, settingKeys: readonly SettingKey[]): CommandLine {
  const settings: FlagValues = {};
  const options: OptionValues = { ...values };
  for (const key of settingKeys) {
    const { flag } = SETTINGS[key] as { flag?: string };
    const optionName = camelCase(flag ?? '');
    const text: unknown = options[optionName];
    delete options[optionName];
    if (typeof text === 'string') settings[key] = text;
  }
  return { settings, options };
}

// `--mean-processing-time <seconds>` → `meanProcessingTime`, as commander names it.
function camelCase(flag: string): string {
  const name = flag.replace(/^--/, '').split(' ')[0] ?? '';
  return name.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
}
