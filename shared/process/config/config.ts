/**
 * The configuration of a process. Flags, environment, help, `.env` and documentation come from one table of settings.
 * Each process judges all of them, so that a value that cannot work is told by the first process that meets it.
 */
import { readFileSync } from 'node:fs';
import { ConfigurationError, UsageError } from '../../errors.ts';
import { type Environment, isGiven } from '../environment.ts';
import { API } from './api.ts';
import { CARRIER } from './carrier.ts';
import { MONITOR } from './monitor.ts';
import { PIPELINE } from './pipeline.ts';
import { contradictionsInRabbitMq, RABBITMQ } from './rabbitmq.ts';
import { contradictionsInRedis, REDIS } from './redis.ts';
import { RUNNING } from './running.ts';
import { contradictionsInS3, S3 } from './s3.ts';
import type { Setting, ValuesOf } from './setting.ts';

const EMPTY_IS_NO_DEFAULT =
  'It is the only variable that does not count as not set when it is empty: remove it to get the default';

/** All settings, in the order in which problems and documentation tell them. */
export const SETTINGS = {
  ...RABBITMQ,
  ...REDIS,
  ...CARRIER,
  ...PIPELINE,
  ...S3,
  ...API,
  ...MONITOR,
  ...RUNNING,
};

export type SettingKey = keyof typeof SETTINGS;
/** Values of flags as typed, by the setting they belong to. */
export type FlagValues = Partial<Record<SettingKey, string>>;
/** Units are those a person types, but times are in milliseconds. */
export type Config = ValuesOf<typeof SETTINGS>;

/**
 * Reads the configuration. A flag whose value cannot work is wrong usage; then the environment is not judged.
 * @throws UsageError for flags, else ConfigurationError with every problem
 */
export function loadConfig(environment: Environment, flags: FlagValues = {}): Config {
  const flagProblems = Object.entries(flags).flatMap(([key, text]) => {
    const setting = SETTINGS[key as SettingKey];
    return read(setting, text, setting.flag?.split(' ')[0]).problems;
  });
  if (flagProblems.length > 0) throw new UsageError(flagProblems.join('\n'));
  const problems: string[] = [];
  const values: Record<string, unknown> = {};
  for (const [key, setting] of Object.entries<Setting>(SETTINGS)) {
    const text = flags[key as SettingKey] ?? textOf(setting, environment, problems);
    const found = read(setting, text);
    values[key] = found.value;
    for (const problem of found.problems)
      problems.push(text === '' ? `${problem}. ${EMPTY_IS_NO_DEFAULT}` : problem);
  }
  problems.push(...contradictionsInS3(values as Partial<Config>));
  if (problems.length === 0) {
    const config = values as Config;
    problems.push(...contradictionsInRabbitMq(config), ...contradictionsInRedis(config));
  }
  if (problems.length > 0) throw new ConfigurationError(problems);
  return values as Config;
}

function textOf(setting: Setting, environment: Environment, problems: string[]): string {
  const { name } = setting;
  const given = environment[name];
  if (isGiven(name, given)) return given;
  const path = environment[`${name}_FILE`];
  if (!setting.isSecret || path === undefined || path === '') return setting.default;
  try {
    return readFileSync(path, 'utf8').trimEnd() || setting.default;
  } catch {
    problems.push(`${name}_FILE must name a readable file, got "${path}"`);
    return setting.default;
  }
}

/** @param label what problems call the setting */
function read(setting: Setting, text: string, label = setting.name): { value?: unknown; problems: string[] } {
  if (text === '' && setting.default === '') return { problems: [] };
  const reading = setting.kind.read(text);
  if ('value' in reading) return { value: reading.value, problems: [] };
  const got = setting.isSecret ? '' : `, got "${text}"`;
  const render = (problem: string) =>
    setting.kind.hasOwnSentences ? `${label}: ${problem}` : `${label} ${problem}${got}`;
  return { problems: [...new Set(reading.problems)].map(render) };
}
