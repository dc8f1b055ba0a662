import { encodeJournalEntry } from '../domain/outcome/journal.ts';
import type { OutcomePrefixes } from '../domain/outcome/outcome-object.ts';
import type { SendingRules } from '../domain/schedule/retry-schedule.ts';
import type { SimulationSettings } from '../domain/simulation/simulation.ts';
import { LANES } from '../domain/topology/lanes.ts';
import { ROUTING_KEYS } from '../domain/topology/topology.ts';
import { StoppedError } from '../errors.ts';
import type { Pause } from '../pipeline/publish-until-confirmed.ts';
import { createBackoff } from '../pipeline/waiting.ts';
import type { Clock } from '../ports/clock.ts';
import type { CounterStore } from '../ports/counter-store.ts';
import type { DeliverySource } from '../ports/delivery-source.ts';
import type { Logger } from '../ports/logger.ts';
import type { ObjectStore } from '../ports/object-store.ts';
import type { Publisher } from '../ports/publisher.ts';
import type { StartMarks } from '../ports/start-marks.ts';
import type { ProcessLife } from './network.ts';
import { type SimulatedBroker, SimulatedSource } from './simulated-broker.ts';

export const QUEUE_NAME = 'sms';
export const PREFIXES: OutcomePrefixes = {
  sent: 'success',
  failed: 'failed',
  parked: 'parked',
  known: 'known',
};
export const WORLD_BEGAN_AT_MS = Date.UTC(2026, 10, 22, 10, 0, 0);

/** The settings of a sender process; what they mean is said by the options of the sender. */
export interface ProcessSettings {
  readonly concurrency: number;
  readonly prefetchCount: number;
  readonly journalBytes: number;
  readonly windowSize: number;
  readonly batchSize: number;
  readonly batchMs: number;
}

export interface SenderConditions extends SendingRules {
  readonly simulation: SimulationSettings;
  readonly process: ProcessSettings;
}

/** The stores of one process, and what it logs to. */
export interface ProcessSurroundings {
  readonly objects: ObjectStore;
  readonly counters: CounterStore;
  readonly marks: StartMarks;
  readonly log: Logger;
}

/** The ports of a sender that lead to the simulated world: all but its gateway. */
export interface WorldPorts extends ProcessSurroundings {
  readonly publisher: Publisher;
  readonly laneSources: readonly DeliverySource[];
  readonly deadLetterSource: DeliverySource;
  readonly journalSource: DeliverySource;
  readonly clock: Clock;
  readonly pause: Pause;
}

/** The options of a sender and its recorder, as the sender itself documents them. */
export interface SenderOptions extends Omit<ProcessSettings, 'prefetchCount'>, SendingRules {
  readonly senderId: string;
  readonly queue: string;
  readonly maxUnfinished: number;
  readonly prefixes: OutcomePrefixes;
}

interface Part {
  start(): void;
  /** @returns what was left when the signal aborted */
  drain(deadline: AbortSignal): Promise<number>;
}

/** What a world runs of a sender. */
export interface RehearsedSender {
  readonly sender: Part;
  readonly recorder: Part;
  readonly journal: { append(line: string): Promise<void> };
}

/** Makes the sender of one process. Given to the world, because a rehearsal must not import the sender. */
export type ComposeSender = (ports: WorldPorts, options: SenderOptions) => RehearsedSender;

/** A sender process on ports that lead to the simulated world. */
export class SimulatedProcess {
  readonly life: ProcessLife;
  /** Set forward or (negative) back by clock steps. */
  clockOffsetMs = 0;
  isDraining = false;
  readonly #conditions: SenderConditions;
  readonly #clock: Clock;
  readonly #deadline = new AbortController();
  readonly #sources: readonly SimulatedSource[];
  readonly #parts: RehearsedSender;

  constructor(
    life: ProcessLife,
    conditions: SenderConditions,
    broker: SimulatedBroker,
    surroundings: ProcessSurroundings,
    compose: ComposeSender,
  ) {
    this.life = life;
    this.#conditions = conditions;
    this.#clock = {
      nowMs: () => WORLD_BEGAN_AT_MS + life.network.time.nowMs + this.clockOffsetMs,
      after: (delayMs, callback) => {
        const event = life.hears(delayMs, callback);
        return () => {
          event.isCancelled = true;
        };
      },
    };
    const { prefetchCount, ...settings } = conditions.process;
    const { schedule, anchor = 'failure', window, unknownResult = 'retry' } = conditions;
    const source = (routingKey: string, count: number) =>
      new SimulatedSource(life, broker.queue(routingKey), count);
    const laneSources = LANES.map(({ routingKey }) => source(routingKey, prefetchCount));
    const journalSource = source(ROUTING_KEYS.journal, settings.windowSize);
    const deadLetterSource = source(ROUTING_KEYS.deadLetters, prefetchCount);
    this.#sources = [...laneSources, journalSource, deadLetterSource];
    this.#parts = compose(
      {
        ...surroundings,
        ...{ publisher: broker.publisher(life), laneSources, journalSource, deadLetterSource },
        clock: this.#clock,
        pause: createBackoff(this.#deadline.signal, this.#clock, () => life.network.dice.roll()),
      },
      {
        ...settings,
        ...{ schedule, anchor, window, unknownResult },
        ...{ senderId: life.id, queue: QUEUE_NAME, prefixes: PREFIXES },
        maxUnfinished: (LANES.length + 1) * prefetchCount,
      },
    );
    life.onDeath = () => this.#loseConnections();
  }

  start(): void {
    this.#parts.recorder.start();
    this.#parts.sender.start();
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
    const unfinishedSms = await this.#parts.sender.drain(deadline.signal);
    const unrecordedMessages = await this.#parts.recorder.drain(deadline.signal);
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

  #tellSettings(): void {
    const { simulation, schedule, window, process } = this.#conditions;
    const { anchor = 'failure', unknownResult = 'retry' } = this.#conditions;
    const settings = {
      meanProcessingSeconds: simulation.meanProcessingMs / 1_000,
      processingTimeDistribution: simulation.distribution,
      failureRate: simulation.failureRate,
      permanentFailureShare: simulation.permanentFailureShare,
      unknownShare: simulation.unknownShare ?? 0,
      retrySchedule: schedule.join(','),
      retryAnchor: anchor,
      sendingWindow: window?.text ?? '',
      unknownResult,
      concurrency: process.concurrency,
      seed: simulation.seed,
    };
    const at = new Date(this.#clock.nowMs()).toISOString();
    this.#parts.journal
      .append(encodeJournalEntry({ kind: 'sender', sender: this.life.id, at, settings }))
      .catch(() => {});
  }
}
