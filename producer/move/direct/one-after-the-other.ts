import { MAX_IDS } from './directive-options.ts';
import type { Result } from './judge-result.ts';

type DirectiveKind = 'cancel' | 'retry-now';

interface Asked {
  readonly command: DirectiveKind;
  readonly smsId: string;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Gives directives that single callers ask for. Two looks into a queue at once would hide SMS from each other, so one command
 * runs at a time. What is asked for meanwhile is given with the next one, all ids of a kind at once.
 */
export class OneAfterTheOther {
  readonly #perform: (command: DirectiveKind, ids: readonly string[]) => Promise<ReadonlyMap<string, Result>>;
  #waiting: Asked[] = [];
  #isRunning = false;

  /** @param perform gives directives for these ids, and tells what came of each */
  constructor(
    perform: (command: DirectiveKind, ids: readonly string[]) => Promise<ReadonlyMap<string, Result>>,
  ) {
    this.#perform = perform;
  }

  /** @throws what `perform` throws */
  direct(command: DirectiveKind, smsId: string): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ command, smsId, resolve, reject });
      if (!this.#isRunning) void this.#run();
    });
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    for (let [first] = this.#waiting; first !== undefined; [first] = this.#waiting) {
      const { command } = first;
      const ofItsKind = this.#waiting.filter((each) => each.command === command).slice(0, MAX_IDS);
      this.#waiting = this.#waiting.filter((each) => !ofItsKind.includes(each));
      try {
        const results = await this.#perform(command, [...new Set(ofItsKind.map(({ smsId }) => smsId))]);
        for (const { smsId, resolve } of ofItsKind) resolve(results.get(smsId) ?? 'not certain');
      } catch (error) {
        for (const { reject } of ofItsKind) reject(error);
      }
    }
    this.#isRunning = false;
  }
}
