import { setTimeout as sleep } from 'node:timers/promises';
import { retryRoutingKey } from '../../../shared/domain/topology/topology.ts';
import { waitFor, waitUntil } from '../../kit/wait-for.ts';
import { expectThat } from '../expect-that.ts';
import type { Fault } from '../fault.ts';
import type { FaultRun } from '../fault-run.ts';
import { fillRetryQueue } from '../safeguards.ts';

/** Retries expire all the time from half a second on. */
async function whileRetriesExpire(run: FaultRun): Promise<void> {
  await Promise.all([run.startSender(), run.startSender(), run.produce()]);
  await run.waitForAttempts(20);
  await run.pause(0, 2_000);
}

// While the broker is gone, a dead letter on its way waits for the broker's own timeout: 15 s where we configured it.
const WITH_DEAD_LETTER_TIMEOUT = 60;

export const RABBITMQ_FAULTS: readonly Fault[] = [
  {
    name: 'rabbitmq-killed',
    title: 'RabbitMQ is killed while retries expire, and started again on its data',
    runs: 50,
    isAloneOnRabbitMq: true,
    recoversWithinSeconds: WITH_DEAD_LETTER_TIMEOUT,
    async inject(run) {
      await whileRetriesExpire(run);
      await run.servers.rabbitMq.stop({ signal: 'SIGKILL' });
      await run.pause(0, 1_000);
      await run.servers.rabbitMq.start();
    },
  },
  {
    name: 'rabbitmq-restarted',
    title: 'RabbitMQ is restarted gracefully under load',
    runs: 10,
    isAloneOnRabbitMq: true,
    recoversWithinSeconds: WITH_DEAD_LETTER_TIMEOUT,
    async inject(run) {
      await whileRetriesExpire(run);
      await run.servers.rabbitMq.stop();
      await run.servers.rabbitMq.start();
    },
  },
  {
    name: 'rabbitmq-frozen',
    title: 'RabbitMQ is frozen for 5 to 40 s (heartbeats end connections after 20 s)',
    runs: 10,
    isAloneOnRabbitMq: true,
    recoversWithinSeconds: WITH_DEAD_LETTER_TIMEOUT,
    async inject(run) {
      await whileRetriesExpire(run);
      const pid = run.servers.rabbitMq.pid ?? 0;
      process.kill(pid, 'SIGSTOP');
      await run.pause(5_000, 40_000);
      process.kill(pid, 'SIGCONT');
    },
  },
  {
    name: 'rabbitmq-absent',
    title: 'RabbitMQ is not there when sender and producer start',
    runs: 10,
    isAloneOnRabbitMq: true,
    async inject(run) {
      await run.servers.rabbitMq.stop();
      const sender = run.spawnSender();
      const producer = run.spawnProducer();
      await run.pause(500, 8_000);
      await run.servers.rabbitMq.start();
      await run.finishProducing(producer);
      await sender.says('"msg":"sending"');
    },
  },
  ...(['memory', 'disk'] as const).map(
    (resource): Fault => ({
      name: `rabbitmq-${resource}-alarm`,
      title: `RabbitMQ has a ${resource} alarm for some seconds: publishing pauses, nothing in flight is lost`,
      runs: 10,
      isAloneOnRabbitMq: true,
      async inject(run) {
        const [raise, clear] =
          resource === 'memory'
            ? [
                ['set_vm_memory_high_watermark', '0.00001'],
                ['set_vm_memory_high_watermark', '0.4'],
              ]
            : [
                ['set_disk_free_limit', '999999GB'],
                ['set_disk_free_limit', '50MB'],
              ];
        const sender = await run.startSender();
        const producer = run.spawnProducer();
        await run.pause(200, 1_500);
        await run.servers.rabbitMq.rabbitmqctl(...raise);
        await run.pause(2_000, 6_000);
        await run.servers.rabbitMq.rabbitmqctl(...clear);
        run.endFault();
        await run.finishProducing(producer);
        expectThat(!sender.hasEnded, 'the sender ended');
        const told = sender.stdout.match(/memory or disk alarm/g)?.length ?? 0;
        expectThat(told <= 4, `the alarm was told ${told} times`);
      },
    }),
  ),
  {
    name: 'connections-cut',
    title: 'all connections to RabbitMQ are cut every second for 8 s',
    runs: 10,
    async inject(run) {
      const [sender] = await Promise.all([run.startSender(), run.startSender(), run.produce()]);
      for (let cuts = 0; cuts < 8; cuts += 1) {
        run.amqpProxy.cut();
        await sleep(1_000);
      }
      const told = sender.stdout.match(/RabbitMQ is away/g)?.length ?? 0;
      // Three connections: at most once for each cut.
      expectThat(told <= 24, `"RabbitMQ is away" was told ${told} times for 8 cuts of 3 connections`);
    },
  },
  {
    name: 'connections-closed',
    title: 'an operator closes all connections of the senders, again and again',
    runs: 10,
    async inject(run) {
      await Promise.all([run.startSender(), run.startSender(), run.produce()]);
      for (let times = 0; times < 4; times += 1) {
        await run.pause(500, 1_500);
        await run.killConnections('sender');
        await run.killConnections('recorder');
      }
    },
  },
  {
    name: 'rabbitmq-unreachable',
    title: 'the network to RabbitMQ refuses for 5 s: it is said once for each connection, not for each try',
    runs: 10,
    async inject(run) {
      const [sender] = await Promise.all([run.startSender(), run.produce()]);
      await run.pause(0, 1_500);
      await run.amqpProxy.close();
      await sleep(5_000);
      await run.amqpProxy.open();
      run.endFault();
      await sender.says('RabbitMQ is back');
      const told = sender.stdout.match(/RabbitMQ is away/g)?.length ?? 0;
      expectThat(told <= 3, `"RabbitMQ is away" was told ${told} times`);
    },
  },
  {
    name: 'rabbitmq-answers-lost',
    title: 'what RabbitMQ was told is carried out, but its answers are lost with the connection',
    runs: 10,
    async inject(run) {
      await Promise.all([run.startSender(), run.produce()]);
      for (let times = 0; times < 3; times += 1) {
        await run.pause(200, 800);
        run.amqpProxy.holdAnswers();
        await run.pause(50, 300);
        run.amqpProxy.cut();
        run.amqpProxy.releaseAnswers();
      }
    },
  },
  {
    name: 'binding-deleted',
    title: 'a binding is deleted under a running sender: it is declared again',
    runs: 20,
    async inject(run) {
      await Promise.all([run.startSender(), run.produce()]);
      await run.pause(0, 1_000);
      const routingKey = run.random.oneOf(['journal', retryRoutingKey(1, 200), retryRoutingKey(2, 400)]);
      await run.queues.deleteBinding(routingKey);
    },
  },
  {
    name: 'due-binding-deleted',
    title:
      'the binding of the due queue is deleted while retries expire, and declared again by the next sender',
    runs: 10,
    recoversWithinSeconds: WITH_DEAD_LETTER_TIMEOUT,
    async inject(run) {
      await Promise.all([run.startSender(), run.produce()]);
      await run.pause(0, 1_000);
      await run.queues.deleteBinding('due');
      await run.pause(500, 2_000);
      await run.startSender();
    },
  },
  {
    name: 'overdue-requeued',
    title:
      'no sender runs and the due queue is cut off: the audit tells what is overdue, requeue-overdue mends it',
    runs: 10,
    recoversWithinSeconds: WITH_DEAD_LETTER_TIMEOUT,
    async inject(run) {
      const sender = await run.startSender();
      await run.produce();
      await run.queues.deleteBinding('due');
      await run.waitForAttempts(150);
      await sender.stop('SIGTERM');
      const { report } = await waitUntil(
        'the audit to see what is overdue',
        () => run.pipeline.audit(),
        (audit) => Number(audit.report.overdue ?? 0) > 0,
        180_000,
      );
      expectThat(report.missing === null, `the audit calls ${report.missing} SMS missing`);
      await run.requeueOverdue();
      await run.startSender();
    },
  },
  {
    name: 'empty-queue-deleted',
    title: 'an empty queue is deleted under a running sender: it is declared again',
    runs: 20,
    async inject(run) {
      await run.startSender();
      const routingKey = run.random.oneOf(['work', 'due', 'journal', retryRoutingKey(1, 200)]);
      await run.servers.api.deleteQueue(`${run.queueName}.${routingKey}`);
      await run.pause(0, 500);
      await run.produceUntilAccepted();
    },
  },
  {
    name: 'retry-queue-full',
    title: 'a retry queue takes nothing for a while, because of an operator’s policy',
    runs: 10,
    inject: (run) => fillRetryQueue(run),
  },
  {
    name: 'full-queue-deleted',
    title: 'a queue is deleted with SMS in it: missing is exactly what it held, by name',
    runs: 10,
    async inject(run) {
      await run.produce();
      await waitFor(
        'all SMS in the work queue',
        async () => (await run.queues.countWaiting()) > run.settings.smsCount,
      );
      // The first part is taken out and put back in, the rest is destroyed with the queue.
      const kept = run.random.between(50, 250);
      const rescued = await run.queues.take('work', kept);
      await run.servers.api.deleteQueue(`${run.queueName}.work`);
      const rescuedIds = new Set(rescued.map(({ messageId }) => messageId));
      const destroyed = run.idsUpTo(run.settings.smsCount).filter((id) => !rescuedIds.has(id));
      run.expected.destroy(destroyed);
      await run.startSender();
      await run.queues.publish(rescued);
    },
    async verify(run) {
      const destroyed = [...run.expected.destroyed];
      const { report } = await run.pipeline.auditStill();
      expectThat(
        report.missing === destroyed.length,
        `the audit says ${report.missing} missing, ${destroyed.length} were destroyed`,
      );
      const named = report.missingIds as string[];
      expectThat(
        named.join() === destroyed.slice(0, 100).join(),
        `the audit names ${named.slice(0, 5)}, destroyed were ${destroyed.slice(0, 5)}`,
      );
    },
  },
];
