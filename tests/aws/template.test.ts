/** What the committed template is held to: by itself, beside the files that it is made of, and beside the product. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { KNOWN_PREFIX, RUNS_PREFIX } from '../../shared/domain/outcome/outcome-object.ts';
import { S3 } from '../../shared/process/config/s3.ts';
import { BUCKET, referencesOf, userDataOf } from './stack-facts.ts';
import { agentConfigOf, awsFolder, readTemplate, resolve, statementsOf } from './template.ts';

const template = readTemplate();
const references = referencesOf(template, { SourceUrl: 's3://releases/redial.tar.gz', SourceVersion: 'v1' });
const ofType = (type: string) => Object.values(template.Resources).filter(({ Type }) => Type === type);
const read = (name: string) => readFileSync(join(awsFolder, name), 'utf8');

function run(command: string, ...args: string[]) {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd: awsFolder, encoding: 'utf8' });
  return { status, stdout, stderr };
}

describe('the template', () => {
  beforeAll(() => {
    if (existsSync(join(awsFolder, 'node_modules', 'aws-cdk-lib'))) return;
    const { status, stderr } = run('npm', 'ci', '--ignore-scripts');
    expect(status, stderr).toBe(0);
  });

  // CDK's validator knows the schemas of CloudFormation; what it finds is an error (template.ts).
  test('is what the stack in TypeScript makes, and its validator finds nothing', () => {
    const made = run('npm', 'run', '--silent', 'template');
    expect(made.status, made.stderr).toBe(0);
    expect(JSON.parse(made.stdout)).toEqual(template);
    expect(made.stdout).toBe(read('redial.template.json'));
  });
});

test('the template is of use without CDK', () => {
  expect(Object.keys(template)).toEqual(['Description', 'Parameters', 'Resources', 'Conditions', 'Outputs']);
  expect(JSON.stringify(template).match(/cdk|BootstrapVersion|AssetParameters/gi)).toBeNull();
});

test('a person has to say nothing but where the code comes from', () => {
  const asked = Object.entries(template.Parameters).filter(([, { Default }]) => Default === undefined);
  expect(asked.map(([name]) => name)).toEqual(['SourceUrl', 'SourceVersion']);
});

describe('the role', () => {
  const statements = statementsOf(template, references);

  test('may do this, and nothing else', () => {
    expect(statements.flatMap(({ actions }) => actions).sort()).toEqual([
      'cloudwatch:PutMetricData',
      'logs:CreateLogStream',
      'logs:DescribeLogStreams',
      'logs:PutLogEvents',
      's3:GetObject',
      's3:GetObject',
      's3:ListBucket',
      's3:PutObject',
      'ssm:GetParameter',
      'ssm:UpdateInstanceInformation',
      'ssmmessages:CreateControlChannel',
      'ssmmessages:CreateDataChannel',
      'ssmmessages:OpenControlChannel',
      'ssmmessages:OpenDataChannel',
    ]);
    const roles = ofType('AWS::IAM::Role');
    for (const { Properties } of roles) {
      expect(Properties).not.toHaveProperty('ManagedPolicyArns');
      expect(Properties).not.toHaveProperty('Policies');
    }
    expect(roles).toHaveLength(1);
  });

  test('may write and read what Redial writes, and no other object', () => {
    const prefixes = [S3.s3SuccessPrefix.default, S3.s3FailedPrefix.default, S3.s3ParkedPrefix.default];
    const written = statements.find(({ actions }) => actions.includes('s3:PutObject'));
    expect(written?.actions).toEqual(['s3:GetObject', 's3:PutObject']);
    expect(written?.resources).toEqual(
      [...prefixes, KNOWN_PREFIX, RUNS_PREFIX].map((prefix) => `arn:aws:s3:::${BUCKET}/${prefix}/*`),
    );
  });

  test('may do on everything only what knows no resources', () => {
    const everywhere = statements.filter(({ resources }) => resources.includes('*'));
    expect(everywhere.map(({ actions, condition }) => [actions[0], condition])).toEqual([
      ['cloudwatch:PutMetricData', { StringEquals: { 'cloudwatch:namespace': expect.anything() } }],
      ['ssm:UpdateInstanceInformation', undefined],
    ]);
  });

  test('may read the archive of the code only where the code comes from S3', () => {
    const source = ofType('AWS::IAM::Policy').find(({ Condition }) => Condition === 'SourceIsInS3');
    expect(resolve(source?.Properties.PolicyDocument.Statement[0].Resource, references)).toBe(
      'arn:aws:s3:::releases/redial.tar.gz',
    );
  });
});

describe('the instance', () => {
  const instance = template.Resources.Instance?.Properties;

  test('gives credentials to itself alone, and only in answer to a token', () => {
    expect(instance.MetadataOptions).toEqual({ HttpTokens: 'required', HttpPutResponseHopLimit: 1 });
  });

  test('has an encrypted disk that outlives it', () => {
    const [{ Ebs }] = instance.BlockDeviceMappings;
    expect(Ebs).toMatchObject({ Encrypted: true, DeleteOnTermination: false });
  });

  test('is not replaced where a newer image comes out', () => {
    expect(instance).not.toHaveProperty('ImageId');
    expect(template.Resources.Image?.Properties.LaunchTemplateData.ImageId).toMatch(/^resolve:ssm:\/aws\//);
  });

  test('is reached by nobody, unless ApiRange says so', () => {
    expect(ofType('AWS::EC2::SecurityGroup')).toHaveLength(1);
    expect(template.Resources.Firewall?.Properties).not.toHaveProperty('SecurityGroupIngress');
    const ingress = ofType('AWS::EC2::SecurityGroupIngress');
    expect(
      ingress.map(({ Condition, Properties }) => [Condition, Properties.FromPort, Properties.ToPort]),
    ).toEqual([['HasApiRange', 8080, 8080]]);
    expect(instance).not.toHaveProperty('KeyName');
  });

  test('runs user-data.sh as it is, told which stack it is of', () => {
    const [shell, facts, ...script] = userDataOf(template, references).split('\n');
    expect([shell, facts]).toEqual([
      '#!/bin/sh',
      "export REDIAL_STACK='redial-test' REDIAL_REGION='eu-central-1'",
    ]);
    expect(script.join('\n')).toBe(read('user-data.sh'));
    // What EC2 takes.
    expect(Buffer.byteLength(userDataOf(template, references))).toBeLessThan(16_384);
  });
});

test('the bucket is versioned, encrypted, private, for TLS alone, and outlives the stack', () => {
  const [bucket] = ofType('AWS::S3::Bucket');
  expect(bucket).toMatchObject({ DeletionPolicy: 'Retain', UpdateReplacePolicy: 'Retain' });
  const { BucketEncryption, PublicAccessBlockConfiguration, VersioningConfiguration } =
    bucket?.Properties ?? {};
  expect(VersioningConfiguration).toEqual({ Status: 'Enabled' });
  expect(BucketEncryption.ServerSideEncryptionConfiguration).toHaveLength(1);
  expect(Object.values(PublicAccessBlockConfiguration)).toEqual([true, true, true, true]);
  const denials = template.Resources.OutcomesPolicy?.Properties.PolicyDocument.Statement;
  expect(
    denials.map(({ Effect, Principal, Action, Condition }: Record<string, unknown>) => [
      Effect,
      Principal,
      Action,
      Condition,
    ]),
  ).toEqual([
    ['Deny', { AWS: '*' }, 's3:*', { Bool: { 'aws:SecureTransport': 'false' } }],
    ['Deny', { AWS: '*' }, 's3:*', { NumericLessThan: { 's3:TlsVersion': 1.2 } }],
  ]);
});

test('no outcome goes where it cannot be read at once', () => {
  const [bucket] = ofType('AWS::S3::Bucket');
  const rules = bucket?.Properties.LifecycleConfiguration.Rules as Record<string, unknown>[];
  const classes = rules.flatMap(({ Transitions = [] }) =>
    (Transitions as { StorageClass: string }[]).map((each) => each.StorageClass),
  );
  expect(classes).toEqual(['STANDARD_IA', 'GLACIER_IR']);
  expect(rules.filter((rule) => 'ExpirationInDays' in rule)).toEqual([]);
});

test('three alarms tell the topic, which takes them', () => {
  const alarms = ofType('AWS::CloudWatch::Alarm');
  expect(alarms.map(({ Properties }) => [Properties.MetricName, Properties.TreatMissingData])).toEqual([
    ['StatusCheckFailed_System', undefined],
    ['Senders', 'breaching'],
    ['disk_used_percent', undefined],
  ]);
  for (const { Properties } of alarms) expect(Properties.AlarmActions).toContainEqual({ Ref: 'Alarms' });
  expect(template.Resources.AlarmsPolicy?.Properties.PolicyDocument.Statement).toContainEqual(
    expect.objectContaining({
      Effect: 'Allow',
      Principal: { Service: 'cloudwatch.amazonaws.com' },
      Action: 'sns:Publish',
    }),
  );
});

test('the CloudWatch agent writes to the log group and the namespace of the stack', () => {
  const config = read('cloudwatch-agent.json').replaceAll('STACK', 'redial-test');
  const groups = new Set(agentConfigOf(config).groups);
  expect([...groups]).toEqual([resolve(template.Resources.Logs?.Properties.LogGroupName, references)]);
  const disk = template.Resources.DiskFull?.Properties;
  expect(JSON.parse(config).metrics.namespace).toBe(resolve(disk.Namespace, references));
  expect(disk.Dimensions.map(({ Name }: { Name: string }) => Name)).toEqual(
    JSON.parse(config).metrics.aggregation_dimensions[0],
  );
});
