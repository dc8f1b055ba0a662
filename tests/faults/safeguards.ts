/**
 * For each safeguard the situation that it is there for. With the safeguard every SMS is accounted for; without it
 * the checker must see what goes wrong, or the checker is no checker.
 */
import { retryRoutingKey } from '../../shared/domain/topology/topology.ts';
import type { Safeguard } from '../kit/faulty-sender/injected-faults.ts';
import type { Verdict } from './checker.ts';
import type { Fault } from './fault.ts';
import type { FaultRun } from './fault-run.ts';

export interface SafeguardCase extends Pick<Fault, 'title' | 'isAloneOnRabbitMq' | 'settings'> {
  readonly safeguard: Safeguard;
  readonly inject: (run: FaultRun, environment: Record<string, string>) => Promise<void>;
  /** What goes wrong without the safeguard. */
  readonly isRed: (verdict: Verdict) => boolean;
}

const losesSms = ({ lost }: Verdict) => lost.length > 0;

/**
 * Publishing stops while deliveries are still acknowledged; then the sender dies with what it holds. RabbitMQ tells a
 * connection of an alarm when it publishes: the alarm is there before the sender, so that nothing can be over by then.
 */
async function dieUnderAlarm(run: FaultRun, environment: Record<string, string>): Promise<void> {
  await run.produce();
  await run.servers.rabbitMq.rabbitmqctl('set_vm_memory_high_watermark', '0.00001');
  const sender = await run.startSender(environment);
  await sender.says('has a memory or disk alarm');
  await run.pause(1_500, 1_500);
  await sender.stop('SIGKILL');
  await run.servers.rabbitMq.rabbitmqctl('set_vm_memory_high_watermark', '0.4');
  await run.startSender();
}

/** An operator's policy makes the first retry queue full for a while: what is published to it is refused. */
export async function fillRetryQueue(run: FaultRun, environment: Record<string, string> = {}): Promise<void> {
  await run.startSender(environment);
  const policy = `policies/%2F/${run.queueName}`;
  await run.servers.api.call('PUT', policy, {
    pattern: `^${run.queueName}\\.retry\\.1\\.`,
    definition: { 'max-length': 1 },
    'apply-to': 'queues',
  });
  await run.produce();
  await run.waitForAttempts(100);
  await run.servers.api.call('DELETE', policy);
}

export const SAFEGUARD_CASES: readonly SafeguardCase[] = [
  {
    safeguard: 'mandatory',
    title: 'the binding of a retry queue is deleted: without "mandatory" retries are confirmed and dropped',
    async inject(run, environment) {
      await run.startSender(environment);
      await run.queues.deleteBinding(retryRoutingKey(1, 200));
      await run.produce();
    },
    isRed: losesSms,
  },
  {
    safeguard: 'confirm',
    title: 'a retry queue takes nothing for a while: without waiting for its confirms retries are gone',
    inject: fillRetryQueue,
    isRed: losesSms,
  },
  {
    safeguard: 'journal',
    title: 'a sender dies while publishing is paused: without waiting for the journal its outcomes are gone',
    isAloneOnRabbitMq: true,
    inject: dieUnderAlarm,
    isRed: losesSms,
  },
  {
    safeguard: 'put',
    title: 'a sender dies while S3 hangs: without waiting for the put its outcomes are gone',
    async inject(run, environment) {
      const sender = await run.startSender(environment);
      run.s3Proxy.inject((method) => (method === 'PUT' ? { kind: 'hang' } : undefined));
      await run.produce();
      await run.waitForAttempts(30);
      await run.pause(1_000, 1_000);
      await sender.stop('SIGKILL');
      run.s3Proxy.heal();
      await run.startSender();
    },
    isRed: losesSms,
  },
  {
    safeguard: 'count-once',
    title: 'journal messages come again while S3 hangs: without counting once their attempts count twice',
    // Many entries in each message, attempts and outcomes mixed.
    settings: { concurrency: 50 },
    async inject(run, environment) {
      await run.startSender(environment);
      run.s3Proxy.inject((method) => (method === 'PUT' ? { kind: 'hang' } : undefined));
      await run.produce();
      await run.waitForAttempts(30);
      await run.killConnections('recorder');
      run.s3Proxy.heal();
    },
    isRed: ({ lost, disagreements }) =>
      lost.length === 0 && disagreements.some((sentence) => sentence.startsWith('attempts:')),
  },
  {
    safeguard: 'at-least-once',
    title:
      'the binding of the due queue is away while retries expire: dead-lettering at most once drops them',
    async inject(run, environment) {
      await run.startSender(environment);
      await run.produce();
      await run.queues.deleteBinding('due');
      await run.pause(2_000, 2_000);
      // Declares the binding again; the queues it meets must be declared as they are.
      await run.startSender(environment);
    },
    isRed: losesSms,
  },
];
