import { Aws, type CfnElement, CfnOutput, LegacyStackSynthesizer, Stack, Tags } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import { createInstance, createNetwork, createSettings } from './machine.ts';
import { createOutcomesBucket } from './outcomes-bucket.ts';
import { StackParameters } from './parameters.ts';
import { createRole } from './rights.ts';
import { createLogGroup, watch } from './watching.ts';

/** Redial on one EC2 instance, with its bucket and its role. README.md tells how it is used. */
export class RedialStack extends Stack {
  constructor(scope: Construct, id: string) {
    super(scope, id, {
      description:
        'Redial: sends SMS through RabbitMQ and retries what fails. One instance, its role and its bucket',
      // The template must be of use without CDK: no bootstrap of the account, no assets, no metadata.
      synthesizer: new LegacyStackSynthesizer(),
      analyticsReporting: false,
    });
    const parameters = new StackParameters(this);
    const bucket = createOutcomesBucket(this);
    const logs = createLogGroup(this, parameters);
    const settings = createSettings(this, bucket.bucketName, parameters);
    const role = createRole(this, bucket, logs, parameters);
    const network = createNetwork(this);
    const instance = createInstance(this, { network, role, settings }, parameters);
    watch(this, instance, logs, parameters);
    nameEverything(this);
    new CfnOutput(this, 'InstanceId', {
      value: instance.instanceId,
      description: 'For aws ssm start-session',
    });
    new CfnOutput(this, 'Bucket', { value: bucket.bucketName, description: 'Where the outcomes are' });
    new CfnOutput(this, 'LogGroup', { value: logs.ref });
  }

  /** Names that people read: the path, without the hash that CDK adds. */
  protected override allocateLogicalId(element: CfnElement): string {
    const parts = element.node.path.split('/').slice(1);
    return parts
      .filter((part) => !['Resource', 'Default'].includes(part))
      .join('')
      .replace(/[^A-Za-z0-9]/g, '');
  }
}

/** In place of the names and tags that CDK gives: they tell of CDK and not of the stack. */
function nameEverything(stack: Stack): void {
  const priority = 300;
  Tags.of(stack).add('Name', Aws.STACK_NAME, { priority });
  for (const tag of ['aws-cdk:subnet-name', 'aws-cdk:subnet-type']) Tags.of(stack).remove(tag, { priority });
}
