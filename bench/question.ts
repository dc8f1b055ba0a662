import type { BenchServers } from './instruments/bench-servers.ts';
import type { Measurements } from './instruments/measurements.ts';

/** What a question finds when it is asked. */
export interface Bench {
  readonly servers: BenchServers;
  /** Starts further servers for this question alone; they are stopped with the bench. */
  startMoreServers(name: string): Promise<BenchServers>;
  /** Holds `dist`, copied: what is built again meanwhile must not be mixed into a run. */
  readonly programFolder: string;
  /** The checkout, where `npx` works. */
  readonly projectFolder: string;
  /** For files of the bench's own. */
  readonly folder: string;
  readonly isQuick: boolean;
  /** How often each thing is measured. */
  readonly rounds: number;
  /** Tells people how far it is. */
  say(line: string): void;
}

export interface Question {
  /** Its file's name, and what `--only` takes. */
  readonly name: string;
  readonly title: string;
  /** What exactly is measured, as sentences, for people who doubt the figures. */
  readonly method: readonly string[];
  /** Rounds of a short run; undefined where it is left out of one, unless asked for by name. */
  readonly quickRounds?: number;
  /** A sentence where this RabbitMQ cannot answer; undefined where it can. */
  whyNotAsked?(rabbitMqVersion: string): string | undefined;
  ask(bench: Bench): Promise<Measurements>;
}

/**
 * Measures one thing after the other, round by round; every other round the other way round, so that a machine that
 * becomes slower or faster favours none.
 */
export async function interleave(
  bench: Bench,
  subjects: Readonly<Record<string, (round: number) => Promise<void>>>,
): Promise<void> {
  for (let round = 1; round <= bench.rounds; round += 1) {
    const order = Object.entries(subjects);
    if (round % 2 === 0) order.reverse();
    for (const [subject, measure] of order) {
      bench.say(`  round ${round} of ${bench.rounds}: ${subject}`);
      await measure(round);
    }
  }
}
