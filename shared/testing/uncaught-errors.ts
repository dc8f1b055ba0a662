/** Collects what would end a process of ours: nothing an adapter does may be without somebody to catch it. */
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
