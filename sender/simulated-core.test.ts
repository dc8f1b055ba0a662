/**
 * The decisions of sender and recorder in simulated worlds: each seed is another one, in memory and in virtual time,
 * with crashes, lost confirms, late puts, an emptied Redis, and stores that fail for one process, one prefix or one
 * operation only. Whatever happened, the laws of the design hold.
 *
 *   SIMULATED_CORE_SEED=123 npx vitest run --project unit sender/simulated-core.test.ts    replays one seed, told step by step
 *   SIMULATED_CORE_SEEDS=50000 …                                                           plays that many
 */
import { describe, expect, it } from 'vitest';
import { judgeWorld } from './testing/simulated-core/invariants.ts';
import { SABOTAGES } from './testing/simulated-core/sabotages.ts';
import { describeScenario, NO_FAULTS, type Scenario } from './testing/simulated-core/scenario.ts';
import { type Sabotage, World } from './testing/simulated-core/world.ts';

const DEFAULT_SEEDS = 5_000;
const PARTS = 5;
const MAX_TOLD = 3;
const SEEDS_TO_NOTICE = 300;
const givenSeed = process.env.SIMULATED_CORE_SEED;
const seedCount = Number(process.env.SIMULATED_CORE_SEEDS ?? DEFAULT_SEEDS);

async function play(seed: number, trace?: (line: string) => void, sabotage?: Sabotage): Promise<string[]> {
  const world = new World(describeScenario(seed), trace, sabotage);
  await world.play();
  return judgeWorld(world);
}

/** Two processes, nothing wrong but that the clock of one is ahead. */
function aheadBy(byMs: number, seed: number): Scenario {
  return {
    ...describeScenario(seed),
    ...{
      processCount: 2,
      schedule: [10_000, 500],
      rates: NO_FAULTS,
      deathsAtCall: [],
      troubles: [],
      poisonAtMs: [],
    },
    interventions: [{ atMs: 60, what: { kind: 'step clock', byMs } }],
  };
}

function tell(seed: number, problems: readonly string[]): string {
  const replay = `SIMULATED_CORE_SEED=${seed} npx vitest run --project unit sender/simulated-core.test.ts`;
  return `seed ${seed} breaks a law; again with ${replay}\n  - ${problems.join('\n  - ')}`;
}

/** Plays seeds until some have failed, and tells those. */
async function playAll(first: number, count: number): Promise<string[]> {
  const told: string[] = [];
  for (let seed = first; seed < first + count && told.length < MAX_TOLD; seed += 1) {
    const problems = await play(seed);
    if (problems.length > 0) told.push(tell(seed, problems));
  }
  return told;
}

if (givenSeed === undefined) {
  const size = Math.ceil(seedCount / PARTS);
  const firsts = Array.from({ length: PARTS }, (_, index) => 1 + index * size);
  it.each(firsts)(`the laws hold in ${size} worlds from seed %i`, { timeout: 600_000 }, async (first) => {
    const told = await playAll(first, size);
    expect(told, told.join('\n')).toEqual([]);
  });

  it('a seed plays the same world each time, step by step', async () => {
    const traceOf = async (seed: number) => {
      const lines: string[] = [];
      await play(seed, (line) => lines.push(line));
      return lines;
    };
    for (let seed = 1; seed <= 20; seed += 1) expect(await traceOf(seed)).toEqual(await traceOf(seed));
  });

  it('where the clock of one of two senders is five seconds ahead, no SMS waits its delay twice', async () => {
    const lines: string[] = [];
    for (let seed = 1; seed <= 50; seed += 1) {
      const world = new World(aheadBy(5_000, seed), (line) => lines.push(line));
      await world.play();
      expect(judgeWorld(world)).toEqual([]);
    }
    expect(lines.filter((line) => line.includes('waiting again'))).toEqual([]);
  });

  describe(`within ${SEEDS_TO_NOTICE} worlds it is noticed`, () => {
    it.each(Object.entries(SABOTAGES))('%s', { timeout: 60_000 }, async (_, sabotage) => {
      let problems: string[] = [];
      for (let seed = 1; seed <= SEEDS_TO_NOTICE && problems.length === 0; seed += 1)
        problems = await play(seed, undefined, sabotage);
      expect(problems).not.toEqual([]);
    });
  });
} else {
  it(`the laws hold in the world of seed ${givenSeed}`, async () => {
    const lines: string[] = [JSON.stringify(describeScenario(Number(givenSeed)), undefined, 2)];
    const problems = await play(Number(givenSeed), (line) => lines.push(line));
    console.log(lines.join('\n'));
    expect(problems).toEqual([]);
  });
}
