import { afterEach, expect, test, vi } from 'vitest';
import { listenForShutdown } from './shutdown.ts';

const NAMES = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;
type Name = (typeof NAMES)[number];

const before = new Map(NAMES.map((name) => [name, process.listeners(name)]));
afterEach(() => {
  vi.restoreAllMocks();
  for (const name of NAMES) {
    process.removeAllListeners(name);
    for (const listener of before.get(name) ?? []) process.on(name, listener);
  }
});

/** What two signals do, so many milliseconds apart: the reason to end, and what ends the process at once. */
function receive(first: Name, second: Name, apartMs: number): { reason: unknown; endedBy: Name | undefined } {
  let nowMs = 1_000;
  let endedBy: Name | undefined;
  vi.spyOn(process, 'kill').mockImplementation((_, name) => {
    endedBy = name as Name;
    return true;
  });
  for (const name of NAMES) process.removeAllListeners(name);
  const shutdown = listenForShutdown({ nowMs: () => nowMs });
  process.emit(first);
  nowMs += apartMs;
  process.emit(second);
  return { reason: shutdown.reason, endedBy };
}

test.each(NAMES)('the first %s asks to end', (name) => {
  expect(receive(name, 'SIGHUP', 0).reason).toBe(name);
});

test.each([
  ['SIGINT', 'SIGINT', 1_000, 'SIGINT'],
  ['SIGTERM', 'SIGINT', 1_000, 'SIGINT'],
  ['SIGHUP', 'SIGTERM', 1_000, 'SIGTERM'],
] as const)('%s, then %s %i ms later, ends at once', (first, second, apartMs, endedBy) => {
  expect(receive(first, second, apartMs)).toEqual({ reason: first, endedBy });
});

test.each([
  ['a Ctrl-C that npm hands on too', 'SIGINT', 'SIGINT', 1],
  ['a terminal that is closed, and its shell', 'SIGHUP', 'SIGHUP', 1_000],
  ['a SIGTERM, then a closed terminal', 'SIGTERM', 'SIGHUP', 1_000],
] as const)('%s still ends in order', (_, first, second, apartMs) => {
  expect(receive(first, second, apartMs)).toEqual({ reason: first, endedBy: undefined });
});
