/** Collects errors that nobody caught and that would end a process of Redial: an adapter must cause none. */
export class UncaughtErrors {
  readonly seen: unknown[] = [];
  readonly #note = (error: unknown) => {
    this.seen.push(error);
  };

  constructor() {
    process.on('uncaughtException', this.#note);
    process.on('unhandledRejection', this.#note);
  }

  stop(): void {
    process.off('uncaughtException', this.#note);
    process.off('unhandledRejection', this.#note);
  }
}
