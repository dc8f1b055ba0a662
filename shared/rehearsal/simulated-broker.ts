/**
 * RabbitMQ as Redial sees it: an exchange, quorum queues with TTL and at-least-once dead-lettering, publisher confirms,
 * consumers with a prefetch count on channels that may die, whereupon what was not acknowledged comes again.
 */
import type { IncomingMessage, OutgoingMessage } from '../domain/sms/message.ts';
import type { Queue, Topology } from '../domain/topology/topology.ts';
import { PublishUnknownError, UnroutableError } from '../errors.ts';
import type { Delivery, DeliverySource } from '../ports/delivery-source.ts';
import type { Publisher } from '../ports/publisher.ts';
import type { Network, ProcessLife } from './network.ts';

/** A message and its place in the queue, which it keeps when it comes again. */
interface QueuedMessage {
  readonly message: IncomingMessage;
  readonly place: number;
}

const MAX_RECONNECT_MS = 1_500;
const MAX_BLIND_MS = 2_000;

export class SimulatedBroker {
  /** By routing key. */
  readonly queues = new Map<string, SimulatedQueue>();
  readonly #network: Network;

  constructor(network: Network, topology: Topology) {
    this.#network = network;
    for (const description of topology.queues) {
      const queue = new SimulatedQueue(network, this, description);
      for (const binding of topology.bindings)
        if (binding.queue === description.name) this.queues.set(binding.routingKey, queue);
    }
  }

  /** @throws UnroutableError */
  take(routingKey: string, message: IncomingMessage): void {
    this.queue(routingKey).enqueue(message);
  }

  publisher(life: ProcessLife): Publisher {
    return {
      publish: (message) =>
        life.call(
          `publishes ${message.routingKey} ${message.messageId}`,
          this.#network.publishFate(),
          () => this.take(message.routingKey, incomingOf(message)),
          () => new PublishUnknownError('the connection ended before the confirm'),
        ),
    };
  }

  /** @throws UnroutableError */
  queue(routingKey: string): SimulatedQueue {
    const queue = this.queues.get(routingKey);
    if (queue === undefined) throw new UnroutableError(routingKey);
    return queue;
  }
}

function incomingOf({
  body,
  headers,
  messageId,
  contentType,
  type,
  timestampMs,
}: OutgoingMessage): IncomingMessage {
  return { body, headers, messageId, contentType, type, timestamp: Math.floor(timestampMs / 1_000) };
}

class SimulatedQueue {
  /** Every message it ever took. */
  readonly taken: IncomingMessage[] = [];
  /** When it took each, milliseconds since the world began. */
  readonly takenAtMs: number[] = [];
  readonly #network: Network;
  readonly #broker: SimulatedBroker;
  readonly #ttlMs: number | undefined;
  readonly #deadLetterTo: string;
  #ready: QueuedMessage[] = [];
  readonly #channels = new Set<SimulatedChannel>();

  constructor(network: Network, broker: SimulatedBroker, description: Queue) {
    this.#network = network;
    this.#broker = broker;
    const { 'x-message-ttl': ttlMs, 'x-dead-letter-routing-key': target } = description.arguments;
    this.#ttlMs = ttlMs === undefined ? undefined : Number(ttlMs);
    this.#deadLetterTo = String(target);
  }

  get messageCount(): number {
    return [...this.#channels].reduce((sum, each) => sum + each.unacknowledgedCount, this.#ready.length);
  }

  enqueue(message: IncomingMessage): void {
    const queued = { message, place: this.taken.push(message) };
    this.takenAtMs.push(this.#network.time.nowMs);
    this.#ready.push(queued);
    if (this.#ttlMs !== undefined) this.#network.time.at(this.#ttlMs, () => this.#expire(queued));
    this.handOut();
  }

  open(channel: SimulatedChannel): void {
    this.#channels.add(channel);
  }

  close(channel: SimulatedChannel): void {
    this.#channels.delete(channel);
  }

  handOut(): void {
    while (this.#ready.length > 0) {
      const channel = this.#network.dice.pick([...this.#channels].filter(({ hasRoom }) => hasRoom));
      if (channel === undefined) return;
      const { dice, rates } = this.#network;
      const index = dice.isHit(rates.reordered) ? dice.below(this.#ready.length) : 0;
      for (const queued of this.#ready.splice(index, 1)) channel.handOver(queued);
    }
  }

  takeBack(queued: readonly QueuedMessage[]): void {
    this.#ready = [...this.#ready, ...queued.map(countReturn)].sort(
      (left, right) => left.place - right.place,
    );
    this.handOut();
  }

  deadLetter(message: IncomingMessage): void {
    this.#broker.take(this.#deadLetterTo, message);
  }

  #expire(queued: QueuedMessage): void {
    this.#ready = this.#ready.filter((each) => each !== queued);
    this.deadLetter(queued.message);
    const { dice, rates } = this.#network;
    if (dice.isHit(rates.deadLetteredTwice)) this.deadLetter(queued.message);
  }
}

/** Each return counts as three deliveries: worlds are short, and suspects shall be met in many of them. */
function countReturn({ message, place }: QueuedMessage): QueuedMessage {
  const deliveryCount = Number(message.headers['x-delivery-count'] ?? 0) + 3;
  return {
    message: {
      ...message,
      isRedelivered: true,
      headers: { ...message.headers, 'x-delivery-count': deliveryCount },
    },
    place,
  };
}

type Settlement = 'acknowledge' | 'reject' | 'give back';
type Receive = (delivery: Delivery, giveBack: () => void) => void;

/** A channel as both ends see it: one end may learn later than the other that the channel is dead. */
class SimulatedChannel {
  readonly life: ProcessLife;
  isConsuming = true;
  /** As the process knows it. */
  isLive = true;
  /** As the broker knows it. */
  isOpen = true;
  readonly #queue: SimulatedQueue;
  readonly #prefetchCount: number;
  readonly #receive: Receive;
  readonly #unacknowledged = new Set<QueuedMessage>();
  readonly #acknowledgedOnTheirWay = new Set<QueuedMessage>();

  constructor(life: ProcessLife, queue: SimulatedQueue, prefetchCount: number, receive: Receive) {
    this.life = life;
    this.#queue = queue;
    this.#prefetchCount = prefetchCount;
    this.#receive = receive;
    queue.open(this);
  }

  get hasRoom(): boolean {
    return this.isOpen && this.isConsuming && this.#unacknowledged.size < this.#prefetchCount;
  }

  get unacknowledgedCount(): number {
    return this.#unacknowledged.size;
  }

  handOver(queued: QueuedMessage): void {
    this.#unacknowledged.add(queued);
    let isSettled = false;
    const settle = (how: Settlement) => {
      if (!this.isLive || this.life.isDead) return;
      if (isSettled) throw new Error('a delivery was settled twice: RabbitMQ closes the channel');
      isSettled = true;
      if (how === 'acknowledge') this.#acknowledgedOnTheirWay.add(queued);
      this.life.travels(this.life.network.travelMs(), () => this.#settleHere(queued, how));
    };
    const delivery = {
      message: queued.message,
      isLive: () => this.isLive,
      acknowledge: () => settle('acknowledge'),
      reject: () => settle('reject'),
    };
    this.life.hears(this.life.network.travelMs(), () => {
      if (this.isLive) this.#receive(delivery, () => settle('give back'));
    });
  }

  #settleHere(queued: QueuedMessage, how: Settlement): void {
    if (!this.isOpen || !this.#unacknowledged.delete(queued)) return;
    if (how === 'reject') this.#queue.deadLetter(queued.message);
    if (how === 'give back') this.#queue.takeBack([queued]);
    this.#queue.handOut();
  }

  /** Closed in order: acknowledgements on their way arrive before. */
  close(): void {
    for (const queued of this.#acknowledgedOnTheirWay) this.#unacknowledged.delete(queued);
    this.die();
  }

  /** The broker's end; the process learns of it later. */
  die(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.#queue.close(this);
    this.#queue.takeBack([...this.#unacknowledged]);
  }
}

/** A consumer of one queue, over the deaths of its channels. */
export class SimulatedSource implements DeliverySource {
  readonly #life: ProcessLife;
  readonly #queue: SimulatedQueue;
  readonly #prefetchCount: number;
  #onDelivery: ((delivery: Delivery) => void) | undefined;
  #channel: SimulatedChannel | undefined;

  constructor(life: ProcessLife, queue: SimulatedQueue, prefetchCount: number) {
    this.#life = life;
    this.#queue = queue;
    this.#prefetchCount = prefetchCount;
  }

  start(onDelivery: (delivery: Delivery) => void): void {
    this.#onDelivery = onDelivery;
    this.#command(() => this.#consume());
  }

  get isConsuming(): boolean {
    return this.#channel?.isOpen === true && this.#channel.isConsuming;
  }

  cancel(): Promise<void> {
    this.#onDelivery = undefined;
    return new Promise((resolve) => {
      this.#command(() => {
        if (this.#channel !== undefined) this.#channel.isConsuming = false;
        this.#life.hears(this.#life.network.maxTravelMs, resolve);
      });
    });
  }

  release(): Promise<void> {
    this.#onDelivery = undefined;
    const channel = this.#channel;
    if (channel !== undefined) channel.isLive = false;
    return new Promise((resolve) => {
      this.#command(() => {
        channel?.close();
        if (this.#channel === channel) this.#channel = undefined;
        this.#life.hears(this.#life.network.maxTravelMs, resolve);
      });
    });
  }

  /** The broker's end dies now; the process may not know for a while. */
  breakChannel(): void {
    const channel = this.#channel;
    if (channel === undefined) return;
    channel.die();
    const { dice } = this.#life.network;
    this.#life.hears(dice.between(0, MAX_BLIND_MS), () => {
      channel.isLive = false;
      if (this.#channel === channel) this.#channel = undefined;
      this.#life.hears(dice.between(0, MAX_RECONNECT_MS), () => this.#command(() => this.#consume()));
    });
  }

  /** The process has ended: in order, or its connection was cut. */
  end(isInOrder: boolean): void {
    if (isInOrder) this.#channel?.close();
    else this.#channel?.die();
  }

  // All commands take the same time, so that they arrive in the order they were given.
  #command(arrive: () => void): void {
    this.#life.travels(this.#life.network.maxTravelMs, arrive);
  }

  #consume(): void {
    if (this.#life.isDead || this.#onDelivery === undefined) return;
    if (this.#channel?.isOpen) this.#channel.isConsuming = true;
    else if (this.#channel === undefined) {
      this.#channel = new SimulatedChannel(
        this.#life,
        this.#queue,
        this.#prefetchCount,
        (delivery, giveBack) => (this.#onDelivery === undefined ? giveBack() : this.#onDelivery(delivery)),
      );
    }
    this.#queue.handOut();
  }
}
