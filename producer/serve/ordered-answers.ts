/** Answers that are given in the order of their questions, however they settle. */
export class OrderedAnswers {
  readonly #answers: (string | undefined)[] = [];
  /** How many questions were answered and taken. */
  #takenCount = 0;
  #onChange: (() => void) | undefined;

  /** Questions whose answers were not taken. */
  get openCount(): number {
    return this.#answers.length;
  }

  /** A new question. @returns what gives its answer, once */
  ask(): (answer: string) => void {
    const number = this.#takenCount + this.#answers.push(undefined) - 1;
    return (answer) => {
      const index = number - this.#takenCount;
      this.#answers[index] = answer;
      if (index === 0) this.wake();
    };
  }

  /** Ends the wait of `changed`, although nothing may have. */
  wake(): void {
    this.#onChange?.();
    this.#onChange = undefined;
  }

  /** The answers that stand first, in one text; empty where the first is open. */
  take(): string {
    const firstOpen = this.#answers.indexOf(undefined);
    const taken = this.#answers.splice(0, firstOpen < 0 ? this.#answers.length : firstOpen);
    this.#takenCount += taken.length;
    return taken.join('');
  }

  /** Resolves when the first open question has its answer; at once where there is something to take. */
  changed(): Promise<void> {
    if (this.#answers.length > 0 && this.#answers[0] !== undefined) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onChange = resolve;
    });
  }
}
