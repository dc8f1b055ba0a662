import { Command, CommanderError, Option, type OptionValues } from 'commander';
import { UsageError } from '../errors.ts';
import { type FlagValues, SETTINGS, type SettingKey } from './config/config.ts';
import { writeDataNow } from './output.ts';

export interface CommandLine {
  /** Flags that are settings, as typed. */
  readonly settings: FlagValues;
  /** The command's own options, by commander's names. */
  readonly options: OptionValues;
}

/**
 * Reads a command line: flags for the given settings, and the command's own options, which the caller declares.
 * @returns undefined where help was asked for, and was printed
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
  const settingOptions = settingKeys.map((key) => {
    const { flag = '', help, name: variable, default: defaultText } = SETTINGS[key];
    const option = new Option(flag, `${help} (${variable}, default ${defaultText || 'none'})`);
    command.addOption(option);
    return { key, optionName: option.attributeName() };
  });
  const options = parseCommandLine(command, argv, writeHelp);
  if (options === undefined) return undefined;
  const settings: FlagValues = {};
  for (const { key, optionName } of settingOptions) {
    const text: unknown = options[optionName];
    delete options[optionName];
    if (typeof text === 'string') settings[key] = text;
  }
  return { settings, options };
}

/**
 * Reads the options of a command. The action of a subcommand tells the caller that it was chosen.
 * @returns undefined where help was asked for, and was printed
 * @throws UsageError for an unknown flag (naming the nearest one), a missing value or a stray argument
 * @throws OutputError where the help cannot be written
 */
export function parseCommandLine(
  command: Command,
  argv: readonly string[],
  writeHelp: (text: string) => void = writeDataNow,
): OptionValues | undefined {
  for (const each of [command, ...command.commands]) {
    each
      .exitOverride((error) => refuse(each, error))
      .configureOutput({ writeOut: writeHelp, writeErr: () => {} })
      .showSuggestionAfterError(true)
      .allowExcessArguments(false);
  }
  try {
    return command.parse(argv, { from: 'user' }).opts();
  } catch (error) {
    if (error instanceof CommanderError) return undefined;
    throw error;
  }
}

/** @throws CommanderError after help, UsageError otherwise */
function refuse(command: Command, error: CommanderError): never {
  if (error.exitCode === 0) throw error;
  const name = fullNameOf(command);
  const sentence = describeMisnamed(command, error) ?? error.message.replace(/^error: /, '');
  throw new UsageError(`${name}: ${sentence} (see ${name} --help)`);
}

/** `producer requeue-overdue`. */
function fullNameOf(command: Command): string {
  return command.parent === null ? command.name() : `${fullNameOf(command.parent)} ${command.name()}`;
}

/** Where a subcommand was meant or may have been meant. */
function describeMisnamed(command: Command, { code, message }: CommanderError): string | undefined {
  if (command.commands.length === 0) return undefined;
  const names = command.commands.map((each) => each.name());
  if (code === 'commander.excessArguments')
    return `unknown command '${command.args[0]}' (there is ${names.join(', ')})`;
  const meant = names.find((name) => message.startsWith(`error: unknown option '--${name}'`));
  return meant && `unknown option '--${meant}' (it is a command: ${command.name()} ${meant})`;
}
