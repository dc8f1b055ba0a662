import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { WINDOW_SIZE } from './publish.ts';

test('the bare publisher has the window of the producer', () => {
  const source = readFileSync(join(import.meta.dirname, '..', 'producer', 'main.ts'), 'utf8');
  const [, windowSize = ''] = /const WINDOW_SIZE = ([\d_]+);/.exec(source) ?? [];
  expect(Number(windowSize.replaceAll('_', ''))).toBe(WINDOW_SIZE);
});
