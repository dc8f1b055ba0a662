/**
 * The world of one seed: processes, broker, stores and clock in memory and in virtual time. Faults happen until they
 * end; then the world runs until it is quiet, everybody is drained, and what was recorded is judged.
 */
import { encodeBody, encodeEnvelope } from '../../../shared/domain/envelope.ts';
import { encodeJournalEntry } from '../../../shared/domain/journal.ts';
import type { RunAnnouncement } from '../../../shared/domain/outcome.ts';
import { describeTopology, ROUTING_KEYS } from '../../../shared/domain/topology.ts';
import type { Gateway, Logger } from '../../../shared/ports.ts';
import { Dice } from '../../../shared/testing/dice.ts';
import { MemoryCounters } from '../../../shared/testing/memory-counter-store.ts';
import { Network, ProcessLife } from './network.ts';
import { POISON } from './poison.ts';
import { type Intervention, NO_FAULTS, type PlannedSms, type Scenario } from './scenario.ts';
import { SimulatedBroker } from './simulated-broker.ts';
import { type ProcessPorts, QUEUE_NAME, SimulatedProcess, WORLD_BEGAN_AT_MS } from './simulated-process.ts';
import { SimulatedCounters, SimulatedMarks, SimulatedObjects } from './simulated-stores.ts';
import { PARKED_AFTER_MS, TAKEN_FOR_DEAD_AFTER_MS, type Trouble, Troubles } from './troubles.ts';
import { VirtualTime } from './virtual-time.ts';

export const PHONE_NUMBER = '+15550100001';
const KEEP_TIME_MS = 24 * 3_600_000;
const LOOK_MS = 730;
const LAST_DRAIN_MS = 30_000;
const LONGEST_RECOVERY_MS = 600_000;
// What is refused for good is parked a minute after its turn; a window of one message takes one at a time.
const LONGEST_PARKING_MS = 3_000_000;
const ANNOUNCED_AT_MS = 11_000;

/**
 * Where Redis carries out what one process asks, and only the answers to one script are lost, its sign of life arrives
 * and is answered: then nobody can see that the process is sick.
 */
function isOfOneAndSeen({ isOfOneProcess, store, operation, manner }: Trouble): boolean {
  const isUnseen = store === 'Redis' && operation !== undefined && manner === 'reply lost';
  return isOfOneProcess && !isUnseen;
}

/** Puts broken ports in the place of right ones, to see it noticed. */
export type Sabotage = (ports: ProcessPorts, world: World) => ProcessPorts;

/** One call of the gateway. */
export interface Send {
  readonly smsId: string;
  readonly attempt: number;
}

export class World {
  readonly scenario: Scenario;
  readonly broker: SimulatedBroker;
  readonly objects: SimulatedObjects;
  readonly counters: SimulatedCounters;
  readonly marks: SimulatedMarks;
  readonly sends: Send[] = [];
  readonly announcements: RunAnnouncement[] = [];
  /** What went wrong while it ran. */
  readonly problems: string[] = [];
  #isRecorderHurt = false;
  isRedisLost = false;
  readonly time = new VirtualTime();
  readonly #network: Network;
  readonly #dice: Dice;
  readonly #troubles = new Troubles();
  readonly #troubleDice: Dice;
  readonly #sabotage: Sabotage;
  #processes: SimulatedProcess[] = [];
  readonly #lives: ProcessLife[] = [];
  #deathsAtCall: number[];
  #unpublishedCount = 0;
  #unfinishedTroubleCount = 0;
  #isQuiet = false;

  constructor(
    scenario: Scenario,
    trace: ((line: string) => void) | undefined = undefined,
    sabotage: Sabotage = (ports) => ports,
  ) {
    this.scenario = scenario;
    this.#sabotage = sabotage;
    this.#dice = new Dice(scenario.seed ^ 0x5bd1e995);
    this.#troubleDice = new Dice(scenario.seed ^ 0x27d4eb2f);
    const write = (line: () => string) => trace?.(`${this.time.nowMs} ${line()}`);
    this.#network = new Network(this.time, this.#dice, scenario, write);
    this.broker = new SimulatedBroker(this.#network, describeTopology(QUEUE_NAME, scenario.schedule));
    const redisClock = () => WORLD_BEGAN_AT_MS + this.time.nowMs;
    this.objects = new SimulatedObjects(this.#troubles);
    this.counters = new SimulatedCounters(new MemoryCounters(redisClock, KEEP_TIME_MS), this.#troubles);
    this.marks = new SimulatedMarks(this.counters);
    this.#deathsAtCall = [...scenario.deathsAtCall];
  }

  /** True where no fault was planned at all. */
  get isFaultFree(): boolean {
    return this.#isWithoutFaultsOfAll && this.scenario.troubles.length === 0;
  }

  /** True where nothing goes wrong but one trouble of one process, and another process is healthy all the time. */
  get isOneSick(): boolean {
    const { troubles, processCount } = this.scenario;
    const isOfOne = troubles.length === 1 && troubles.every(isOfOneAndSeen);
    return this.#isWithoutFaultsOfAll && isOfOne && processCount > 1;
  }

  /** True where a store was away for so long that a living recorder may have been taken for dead. */
  get isTakenForDead(): boolean {
    const { troubles, interventions } = this.scenario;
    const troubleMs = troubles.reduce((sum, { durationMs = PARKED_AFTER_MS }) => sum + durationMs, 0);
    const outageMs = interventions.reduce(
      (sum, { what }) => sum + (what.kind === 'outage' && what.store === 'S3' ? what.durationMs : 0),
      0,
    );
    return troubleMs >= TAKEN_FOR_DEAD_AFTER_MS || outageMs >= PARKED_AFTER_MS;
  }

  get #isWithoutFaultsOfAll(): boolean {
    const { rates, interventions, deathsAtCall } = this.scenario;
    return rates === NO_FAULTS && interventions.length === 0 && deathsAtCall.length === 0;
  }

  /** True where a process crashed, stood still, or did not finish in time: an object may have been left behind. */
  get isRecorderHurt(): boolean {
    return this.#isRecorderHurt || this.#lives.some(({ hasCrashed }) => hasCrashed);
  }

  async play(): Promise<void> {
    const { sms, junk, interventions, troubles, healAtMs, processCount } = this.scenario;
    for (const each of sms) this.#publishLater(each.atMs, () => this.#publishSms(each));
    for (const { atMs, body, messageId } of junk) {
      const message = { body: Buffer.from(body), headers: { run: 'demo' }, messageId };
      this.#publishLater(atMs, () => this.broker.take(ROUTING_KEYS.work, message));
    }
    for (const atMs of this.scenario.poisonAtMs)
      this.#publishLater(atMs, () => this.broker.take(ROUTING_KEYS.journal, { body: POISON, headers: {} }));
    this.#publishLater(ANNOUNCED_AT_MS, () => this.#announceRuns());
    for (const { atMs, what } of interventions) this.time.at(atMs, () => this.#intervene(what));
    for (const trouble of troubles) this.#meetLater(trouble);
    for (let index = 0; index < processCount; index += 1)
      this.time.at(index * 50, () => this.#startProcess());
    this.time.at(healAtMs, () => this.#heal());
    await this.time.run(() => this.#isQuiet);
    await this.#drainAll();
  }

  #publishLater(atMs: number, publish: () => void): void {
    this.#unpublishedCount += 1;
    this.time.at(atMs, () => {
      this.#unpublishedCount -= 1;
      publish();
    });
  }

  #publishSms({ id, run, text }: PlannedSms): void {
    const sms = { id, run, to: PHONE_NUMBER, text };
    const message = encodeEnvelope({
      sms,
      body: encodeBody(sms),
      attempt: 1,
      acceptedAtMs: WORLD_BEGAN_AT_MS + this.time.nowMs,
      notBeforeMs: undefined,
      history: [],
      foreignHeaders: {},
    });
    const { body, headers, messageId, contentType } = message;
    this.broker.take(message.routingKey, { body, headers, messageId, contentType });
  }

  #announceRuns(): void {
    for (const run of new Set(this.scenario.sms.map((each) => each.run))) {
      const accepted = new Set(this.scenario.sms.filter((each) => each.run === run).map(({ id }) => id)).size;
      const at = new Date(WORLD_BEGAN_AT_MS + this.time.nowMs).toISOString();
      const announcement = {
        run,
        queue: QUEUE_NAME,
        accepted,
        acceptedUpTo: accepted,
        input: 'generated',
        at,
      };
      this.announcements.push(announcement);
      const line = encodeJournalEntry({ kind: 'accepted', announcement });
      this.broker.take(ROUTING_KEYS.journal, {
        type: 'journal',
        body: Buffer.from(`${line}\n`),
        headers: {},
      });
    }
  }

  // ---- Processes

  #startProcess(): void {
    const life = new ProcessLife(`p${this.#lives.length + 1}`, this.#network);
    this.#lives.push(life);
    life.diesAtCall = this.#deathsAtCall.shift();
    const process = new SimulatedProcess(
      life,
      this.scenario,
      this.broker,
      this.objects.store(life),
      this.counters.store(life),
      this.marks.of(life),
      this.#logOf(life),
      (ports) => this.#sabotage({ ...ports, gateway: this.#watched(ports.gateway) }, this),
    );
    this.#processes.push(process);
    // As somebody, so that what it does at its start is let run.
    life.hears(0, () => process.start());
  }

  #watched(gateway: Gateway): Gateway {
    return {
      send: (sms, attempt) => {
        this.sends.push({ smsId: sms.id, attempt });
        return gateway.send(sms, attempt);
      },
      close: () => gateway.close(),
    };
  }

  #logOf(life: ProcessLife): Logger {
    const write = (fields: object, message: string) =>
      this.#network.trace(() => `${life.id} says: ${message} ${JSON.stringify(fields)}`);
    const error = (fields: { readonly err?: unknown }, message: string) => {
      write({}, message);
      // What breaks off at the end of a shutdown timeout comes again, to somebody else.
      const isDraining = this.#living.some((each) => each.life === life && each.isDraining);
      if (!isDraining && this.scenario.poisonAtMs.length === 0)
        this.problems.push(`${life.id} logs an error: ${message}: ${String(fields.err)}`);
    };
    return { debug: write, info: write, warn: write, error };
  }

  get #living(): SimulatedProcess[] {
    this.#processes = this.#processes.filter(({ life }) => !life.isDead);
    return this.#processes;
  }

  // ---- Faults

  #intervene(what: Intervention): void {
    this.#network.trace(() => JSON.stringify(what));
    const process = this.#dice.pick(this.#living);
    switch (what.kind) {
      case 'crash':
        process?.life.crash();
        break;
      case 'freeze':
        if (process !== undefined) this.#freeze(process, what.durationMs, what.losesChannels);
        break;
      case 'drain':
        process?.life.hears(0, () => process.drain(what.timeoutMs, (left) => this.#noteEnd(left)));
        break;
      case 'break channels':
        process?.breakChannels();
        break;
      case 'lose Redis':
        this.isRedisLost = true;
        if (what.isRestart) this.counters.memory.restart();
        else this.counters.memory.lose();
        break;
      case 'outage':
        this.#letBeAway(what.store === 'S3' ? this.objects : this.counters, what.durationMs);
        break;
      case 'step clock':
        if (process !== undefined) process.clockOffsetMs += what.byMs;
        break;
      case 'start process':
        this.#startProcess();
        break;
    }
  }

  #freeze(process: SimulatedProcess, durationMs: number, losesChannels: boolean): void {
    if (process.life.isFrozen) return;
    this.#isRecorderHurt = true;
    process.life.freeze();
    if (losesChannels) process.breakChannels();
    this.time.at(durationMs, () => process.life.thaw());
  }

  #letBeAway(store: { isAway: boolean }, durationMs: number): void {
    store.isAway = true;
    this.time.at(durationMs, () => {
      store.isAway = false;
    });
  }

  #meetLater(trouble: Trouble): void {
    const { atMs, durationMs } = trouble;
    if (durationMs !== undefined) this.#unfinishedTroubleCount += 1;
    this.time.at(atMs, () => {
      this.#network.trace(() => JSON.stringify(trouble));
      const victim = trouble.isOfOneProcess ? this.#troubleDice.pick(this.#living)?.life : undefined;
      const isOfNobody = trouble.isOfOneProcess && victim === undefined;
      const end = isOfNobody ? () => {} : this.#troubles.begin(trouble, victim);
      if (durationMs === undefined) return;
      this.time.at(durationMs, () => {
        end();
        this.#unfinishedTroubleCount -= 1;
      });
    });
  }

  #noteEnd(left: number): void {
    if (left > 0) this.#isRecorderHurt = true;
  }

  #heal(): void {
    this.#network.trace(() => 'faults end');
    this.#network.heal();
    for (const { life } of this.#living) life.diesAtCall = undefined;
    this.#deathsAtCall = [];
    this.#look(0);
  }

  // ---- The end

  /** Looks again and again; twice in a row with nothing to do is quiet. */
  #look(idleCount: number): void {
    if (this.#living.every(({ isDraining }) => isDraining)) this.#startProcess();
    const isIdle = this.#isIdle();
    if (isIdle && idleCount > 0) {
      this.#isQuiet = true;
      return;
    }
    if (this.time.nowMs > this.scenario.healAtMs + this.#longestRecoveryMs) {
      this.problems.push(
        `not quiet after ${this.#longestRecoveryMs / 1_000} s without faults: ${this.#whatIsLeft()}`,
      );
      this.#isQuiet = true;
      return;
    }
    this.time.at(LOOK_MS, () => this.#look(isIdle ? idleCount + 1 : 0));
  }

  get #longestRecoveryMs(): number {
    const isForGood = this.scenario.troubles.some(({ durationMs }) => durationMs === undefined);
    return isForGood ? LONGEST_PARKING_MS : LONGEST_RECOVERY_MS;
  }

  #isIdle(): boolean {
    return this.#unpublishedCount === 0 && this.counters.memory.areValid && this.#whatIsLeft() === '';
  }

  #whatIsLeft(): string {
    const queues = [...this.broker.queues].filter(
      ([routingKey, queue]) => routingKey !== ROUTING_KEYS.parked && queue.messageCount > 0,
    );
    const claimed = [...this.counters.memory.sms.values()].filter(({ phase }) => phase === 'c');
    const processes = this.#living.filter(({ life, isDraining }) => isDraining || life.isFrozen);
    const idlers = this.#living.filter(({ isDraining, isConsuming }) => !isDraining && !isConsuming);
    return [
      ...queues.map(([routingKey, queue]) => `${queue.messageCount} in ${routingKey}`),
      ...(claimed.length > 0 ? [`${claimed.length} claimed`] : []),
      ...processes.map(({ life }) => `${life.id} drains or is frozen`),
      ...idlers.map(({ life }) => `${life.id} does not consume`),
      ...(this.objects.isAway ? ['S3 is away'] : []),
      ...(this.counters.isAway ? ['Redis is away'] : []),
      ...(this.#unfinishedTroubleCount > 0 ? ['a store is in trouble'] : []),
      ...(this.#network.onTheirWayCount > 0 ? [`${this.#network.onTheirWayCount} on their way`] : []),
    ].join(', ');
  }

  async #drainAll(): Promise<void> {
    let runningCount = this.#living.length;
    for (const process of this.#living) {
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
