import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { MAX_UNCONFIRMED } from './publish.ts';

test('the bare publisher has as many unconfirmed messages as the producer', () => {
  const producer = join(import.meta.dirname, '..', '..', 'producer');
  const files = readdirSync(producer, { recursive: true, encoding: 'utf8' });
  const sources = files
    .filter((file) => file.endsWith('.ts'))
    .map((file) => readFileSync(join(producer, file), 'utf8'));
  const [, count = ''] = /const (?:WINDOW_SIZE|MAX_UNCONFIRMED) = ([\d_]+);/.exec(sources.join('\n')) ?? [];
  expect(Number(count.replaceAll('_', ''))).toBe(MAX_UNCONFIRMED);
});
