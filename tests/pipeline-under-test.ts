import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { S3ObjectStore } from '../shared/adapters/s3/object-store.ts';
import type { OutcomeRecord } from '../shared/domain/outcome.ts';
import { parseOutcomeObject } from '../shared/domain/outcome-object.ts';
import { findProjectFolder } from '../shared/environment.ts';
import { waitFor } from './faults/wait-for.ts';
import type { TestServers } from './test-servers.ts';

const PROJECT_FOLDER = findProjectFolder();

export interface Ended {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A real process of Redial, what it printed so far, and its end. */
export class StartedProcess {
  stdout = '';
  stderr = '';
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;

  constructor(child: ChildProcess) {
    this.child = child;
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
    this.ended = once(child, 'close').then(([exitCode]) => ({
      exitCode: exitCode as number | null,
      stdout: this.stdout,
      stderr: this.stderr,
    }));
  }

  get hasEnded(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  /** The most memory the process ever had resident, in MB. */
  peakResidentMegabytes(): number {
    const status = readFileSync(`/proc/${this.child.pid}/status`, 'utf8');
    return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) / 1_000;
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<Ended> {
    if (!this.hasEnded) this.child.kill(signal);
    return this.ended;
  }
}

/** One pipeline with a QUEUE_NAME and a bucket of its own on the servers of the test run, and its real processes. */
export class PipelineUnderTest {
  readonly queueName: string;
  readonly objects: S3ObjectStore;
  /** What its processes get. */
  readonly environment: Readonly<Record<string, string>>;
  readonly #started: StartedProcess[] = [];
  #monitor: StartedProcess | undefined;

  constructor(servers: TestServers, name: string, settings: Record<string, string> = {}) {
    this.queueName = `${name}-${process.pid}-${Date.now().toString(36)}`;
    const bucket = this.queueName.toLowerCase().replace(/[^a-z0-9-]/g, '-');
    this.environment = {
      PATH: process.env.PATH ?? '',
      HOME: process.env.HOME ?? '',
      RABBITMQ_URL: servers.rabbitmqUrl,
      RABBITMQ_MANAGEMENT_URL: servers.managementUrl,
      REDIS_URL: servers.redisUrl,
      AWS_ENDPOINT_URL: servers.s3Endpoint,
      AWS_ACCESS_KEY_ID: servers.s3AccessKeyId,
      AWS_SECRET_ACCESS_KEY: servers.s3SecretAccessKey,
      AWS_EC2_METADATA_DISABLED: 'true',
      QUEUE_NAME: this.queueName,
      S3_BUCKET: bucket,
      MEAN_PROCESSING_TIME: '0.02',
      FAILURE_RATE: '0.2',
      RETRY_SCHEDULE: '300ms,500ms,700ms',
      ...settings,
    };
    this.objects = new S3ObjectStore({
      bucket,
      region: 'us-east-1',
      endpoint: servers.s3Endpoint,
      credentials: { accessKeyId: servers.s3AccessKeyId, secretAccessKey: servers.s3SecretAccessKey },
    });
  }

  start(
    command: 'producer' | 'sender' | 'monitor',
    args: readonly string[] = [],
    settings: Record<string, string> = {},
    stdin: 'ignore' | 'pipe' = 'ignore',
  ) {
    const child = spawn(process.execPath, [join('scripts', 'commands', `${command}.js`), ...args], {
      cwd: PROJECT_FOLDER,
      env: { ...this.environment, ...settings },
      stdio: [stdin, 'pipe', 'pipe'],
    });
    const started = new StartedProcess(child);
    this.#started.push(started);
    return started;
  }

  async startSender(settings: Record<string, string> = {}): Promise<StartedProcess> {
    const sender = this.start('sender', [], settings);
    await waitFor('the sender to be sending', () => {
      if (sender.hasEnded) throw new Error(`the sender ended: ${sender.stdout}${sender.stderr}`);
      return sender.stdout.includes('"msg":"sending"');
    });
    return sender;
  }

  async produce(
    smsCount: number,
    run: string,
    settings: Record<string, string> = {},
    more: readonly string[] = [],
  ): Promise<{ accepted: number }> {
    const args = ['--num-messages', String(smsCount), '--run', run, '--json', ...more];
    const { exitCode, stdout, stderr } = await this.start('producer', args, settings).ended;
    if (exitCode !== 0) throw new Error(`the producer ended with ${exitCode}: ${stderr}`);
    return JSON.parse(stdout) as { accepted: number };
  }

  /** The newest line of a monitor that watches; one process for all of a test, because each start costs a second. */
  async snapshot(): Promise<Snapshot> {
    this.#monitor ??= this.start('monitor', ['--json', '--update-interval', '0.2']);
    const monitor = this.#monitor;
    const seen = monitor.stdout.split('\n').length;
    await waitFor(
      'the monitor to print a line',
      () => monitor.hasEnded || monitor.stdout.split('\n').length > seen + 1,
    );
    if (monitor.hasEnded) throw new Error(`the monitor ended: ${monitor.stderr}`);
    return JSON.parse(monitor.stdout.split('\n').at(-2) ?? '') as Snapshot;
  }

  async audit(
    args: readonly string[] = [],
  ): Promise<{ exitCode: number | null; report: Record<string, unknown> }> {
    const { exitCode, stdout, stderr } = await this.start('monitor', ['--audit', '--json', ...args]).ended;
    if (stdout === '') throw new Error(`the audit printed nothing: ${stderr}`);
    return { exitCode, report: JSON.parse(stdout) as Record<string, unknown> };
  }

  /** An audit once the queues are seen to be empty: RabbitMQ's statistics notice it last. */
  async auditStill(deadlineMs?: number): ReturnType<PipelineUnderTest['audit']> {
    let audit: Awaited<ReturnType<PipelineUnderTest['audit']>> | undefined;
    await waitFor(
      'the audit to find the queues empty',
      async () => {
        audit = await this.audit();
        return audit.report.missing !== null;
      },
      deadlineMs,
    );
    if (audit === undefined) throw new Error('there is no audit');
    return audit;
  }

  async waitUntilDone(smsCount: number, deadlineMs = 90_000): Promise<Snapshot> {
    let snapshot: Snapshot | undefined;
    await waitFor(
      `${smsCount} SMS to have their outcomes`,
      async () => {
        snapshot = await this.snapshot();
        return snapshot.accepted >= smsCount && snapshot.inProgress === 0;
      },
      deadlineMs,
      () => JSON.stringify(snapshot) ?? 'nothing',
    );
    if (snapshot === undefined) throw new Error('there is no snapshot');
    return snapshot;
  }

  /** Every record in S3, raw. */
  async records(): Promise<OutcomeRecord[]> {
    const records: OutcomeRecord[] = [];
    for (const prefix of ['success/', 'failed/', 'parked/']) {
      for await (const key of this.objects.list(prefix)) {
        const body = await this.objects.get(key);
        records.push(...parseOutcomeObject(body ?? Buffer.alloc(0)).records);
      }
    }
    return records;
  }

  /** Ends whatever still runs. */
  async end(): Promise<void> {
    await Promise.all(this.#started.map((process) => process.stop('SIGKILL')));
    this.objects.close();
  }
}

/** The part of the monitor's JSON that tests read. */
export interface Snapshot {
  readonly at: string;
  readonly accepted: number;
  readonly sent: number;
  readonly failed: number;
  readonly parked: number;
  readonly known: number;
  readonly inProgress: number;
  readonly attempts: number;
  readonly attemptsFailed: number;
  readonly meanProcessingSeconds: number;
  readonly failureRate: number;
  readonly repeatedSends: number;
  readonly idConflicts: number;
  readonly retryLatenessSeconds: { readonly p99: number; readonly max: number };
  readonly queues: {
    readonly work: number;
    readonly due: number;
    readonly journal: number;
    readonly parked: number;
    readonly deadLetters: number;
    readonly later: number;
    readonly asOfSeconds: number;
    readonly retry: readonly {
      readonly attempt: number;
      readonly delaySeconds: number;
      readonly messages: number;
    }[];
  };
  readonly senders: number;
  readonly state: string;
  readonly problems: readonly string[];
}
