/**
 * The journal: what senders and producers tell the recorder. One message is NDJSON, one entry a line.
 * An outcome's line is already the line that S3 will hold, so it is made once and never rewritten.
 */
import { type AttemptRecord, isAttemptRecord } from './attempt.ts';
import { isOutcomeRecord, isRunAnnouncement, type OutcomeRecord, type RunAnnouncement } from './outcome.ts';
import { isRunName, isSmsId } from './sms.ts';

/** The settings a sender works with, told when it starts. */
export interface SenderSettings {
  readonly meanProcessingSeconds: number;
  readonly processingTimeDistribution: string;
  readonly failureRate: number;
  readonly permanentFailureShare: number;
  readonly retrySchedule: string;
  readonly concurrency: number;
  readonly seed: number;
}

export type JournalEntry =
  | {
      readonly kind: 'attempt';
      readonly smsId: string;
      readonly run: string;
      readonly attempt: AttemptRecord;
    }
  | { readonly kind: 'outcome'; readonly record: OutcomeRecord; readonly line: Buffer }
  | { readonly kind: 'accepted'; readonly announcement: RunAnnouncement }
  | {
      readonly kind: 'sender';
      readonly sender: string;
      readonly at: string;
      readonly settings: SenderSettings;
    };

/** One line, without its line feed. */
export function encodeJournalEntry(entry: JournalEntry): string {
  switch (entry.kind) {
    case 'outcome':
      return entry.line.toString();
    case 'attempt':
      return JSON.stringify({ entry: 'attempt', smsId: entry.smsId, run: entry.run, attempt: entry.attempt });
    case 'accepted':
      return JSON.stringify({ entry: 'accepted', ...entry.announcement });
    case 'sender':
      return JSON.stringify({
        entry: 'sender',
        sender: entry.sender,
        at: entry.at,
        settings: entry.settings,
      });
  }
}

/** Reads a journal message; undefined where any line cannot be read, for then nothing in it can be trusted. */
export function decodeJournal(body: Buffer): JournalEntry[] | undefined {
  const entries: JournalEntry[] = [];
  for (let start = 0, end = 0; start < body.length; start = end + 1) {
    end = body.indexOf('\n', start);
    if (end < 0) end = body.length;
    if (end === start) continue;
    const entry = decodeLine(body.subarray(start, end));
    if (entry === undefined) return undefined;
    entries.push(entry);
  }
  return entries;
}

// Lines stay bytes: as strings, one emoji among them would make all of a message's text two bytes a character.
function decodeLine(line: Buffer): JournalEntry | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line.toString());
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const fields = value as Record<string, unknown>;
  switch (fields.entry) {
    case undefined:
      return isOutcomeRecord(value) ? { kind: 'outcome', record: value, line } : undefined;
    case 'attempt': {
      const { smsId, run, attempt } = fields;
      return isSmsId(smsId) && isRunName(run) && isAttemptRecord(attempt)
        ? { kind: 'attempt', smsId, run, attempt }
        : undefined;
    }
    case 'accepted': {
      const { entry: _, ...announcement } = fields;
      return isRunAnnouncement(announcement) ? { kind: 'accepted', announcement } : undefined;
    }
    case 'sender': {
      const { sender, at, settings } = fields;
      return typeof sender === 'string' &&
        typeof at === 'string' &&
        typeof settings === 'object' &&
        settings !== null
        ? { kind: 'sender', sender, at, settings: settings as SenderSettings }
        : undefined;
    }
    default:
      return undefined;
  }
}
