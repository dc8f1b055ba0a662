import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Aws, CfnCondition, Fn, type Stack } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import type { Role } from 'aws-cdk-lib/aws-iam';
import { StringParameter } from 'aws-cdk-lib/aws-ssm';
import type { StackParameters } from './parameters.ts';

const IMAGE = '/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64';
const API_PORT = 8080;

/** A network of its own, so that the stack needs to know nothing of the account. S3 is reached without the internet. */
export function createNetwork(stack: Stack): ec2.Vpc {
  return new ec2.Vpc(stack, 'Network', {
    ipAddresses: ec2.IpAddresses.cidr('10.83.0.0/24'),
    maxAzs: 1,
    natGateways: 0,
    subnetConfiguration: [{ name: 'Public', subnetType: ec2.SubnetType.PUBLIC, cidrMask: 25 }],
    gatewayEndpoints: { S3: { service: ec2.GatewayVpcEndpointAwsService.S3 } },
  });
}

/** The parameter that the instance reads its settings from, each time it is set up. */
export function createSettings(
  stack: Stack,
  bucketName: string,
  parameters: StackParameters,
): StringParameter {
  const { sourceUrl, sourceVersion, senders, rabbitMq, redis, apiRange } = parameters;
  return new StringParameter(stack, 'Settings', {
    parameterName: `/redial/${Aws.STACK_NAME}/settings`,
    simpleName: false,
    description: 'What redial-setup reads on the instance. Change the stack instead',
    stringValue: Fn.join('\n', [
      `SOURCE_URL=${sourceUrl.valueAsString}`,
      `SOURCE_VERSION=${sourceVersion.valueAsString}`,
      `SENDERS=${senders.valueAsString}`,
      `RABBITMQ=${rabbitMq.valueAsString}`,
      `REDIS=${redis.valueAsString}`,
      `API_RANGE=${apiRange.valueAsString}`,
      `BUCKET=${bucketName}`,
    ]),
  });
}

export interface Surroundings {
  readonly network: ec2.Vpc;
  readonly role: Role;
  readonly settings: StringParameter;
}

export function createInstance(
  stack: Stack,
  around: Surroundings,
  parameters: StackParameters,
): ec2.Instance {
  const image = ec2.MachineImage.resolveSsmParameterAtLaunch(IMAGE);
  const instance = new ec2.Instance(stack, 'Instance', {
    vpc: around.network,
    vpcSubnets: { subnetType: ec2.SubnetType.PUBLIC },
    associatePublicIpAddress: true,
    securityGroup: createSecurityGroup(stack, around.network, parameters),
    role: around.role,
    instanceType: new ec2.InstanceType(parameters.instanceType.valueAsString),
    machineImage: image,
    httpTokens: ec2.HttpTokens.REQUIRED,
    httpPutResponseHopLimit: 1,
    userData: ec2.UserData.custom(userDataOf()),
    blockDevices: [
      {
        deviceName: '/dev/xvda',
        volume: ec2.BlockDeviceVolume.ebs(parameters.diskGiB.valueAsNumber, {
          encrypted: true,
          volumeType: ec2.EbsDeviceVolumeType.GP3,
          // What waits in RabbitMQ is on it.
          deleteOnTermination: false,
        }),
      },
    ],
  });
  takeImageFromLaunchTemplate(stack, instance, image);
  instance.node.addDependency(around.settings);
  // user-data.sh tells how it ended.
  instance.instance.cfnOptions.creationPolicy = { resourceSignal: { count: 1, timeout: 'PT20M' } };
  return instance;
}

/**
 * EC2 finds the newest image when it starts the instance, which launch templates alone can say. Found by CloudFormation,
 * each new image would replace the instance, and the queues with it.
 */
function takeImageFromLaunchTemplate(stack: Stack, instance: ec2.Instance, image: ec2.IMachineImage): void {
  const { launchTemplateId, latestVersionNumber } = new ec2.LaunchTemplate(stack, 'Image', {
    machineImage: image,
  });
  instance.instance.addPropertyDeletionOverride('ImageId');
  instance.instance.addPropertyOverride('LaunchTemplate', {
    LaunchTemplateId: launchTemplateId,
    Version: latestVersionNumber,
  });
}

/** The script as it is, behind the two facts that it cannot find out on the instance. */
function userDataOf(): string {
  const script = readFileSync(join(import.meta.dirname, '..', 'user-data.sh'), 'utf8');
  const facts = `export REDIAL_STACK='${Aws.STACK_NAME}' REDIAL_REGION='${Aws.REGION}'`;
  return Fn.join('\n', ['#!/bin/sh', facts, script]);
}

/** Nothing comes in, but what `ApiRange` lets in. */
function createSecurityGroup(stack: Stack, vpc: ec2.Vpc, { apiRange }: StackParameters): ec2.SecurityGroup {
  const group = new ec2.SecurityGroup(stack, 'Firewall', { vpc, description: 'Redial: nothing comes in' });
  const hasApiRange = new CfnCondition(stack, 'HasApiRange', {
    expression: Fn.conditionNot(Fn.conditionEquals(apiRange.valueAsString, '')),
  });
  const ingress = new ec2.CfnSecurityGroupIngress(stack, 'ApiIngress', {
    groupId: group.securityGroupId,
    description: 'The HTTP API',
    ipProtocol: 'tcp',
    fromPort: API_PORT,
    toPort: API_PORT,
    cidrIp: apiRange.valueAsString,
  });
  ingress.cfnOptions.condition = hasApiRange;
  return group;
}
