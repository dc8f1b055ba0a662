import { type References, resolve, statementsOf, type Template } from './template.ts';

export const BUCKET = 'redial-outcomes-of-stack';
export const RELEASES = 'releases';
const STACK = 'redial-test';
const REGION = 'eu-central-1';

/** What a person says in the parameters of the stack. */
export type Said = Readonly<Record<'SourceUrl' | 'SourceVersion', string>> & Readonly<Record<string, string>>;

/** A stack as CloudFormation would have made it of the template: what its parts are called, and what it says. */
export function referencesOf({ Parameters }: Template, said: Said): References {
  const defaults = Object.entries(Parameters).flatMap(([name, { Default }]) =>
    Default === undefined ? [] : [[name, String(Default)] as const],
  );
  return {
    'AWS::StackName': STACK,
    'AWS::Region': REGION,
    'AWS::Partition': 'aws',
    'AWS::AccountId': '123456789012',
    Outcomes: BUCKET,
    'Outcomes.Arn': `arn:aws:s3:::${BUCKET}`,
    'Logs.Arn': `arn:aws:logs:${REGION}:123456789012:log-group:/redial/${STACK}:*`,
    ...Object.fromEntries(defaults),
    ...said,
  };
}

/** What the stand-in for AWS on the machine must know. */
export function factsOf(
  template: Template,
  references: References,
  secrets: Readonly<Record<string, string>> = {},
) {
  const settings = template.Resources.Settings?.Properties;
  return {
    role: 'redial-test-Role',
    region: REGION,
    bucket: BUCKET,
    releases: RELEASES,
    statements: statementsOf(template, references),
    parameters: {
      [String(resolve(settings.Name, references))]: resolve(settings.Value, references),
      ...secrets,
    },
  };
}

/** What the instance runs at its first start. */
export function userDataOf({ Resources }: Template, references: References): string {
  return String(resolve(Resources.Instance?.Properties.UserData, references));
}
