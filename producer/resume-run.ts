/** Where a run goes on: after what was announced for it before, if that is known and is of the same input. */
import { GENERATED_INPUT } from '../shared/domain/outcome.ts';
import { UsageError } from '../shared/errors.ts';
import type { AnnouncedRun } from '../shared/ports.ts';
import { formatCount } from './summary.ts';

export interface RunStart {
  /** The SMS up to this number were announced as accepted: they are not published again. */
  readonly resumeAfter: number;
  /** True where more may have been published before than was announced in time. */
  readonly mayRepeat: boolean;
  /** What the operator should know, as sentences. */
  readonly notes: readonly string[];
}

/** A run that nobody can have produced before. */
export const NEW_RUN: RunStart = { resumeAfter: 0, mayRepeat: false, notes: [] };

export interface Announced {
  readonly run: string;
  /** Undefined where nothing was announced. */
  readonly announced: AnnouncedRun | undefined;
  /** What is produced now; undefined where that is not known before much of it was sent. */
  readonly input: string | undefined;
  /** True where announcements wait in the journal and no sender reads them. */
  readonly isJournalUnread: boolean;
}

/** @throws UsageError where the run was announced with another input */
export function startAfterAnnounced({ run, announced, input, isJournalUnread }: Announced): RunStart {
  const notes = isJournalUnread
    ? [describeUnknown(run, 'no sender is running, so the newest announcements are not recorded')]
    : [];
  if (announced === undefined) return { ...NEW_RUN, mayRepeat: isJournalUnread, notes };
  if (announced.hasInputConflict) throw new UsageError(describeConflict(run));
  if (input === undefined) return startUnknown(run, 'the input cannot be told from that of another run');
  if (input !== announced.input) throw new UsageError(describeOtherInput(run, announced, input));
  const { acceptedUpTo } = announced;
  return { resumeAfter: acceptedUpTo, mayRepeat: true, notes };
}

/** @param reason why nobody can tell what was announced */
export function startUnknown(run: string, reason: string): RunStart {
  return { resumeAfter: 0, mayRepeat: true, notes: [describeUnknown(run, reason)] };
}

function describeUnknown(run: string, reason: string): string {
  return `${reason}: if run ${run} was produced before, what was sent of it may be sent again`;
}

function describeOtherInput(run: string, { announced, input }: AnnouncedRun, inputNow: string): string {
  return (
    `--run ${run} belongs to another input: ${formatCount(announced)} SMS were announced for it, made from ` +
    `${describeInput(input)}, and this is ${describeInput(inputNow)}. Nothing was sent. ` +
    `Take another run name for this input; ${run} goes on with its own input only`
  );
}

function describeConflict(run: string): string {
  return (
    `--run ${run} was announced with two different inputs, so nobody can tell what is left to send. ` +
    'Nothing was sent. Take another run name'
  );
}

/** @param input as in an announcement: `generated`, or a kind and a fingerprint */
function describeInput(input = 'nothing'): string {
  if (input === GENERATED_INPUT) return 'generated SMS';
  return `an input with the fingerprint ${input}`;
}
