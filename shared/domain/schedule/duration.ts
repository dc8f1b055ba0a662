const UNITS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** The longest duration that a setting takes: one year. RabbitMQ allows it as a TTL. */
export const MAX_DURATION_MS = 365 * UNITS.d;

/**
 * Reads `500ms`, `5s`, `2m`, `1h` or `1d` as whole milliseconds, of any length.
 * Undefined where the text is not a duration.
 */
export function parseDuration(text: string): number | undefined {
  const match = /^(\d{1,15})(ms|s|m|h|d)$/.exec(text);
  if (match === null) return undefined;
  return Number(match[1]) * UNITS[match[2] as keyof typeof UNITS];
}

/** The shortest exact text of a duration in whole units up to hours: 120000 → `2m`, 90000 → `90s`. */
export function formatDuration(durationMs: number): string {
  for (const unit of ['h', 'm', 's'] as const) {
    if (durationMs > 0 && durationMs % UNITS[unit] === 0) return `${durationMs / UNITS[unit]}${unit}`;
  }
  return `${durationMs}ms`;
}
