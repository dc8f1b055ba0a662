import type { OutgoingMessage } from '../../shared/domain/sms/message.ts';
import type { Publisher, PublisherWithState, PublishingTrouble } from '../../shared/ports/publisher.ts';

/** Keeps what is published. Confirms at once, or leaves each publish open for the test to decide. */
export class RecordingPublisher implements Publisher {
  readonly published: OutgoingMessage[] = [];
  /** Those whose fate is still open. */
  open: { readonly message: OutgoingMessage; confirm(): void; fail(error: Error): void }[] = [];
  confirmsAtOnce: boolean;

  constructor({ confirmsAtOnce = true } = {}) {
    this.confirmsAtOnce = confirmsAtOnce;
  }

  publish(message: OutgoingMessage): Promise<void> {
    this.published.push(message);
    if (this.confirmsAtOnce) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.open.push({ message, confirm: resolve, fail: reject });
    });
  }

  /** Confirms what is open, all of it or what fits. */
  confirmOpen(isMeant: (message: OutgoingMessage) => boolean = () => true): void {
    const meant = this.open.filter(({ message }) => isMeant(message));
    this.open = this.open.filter((publish) => !meant.includes(publish));
    for (const { confirm } of meant) confirm();
  }
}

/** The same as a publisher that calls back, and says why it would not publish. */
export class RecordingBulkPublisher extends RecordingPublisher implements PublisherWithState {
  trouble: PublishingTrouble | undefined;

  publishThen(message: OutgoingMessage, onSettled: (error: Error | undefined) => void): void {
    this.publish(message).then(() => onSettled(undefined), onSettled);
  }
}
