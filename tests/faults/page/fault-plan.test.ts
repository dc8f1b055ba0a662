import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import type { Fault } from '../fault.ts';
import { seedsLeft, shortFaults } from './fault-plan.ts';
import { pageOf, promisedRunsOf, readToldRuns, renewPage, type SeenFault } from './fault-table.ts';
import { forgetRuns, keepRun, readKeptRuns } from './kept-runs.ts';

const folder = mkdtempSync(join(tmpdir(), 'redial-kept-runs-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const page = pageOf(undefined);
const faultOf = (name: string, runs: number, smsCount?: number): Fault => ({
  name,
  title: `${name} for a while`,
  runs,
  inject: async () => {},
  ...(smsCount === undefined ? {} : { settings: { smsCount } }),
});
const frozen = faultOf('frozen', 10);
const killed = faultOf('killed', 20);
const soak = faultOf('soak', 2, 3_000);
const faults = [soak, killed, frozen];
const good = {
  accepted: 300,
  lost: 0,
  unexpected: 0,
  early: 0,
  extra: 0,
  duplicated: 0,
  repeatedSends: 1,
  recoverySeconds: 2,
  hasFailed: false,
};
const seen = (fault: Fault, count: number, about = '1, 2026-11-01'): SeenFault => ({
  fault,
  about,
  runs: Array.from({ length: count }, () => good),
});
const rowOf = (text: string, { name }: Fault) =>
  text.split('\n').find((line) => line.includes(`\`${name}\``));

test('one run does not replace the row of ten', () => {
  const full = renewPage(page, undefined, faults, [seen(frozen, 10)]);
  expect(rowOf(full, frozen)).toMatch(/^\| `frozen` frozen for a while \| 10 of 10 \| 3000 \| 0 \|/);
  expect(renewPage(page, full, faults, [seen(frozen, 1, '2, 2026-11-02')])).toBe(full);
  expect(rowOf(renewPage(page, full, faults, [seen(frozen, 12, '3, 2026-11-03')]), frozen)).toMatch(
    /\| 12 of 10 \|.*\| 3, 2026-11-03 \|$/,
  );
});

test('a row that was written before says of how many promised runs it tells', () => {
  const old =
    '| `killed` killed for a while | 1 | 300 | 0 | 0 | 0 | 0 | 0 | 7 | 1.0 s | 1.0 s | 0 | 5, 2026-10-01 |';
  const renewed = renewPage(page, old, faults, []);
  expect(rowOf(renewed, killed)).toBe(old.replace('| 1 |', '| 1 of 20 |'));
  expect(renewPage(page, renewed, faults, [])).toBe(renewed);
  expect(readToldRuns(renewed)).toEqual(new Map([['killed', 1]]));
});

test('rows with fewer runs than promised are missing, those that are soonest done first', () => {
  const promised = (fault: Fault) => promisedRunsOf(page, fault);
  expect(shortFaults(faults, new Map(), promised)).toEqual([frozen, soak, killed]);
  const told = readToldRuns(renewPage(page, undefined, faults, [seen(frozen, 10), seen(soak, 2)]));
  expect(shortFaults(faults, told, promised)).toEqual([killed]);
  expect(shortFaults(faults, told.set('killed', 20), promised)).toEqual([]);
});

test('with RabbitMQ 4 two runs of each fault are promised', () => {
  const pageOf4 = pageOf('4.3');
  expect(pageOf4.file).toBe('faults-rabbitmq-4.3.md');
  expect(rowOf(renewPage(pageOf4, undefined, faults, [seen(frozen, 2)]), frozen)).toContain('| 2 of 2 |');
});

test('a row that was stopped goes on with the seeds that were not played', () => {
  expect(seedsLeft(7, 4)).toEqual([7, 8, 9, 10]);
  expect(seedsLeft(7, 4, [9, 7])).toEqual([8, 10]);
  expect(seedsLeft(7, 2, [8, 7, 9])).toEqual([]);
});

test('kept runs are those of this build, also after one was cut off, until their row is full', () => {
  const file = join(folder, 'kept', 'runs.ndjson');
  expect(readKeptRuns(file, 'b')).toEqual([]);
  const run = (fault: string, seed: number, build = 'b') => ({
    fault,
    firstSeed: 1,
    seed,
    build,
    figures: good,
  });
  for (const each of [run('frozen', 1), run('killed', 1), run('frozen', 2, 'older')]) keepRun(file, each);
  writeFileSync(file, `${readFileSync(file, 'utf8')}{"fault":"fro`);
  expect(readKeptRuns(file, 'b')).toEqual([run('frozen', 1), run('killed', 1)]);
  forgetRuns(file, 'frozen');
  expect(readKeptRuns(file, 'b')).toEqual([run('killed', 1)]);
});
