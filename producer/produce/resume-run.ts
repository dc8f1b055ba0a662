/** Where a run goes on: after what was announced for it before, if that is known and is of the same input. */
import { formatCount } from '../../shared/domain/format-count.ts';
import { GENERATED_INPUT } from '../../shared/domain/outcome/outcome.ts';
import { UsageError } from '../../shared/errors.ts';
import type { KnownRun } from '../../shared/ports/known-run-reader.ts';
import type { RunSummary } from './summary.ts';

export interface RunStart {
  /** The SMS up to this number were announced as accepted: they are not published again. */
  readonly resumeAfter: number;
  /** At most so many of the SMS after it were perhaps published before; infinite where nobody can tell. */
  readonly repeatLimit: number;
  /** What the operator should know, a sentence each. */
  readonly notes: readonly string[];
}

/** A run that nobody has produced before. */
export const NEW_RUN: RunStart = { resumeAfter: 0, repeatLimit: 0, notes: [] };

export interface RunToStart {
  readonly run: string;
  readonly known: KnownRun;
  /** What is produced now; undefined where that is not known before much of it was sent. */
  readonly input: string | undefined;
  /** True where announcements wait in the journal and no sender reads them. */
  readonly isJournalUnread: boolean;
  /** So many SMS may have been published after the last announcement. */
  readonly unannouncedLimit: number;
}

/** @throws UsageError where the run was announced with another input */
export function startAfterAnnounced(what: RunToStart): RunStart {
  const { run, known, input, isJournalUnread, unannouncedLimit } = what;
  if (known.hasInputConflict) throw new UsageError(describeConflict(run));
  if (known.input !== undefined && input === undefined)
    return startUnknown(run, 'its input was too short to be told from another one');
  if (known.input !== undefined && known.input !== input)
    throw new UsageError(describeOtherInput(run, known, input));
  const isNew = known.input === undefined && known.met === 0;
  const notes: string[] = [];
  if (!isNew) notes.push(describeResumption(run, known.acceptedUpTo));
  if (isJournalUnread)
    notes.push(
      describeUnknown(run, 'no sender reads the journal, so the newest announcements are not recorded'),
    );
  const limit = isNew ? 0 : unannouncedLimit;
  return { resumeAfter: known.acceptedUpTo, repeatLimit: isJournalUnread ? Infinity : limit, notes };
}

function describeResumption(run: string, acceptedUpTo: number): string {
  if (acceptedUpTo === 0) return `run ${run} was begun before, and begins again with its first SMS`;
  return `run ${run} goes on after SMS ${formatCount(acceptedUpTo)}: those up to it were accepted before`;
}

/** What an interrupted run says. @param openCount SMS that were given to RabbitMQ and come again */
export function describeRest({ run, accepted, requested }: RunSummary, openCount: number): string {
  const again =
    openCount === 0
      ? 'once a sender has recorded those confirmed, none of them is sent again'
      : `at most ${formatCount(openCount)} SMS are sent again`;
  return (
    `RabbitMQ has confirmed ${formatCount(accepted)} of ${formatCount(requested)} SMS. ` +
    `With the same input and --run ${run} the rest follows; ${again}.`
  );
}

/** @param reason why nobody can tell what was announced */
export function startUnknown(run: string, reason: string): RunStart {
  return { resumeAfter: 0, repeatLimit: Infinity, notes: [describeUnknown(run, reason)] };
}

function describeUnknown(run: string, reason: string): string {
  return `what was sent of run ${run} before, if anything was, may be sent again: ${reason}`;
}

function describeOtherInput(run: string, known: KnownRun, inputNow = ''): string {
  const { announced, input, announcedAtSeconds } = known;
  return (
    `--run ${run} belongs to another input: ${formatCount(announced)} SMS were announced for it` +
    `${announcedWhen(announcedAtSeconds)}, made from ${nameOfInput(input)}, and this is ${nameOfInput(inputNow)}. Nothing was sent. ` +
    `Take another run name for this input; ${run} goes on with its own input only`
  );
}

function describeConflict(run: string): string {
  return (
    `--run ${run} was announced with two different inputs, so nobody can tell what is left to send. ` +
    'Nothing was sent. Take another run name'
  );
}

/** Nothing where that is not known. */
function announcedWhen(seconds: number | undefined): string {
  if (seconds === undefined) return '';
  const at = new Date(seconds * 1_000);
  if (Number.isNaN(at.getTime())) return '';
  return ` (${at.toISOString().replace('T', ' ').slice(0, 16)} UTC)`;
}

/** @param input as in an announcement: `generated`, or a kind and a fingerprint */
function nameOfInput(input = ''): string {
  if (input === GENERATED_INPUT) return 'generated SMS';
  return `an input with the fingerprint ${input}`;
}
