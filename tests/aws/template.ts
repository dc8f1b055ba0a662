import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { findProjectFolder } from '../../shared/process/environment.ts';

export const awsFolder = join(findProjectFolder(), 'deploy', 'aws');

interface Resource {
  readonly Type: string;
  readonly Condition?: string;
  readonly DeletionPolicy?: string;
  readonly UpdateReplacePolicy?: string;
  // biome-ignore lint/suspicious/noExplicitAny: a template is looked into at many places, each with a form of its own
  readonly Properties: any;
}

export interface Template {
  readonly Parameters: Readonly<Record<string, { readonly Default?: string | number }>>;
  readonly Resources: Readonly<Record<string, Resource>>;
  readonly Rules?: unknown;
}

/** The template as people deploy it. */
export function readTemplate(): Template {
  return JSON.parse(readFileSync(join(awsFolder, 'redial.template.json'), 'utf8')) as Template;
}

/** What stands for `Ref` (`Name`) and `Fn::GetAtt` (`Name.Attribute`) in a stack that was made. */
export type References = Readonly<Record<string, string>>;

/**
 * A value of the template as CloudFormation would hand it on. Base64 is left out, because EC2 undoes it.
 *
 * @throws Error for a function or a reference that is not known
 */
export function resolve(value: unknown, references: References): unknown {
  if (Array.isArray(value)) return value.map((each) => resolve(each, references));
  if (typeof value !== 'object' || value === null) return value;
  const [[name, argument] = ['', undefined], ...others] = Object.entries(value);
  if (others.length > 0 || !/^(Ref|Fn::)/.test(name)) {
    return Object.fromEntries(
      Object.entries(value).map(([key, each]) => [key, resolve(each, references)] as const),
    );
  }
  if (name === 'Ref') return known(String(argument), references);
  if (name === 'Fn::GetAtt') return known((argument as string[]).join('.'), references);
  const resolved = resolve(argument, references);
  if (name === 'Fn::Base64') return resolved;
  const [first, second] = resolved as [string, string[] | string];
  if (name === 'Fn::Join') return (second as string[]).join(first);
  if (name === 'Fn::Split') return (second as string).split(first);
  if (name === 'Fn::Select') return (second as string[])[Number(first)];
  throw new Error(`${name} is not known here`);
}

function known(name: string, references: References): string {
  const value = references[name];
  if (value === undefined) throw new Error(`nobody said what ${name} is`);
  return value;
}

export interface Statement {
  readonly actions: readonly string[];
  readonly resources: readonly string[];
  readonly condition: unknown;
}

/** What the role may do; each value of the template is resolved. */
export function statementsOf({ Resources }: Template, references: References): readonly Statement[] {
  return Object.values(Resources)
    .filter(({ Type }) => Type === 'AWS::IAM::Policy')
    .flatMap(({ Properties }) => Properties.PolicyDocument.Statement as Record<string, unknown>[])
    .map(({ Effect, Action, Resource, Condition }) => {
      if (Effect !== 'Allow') throw new Error(`a statement has the effect ${Effect}`);
      return {
        actions: [Action].flat() as string[],
        resources: [resolve(Resource, references)].flat() as string[],
        condition: Condition,
      };
    });
}

/** How CloudWatch finds the number of senders in the log. */
export function senderFilterOf({ Resources }: Template): { filterPattern: string; metricValue: string } {
  const { FilterPattern, MetricTransformations } = Resources.SendersInLog?.Properties ?? {};
  return { filterPattern: FilterPattern, metricValue: MetricTransformations?.[0].MetricValue };
}

/** Which files the CloudWatch agent reads, and where their lines go. */
export function agentConfigOf(text: string): { paths: string[]; groups: string[] } {
  const list = JSON.parse(text).logs.logs_collected.files.collect_list as Record<string, string>[];
  return {
    paths: list.map(({ file_path = '' }) => file_path),
    groups: list.map(({ log_group_name = '' }) => log_group_name),
  };
}
