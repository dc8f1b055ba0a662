import {
  parseRetrySchedule,
  RETRY_ANCHORS,
  type SendingRules,
  UNKNOWN_RULES,
} from '../../domain/schedule/retry-schedule.ts';
import { parseSendingWindow } from '../../domain/schedule/sending-window.ts';

/** The rules that the first of these senders tells; undefined where none does, or another version wrote them otherwise. */
export function rulesOfSettings(settings: readonly object[]): SendingRules | undefined {
  for (const each of settings) {
    const { retrySchedule, retryAnchor, sendingWindow, unknownResult } = each as Record<string, unknown>;
    const parsed = typeof retrySchedule === 'string' ? parseRetrySchedule(retrySchedule) : undefined;
    if (parsed === undefined || !('schedule' in parsed)) continue;
    const window =
      typeof sendingWindow === 'string' && sendingWindow !== ''
        ? parseSendingWindow(sendingWindow)
        : undefined;
    return {
      schedule: parsed.schedule,
      anchor: RETRY_ANCHORS.find((anchor) => anchor === retryAnchor) ?? 'failure',
      unknownResult: UNKNOWN_RULES.find((rule) => rule === unknownResult) ?? 'retry',
      window: window !== undefined && 'window' in window ? window.window : undefined,
    };
  }
  return undefined;
}
