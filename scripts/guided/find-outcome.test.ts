import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { findOutcomeFile } from './find-outcome.ts';

const bucket = mkdtempSync(join(tmpdir(), 'redial-bucket-'));
afterAll(() => rmSync(bucket, { recursive: true, force: true }));

function put(key: string, run: string): string {
  const file = join(bucket, `${key}._S3rver_object`);
  mkdirSync(join(file, '..'), { recursive: true });
  writeFileSync(file, `{"run":"${run}"}\n{"run":"other"}\n`);
  writeFileSync(`${file}.md5`, 'x');
  return file;
}

test('the newest file whose first outcome is of this run is shown', () => {
  put('success/dt=2026-11-22/hour=09/1.ndjson', 'mine');
  const newest = put('success/dt=2026-11-22/hour=10/2.ndjson', 'mine');
  put('success/dt=2026-11-22/hour=11/3.ndjson', 'other');
  const failed = put('failed/dt=2026-11-22/hour=10/4.ndjson', 'lost');
  expect(findOutcomeFile(bucket, ['success', 'failed'], 'mine')).toBe(newest);
  expect(findOutcomeFile(bucket, ['success', 'failed'], 'lost')).toBe(failed);
  expect(findOutcomeFile(bucket, ['success', 'parked'], 'lost')).toBeUndefined();
});
