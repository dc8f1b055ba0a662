/**
 * A pipeline in memory and in virtual time: processes, broker, stores and clock. What happens follows from the seed. SMS
 * are published as planned; the world runs until it is quiet, and then all processes are drained.
 */
import { encodeJournalEntry } from '../domain/outcome/journal.ts';
import type { RunAnnouncement } from '../domain/outcome/outcome.ts';
import { encodeFresh, type SendingWishes } from '../domain/sms/envelope.ts';
import { ROUTING_KEYS, routingKeyOfPriority, topologyOf } from '../domain/topology/topology.ts';
import type { Logger } from '../ports/logger.ts';
import { Dice } from './dice.ts';
import { MemoryCounters } from './memory-counters.ts';
import { Network, type NetworkConditions, ProcessLife } from './network.ts';
import { SimulatedBroker } from './simulated-broker.ts';
import {
  type ComposeSender,
  QUEUE_NAME,
  type SenderConditions,
  SimulatedProcess,
  WORLD_BEGAN_AT_MS,
} from './simulated-process.ts';
import { SimulatedCounters, SimulatedObjects, type StoreTroubles } from './simulated-stores.ts';
import { VirtualTime } from './virtual-time.ts';

/** A message that a producer publishes. */
export interface PlannedSms {
  readonly id: string;
  readonly run: string;
  readonly text: string;
  /** Milliseconds since the world began. */
  readonly atMs: number;
  /** Their moments are milliseconds since the epoch. */
  readonly wishes?: SendingWishes;
}

/** What happens in a world, drawn or chosen before it begins. */
export interface Rehearsal extends NetworkConditions, SenderConditions {
  readonly seed: number;
  readonly processCount: number;
  /** How far the clocks of the first processes are ahead or (negative) behind from the start. */
  readonly clockOffsetsMs?: readonly number[];
  readonly sms: readonly PlannedSms[];
}

/** What looks on while a world runs, and what may interfere. */
export interface WorldWatch {
  /** Told what happens, step by step. */
  readonly trace?: ((line: string) => void) | undefined;
  readonly troubles?: StoreTroubles;
  /** Told of each process before it is composed. */
  readonly onProcess?: (life: ProcessLife) => void;
}

export const PHONE_NUMBER = '+15550100001';
const KEEP_TIME_MS = 24 * 3_600_000;
const LOOK_MS = 730;
const LAST_DRAIN_MS = 30_000;
const ANNOUNCED_AT_MS = 11_000;

export class World {
  readonly rehearsal: Rehearsal;
  readonly time = new VirtualTime();
  readonly dice: Dice;
  readonly network: Network;
  readonly broker: SimulatedBroker;
  readonly objects: SimulatedObjects;
  readonly counters: SimulatedCounters;
  readonly lives: ProcessLife[] = [];
  readonly announcements: RunAnnouncement[] = [];
  /** What went wrong while the world ran. */
  readonly problems: string[] = [];
  /** What processes logged as an error, but for those that drain: what breaks off then comes again, to another one. */
  readonly loggedErrors: string[] = [];
  /** Things that are planned and not over: with any the world is not quiet. */
  pendingCount = 0;
  readonly #compose: ComposeSender;
  readonly #onProcess: (life: ProcessLife) => void;
  #processes: SimulatedProcess[] = [];
  #isQuiet = false;

  constructor(rehearsal: Rehearsal, compose: ComposeSender, watch: WorldWatch = {}) {
    const { trace, troubles = { fateOf: () => undefined }, onProcess = () => {} } = watch;
    this.rehearsal = rehearsal;
    this.#compose = compose;
    this.#onProcess = onProcess;
    this.dice = new Dice(rehearsal.seed ^ 0x5bd1e995);
    const write = (line: () => string) => trace?.(`${this.time.nowMs} ${line()}`);
    this.network = new Network(this.time, this.dice, rehearsal, write);
    this.broker = new SimulatedBroker(this.network, topologyOf(QUEUE_NAME, rehearsal.schedule));
    const redisClock = () => WORLD_BEGAN_AT_MS + this.time.nowMs;
    this.objects = new SimulatedObjects(troubles);
    this.counters = new SimulatedCounters(new MemoryCounters(redisClock, KEEP_TIME_MS), troubles);
  }

  /** The processes that have not ended. */
  get living(): SimulatedProcess[] {
    this.#processes = this.#processes.filter(({ life }) => !life.isDead);
    return this.#processes;
  }

  // ---- What is planned

  planSms(): void {
    for (const sms of this.rehearsal.sms) this.plan(sms.atMs, () => this.#publishSms(sms));
  }

  planAnnouncements(): void {
    this.plan(ANNOUNCED_AT_MS, () => this.#announceRuns());
  }

  planProcesses(): void {
    for (let index = 0; index < this.rehearsal.processCount; index += 1)
      this.time.at(index * 50, () => this.startProcess());
  }

  plan(atMs: number, act: () => void): void {
    this.pendingCount += 1;
    this.time.at(atMs, () => {
      this.pendingCount -= 1;
      act();
    });
  }

  startProcess(): void {
    const life = new ProcessLife(`p${this.lives.length + 1}`, this.network);
    this.lives.push(life);
    this.#onProcess(life);
    const surroundings = {
      objects: this.objects.store(life),
      counters: this.counters.store(life),
      marks: this.counters.marks(life),
      log: this.#logOf(life),
    };
    const process = new SimulatedProcess(life, this.rehearsal, this.broker, surroundings, this.#compose);
    process.clockOffsetMs = this.rehearsal.clockOffsetsMs?.[this.lives.length - 1] ?? 0;
    this.#processes.push(process);
    // As an event of the process, so that what it does at its start is let run.
    life.hears(0, () => process.start());
  }

  #publishSms({ id, run, text, wishes }: PlannedSms): void {
    const sms = { id, run, to: PHONE_NUMBER, text };
    const routingKey = routingKeyOfPriority(wishes?.priority);
    const message = encodeFresh(sms, WORLD_BEGAN_AT_MS + this.time.nowMs, routingKey, wishes);
    const { body, headers, messageId, contentType } = message;
    this.broker.take(message.routingKey, { body, headers, messageId, contentType });
  }

  #announceRuns(): void {
    const { sms } = this.rehearsal;
    for (const run of new Set(sms.map((each) => each.run))) {
      const accepted = new Set(sms.filter((each) => each.run === run).map(({ id }) => id)).size;
      const at = new Date(WORLD_BEGAN_AT_MS + this.time.nowMs).toISOString();
      const counts = { accepted, acceptedUpTo: accepted };
      const announcement = { run, queue: QUEUE_NAME, ...counts, input: 'generated', at };
      this.announcements.push(announcement);
      const body = Buffer.from(`${encodeJournalEntry({ kind: 'accepted', announcement })}\n`);
      this.broker.take(ROUTING_KEYS.journal, { type: 'journal', body, headers: {} });
    }
  }

  #logOf(life: ProcessLife): Logger {
    const write = (fields: object, message: string) =>
      this.network.trace(() => `${life.id} says: ${message} ${JSON.stringify(fields)}`);
    const error = (fields: { readonly err?: unknown }, message: string) => {
      write({}, message);
      const isDraining = this.living.some((each) => each.life === life && each.isDraining);
      if (!isDraining) this.loggedErrors.push(`${life.id} logs an error: ${message}: ${String(fields.err)}`);
    };
    return { debug: write, info: write, warn: write, error };
  }

  // ---- The end

  /** Lets everything happen until `endWhenQuiet` was called and the world is quiet, then drains all processes. */
  async play(): Promise<void> {
    await this.time.run(() => this.#isQuiet);
    await this.#drainAll();
  }

  /** Looks again and again; twice in a row with nothing to do is quiet. @param withinMs of it being late is a problem */
  endWhenQuiet(withinMs: number): void {
    this.#look(this.time.nowMs + withinMs, withinMs, 0);
  }

  #look(giveUpAtMs: number, withinMs: number, idleCount: number): void {
    if (this.living.every(({ isDraining }) => isDraining)) this.startProcess();
    const left = this.#whatIsLeft();
    const isIdle = this.pendingCount === 0 && this.counters.memory.areValid && left === '';
    const isLate = this.time.nowMs > giveUpAtMs;
    if (isLate && !(isIdle && idleCount > 0))
      this.problems.push(`not quiet after ${withinMs / 1_000} s without faults: ${left}`);
    this.#isQuiet = isLate || (isIdle && idleCount > 0);
    if (!this.#isQuiet)
      this.time.at(LOOK_MS, () => this.#look(giveUpAtMs, withinMs, isIdle ? idleCount + 1 : 0));
  }

  #whatIsLeft(): string {
    const queues = [...this.broker.queues].filter(
      ([routingKey, queue]) => routingKey !== ROUTING_KEYS.parked && queue.messageCount > 0,
    );
    const claimed = [...this.counters.memory.sms.values()].filter(({ phase }) => phase === 'c');
    const processes = this.living.filter(({ life, isDraining }) => isDraining || life.isFrozen);
    const idlers = this.living.filter(({ isDraining, isConsuming }) => !isDraining && !isConsuming);
    return [
      ...queues.map(([routingKey, queue]) => `${queue.messageCount} in ${routingKey}`),
      ...(claimed.length > 0 ? [`${claimed.length} claimed`] : []),
      ...processes.map(({ life }) => `${life.id} drains or is frozen`),
      ...idlers.map(({ life }) => `${life.id} does not consume`),
      ...(this.objects.isAway ? ['S3 is away'] : []),
      ...(this.counters.isAway ? ['Redis is away'] : []),
      ...(this.network.onTheirWayCount > 0 ? [`${this.network.onTheirWayCount} on their way`] : []),
    ].join(', ');
  }

  async #drainAll(): Promise<void> {
    let runningCount = this.living.length;
    for (const process of this.living) {
      const { life } = process;
      const noteEnd = (left: number) => {
        runningCount -= 1;
        if (left > 0) this.problems.push(`${life.id} was left with ${left} messages when it was drained`);
      };
      life.hears(0, () => process.drain(LAST_DRAIN_MS, noteEnd));
    }
    const giveUpAtMs = this.time.nowMs + 2 * LAST_DRAIN_MS;
    await this.time.run(() => runningCount === 0 || this.time.nowMs > giveUpAtMs);
    if (runningCount > 0) this.problems.push(`${runningCount} processes did not end when drained`);
  }
}
