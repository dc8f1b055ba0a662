/**
 * A newer version of Redial: this code with a few small changes, built as this one is. It says more in its records, its
 * messages and its journal than this version knows, as the next version will.
 */
import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** A text that must stand once in a file, and what stands there instead. */
interface Change {
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

/** What the newer version calls itself in the fields that this one does not know. */
export const NEWER = 'newer';
/** A temporary failure for this reason has a result in the newer version that this one does not know. */
export const NEWER_RESULT = { result: 'deferred', reason: 'timeout' } as const;

const SOURCES = ['producer', 'sender', 'monitor', 'shared', 'scripts/commands'];
const SINGLE_FILES = ['package.json', 'package-lock.json', 'tsconfig.json', 'tsconfig.build.json'];

/** One more result of an attempt, counted as failed and retried. */
const ONE_MORE_RESULT: readonly Change[] = [
  {
    file: 'shared/domain/outcome/attempt.ts',
    from: "  | { readonly kind: 'failed'; readonly reason",
    to: `  | { readonly kind: 'failed' | '${NEWER_RESULT.result}'; readonly reason`,
  },
  {
    file: 'shared/domain/outcome/attempt.ts',
    from: "['sent', 'failed', 'unknown']",
    to: `['sent', 'failed', 'unknown', '${NEWER_RESULT.result}']`,
  },
  {
    file: 'shared/domain/simulation/simulation.ts',
    from: "return { kind: 'failed', reason, isPermanent }",
    to: `return { kind: reason === '${NEWER_RESULT.reason}' ? '${NEWER_RESULT.result}' : 'failed', reason, isPermanent }`,
  },
];

/** One more kind of journal line: a receipt for each SMS sent, beside its outcome in the same journal message. */
const NEWER_LINE: readonly Change[] = [
  {
    file: 'shared/domain/outcome/journal.ts',
    from: 'export const JOURNAL_VERSION = 3;',
    to: 'export const JOURNAL_VERSION = 4;',
  },
  {
    file: 'shared/domain/outcome/journal.ts',
    from: 'export type JournalEntry =\n',
    to: "export type JournalEntry =\n  | { readonly kind: 'receipt'; readonly smsId: string; readonly run: string }\n",
  },
  {
    file: 'shared/domain/outcome/journal.ts',
    from: "    case 'outcome':\n      return entry.line",
    to: "    case 'receipt':\n      return JSON.stringify({ entry: 'receipt', smsId: entry.smsId, run: entry.run });\n    case 'outcome':\n      return entry.line",
  },
  {
    file: 'shared/domain/outcome/journal.ts',
    from: "    case 'sender':\n      return decodeSender(fields);",
    to: "    case 'sender':\n      return decodeSender(fields);\n    case 'receipt':\n      return { kind: 'receipt', smsId: String(fields.smsId), run: String(fields.run) };",
  },
  {
    file: 'shared/ports/counter-store.ts',
    from: "  | { readonly kind: 'sender'; readonly sender: string; readonly settings: SenderSettings };",
    to: "  | { readonly kind: 'sender'; readonly sender: string; readonly settings: SenderSettings }\n  | { readonly kind: 'receipt'; readonly smsId: string; readonly run: string };",
  },
  {
    file: 'shared/adapters/redis/first-meetings.ts',
    from: "if (entry.kind === 'accepted' || entry.kind === 'sender') return false;",
    to: "if (entry.kind === 'accepted' || entry.kind === 'sender' || entry.kind === 'receipt') return false;",
  },
  {
    file: 'shared/adapters/redis/counter-store.ts',
    from: "    case 'sender':\n      return ['sender'",
    to: "    case 'receipt':\n      return ['receipt', entry.smsId, entry.run, '', '', '', ''];\n    case 'sender':\n      return ['sender'",
  },
  {
    file: 'shared/adapters/redis/lua/record.lua',
    from: "  elseif kind == 'sender' then",
    to: "  elseif kind == 'receipt' then add(run, 'receipts', redis.call('SADD', prefix .. ':receipts', id))\n  elseif kind == 'sender' then",
  },
];

/** More fields, in everything that is written. */
const NEWER_FIELDS: readonly Change[] = [
  {
    file: 'shared/pipeline/attempt/perform-attempt.ts',
    from: '    attempt,\n    startedAt,',
    to: `    ...{ build: '${NEWER}' },\n    attempt,\n    startedAt,`,
  },
  {
    file: 'shared/pipeline/attempt/perform-attempt.ts',
    from: 'const { sms, acceptedAtMs, expiresAtMs } = envelope;',
    to: 'const { sms, acceptedAtMs, expiresAtMs, foreignHeaders } = envelope;',
  },
  {
    file: 'shared/pipeline/attempt/perform-attempt.ts',
    from: 'return { journalLine: JSON.stringify(outcome) };',
    to: `const line = JSON.stringify({ ...outcome, build: '${NEWER}', origin: foreignHeaders.origin });
  const receipt = encodeJournalEntry({ kind: 'receipt', smsId: sms.id, run: sms.run });
  return { journalLine: step.status === 'sent' ? \`\${line}\\n\${receipt}\` : line };`,
  },
  {
    file: 'shared/domain/sms/envelope.ts',
    from: '{ attempt: 1, run: sms.run, acceptedAt: acceptedAtMs }',
    to: `{ attempt: 1, run: sms.run, acceptedAt: acceptedAtMs, origin: '${NEWER}' }`,
  },
  {
    file: 'producer/produce/produce-run.ts',
    from: 'return { run, queue: queueName, accepted: this.acceptedCount, acceptedUpTo, input };',
    to: `return { run, queue: queueName, accepted: this.acceptedCount, acceptedUpTo, input, ...{ build: '${NEWER}' } };`,
  },
  {
    file: 'sender/compose.ts',
    from: "    retrySchedule: config.retrySchedule.map(formatDuration).join(','),",
    to: `    retrySchedule: config.retrySchedule.map(formatDuration).join(','),\n    ...{ build: '${NEWER}' },`,
  },
];

/**
 * Builds the newer version. @returns the folder with its `dist`
 * @throws where the sources read otherwise than the changes expect
 */
export async function buildNewer(
  projectFolder: string,
  folder: string,
  more: readonly Change[] = [],
): Promise<string> {
  mkdirSync(folder, { recursive: true });
  for (const name of [...SOURCES, ...SINGLE_FILES])
    cpSync(join(projectFolder, name), join(folder, name), { recursive: true });
  symlinkSync(join(projectFolder, 'node_modules'), join(folder, 'node_modules'));
  for (const change of [...ONE_MORE_RESULT, ...NEWER_LINE, ...NEWER_FIELDS, ...more]) apply(folder, change);
  await promisify(execFile)(process.execPath, [join(folder, 'scripts/commands/build.js')]);
  return folder;
}

/**
 * Lines wait this long for a newer version, instead of 20 s: for a test that has less time. Both versions must be told,
 * because they declare the same queue.
 */
export function lessWaiting(laterMs: number): { readonly ofSources: Change; readonly ofPrograms: Change } {
  const [from, to] = ['const LATER_MS = 20_000;', `const LATER_MS = ${laterMs};`];
  return {
    ofSources: { file: 'shared/domain/topology/topology.ts', from, to },
    ofPrograms: { file: 'dist/shared/domain/topology/topology.js', from, to },
  };
}

/** @throws where the text does not stand there exactly once */
export function apply(folder: string, { file, from, to }: Change): void {
  const path = join(folder, file);
  const parts = readFileSync(path, 'utf8').split(from);
  if (parts.length !== 2)
    throw new Error(
      `the newer version changes ${file} where it says once, not ${parts.length - 1} times: ${from}`,
    );
  writeFileSync(path, parts.join(to));
}
