import { Aws, CfnCondition, CfnOutput, Duration, Fn, RemovalPolicy, type Stack } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import { Ec2Action, Ec2InstanceAction, SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import type { Instance } from 'aws-cdk-lib/aws-ec2';
import { CfnLogGroup } from 'aws-cdk-lib/aws-logs';
import { CfnSubscription, Topic } from 'aws-cdk-lib/aws-sns';
import type { StackParameters } from './parameters.ts';

/** The namespace that `instance/vitals.sh` writes to. */
export const NAMESPACE = 'Redial';

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
export function watch(stack: Stack, instance: Instance, { email }: StackParameters): void {
  // HTTPS only, and only alarms of this account.
  const topic = new Topic(stack, 'Alarms', { enforceSSL: true });
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
  const alarms = [alarmOfBrokenMachine(stack, instance), alarmOfNoSender(stack), alarmOfFullDisk(stack)];
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

function alarmOfNoSender(stack: Stack): cloudwatch.Alarm {
  return new cloudwatch.Alarm(stack, 'NobodySends', {
    alarmDescription:
      'For five minutes no sender has given a sign of life, or nobody could be asked: the instance, the monitor, ' +
      'RabbitMQ or Redis is away. SMS wait and nothing is lost. journalctl -u "redial-*" tells more.',
    metric: vital('Senders', 'Minimum'),
    threshold: 1,
    comparisonOperator: cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
    evaluationPeriods: 5,
    treatMissingData: cloudwatch.TreatMissingData.BREACHING,
  });
}

function alarmOfFullDisk(stack: Stack): cloudwatch.Alarm {
  return new cloudwatch.Alarm(stack, 'DiskFull', {
    alarmDescription:
      'More than 80 % of the disk is used. RabbitMQ accepts no SMS once less than 2 GB are free. See what waits in ' +
      'the queues, or make the disk larger.',
    metric: vital('DiskUsed', 'Maximum'),
    threshold: 80,
    comparisonOperator: cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
    evaluationPeriods: 5,
  });
}

function vital(metricName: string, statistic: string): cloudwatch.Metric {
  return new cloudwatch.Metric({
    namespace: NAMESPACE,
    metricName,
    dimensionsMap: { Stack: Aws.STACK_NAME },
    statistic,
    period: Duration.minutes(1),
  });
}
