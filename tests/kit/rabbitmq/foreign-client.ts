/** SMS as a client publishes them that knows nothing of Redial but its interface. */
import { type ConfirmChannel, connect } from 'amqplib';

/** What a client says of an SMS. Times are milliseconds since the epoch. */
export interface ForeignSms {
  readonly id: string;
  readonly acceptedAt?: number;
  readonly notBefore?: number;
  readonly expiresAt?: number;
  readonly priority?: 'high' | 'normal' | 'low';
  readonly traceparent?: string;
}

const WINDOW = 2_000;

/**
 * Publishes to the exchange QUEUE_NAME, and returns when RabbitMQ has confirmed all. SMS of the priorities high and low go to
 * their own queues. The topology must be there.
 */
export async function publishAsClient(
  rabbitmqUrl: string,
  queueName: string,
  list: readonly ForeignSms[],
): Promise<void> {
  const connection = await connect(rabbitmqUrl);
  try {
    const channel = await connection.createConfirmChannel();
    for (let from = 0; from < list.length; from += WINDOW) {
      for (const sms of list.slice(from, from + WINDOW)) publish(channel, queueName, sms);
      await channel.waitForConfirms();
    }
  } finally {
    await connection.close();
  }
}

function publish(channel: ConfirmChannel, exchange: string, { id, ...headers }: ForeignSms): void {
  const { priority } = headers;
  const routingKey = priority === 'high' || priority === 'low' ? priority : 'work';
  const body = Buffer.from('{"to":"+15550100001","text":"Hello"}');
  channel.publish(exchange, routingKey, body, { messageId: id, persistent: true, headers });
}

/** `prefix-1`, `prefix-2`, …, each with what `wishesOf` says of it. @param wishesOf gets the number, from 0 */
export function manySms(
  count: number,
  prefix: string,
  wishesOf: (index: number) => Omit<ForeignSms, 'id'> = () => ({}),
): ForeignSms[] {
  return Array.from({ length: count }, (_, index) => ({ id: `${prefix}-${index + 1}`, ...wishesOf(index) }));
}
