import { Aws, CfnCondition, Fn, type Stack } from 'aws-cdk-lib';
import { CfnPolicy, PolicyDocument, PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import type { CfnLogGroup } from 'aws-cdk-lib/aws-logs';
import type { Bucket } from 'aws-cdk-lib/aws-s3';
import { PREFIXES } from './outcomes-bucket.ts';
import type { StackParameters } from './parameters.ts';
import { NAMESPACE } from './watching.ts';

/** What the instance may do, without any key on it. Nothing here deletes, and nothing reads another bucket. */
export function createRole(
  stack: Stack,
  bucket: Bucket,
  logs: CfnLogGroup,
  { sourceUrl }: StackParameters,
): Role {
  const role = new Role(stack, 'Role', {
    assumedBy: new ServicePrincipal('ec2.amazonaws.com'),
    description: 'Redial on its instance',
  });
  const statements = [
    allow('OutcomesAreWrittenAndRead', ['s3:GetObject', 's3:PutObject'], objectsOf(bucket)),
    // HeadBucket asks for this right without a prefix, and a missing object is told as missing only with it.
    allow('OutcomesAreListed', ['s3:ListBucket'], [bucket.bucketArn]),
    allow(
      'SettingsAreRead',
      ['ssm:GetParameter'],
      [
        stack.formatArn({
          service: 'ssm',
          resource: 'parameter',
          resourceName: `redial/${Aws.STACK_NAME}/*`,
        }),
      ],
    ),
    allow(
      'LogsAreWritten',
      ['logs:CreateLogStream', 'logs:DescribeLogStreams', 'logs:PutLogEvents'],
      [logs.attrArn],
    ),
    metricsAreWritten(),
    // Session Manager instead of SSH. These actions know no resources.
    allow('SessionsAreOpened', SESSION_ACTIONS, ['*']),
  ];
  for (const statement of statements) role.addToPolicy(statement);
  mayReadSource(stack, role, sourceUrl.valueAsString);
  return role;
}

const SESSION_ACTIONS = [
  'ssm:UpdateInstanceInformation',
  'ssmmessages:CreateControlChannel',
  'ssmmessages:CreateDataChannel',
  'ssmmessages:OpenControlChannel',
  'ssmmessages:OpenDataChannel',
];

function allow(sid: string, actions: string[], resources: string[]): PolicyStatement {
  return new PolicyStatement({ sid, actions, resources });
}

function objectsOf(bucket: Bucket): string[] {
  return PREFIXES.map((prefix) => bucket.arnForObjects(`${prefix}/*`));
}

function metricsAreWritten(): PolicyStatement {
  return new PolicyStatement({
    sid: 'MetricsAreWritten',
    actions: ['cloudwatch:PutMetricData'],
    resources: ['*'],
    conditions: { StringEquals: { 'cloudwatch:namespace': NAMESPACE } },
  });
}

/** Where the code comes from S3: this one archive, and nothing else in its bucket. */
function mayReadSource(stack: Stack, role: Role, sourceUrl: string): void {
  const [scheme, place] = [0, 1].map((part) => Fn.select(part, Fn.split('://', sourceUrl)));
  if (scheme === undefined || place === undefined) return;
  const isInS3 = new CfnCondition(stack, 'SourceIsInS3', { expression: Fn.conditionEquals(scheme, 's3') });
  const policy = new CfnPolicy(stack, 'SourcePolicy', {
    policyName: 'SourceIsRead',
    roles: [role.roleName],
    policyDocument: new PolicyDocument({
      statements: [allow('SourceIsRead', ['s3:GetObject'], [`arn:${Aws.PARTITION}:s3:::${place}`])],
    }),
  });
  policy.cfnOptions.condition = isInS3;
}
