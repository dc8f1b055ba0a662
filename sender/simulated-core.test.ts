/**
 * The decisions of sender and recorder in simulated worlds: each seed is another one, in memory and in virtual time,
 * with crashes, lost confirms, late puts, an emptied Redis, and stores that fail for one process, one prefix or one
 * operation only. Whatever happened, the laws of the design hold.
 *
 *   SIMULATED_CORE_SEED=123 npx vitest run --project unit sender/simulated-core.test.ts    replays one seed, told step by step
 *   SIMULATED_CORE_SEEDS=50000 …                                                           plays that many
 */
import { describe, expect, it } from 'vitest';
import { fateOf } from '../shared/pipeline/fate.ts';
import { NO_FAULTS } from '../shared/rehearsal/network.ts';
import { WORLD_BEGAN_AT_MS } from '../shared/rehearsal/simulated-process.ts';
import type { PlannedSms } from '../shared/rehearsal/world.ts';
import { FaultyWorld, type Sabotage } from '../tests/kit/simulated-world/faulty-world.ts';
import { judgeWorld, recordsOf } from '../tests/kit/simulated-world/invariants.ts';
import { SABOTAGES } from '../tests/kit/simulated-world/sabotages.ts';
import { type Scenario, scenarioOf } from '../tests/kit/simulated-world/scenario.ts';

const DEFAULT_SEEDS = 3_000;
const PARTS = 5;
const MAX_TOLD = 3;
const SEEDS_TO_NOTICE = 300;
const givenSeed = process.env.SIMULATED_CORE_SEED;
const seedCount = Number(process.env.SIMULATED_CORE_SEEDS ?? DEFAULT_SEEDS);

async function play(seed: number, trace?: (line: string) => void, sabotage?: Sabotage): Promise<string[]> {
  const world = new FaultyWorld(scenarioOf(seed), trace, sabotage);
  const { stackTraceLimit } = Error;
  // A tenth of the time would go into the stacks of errors that nobody reads.
  if (trace === undefined) Error.stackTraceLimit = 0;
  try {
    await world.play();
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
  return judgeWorld(world);
}

/** A world in which nothing goes wrong. Each id comes once. */
function quiet(seed: number): Scenario {
  const scenario = scenarioOf(seed);
  return {
    ...scenario,
    sms: [...new Map(scenario.sms.map((each) => [each.id, each])).values()],
    ...{ rates: NO_FAULTS, interventions: [], deathsAtCall: [], troubles: [], poisonAtMs: [] },
    ...{ throttling: undefined, directives: [], clockOffsetsMs: [] },
  };
}

/** Two processes, nothing wrong but that the clock of one is ahead. SMS may be sent at any time. */
function aheadBy(byMs: number, seed: number): Scenario {
  const world = quiet(seed);
  return {
    ...world,
    ...{ processCount: 2, schedule: [10_000, 500], window: undefined },
    sms: world.sms.map(({ id, run, text, atMs }) => ({ id, run, text, atMs })),
    interventions: [{ atMs: 60, what: { kind: 'step clock', byMs } }],
  };
}

/** Nothing takes time but sends, and nobody waits for others. */
function ideal(seed: number): Scenario {
  const world = quiet(seed);
  return {
    ...world,
    ...{ maxTravelMs: 0, healAtMs: 0, junk: [] },
    // Cancelled, or sent like all others.
    directives: scenarioOf(seed).directives.filter(({ sentNowAttempt }) => sentNowAttempt === undefined),
    process: { ...world.process, concurrency: 100, prefetchCount: 100 },
  };
}

/** `sent after 0 1500`: the starts in milliseconds since the world began. */
function predict(world: Scenario, { id, atMs, wishes = {} }: PlannedSms): string {
  const cancels = world.directives.filter(({ smsId }) => smsId === id).map((each) => each.atMs);
  const { status, reason, attempts } = fateOf(world, id, {
    acceptedAtMs: WORLD_BEGAN_AT_MS + atMs,
    cancelledAtMs: WORLD_BEGAN_AT_MS + Math.min(...cancels),
    ...{ notBeforeMs: wishes.notBeforeMs, expiresAtMs: wishes.expiresAtMs },
  });
  const starts = attempts.map(({ startsAtMs }) => startsAtMs - WORLD_BEGAN_AT_MS);
  return `${id} ${reason ?? status} after ${starts.join(' ')}`;
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
    for (let seed = 1; seed <= 50; seed += 1) {
      const world = new FaultyWorld(aheadBy(5_000, seed));
      await world.play();
      expect(judgeWorld(world)).toEqual([]);
      const waits = [...world.world.broker.queues].flatMap(([routingKey, { taken }]) =>
        routingKey.startsWith('retry.') ? taken.map(({ messageId }) => `${messageId} in ${routingKey}`) : [],
      );
      expect(new Set(waits).size).toBe(waits.length);
    }
  });

  it('where nothing takes time but sends, every SMS meets its predicted fate to the millisecond', async () => {
    for (let seed = 1; seed <= 100; seed += 1) {
      const scenario = ideal(seed);
      const world = new FaultyWorld(scenario);
      await world.play();
      const met = recordsOf(world).map(({ smsId, reason, status, attempts }) => {
        const starts = attempts.map(({ startedAt }) => Date.parse(startedAt) - WORLD_BEGAN_AT_MS);
        return `${smsId} ${reason ?? status} after ${starts.join(' ')}`;
      });
      const predicted = scenario.sms.map((each) => predict(scenario, each));
      expect([seed, ...met.sort()]).toEqual([seed, ...predicted.sort()]);
    }
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
    const lines: string[] = [JSON.stringify(scenarioOf(Number(givenSeed)), undefined, 2)];
    const problems = await play(Number(givenSeed), (line) => lines.push(line));
    console.log(lines.join('\n'));
    expect(problems).toEqual([]);
  });
}
