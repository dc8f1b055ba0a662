import type { AuditSeen, Look } from './judge-steady.ts';

export const HEAD = row([
  ...['minute', 'accepted', 'sent', 'in progress', 'Redis MB', 'keys', 'sender MB'],
  ...['audit s', 'audit MB'],
]);

export function renderLook({ second, snapshot, redisBytes, keyCount, senderBytes }: Look, audit?: AuditSeen) {
  const { accepted, sent, inProgress } = snapshot;
  return row([
    ...[(second / 60).toFixed(1), String(accepted), String(sent), String(inProgress)],
    ...[megabytes(redisBytes), String(keyCount), megabytes(senderBytes)],
    ...(audit === undefined ? ['', ''] : [audit.tookSeconds.toFixed(1), megabytes(audit.peakBytes)]),
  ]);
}

export function renderAudit({ second, tookSeconds, peakBytes, report }: AuditSeen): string {
  const { accepted, inProgress, balanced } = report;
  return (
    `audit of minute ${(second / 60).toFixed(1)}: ${balanced ? 'balanced' : 'not balanced'}, ${accepted} accepted, ` +
    `${inProgress} in progress, ${tookSeconds.toFixed(1)} s, ${megabytes(peakBytes)} MB`
  );
}

/** The last look of each minute, with the longest audit that began in that minute. */
export function renderTable(looks: readonly Look[], audits: readonly AuditSeen[]): string {
  const lastOfMinute = new Map(looks.map((look) => [minuteOf(look), look]));
  const byLength = audits.toSorted((left, right) => left.tookSeconds - right.tookSeconds);
  const auditOfMinute = new Map(byLength.map((audit) => [minuteOf(audit), audit]));
  const rows = [...lastOfMinute].map(([minute, look]) => renderLook(look, auditOfMinute.get(minute)));
  return [HEAD, ...rows].join('\n');
}

export function megabytes(bytes: number): string {
  return (bytes / 1_048_576).toFixed(1);
}

function minuteOf({ second }: { readonly second: number }): number {
  return Math.floor(second / 60);
}

function row(cells: readonly string[]): string {
  return cells
    .map((cell) => cell.padStart(12))
    .join('')
    .trimEnd();
}
