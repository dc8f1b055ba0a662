import { createHash } from 'node:crypto';
import { fullJitterMs } from '../../../shared/domain/backoff.ts';
import { encodeJournalEntry } from '../../../shared/domain/journal.ts';
import { LANES } from '../../../shared/domain/lanes.ts';
import type { OutcomePrefixes } from '../../../shared/domain/outcome-object.ts';
import { ROUTING_KEYS } from '../../../shared/domain/topology.ts';
import { StoppedError } from '../../../shared/errors.ts';
import type {
  Clock,
  CounterStore,
  Gateway,
  Logger,
  ObjectStore,
  Publisher,
  StartMarks,
} from '../../../shared/ports.ts';
import { composeSender, journalOf } from '../../compose.ts';
import { SimulatedGateway } from '../../gateways/simulated-gateway.ts';
import type { Journal } from '../../journal.ts';
import type { Pause } from '../../publish-until-confirmed.ts';
import type { Recorder } from '../../recorder.ts';
import type { SmsSender } from '../../sms-sender.ts';
import type { ProcessLife } from './network.ts';
import type { Scenario } from './scenario.ts';
import { type SimulatedBroker, SimulatedSource } from './simulated-broker.ts';

export const QUEUE_NAME = 'sms';
export const PREFIXES: OutcomePrefixes = {
  sent: 'success',
  failed: 'failed',
  parked: 'parked',
  known: 'known',
};
export const WORLD_BEGAN_AT_MS = Date.UTC(2026, 10, 22, 10, 0, 0);

export const digest = (...parts: readonly (string | Buffer)[]): string => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
};

/** The ports a process is made with, and what a test puts in their place to see it noticed. */
export interface ProcessPorts {
  readonly publisher: Publisher;
  readonly objects: ObjectStore;
  readonly counters: CounterStore;
  readonly gateway: Gateway;
  readonly journal: Journal;
}

/** A sender process, composed as sender/main.ts does, on ports that lead to the simulated world. */
export class SimulatedProcess {
  readonly life: ProcessLife;
  /** Set forward or (negative) back by clock steps. */
  clockOffsetMs = 0;
  isDraining = false;
  readonly #scenario: Scenario;
  readonly #clock: Clock;
  readonly #deadline = new AbortController();
  readonly #sources: readonly SimulatedSource[];
  readonly #journal: Journal;
  readonly #recorder: Recorder;
  readonly #sender: SmsSender;

  constructor(
    life: ProcessLife,
    scenario: Scenario,
    broker: SimulatedBroker,
    objects: ObjectStore,
    counters: CounterStore,
    marks: StartMarks,
    log: Logger,
    replace: (ports: ProcessPorts) => ProcessPorts,
  ) {
    this.life = life;
    this.#scenario = scenario;
    this.#clock = {
      nowMs: () => WORLD_BEGAN_AT_MS + life.network.time.nowMs + this.clockOffsetMs,
      after: (delayMs, callback) => {
        const event = life.hears(delayMs, callback);
        return () => {
          event.isCancelled = true;
        };
      },
    };
    const clock = this.#clock;
    const pause = this.#pauseUntil(this.#deadline.signal);
    const { concurrency, prefetchCount, journalBytes, windowSize, batchSize, batchMs } = scenario.process;
    const publisher = broker.publisher(life);
    const ports = replace({
      publisher,
      objects,
      counters,
      gateway: new SimulatedGateway(scenario.simulation, clock),
      journal: journalOf({ publisher, clock, pause }, { senderId: life.id, journalBytes }),
    });
    const source = (routingKey: string, count: number) =>
      new SimulatedSource(life, broker.queue(routingKey), count);
    const laneSources = LANES.map(({ routingKey }) => source(routingKey, prefetchCount));
    const journalSource = source(ROUTING_KEYS.journal, windowSize);
    const deadLetterSource = source(ROUTING_KEYS.deadLetters, prefetchCount);
    this.#sources = [...laneSources, journalSource, deadLetterSource];
    this.#journal = ports.journal;
    const { sender, recorder } = composeSender(
      { ...ports, laneSources, journalSource, deadLetterSource, marks, clock, digest, pause, log },
      {
        senderId: life.id,
        queue: QUEUE_NAME,
        schedule: scenario.schedule,
        concurrency,
        maxUnfinished: (LANES.length + 1) * prefetchCount,
        ...{ journalBytes, windowSize, batchSize, batchMs, prefixes: PREFIXES },
      },
      ports.journal,
    );
    this.#recorder = recorder;
    this.#sender = sender;
    life.onDeath = () => this.#loseConnections();
  }

  start(): void {
    this.#recorder.start();
    this.#sender.start();
    this.#tellSettings();
  }

  /** It takes whatever comes: SMS, and journal messages to record. */
  get isConsuming(): boolean {
    return this.#sources.every((source) => source.isConsuming);
  }

  breakChannels(): void {
    for (const source of this.#sources) source.breakChannel();
  }

  /** SIGTERM. Tells how many SMS and journal messages were left when the process ended. */
  drain(timeoutMs: number, onEnd: (left: number) => void): void {
    if (this.isDraining) return;
    this.isDraining = true;
    void this.#drain(timeoutMs).then((left) => {
      this.life.onDeath = () => {
        for (const source of this.#sources) source.end(true);
      };
      this.life.end();
      onEnd(left);
    });
  }

  async #drain(timeoutMs: number): Promise<number> {
    const deadline = this.#deadline;
    const cancelTimer = this.#clock.after(timeoutMs, () =>
      deadline.abort(new StoppedError('the shutdown timeout is over')),
    );
    const unfinishedSms = await this.#sender.drain(deadline.signal);
    const unrecordedMessages = await this.#recorder.drain(deadline.signal);
    cancelTimer();
    deadline.abort(new StoppedError('drained'));
    return unfinishedSms + unrecordedMessages;
  }

  /** The broker may take its time to notice. */
  #loseConnections(): void {
    const { time, dice } = this.life.network;
    time.at(dice.isHit(0.7) ? 0 : dice.between(1, 3_000), () => {
      for (const source of this.#sources) source.end(false);
    });
  }

  #pauseUntil(signal: AbortSignal): Pause {
    return (failedTries) =>
      new Promise((resolve, reject) => {
        const stop = () => {
          cancel();
          reject(signal.reason);
        };
        const waitMs = fullJitterMs(failedTries, this.life.network.dice.roll());
        const cancel = this.#clock.after(waitMs, () => {
          signal.removeEventListener('abort', stop);
          resolve();
        });
        signal.addEventListener('abort', stop, { once: true });
        if (signal.aborted) stop();
      });
  }

  #tellSettings(): void {
    const { simulation, schedule, process } = this.#scenario;
    const settings = {
      meanProcessingSeconds: simulation.meanProcessingMs / 1_000,
      processingTimeDistribution: simulation.distribution,
      failureRate: simulation.failureRate,
      permanentFailureShare: simulation.permanentFailureShare,
      retrySchedule: schedule.join(','),
      concurrency: process.concurrency,
      seed: simulation.seed,
    };
    const at = new Date(this.#clock.nowMs()).toISOString();
    this.#journal
      .append(encodeJournalEntry({ kind: 'sender', sender: this.life.id, at, settings }))
      .catch(() => {});
  }
}
