import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { withSettingsTable } from './settings-table.ts';

test('the README tells every setting as the program knows it (renew it with UPDATE_README=1)', () => {
  const path = join(import.meta.dirname, '..', 'README.md');
  const readme = readFileSync(path, 'utf8');
  if (process.env.UPDATE_README === '1') writeFileSync(path, withSettingsTable(readme));
  expect(readFileSync(path, 'utf8')).toBe(withSettingsTable(readme));
});
