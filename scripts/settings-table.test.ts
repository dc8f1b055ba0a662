import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { renderEnvFile, TABLE_FILE, withSettingsTable } from './settings-table.ts';

test.each([
  [TABLE_FILE, withSettingsTable],
  ['.env', renderEnvFile],
])('%s tells every setting as the program knows it (renew it with UPDATE_README=1)', (name, render) => {
  const path = join(import.meta.dirname, '..', name);
  const renewed = render(readFileSync(path, 'utf8'));
  if (process.env.UPDATE_README === '1') writeFileSync(path, renewed);
  expect(readFileSync(path, 'utf8')).toBe(renewed);
});
