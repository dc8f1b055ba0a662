/**
 * Takes single SMS out of retry and hold queues before their time. RabbitMQ hands out a queue from its head to a consumer that
 * acknowledges nothing. A delivery that is rejected without requeue is dead-lettered to `due`, at least once: exactly this
 * message, and no copy of it. All others go back to their places, in their order, when the channel closes (see
 * overdue-reader.ts, which looks in the same way). While a look lasts, no SMS of its queue expires.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Channel, ChannelModel, Message } from 'amqplib';
import type { IncomingMessage } from '../../../domain/sms/message.ts';
import { describeError, ServerUnavailableError } from '../../../errors.ts';
import type { ConnectionRole } from '../connection.ts';
import { incomingOf } from '../consumer.ts';
import { isMissing, openChannel } from '../topology-check.ts';

// The first keeps a look small where little waits. Their sum bounds what RabbitMQ holds for a look.
const WINDOWS: readonly number[] = [1_000, 9_000, 40_000, 50_000];
// Messages that are there come within milliseconds. After this silence the rest has expired meanwhile.
const QUIET_MS = 1_000;
const GIVEN_BACK_WITHIN_MS = 1_000;

/** The wanted SMS of one queue, which nobody else gets until they are pulled or given back. */
export interface Look<Wanted> {
  readonly found: readonly Wanted[];
  /** False where more messages waited than a look may hold. */
  readonly isWhole: boolean;
  /** Sends the wanted ones to `due` and gives the others back. */
  pull(): Promise<void>;
  /** Gives all back. */
  close(): Promise<void>;
}

export class WaitingQueues implements ConnectionRole {
  #model: ChannelModel | undefined;

  async attach(model: ChannelModel): Promise<void> {
    this.#model = model;
  }

  detach(): void {
    this.#model = undefined;
  }

  /**
   * @param choose what is wanted of a message; undefined where the message may stay
   * @returns undefined for a queue that does not exist
   * @throws ServerUnavailableError
   */
  async look<Wanted>(
    queueName: string,
    choose: (message: IncomingMessage) => Wanted | undefined,
  ): Promise<Look<Wanted> | undefined> {
    try {
      if (this.#model === undefined) throw new Error('there is no connection');
      const model = this.#model;
      const look = await lookOn(await openChannel(model), queueName, choose);
      // Where the connection ends meanwhile, the next call says so.
      const waitUntilBack = (count: number) => untilBack(model, queueName, count).catch(() => {});
      return {
        ...look,
        pull: () => look.pull().then(() => waitUntilBack(look.metCount - look.found.length)),
        close: () => look.close().then(() => waitUntilBack(look.metCount)),
      };
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw unavailable(error);
    }
  }

  /** Consumers of a queue; 0 for one that does not exist. @throws ServerUnavailableError */
  async consumerCountOf(queueName: string): Promise<number> {
    try {
      if (this.#model === undefined) throw new Error('there is no connection');
      const channel = await openChannel(this.#model);
      const { consumerCount } = await channel.checkQueue(queueName);
      await channel.close();
      return consumerCount;
    } catch (error) {
      if (isMissing(error)) return 0;
      throw unavailable(error);
    }
  }
}

async function lookOn<Wanted>(
  channel: Channel,
  queueName: string,
  choose: (message: IncomingMessage) => Wanted | undefined,
): Promise<Look<Wanted> & { readonly metCount: number }> {
  const { messageCount } = await channel.checkQueue(queueName);
  const found: Wanted[] = [];
  const tags: number[] = [];
  let metCount = 0;
  let isQuiet = false;
  const onMessage = (message: Message | null) => {
    if (message === null) return;
    metCount += 1;
    const wanted = choose(incomingOf(message));
    if (wanted === undefined) return;
    found.push(wanted);
    tags.push(message.fields.deliveryTag);
  };
  let isClosed = false;
  channel.once('close', () => {
    isClosed = true;
  });
  for (const [index, window] of WINDOWS.entries()) {
    if (metCount >= messageCount || isQuiet) break;
    const end = Math.min(messageCount, metCount + window);
    await channel.prefetch(window);
    // In the order of the tags: RabbitMQ 3.10 gives back consumer by consumer in that order.
    await channel.consume(queueName, onMessage, { consumerTag: `pull-${index}` });
    for (let quietSinceMs = Date.now(), met = metCount; metCount < end; ) {
      await sleep(5);
      if (isClosed) throw new Error('the channel of a look was closed');
      if (metCount > met) [quietSinceMs, met] = [Date.now(), metCount];
      isQuiet = Date.now() - quietSinceMs > QUIET_MS;
      if (isQuiet) break;
    }
  }
  return {
    found,
    metCount,
    isWhole: metCount >= messageCount || isQuiet,
    async pull() {
      for (const tag of tags) channel.reject({ fields: { deliveryTag: tag } } as Message, false);
      await channel.close().catch((error: unknown) => Promise.reject(unavailable(error)));
    },
    close: () => channel.close().catch(() => {}),
  };
}

/** RabbitMQ gives back a moment after the channel is closed. A look before that would find nothing. */
async function untilBack(model: ChannelModel, queueName: string, count: number): Promise<void> {
  if (count === 0) return;
  const giveUpAtMs = Date.now() + GIVEN_BACK_WITHIN_MS;
  const channel = await openChannel(model);
  // Where some have expired meanwhile, fewer come back.
  while ((await channel.checkQueue(queueName)).messageCount < count && Date.now() < giveUpAtMs)
    await sleep(10);
  await channel.close();
}

function unavailable(error: unknown): ServerUnavailableError {
  if (error instanceof ServerUnavailableError) return error;
  return new ServerUnavailableError(`RabbitMQ could not be asked what waits: ${describeError(error)}`, {
    isRefusal: false,
    cause: error,
  });
}
