/**
 * The world of one seed: a rehearsal with the sender of this checkout, in which faults happen until they end. What was
 * recorded is judged by the invariants.
 */
import { SimulatedGateway } from '../../../sender/gateways/simulated/simulated-gateway.ts';
import { composePipeline, journalOf } from '../../../sender/pipeline.ts';
import type { Journal } from '../../../sender/recording/journal.ts';
import { ROUTING_KEYS } from '../../../shared/domain/topology/topology.ts';
import type { Directives } from '../../../shared/pipeline/attempt/directives.ts';
import type { Clock } from '../../../shared/ports/clock.ts';
import type { Gateway } from '../../../shared/ports/gateway.ts';
import type { PublisherWithState } from '../../../shared/ports/publisher.ts';
import { Dice } from '../../../shared/rehearsal/dice.ts';
import { NO_FAULTS, type ProcessLife } from '../../../shared/rehearsal/network.ts';
import {
  type ComposeSender,
  type SimulatedProcess,
  WORLD_BEGAN_AT_MS,
  type WorldPorts,
} from '../../../shared/rehearsal/simulated-process.ts';
import { World } from '../../../shared/rehearsal/world.ts';
import { digest } from './digest.ts';
import { POISON } from './poison.ts';
import type { Intervention, Scenario } from './scenario.ts';
import type { SendRequest } from './sending-laws.ts';
import { Subscriber } from './subscriber.ts';
import { ThrottlingGateway } from './throttling-gateway.ts';
import { ToldDirectives } from './told-directives.ts';
import { PARKED_AFTER_MS, TAKEN_FOR_DEAD_AFTER_MS, type Trouble, Troubles } from './troubles.ts';

const LONGEST_RECOVERY_MS = 600_000;
// What is refused for good is parked a minute after its turn; a window of one message takes one at a time.
const LONGEST_PARKING_MS = 3_000_000;

/**
 * Where Redis carries out what one process asks, and only the answers to one script are lost, its sign of life arrives
 * and is answered: then nobody can see that the process is sick.
 */
function isOfOneAndSeen({ isOfOneProcess, store, operation, manner }: Trouble): boolean {
  const isUnseen = store === 'Redis' && operation !== undefined && manner === 'reply lost';
  return isOfOneProcess && !isUnseen;
}

/** The ports of a sender that a sabotage may replace. */
interface SabotagedPorts extends Pick<WorldPorts, 'publisher' | 'objects' | 'counters'> {
  readonly gateway: Gateway;
  readonly journal: Journal;
  readonly directives: Directives;
  readonly events: PublisherWithState | undefined;
}

/** Puts broken ports in the place of right ones, to see it noticed. */
export type Sabotage = (ports: SabotagedPorts, faulty: FaultyWorld) => SabotagedPorts;

export class FaultyWorld {
  readonly scenario: Scenario;
  readonly world: World;
  /** What the carrier was asked, also while it takes nothing. */
  readonly requests: SendRequest[] = [];
  /** What the carrier took. */
  readonly sends: { readonly smsId: string; readonly attempt: number }[] = [];
  readonly subscriber = new Subscriber();
  isRedisLost = false;
  #isRecorderHurt = false;
  readonly #troubles = new Troubles();
  readonly #troubleDice: Dice;
  readonly #sabotage: Sabotage;
  readonly #directives = new ToldDirectives();
  readonly #throttlingDice: Dice;
  #deathsAtCall: number[];
  /** The process that is being composed. */
  #newest: ProcessLife | undefined;

  constructor(scenario: Scenario, trace?: (line: string) => void, sabotage: Sabotage = (ports) => ports) {
    this.scenario = scenario;
    this.#sabotage = sabotage;
    this.#troubleDice = new Dice(scenario.seed ^ 0x27d4eb2f);
    this.#throttlingDice = new Dice(scenario.seed ^ 0x165667b1);
    this.#deathsAtCall = [...scenario.deathsAtCall];
    this.world = new World(scenario, this.#compose, {
      trace,
      troubles: this.#troubles,
      onProcess: (life) => {
        life.diesAtCall = this.#deathsAtCall.shift();
        this.#newest = life;
      },
    });
  }

  /** What went wrong while the world ran. */
  get problems(): string[] {
    const { loggedErrors, problems } = this.world;
    return this.scenario.poisonAtMs.length > 0 ? problems : [...loggedErrors, ...problems];
  }

  /** True where no fault was planned at all. */
  get isFaultFree(): boolean {
    return this.isSendingFaultFree && this.scenario.troubles.length === 0;
  }

  /** True where nothing goes wrong but one trouble of one process, and another process is healthy all the time. */
  get isOneSick(): boolean {
    const { troubles, processCount } = this.scenario;
    const isOfOne = troubles.length === 1 && troubles.every(isOfOneAndSeen);
    return this.isSendingFaultFree && isOfOne && processCount > 1;
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

  /** True where nothing goes wrong but with stores, which sending does not ask. */
  get isSendingFaultFree(): boolean {
    const { rates, interventions, deathsAtCall } = this.scenario;
    return rates === NO_FAULTS && interventions.length === 0 && deathsAtCall.length === 0;
  }

  /** True where a process crashed, stood still, or did not finish in time: an object may have been left behind. */
  get isRecorderHurt(): boolean {
    return this.#isRecorderHurt || this.world.lives.some(({ hasCrashed }) => hasCrashed);
  }

  async play(): Promise<void> {
    const { world } = this;
    const { junk, poisonAtMs, interventions, troubles, healAtMs, directives } = this.scenario;
    world.planSms();
    for (const { atMs, body, messageId } of junk) {
      const message = { body: Buffer.from(body), headers: { run: 'demo' }, messageId };
      world.plan(atMs, () => world.broker.take(ROUTING_KEYS.work, message));
    }
    for (const atMs of poisonAtMs)
      world.plan(atMs, () => world.broker.take(ROUTING_KEYS.journal, { body: POISON, headers: {} }));
    world.planAnnouncements();
    for (const { atMs, what } of interventions) world.time.at(atMs, () => this.#intervene(what));
    for (const trouble of troubles) this.#meetLater(trouble);
    for (const directive of directives) world.time.at(directive.atMs, () => this.#directives.tell(directive));
    world.planProcesses();
    world.time.at(healAtMs, () => this.#heal());
    await world.play();
  }

  #compose: ComposeSender = (ports, options) => {
    const { publisher, objects, counters } = ports;
    const gateway = this.#carrierFor(ports.clock);
    const journal = journalOf(ports, options);
    const directives = this.#directives;
    const life = this.#newest;
    const hasEvents = this.scenario.hasEvents && life !== undefined;
    const events = hasEvents ? this.subscriber.publisher(life) : undefined;
    const replaced = this.#sabotage(
      { publisher, objects, counters, gateway, journal, directives, events },
      this,
    );
    return composePipeline({ ...ports, ...replaced, digest }, options, replaced.journal);
  };

  /** The carrier as a process with that clock reaches it. */
  #carrierFor(clock: Clock): Gateway {
    const { simulation, throttling } = this.scenario;
    const { time } = this.world;
    const carrier = watched(new SimulatedGateway(simulation, clock), (smsId, attempt) =>
      this.sends.push({ smsId, attempt }),
    );
    const isOver = () => throttling === undefined || time.nowMs >= throttling.endsAtMs;
    const gateway =
      throttling === undefined
        ? carrier
        : new ThrottlingGateway(carrier, throttling, isOver, this.#throttlingDice, clock);
    return watched(gateway, (smsId, attempt) => {
      const atMs = WORLD_BEGAN_AT_MS + time.nowMs;
      this.requests.push({ smsId, attempt, atMs, clockMs: clock.nowMs() });
    });
  }

  #intervene(what: Intervention): void {
    const { world } = this;
    world.network.trace(() => JSON.stringify(what));
    const process = world.dice.pick(world.living);
    const noteEnd = (left: number) => {
      if (left > 0) this.#isRecorderHurt = true;
    };
    switch (what.kind) {
      case 'crash':
        process?.life.crash();
        break;
      case 'freeze':
        if (process !== undefined) this.#freeze(process, what.durationMs, what.losesChannels);
        break;
      case 'drain':
        process?.life.hears(0, () => process.drain(what.timeoutMs, noteEnd));
        break;
      case 'break channels':
        process?.breakChannels();
        break;
      case 'lose Redis':
        this.isRedisLost = true;
        if (what.isRestart) world.counters.memory.restart();
        else world.counters.memory.lose();
        break;
      case 'outage':
        this.#letBeAway(what.store === 'S3' ? world.objects : world.counters, what.durationMs);
        break;
      case 'step clock':
        if (process !== undefined) process.clockOffsetMs += what.byMs;
        break;
      case 'start process':
        world.startProcess();
        break;
    }
  }

  #freeze(process: SimulatedProcess, durationMs: number, losesChannels: boolean): void {
    if (process.life.isFrozen) return;
    this.#isRecorderHurt = true;
    process.life.freeze();
    if (losesChannels) process.breakChannels();
    this.world.time.at(durationMs, () => process.life.thaw());
  }

  #letBeAway(store: { isAway: boolean }, durationMs: number): void {
    store.isAway = true;
    this.world.time.at(durationMs, () => {
      store.isAway = false;
    });
  }

  /** A trouble that ends is pending until then. */
  #meetLater(trouble: Trouble): void {
    const { world } = this;
    const { atMs, durationMs } = trouble;
    if (durationMs !== undefined) world.pendingCount += 1;
    world.time.at(atMs, () => {
      world.network.trace(() => JSON.stringify(trouble));
      const victim = trouble.isOfOneProcess ? this.#troubleDice.pick(world.living)?.life : undefined;
      const isOfNobody = trouble.isOfOneProcess && victim === undefined;
      const end = isOfNobody ? () => {} : this.#troubles.begin(trouble, victim);
      if (durationMs === undefined) return;
      world.time.at(durationMs, () => {
        end();
        world.pendingCount -= 1;
      });
    });
  }

  #heal(): void {
    const { world } = this;
    world.network.trace(() => 'faults end');
    world.network.heal();
    for (const { life } of world.living) life.diesAtCall = undefined;
    this.#deathsAtCall = [];
    const isForGood = this.scenario.troubles.some(({ durationMs }) => durationMs === undefined);
    world.endWhenQuiet(isForGood ? LONGEST_PARKING_MS : LONGEST_RECOVERY_MS);
  }
}

function watched(gateway: Gateway, note: (smsId: string, attempt: number) => void): Gateway {
  return {
    send: (sms, attempt) => {
      note(sms.id, attempt);
      return gateway.send(sms, attempt);
    },
    close: () => gateway.close(),
  };
}
