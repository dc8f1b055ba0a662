import type { OutgoingMessage } from '../shared/domain/message.ts';
import { isUnpublishable } from '../shared/errors.ts';
import type { Publisher } from '../shared/ports.ts';

/** Waits before the next try: longer the more have failed. Rejects when the process must end. */
export type Pause = (failedTries: number) => Promise<void>;

/**
 * Publishes, again and again with the same id, until RabbitMQ has confirmed; false where that is not wanted any
 * more. An unconfirmed message may be there all the same: the second copy is closed by its identity.
 * @throws UnencodableError, MessageTooLargeError, and what `pause` rejects with
 */
export async function publishUntilConfirmed(
  publisher: Publisher,
  message: OutgoingMessage,
  pause: Pause,
  isWanted: () => boolean = () => true,
): Promise<boolean> {
  for (let failedTries = 0; isWanted(); failedTries += 1) {
    try {
      await publisher.publish(message);
      return true;
    } catch (error) {
      if (isUnpublishable(error)) throw error;
      await pause(failedTries);
    }
  }
  return false;
}
