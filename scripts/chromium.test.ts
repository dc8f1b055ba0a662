import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { ensureChromium, findChromium } from './chromium.ts';

const folder = mkdtempSync(join(tmpdir(), 'redial-chromium-'));
const program = join(folder, 'chromium');
writeFileSync(program, '');
chmodSync(program, 0o755);
afterAll(() => rmSync(folder, { recursive: true }));

test('Chromium is found on the path, and where CHROMIUM_PATH says', () => {
  expect(findChromium({ PATH: folder })).toBe(program);
  expect(findChromium({ PATH: '/nowhere', CHROMIUM_PATH: program })).toBe(program);
  expect(findChromium({ PATH: folder, CHROMIUM_PATH: join(folder, 'gone') })).toBeUndefined();
});

test('nothing is installed where there is one', async () => {
  const said: string[] = [];
  await ensureChromium({ PATH: folder }, (line) => said.push(line));
  expect(said).toEqual([]);
});
