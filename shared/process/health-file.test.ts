import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ManualClock } from '../../tests/kit/manual-clock.ts';
import { RecordedLog } from '../../tests/kit/recorded-log.ts';
import { findAilment, keepHealthFile } from './health-file.ts';

let folder: string;
let file: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'redial-health-'));
  file = join(folder, 'health');
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

function startTouching(clock: ManualClock, log = new RecordedLog()) {
  const sender = { isWorking: true };
  const stop = keepHealthFile({ file, isWorking: () => sender.isWorking, clock, log });
  return { sender, stop, log };
}

test('a process that works touches its file every 5 s and takes it away at its end', async () => {
  const clock = new ManualClock();
  const { stop } = startTouching(clock);
  expect(readFileSync(file, 'utf8')).toBe('2026-11-22T10:00:00.000Z\n');
  await clock.advance(5_000);
  expect(readFileSync(file, 'utf8')).toBe('2026-11-22T10:00:05.000Z\n');
  stop();
  expect(existsSync(file)).toBe(false);
  expect(clock.timerCount).toBe(0);
});

test('a sender without RabbitMQ leaves its file alone until RabbitMQ is back', async () => {
  const clock = new ManualClock();
  const { sender } = startTouching(clock);
  sender.isWorking = false;
  await clock.advance(60_000);
  expect(readFileSync(file, 'utf8')).toBe('2026-11-22T10:00:00.000Z\n');
  sender.isWorking = true;
  await clock.advance(5_000);
  expect(readFileSync(file, 'utf8')).toBe('2026-11-22T10:01:05.000Z\n');
});

test('a file that cannot be written is told once and ends nothing', async () => {
  const clock = new ManualClock();
  rmSync(folder, { recursive: true });
  const { log } = startTouching(clock);
  await clock.advance(20_000);
  expect(log.messages).toEqual([expect.stringContaining('the health file cannot be written')]);
  mkdirSync(folder);
  await clock.advance(5_000);
  expect(existsSync(file)).toBe(true);
});

test('without a file nothing is touched', () => {
  const clock = new ManualClock();
  keepHealthFile({ file: undefined, isWorking: () => true, clock, log: new RecordedLog() })();
  expect(clock.timerCount).toBe(0);
});

test.each([
  [29, undefined],
  [31, 'was last touched 31 s ago, at most 30 s are well'],
])('a file touched %d s ago: %s', (ageSeconds, ailment) => {
  const nowMs = Date.now();
  writeFileSync(file, '');
  utimesSync(file, new Date(nowMs), new Date(nowMs - ageSeconds * 1_000));
  const found = findAilment(file, nowMs);
  if (ailment === undefined) expect(found).toBeUndefined();
  else expect(found).toContain(ailment);
});

test('a file that is not there, or not named, is an ailment', () => {
  expect(findAilment(file, 0)).toContain(`${file} is not there`);
  expect(findAilment(undefined, 0)).toContain('HEARTBEAT_FILE is not set');
  expect(findAilment('', 0)).toContain('HEARTBEAT_FILE is not set');
});
