/**
 * The journal: what senders and producers tell the recorder. A journal message is NDJSON, with one entry a line. The line of
 * an outcome is the line that S3 will hold, so it is made once and never rewritten.
 *
 * During a rolling upgrade two versions read each other's lines. Fields that a version does not know stay in the line. A line
 * whose kind or result a version does not know is kept for a version that knows it.
 */

import { parseJson } from '../parse-json.ts';
import type { SenderSettings } from '../sender-settings.ts';
import { isRunName, isSmsId } from '../sms/sms.ts';
import { type AttemptRecord, flatFieldsOf, isAttemptRecord, isKnownResult } from './attempt.ts';
import {
  areResultsKnown,
  isOutcomeRecord,
  isRunAnnouncement,
  type OutcomeRecord,
  type RunAnnouncement,
  rebuiltAnnouncement,
} from './outcome.ts';

/**
 * What the journal of this version may hold. Raise it with each new kind of line, status or result: recorders that know less
 * get the journal messages that the others leave over. Version 2 tells starts of attempts in microseconds,
 * version 3 attempts without a clear answer.
 */
export const JOURNAL_VERSION = 3;

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
    case 'sender': {
      const { sender, at, settings } = entry;
      return JSON.stringify({ entry: 'sender', sender, at, settings });
    }
  }
}

/** A journal message, line by line. */
export interface DecodedJournal {
  readonly entries: readonly JournalEntry[];
  /** Lines of a newer version: their kind of entry or their result is not known to this version. */
  readonly newerLines: readonly string[];
  /** How many lines no version can have written. */
  readonly unreadableCount: number;
}

type DecodedLine = JournalEntry | { readonly kind: 'newer' } | { readonly kind: 'unreadable' };

const NEWER = { kind: 'newer' } as const;
const UNREADABLE = { kind: 'unreadable' } as const;
const KIND_OF_ENTRY = /^[a-z][a-z-]{0,31}$/;
const SENDER_ID = /^[A-Za-z0-9]{1,64}$/;
const MAX_TIME_CHARACTERS = 64;

/** Reads a journal message. A line that cannot be read harms no other line. */
export function decodeJournal(body: Buffer): DecodedJournal {
  const entries: JournalEntry[] = [];
  const newerLines: string[] = [];
  let unreadableCount = 0;
  for (let start = 0, end = 0; start < body.length; start = end + 1) {
    end = body.indexOf('\n', start);
    if (end < 0) end = body.length;
    if (end === start) continue;
    const line = body.subarray(start, end);
    const decoded = decodeLine(line);
    if (decoded.kind === 'newer') newerLines.push(line.toString());
    else if (decoded.kind === 'unreadable') unreadableCount += 1;
    else entries.push(decoded);
  }
  return { entries, newerLines, unreadableCount };
}

// Lines stay bytes. As strings, one emoji would make the whole text of a message two bytes a character.
function decodeLine(line: Buffer): DecodedLine {
  const value = parseJson(line.toString());
  if (typeof value !== 'object' || value === null) return UNREADABLE;
  const fields = value as Record<string, unknown>;
  switch (fields.entry) {
    case undefined:
      return decodeOutcome(value, line);
    case 'attempt':
      return decodeAttempt(fields);
    case 'accepted': {
      const { entry: _, ...announcement } = fields;
      return isRunAnnouncement(announcement)
        ? { kind: 'accepted', announcement: rebuiltAnnouncement(announcement) }
        : UNREADABLE;
    }
    case 'sender':
      return decodeSender(fields);
    default:
      return typeof fields.entry === 'string' && KIND_OF_ENTRY.test(fields.entry) ? NEWER : UNREADABLE;
  }
}

function decodeOutcome(value: object, line: Buffer): DecodedLine {
  if (!isOutcomeRecord(value)) return isOfNewerStatus(value) ? NEWER : UNREADABLE;
  return areResultsKnown(value) ? { kind: 'outcome', record: value, line } : NEWER;
}

function isOfNewerStatus(value: object): boolean {
  const { status } = value as { readonly status?: unknown };
  return (
    typeof status === 'string' && KIND_OF_ENTRY.test(status) && isOutcomeRecord({ ...value, status: 'sent' })
  );
}

function decodeAttempt({ smsId, run, attempt }: Record<string, unknown>): DecodedLine {
  if (!isSmsId(smsId) || !isRunName(run) || !isAttemptRecord(attempt)) return UNREADABLE;
  return isKnownResult(attempt) ? { kind: 'attempt', smsId, run, attempt } : NEWER;
}

function decodeSender({ sender, at, settings }: Record<string, unknown>): DecodedLine {
  const isSender =
    typeof sender === 'string' &&
    SENDER_ID.test(sender) &&
    typeof at === 'string' &&
    at.length <= MAX_TIME_CHARACTERS &&
    typeof settings === 'object' &&
    settings !== null;
  if (!isSender) return UNREADABLE;
  return { kind: 'sender', sender, at, settings: rebuiltSettings(settings as SenderSettings) };
}

// A schedule of 50 waits is longer than a flat field may be.
function rebuiltSettings(settings: SenderSettings): SenderSettings {
  const retrySchedule: unknown = settings.retrySchedule;
  const flat = flatFieldsOf(settings);
  const rebuilt =
    typeof retrySchedule === 'string' ? { ...flat, retrySchedule: retrySchedule.slice(0, 1_000) } : flat;
  return rebuilt as unknown as SenderSettings;
}
