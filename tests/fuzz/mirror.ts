import { connect } from 'amqplib';
import { RabbitMqConnection } from '../../shared/adapters/rabbitmq/connection.ts';
import { RabbitMqConsumer } from '../../shared/adapters/rabbitmq/consumer.ts';
import { identityOfUnreadable } from '../../shared/domain/sms/parking.ts';
import { describeError } from '../../shared/errors.ts';
import type { Logger } from '../../shared/ports/logger.ts';
import { digest } from '../kit/simulated-world/digest.ts';

const PREFETCH = 500;

/**
 * Gets a copy of each message that RabbitMQ gives to the work queue, and remembers whose it is. Only RabbitMQ knows what
 * it has taken: where it closes a connection, some of what was written was taken and some not.
 */
export class Mirror {
  /** By identity: the SMS id, or the hash that stands for one. */
  readonly identities = new Set<string>();
  count = 0;
  /** What the connection said of its troubles; after one, copies may be counted twice. */
  readonly troubles: readonly string[];
  readonly #connection: RabbitMqConnection;

  private constructor(connection: RabbitMqConnection, troubles: readonly string[]) {
    this.#connection = connection;
    this.troubles = troubles;
  }

  /** The exchange must be there. */
  static async open(url: string, prefix: string): Promise<Mirror> {
    const [copies, expired] = [`${prefix}.copies`, `${prefix}.copies.expired`];
    const declaring = await connect(url);
    const channel = await declaring.createChannel();
    await channel.assertQueue(expired);
    // What a client lets expire comes here too, if by another way.
    const deadLetter = { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': expired };
    await channel.assertQueue(copies, { arguments: deadLetter });
    await channel.bindQueue(copies, prefix, 'work');
    await declaring.close();

    const troubles: string[] = [];
    const note = (fields: object, message: string) => {
      const { err } = fields as { readonly err?: unknown };
      troubles.push(`${message}: ${describeError(err)}`);
    };
    const log: Logger = { debug() {}, info() {}, warn: note, error: note };
    const connection = new RabbitMqConnection({ urls: [url], name: 'redial fuzz', log });
    const mirror = new Mirror(connection, troubles);
    for (const queueName of [copies, expired]) {
      const source = new RabbitMqConsumer({ queueName, prefetchCount: PREFETCH });
      connection.add(source);
      source.start((delivery) => {
        mirror.identities.add(identityOfUnreadable(delivery.message, digest));
        mirror.count += 1;
        delivery.acknowledge();
      });
    }
    await connection.open(60_000);
    return mirror;
  }

  close(): Promise<void> {
    return this.#connection.close();
  }
}
