/** The audit's numbers and sentences about overdue SMS. */

import { counted } from '../../shared/domain/format-count.ts';
import type { OverdueFindings } from '../../shared/pipeline/readings/overdue-sms.ts';

const CURE = '"npx producer requeue-overdue"';

/** How many SMS are overdue; null where none was found, but not everything could be seen. */
export function overdueIn(findings: OverdueFindings): number | null {
  if (findings.kind === 'unknown') return null;
  const { ready, stuck } = findings;
  return stuck === undefined && ready.overdueCount === 0 ? null : ready.overdueCount + (stuck?.count ?? 0);
}

/** When the first overdue SMS was due, ISO 8601; null where nothing is overdue. */
export function overdueSince(findings: OverdueFindings): string | null {
  if (findings.kind === 'unknown') return null;
  const { ready, stuck } = findings;
  const sinceMs = Math.min(
    ready.firstDueAtMs ?? Number.POSITIVE_INFINITY,
    stuck !== undefined && stuck.count > 0 ? stuck.seenAtMs : Number.POSITIVE_INFINITY,
  );
  return Number.isFinite(sinceMs) ? new Date(sinceMs).toISOString() : null;
}

/** @param queue QUEUE_NAME */
export function overdueProblems(findings: OverdueFindings, queue: string): string[] {
  if (findings.kind === 'unknown') {
    const { reason } = findings;
    return reason === undefined ? [] : [`whether SMS are overdue cannot be said: ${reason}`];
  }
  const { ready, stuck } = findings;
  const problems: string[] = [];
  if (ready.overdueCount > 0) {
    const since = new Date(ready.firstDueAtMs ?? 0).toISOString();
    problems.push(
      `${ready.isWhole ? '' : 'at least '}${counted(ready.overdueCount, 'SMS is', 'SMS are')} past their time in a ` +
        `retry or hold queue, the first since ${since}: ${CURE} moves them on`,
    );
  }
  if (stuck !== undefined && stuck.count > 0) {
    problems.push(
      `${counted(stuck.count, 'SMS has', 'SMS have')} expired in a retry or hold queue, and for at least ` +
        `${Math.floor(stuck.watchedMs / 1_000)} s RabbitMQ could not hand any to "${queue}.due": is that queue, or ` +
        `its binding, gone? ${CURE} declares both again`,
    );
  }
  if (ready.unknownCount > 0) {
    problems.push(
      `${counted(ready.unknownCount, 'message', 'messages')} in a retry or hold queue without a time in the header ` +
        'notBefore: whether they are overdue cannot be said',
    );
  }
  return problems;
}
