import { Writable } from 'node:stream';
import { expect, it, vi } from 'vitest';
import { ManualClock } from '../../tests/kit/manual-clock.ts';
import { showProgress } from './progress.ts';

/** A terminal, and what was written to it. */
class Terminal extends Writable {
  readonly isTTY = true;
  readonly columns = 120;
  text = '';

  override _write(chunk: Buffer, _: string, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
}

it.each([
  [10_000_000, 1, 14, '| 1.0 SMS/s | 115d 18h left'],
  [28_800, 1, 12, '| 1.0 SMS/s | 8h 00m left'],
  [1_000, 0, 5, '| 0 SMS/s | unknown time left'],
  [100_000, 5_000, 4, '| 5,000 SMS/s | 16s left'],
])('of %d SMS at %d a second it shows after %d s "%s"', async (total, rate, seconds, shown) => {
  const clock = new ManualClock();
  const terminal = new Terminal();
  const startedAtMs = clock.nowMs();
  const end = showProgress(terminal, clock, total, () =>
    Math.floor(((clock.nowMs() - startedAtMs) / 1_000) * rate),
  );
  await clock.advance(seconds * 1_000);
  // The bar draws ten times a second at most, by the real clock.
  await vi.waitFor(() => expect(terminal.text).toContain(shown));
  end();
  expect(terminal.text).not.toMatch(/NF|NULL|60[ms]/);
});
