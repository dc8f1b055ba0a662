import { CfnParameter } from 'aws-cdk-lib';
import type { Construct } from 'constructs';

/** What a person says when the stack is made or changed. */
export class StackParameters {
  readonly sourceUrl: CfnParameter;
  readonly sourceVersion: CfnParameter;
  readonly senders: CfnParameter;
  readonly rabbitMq: CfnParameter;
  readonly redis: CfnParameter;
  readonly email: CfnParameter;
  readonly apiRange: CfnParameter;
  readonly instanceType: CfnParameter;
  readonly diskGiB: CfnParameter;
  readonly logDays: CfnParameter;

  constructor(scope: Construct) {
    this.sourceUrl = new CfnParameter(scope, 'SourceUrl', {
      description:
        'Where the code comes from: a Git repository (https://…) or an archive in S3 (s3://bucket/name.tar.gz)',
      allowedPattern: '(https|s3)://[A-Za-z0-9._~:/@%+-]+',
      constraintDescription: 'must begin with https:// or s3://',
    });
    this.sourceVersion = new CfnParameter(scope, 'SourceVersion', {
      description: 'Tag or commit of the repository; for an archive in S3 its SHA-256',
      allowedPattern: '[A-Za-z0-9][A-Za-z0-9._/-]*',
      constraintDescription: 'must be a tag, a commit or a SHA-256',
    });
    this.senders = new CfnParameter(scope, 'Senders', {
      description: 'Sender processes on the instance',
      type: 'Number',
      default: 2,
      minValue: 1,
      maxValue: 16,
    });
    this.rabbitMq = this.#place(scope, 'RabbitMq', 'rabbitmq-url');
    this.redis = this.#place(scope, 'Redis', 'redis-url');
    this.email = new CfnParameter(scope, 'AlarmEmail', {
      description: 'Address that alarms are sent to; it is asked to confirm first. Empty: nobody is told',
      default: '',
      allowedPattern: '([^@ ]+@[^@ ]+)?',
      constraintDescription: 'must be an e-mail address or empty',
    });
    this.apiRange = new CfnParameter(scope, 'ApiRange', {
      description:
        'Addresses that may reach the HTTP API on port 8080, such as 10.0.0.0/8; it speaks HTTP. Empty: none',
      default: '',
      allowedPattern: '([0-9]{1,3}(\\.[0-9]{1,3}){3}/[0-9]{1,2})?',
      constraintDescription: 'must be a range of IPv4 addresses such as 10.0.0.0/8, or empty',
    });
    this.instanceType = new CfnParameter(scope, 'InstanceType', {
      description: 'x86_64, with 4 GiB or more where RabbitMQ and Redis run on it',
      default: 't3.medium',
      allowedPattern: '[a-z0-9-]+\\.[a-z0-9]+',
      constraintDescription: 'must be an instance type such as t3.medium',
    });
    this.diskGiB = new CfnParameter(scope, 'DiskGiB', {
      description:
        'Size of the disk. Do not change it here later: that would replace the instance and its queues',
      type: 'Number',
      default: 30,
      minValue: 20,
      maxValue: 1024,
    });
    this.logDays = new CfnParameter(scope, 'LogDays', {
      description: 'Days that CloudWatch keeps the logs',
      type: 'Number',
      default: 30,
      allowedValues: ['1', '3', '5', '7', '14', '30', '60', '90', '180', '365'],
    });
  }

  #place(scope: Construct, name: string, secret: string): CfnParameter {
    return new CfnParameter(scope, name, {
      description: `instance: it runs on the instance. address: its URL is the SecureString /redial/STACK/${secret}`,
      default: 'instance',
      allowedValues: ['instance', 'address'],
    });
  }
}
