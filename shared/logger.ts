import { pino } from 'pino';
import pretty from 'pino-pretty';
import { printable, printableLines } from './domain/printable.ts';
import { maskPhoneNumbersIn } from './domain/sms.ts';
import { describeError, RedialError } from './errors.ts';
import { createLineOutput } from './line-output.ts';
import { isReaderGone, takesEscapes, writeTalk } from './output.ts';
import type { Logger } from './ports.ts';

export interface LoggerOptions {
  readonly name: string;
  readonly level: string;
  readonly format: 'json' | 'pretty';
  /** 1 is stdout (services), 2 is stderr (commands whose stdout carries data). */
  readonly fileDescriptor: 1 | 2;
  /** Called once nobody can read the log any more, where that is to be told to somebody else than stderr. */
  readonly onReaderGone?: () => void;
}

/** The same log for what is only worth telling to somebody who debugs. */
export function quieted(log: Logger): Logger {
  const tell = (fields: object, message: string) => log.debug(fields, message);
  return { debug: tell, info: tell, warn: tell, error: tell };
}

/**
 * A logger that writes JSON, or coloured lines on a terminal. Error objects are reduced to code and message: what else
 * client libraries hang on them may hold credentials. Phone numbers are masked wherever they stand in a line: an error
 * may quote what it was given. Nothing that others wrote reaches a terminal as a command. A log that cannot be written
 * throws nothing: lines are dropped, and the log says how many when it can be written again.
 */
export function createLogger(options: LoggerOptions): Logger {
  const output = createLineOutput({
    fileDescriptor: options.fileDescriptor,
    describeGap: (lineCount) =>
      noticeOf(options, { lineCount }, 'lines are missing here: the log could not be written'),
    onTrouble(error) {
      if (options.onReaderGone === undefined || !isReaderGone(options.fileDescriptor, error))
        return tellOnStderr(options, error);
      options.onReaderGone();
    },
  });
  return createPino(options, (line) => output.write(line));
}

// stdout of a command carries its data, so that only a service can tell it elsewhere.
function tellOnStderr(options: LoggerOptions, error: Error): void {
  if (options.fileDescriptor !== 1) return;
  const told =
    'the log on stdout cannot be written: its lines are dropped until it can, and everything else goes on';
  writeTalk(noticeOf(options, { err: error }, told));
}

/** A line of a log, as the log would write it. */
function noticeOf(options: LoggerOptions, fields: object, message: string): string {
  let notice = '';
  createPino({ ...options, level: 'warn' }, (line) => {
    notice += line;
  }).warn(fields, message);
  return notice;
}

function createPino(
  { name, level, format, fileDescriptor }: LoggerOptions,
  write: (line: string) => void,
): Logger {
  const prettify =
    format === 'pretty' ? createPrettifier(takesEscapes(fileDescriptor)) : (line: string) => line;
  return pino(
    {
      name,
      level,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: serializeError, error: serializeError },
      // JSON itself escapes only what is below a blank.
      hooks: { streamWrite: (line) => printableLines(maskPhoneNumbersIn(line)) },
    },
    { write: (line: string) => write(prettify(line)) },
  );
}

function createPrettifier(hasColours: boolean): (line: string) => string {
  const render = pretty.prettyFactory({
    ignore: 'pid,hostname,name',
    translateTime: 'SYS:HH:MM:ss.l',
    colorize: hasColours,
  });
  return (line) => render(withPrintableTexts(JSON.parse(line)));
}

/** The same value; each text in it, names included, as it may stand on a terminal. */
function withPrintableTexts(value: unknown): unknown {
  if (typeof value === 'string') return printable(value);
  if (Array.isArray(value)) return value.map(withPrintableTexts);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, each]) => [printable(name), withPrintableTexts(each)]),
  );
}

function serializeError(error: unknown): unknown {
  const code = error instanceof RedialError ? error.code : (error as { code?: unknown } | null)?.code;
  const cause = error instanceof Error ? error.cause : undefined;
  return {
    ...(typeof code === 'string' || typeof code === 'number' ? { code } : {}),
    message: describeError(error),
    ...(cause === undefined ? {} : { cause: serializeError(cause) }),
  };
}
