/** Tells problems when they change, so that a wait that does not end says why. */
export class ProblemTeller {
  readonly #say: (line: string) => void;
  #told: ReadonlySet<string> = new Set();

  constructor(say: (line: string) => void) {
    this.#say = say;
  }

  tell(problems: readonly string[]): void {
    for (const problem of problems) if (!this.#told.has(problem)) this.#say(`  ! ${problem}`);
    this.#told = new Set(problems);
  }
}
