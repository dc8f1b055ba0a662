/**
 * A short selection of the faults, each safeguard switched off once, and a newer build beside this one. All of them: npm
 * run test:faults and npm run test:upgrade.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { check, type Verdict, violationsOf } from './faults/checker.ts';
import { FaultRun } from './faults/fault-run.ts';
import { faultNamed } from './faults/kinds/catalogue.ts';
import { RESUME_FAULTS } from './faults/kinds/resume-faults.ts';
import { playFault } from './faults/play-fault.ts';
import { collectEvidence } from './faults/run-evidence.ts';
import { SAFEGUARD_CASES, type SafeguardCase } from './faults/safeguards.ts';
import { type FaultServers, startFaultServers } from './faults/servers/fault-servers.ts';
import { copyPrograms } from './kit/process/checkout.ts';
import { apply, buildNewer, lessWaiting } from './rolling-upgrade/newer-build.ts';
import { playUpgrade, upgradeNamed } from './rolling-upgrade/upgrade.ts';

const project = join(import.meta.dirname, '..');
const folder = mkdtempSync(join(tmpdir(), 'redial-faults-'));
const seed = Number(process.env.FAULT_SEED ?? Math.floor(Math.random() * 1e9));
// How long recovery takes is measured by npm run test:faults; here other tests run beside it.
const PATIENCE = 4;
let servers: FaultServers;

beforeAll(async () => {
  execFileSync(process.execPath, [join(project, 'scripts/commands/build.js')], { stdio: 'pipe' });
  const programFolder = copyPrograms(join(folder, 'programs'));
  servers = await startFaultServers(join(folder, 'servers'), programFolder);
});
afterAll(async () => {
  await servers.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function expectAllAccountedFor(name: string): Promise<void> {
  const { problems } = await playFault(faultNamed(name), seed, servers, PATIENCE);
  expect(problems, `again: npm run test:faults -- --only ${name} --runs 1 --seed ${seed}`).toEqual([]);
}

// Several at a time: most of a run is waiting.
describe.concurrent('every SMS is accounted for, by name, when', () => {
  test.each([
    'sender-frozen',
    'sender-killed',
    'crash-retry-confirmed',
    'crash-object-stored',
    'crash-counters-half-rebuilt',
    'poison-message',
    'full-queue-deleted',
    'redis-emptied',
    's3-hanging',
  ])('%s', (name) => expectAllAccountedFor(name));

  test('a newer version runs beside this one, and both are killed', async () => {
    const { ofSources, ofPrograms } = lessWaiting(2_000);
    const older = copyPrograms(join(folder, 'older'));
    apply(older, ofPrograms);
    const newer = await buildNewer(project, join(folder, 'newer'), [ofSources]);
    const upgrade = upgradeNamed('killed-a-little');
    const problems = await playUpgrade(upgrade, seed, { ...servers, programFolder: older }, newer);
    expect(problems, `again: npm run test:upgrade -- --only ${upgrade.name} --runs 1 --seed ${seed}`).toEqual(
      [],
    );
  });
});

describe.concurrent('a run of 5,000 SMS is resumed, and few of them are published twice:', () => {
  test.each(RESUME_FAULTS)('$title', ({ name }) => expectAllAccountedFor(name));
});

describe('and, with RabbitMQ harmed, when', () => {
  test.each(['rabbitmq-restarted', 'everything-restarted'])('%s', (name) => expectAllAccountedFor(name));
});

async function verdictOf({ inject, safeguard, settings }: SafeguardCase, isOff: boolean) {
  const run = await FaultRun.start(servers, seed, settings);
  try {
    await inject(run, isOff ? { REDIAL_SAFEGUARDS_OFF: safeguard } : {});
    // What is lost never comes: it is waited for as long as the others may take.
    await run.settle(isOff ? 12_000 : 60_000).catch(() => {});
    return check(await collectEvidence(run));
  } finally {
    await run.end(false);
  }
}

async function expectToBeNeeded(each: SafeguardCase): Promise<void> {
  const verdicts = each.isAloneOnRabbitMq
    ? [await verdictOf(each, true), await verdictOf(each, false)]
    : await Promise.all([verdictOf(each, true), verdictOf(each, false)]);
  const [without, as] = verdicts as [Verdict, Verdict];
  expect(each.isRed(without), JSON.stringify(violationsOf(without, false))).toBe(true);
  expect(violationsOf(as, false)).toEqual([]);
}

describe.concurrent('without its safeguard SMS are lost or counted twice, and seen to be:', () => {
  test.each(SAFEGUARD_CASES.filter((each) => !each.isAloneOnRabbitMq))(
    '$safeguard: $title',
    expectToBeNeeded,
  );
});

describe('and, with RabbitMQ harmed:', () => {
  test.each(SAFEGUARD_CASES.filter((each) => each.isAloneOnRabbitMq))('$safeguard: $title', expectToBeNeeded);
});
