import type { OutcomeStatus } from '../../domain/outcome/outcome.ts';

/** The status that a short text of lua/sms.lua tells with one letter. */
export const STATUS_OF_LETTER: Readonly<Record<string, OutcomeStatus>> = {
  s: 'sent',
  f: 'failed',
  p: 'parked',
  k: 'known',
};

/** What a text of lua/sms.lua tells of an SMS: `in progress`, or the status of its outcome. */
export function stateIn(text: string): string {
  const [phase, , , status = ''] = text.split('|');
  return phase === 'p' ? 'in progress' : (STATUS_OF_LETTER[status] ?? status);
}
