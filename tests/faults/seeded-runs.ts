/** What the commands share that play each of some cases several times, each time with another seed. */
import { Command } from 'commander';

export interface RunsToPlay {
  /** Names of cases; undefined: all of them. */
  readonly only: readonly string[] | undefined;
  /** Undefined: as many of each case as it promises. */
  readonly runs: number | undefined;
  readonly firstSeed: number;
}

export interface PlayedRun {
  /** What is wrong, as sentences; empty in a good run. */
  readonly problems: readonly string[];
  readonly facts?: readonly string[];
}

/** Reads the command line. @param cases what is played, in the plural */
export function readRunsToPlay(command: string, cases: string): RunsToPlay {
  const { only, runs, seed } = new Command(command)
    .option('--only <names>', `these ${cases}, separated by commas`)
    .option('--runs <count>', 'so many runs of each')
    .option('--seed <number>', 'seed of the first run; the next runs count on from it')
    .parse()
    .opts<{ only?: string; runs?: string; seed?: string }>();
  return {
    only: only?.split(','),
    runs: runs === undefined ? undefined : Number(runs),
    firstSeed: seed === undefined ? Math.floor(Math.random() * 1e9) : Number(seed),
  };
}

/** Plays one run after another and prints what became of each. @returns whether all were good */
export async function playRuns<Case extends { readonly name: string; readonly runs: number }>(
  cases: readonly Case[],
  { runs, firstSeed }: RunsToPlay,
  play: (each: Case, seed: number) => Promise<PlayedRun>,
): Promise<boolean> {
  let [runCount, failedCount] = [0, 0];
  for (const each of cases) {
    for (let run = 0; run < (runs ?? each.runs); run += 1) {
      const seed = firstSeed + run;
      const { problems, facts = [] } = await play(each, seed);
      const word = problems.length === 0 ? 'ok    ' : 'FAILED';
      const lines = [...facts, ...problems].map((line) => `       ${line}\n`);
      process.stdout.write(`${word} ${each.name} seed ${seed}\n${lines.join('')}`);
      runCount += 1;
      if (problems.length > 0) failedCount += 1;
    }
  }
  process.stdout.write(`\n${runCount - failedCount} runs passed, ${failedCount} failed\n`);
  return failedCount === 0;
}
