import { Aws, CfnCondition, CfnOutput, Duration, Fn, RemovalPolicy, type Stack } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import { Ec2Action, Ec2InstanceAction, SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import type { Instance } from 'aws-cdk-lib/aws-ec2';
import { PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { CfnLogGroup, CfnMetricFilter } from 'aws-cdk-lib/aws-logs';
import { CfnSubscription, Topic } from 'aws-cdk-lib/aws-sns';
import type { StackParameters } from './parameters.ts';

/** Where the numbers of this stack are: how full the disk is (cloudwatch-agent.json), and how many senders live. */
export const NAMESPACE = `Redial/${Aws.STACK_NAME}`;
const SENDERS = 'Senders';

/** The log group that the instance writes to; it is there before the instance is. */
export function createLogGroup(stack: Stack, { logDays }: StackParameters): CfnLogGroup {
  const group = new CfnLogGroup(stack, 'Logs', {
    logGroupName: `/redial/${Aws.STACK_NAME}`,
    retentionInDays: logDays.valueAsNumber,
  });
  group.applyRemovalPolicy(RemovalPolicy.DESTROY);
  return group;
}

/** Three alarms, and whom they tell. */
export function watch(stack: Stack, instance: Instance, logs: CfnLogGroup, { email }: StackParameters): void {
  const topic = new Topic(stack, 'Alarms', { enforceSSL: true });
  // A policy of its own takes the place of the one that lets the alarms of the account in.
  topic.addToResourcePolicy(
    new PolicyStatement({
      sid: 'AlarmsPublish',
      principals: [new ServicePrincipal('cloudwatch.amazonaws.com')],
      actions: ['sns:Publish'],
      resources: [topic.topicArn],
      conditions: { StringEquals: { 'aws:SourceAccount': Aws.ACCOUNT_ID } },
    }),
  );
  const hasEmail = new CfnCondition(stack, 'HasAlarmEmail', {
    expression: Fn.conditionNot(Fn.conditionEquals(email.valueAsString, '')),
  });
  const subscription = new CfnSubscription(stack, 'AlarmSubscription', {
    topicArn: topic.topicArn,
    protocol: 'email',
    endpoint: email.valueAsString,
  });
  subscription.cfnOptions.condition = hasEmail;

  const tell = new SnsAction(topic);
  countSenders(stack, logs);
  const alarms = [
    alarmOfBrokenMachine(stack, instance),
    alarmOfNoSender(stack),
    alarmOfFullDisk(stack, instance),
  ];
  for (const alarm of alarms) {
    alarm.addAlarmAction(tell);
    alarm.addOkAction(tell);
  }
  new CfnOutput(stack, 'AlarmTopic', {
    value: topic.topicArn,
    description: 'Subscribe more addresses to it',
  });
}

function alarmOfBrokenMachine(stack: Stack, instance: Instance): cloudwatch.Alarm {
  const alarm = new cloudwatch.Alarm(stack, 'MachineBroken', {
    alarmDescription:
      'The machine under the instance is broken. EC2 moves the instance, with its disk, to another one.',
    metric: new cloudwatch.Metric({
      namespace: 'AWS/EC2',
      metricName: 'StatusCheckFailed_System',
      dimensionsMap: { InstanceId: instance.instanceId },
      statistic: 'Maximum',
      period: Duration.minutes(1),
    }),
    threshold: 1,
    comparisonOperator: cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
    evaluationPeriods: 2,
  });
  alarm.addAlarmAction(new Ec2Action(Ec2InstanceAction.RECOVER));
  return alarm;
}

/** The monitor logs a snapshot each minute. Where it could not ask a server, the number is an old one and does not count. */
function countSenders(stack: Stack, logs: CfnLogGroup): void {
  new CfnMetricFilter(stack, 'SendersInLog', {
    logGroupName: logs.ref,
    filterPattern: '{ $.msg = "snapshot" && $.state != "stale" && $.senders >= 0 }',
    metricTransformations: [{ metricNamespace: NAMESPACE, metricName: SENDERS, metricValue: '$.senders' }],
  });
}

function alarmOfNoSender(stack: Stack): cloudwatch.Alarm {
  return new cloudwatch.Alarm(stack, 'NobodySends', {
    alarmDescription:
      'For five minutes no sender has given a sign of life, or nobody could be asked: the instance, the monitor, ' +
      'RabbitMQ or Redis is away. SMS wait and nothing is lost. journalctl -u "redial-*" tells more.',
    metric: new cloudwatch.Metric({
      namespace: NAMESPACE,
      metricName: SENDERS,
      statistic: 'Maximum',
      period: Duration.minutes(5),
    }),
    threshold: 1,
    comparisonOperator: cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
    evaluationPeriods: 1,
    treatMissingData: cloudwatch.TreatMissingData.BREACHING,
  });
}

function alarmOfFullDisk(stack: Stack, instance: Instance): cloudwatch.Alarm {
  return new cloudwatch.Alarm(stack, 'DiskFull', {
    alarmDescription:
      'More than 80 % of the disk is used. RabbitMQ accepts no SMS once less than 2 GB are free. See what waits in ' +
      'the queues, or make the disk larger.',
    metric: new cloudwatch.Metric({
      namespace: NAMESPACE,
      metricName: 'disk_used_percent',
      dimensionsMap: { InstanceId: instance.instanceId },
      statistic: 'Maximum',
      period: Duration.minutes(5),
    }),
    threshold: 80,
    comparisonOperator: cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
    evaluationPeriods: 1,
  });
}
