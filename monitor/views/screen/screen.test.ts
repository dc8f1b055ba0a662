import { expect, test } from 'vitest';
import { GOING_WELL } from '../../../tests/kit/snapshots.ts';
import { createPaint } from '../paint.ts';
import { Screen } from './screen.ts';

function createScreen() {
  const frames: (readonly string[])[] = [];
  const canvas = { size: { columns: 80, rows: 24 }, draw: (lines: readonly string[]) => frames.push(lines) };
  const screen = new Screen(canvas, 'sms', createPaint(false), () => Date.parse('2026-11-22T10:00:00Z'));
  return { screen, canvas, newest: () => frames.at(-1) ?? [] };
}

test('what is shown is drawn anew in the size that the terminal has now', () => {
  const { screen, canvas, newest } = createScreen();
  screen.draw();
  expect(newest()).toContain('Asking Redis and RabbitMQ …');
  screen.show(GOING_WELL);
  expect(Math.max(...newest().map(({ length }) => length))).toBe(80);
  canvas.size = { columns: 40, rows: 10 };
  screen.draw();
  expect(Math.max(...newest().map(({ length }) => length))).toBe(40);
  expect(newest()).toHaveLength(10);
  expect(newest().join()).toContain('Going well');
});

test('numbers are as old as the latest snapshot that was not stale', () => {
  const { screen, newest } = createScreen();
  const stale = { ...GOING_WELL, state: 'stale', problems: ['Redis does not answer: gone'] } as const;
  screen.show(GOING_WELL);
  screen.show({ ...stale, at: '2026-11-22T10:00:04.000Z' });
  screen.show({ ...stale, at: '2026-11-22T10:00:09.000Z' });
  expect(newest()[1]).toBe('Redis does not answer: numbers are 9 s old');
});
