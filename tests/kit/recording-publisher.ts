import type { OutgoingMessage } from '../../shared/domain/sms/message.ts';
import type { Publisher } from '../../shared/ports/publisher.ts';

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
