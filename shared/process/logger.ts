import { pino } from 'pino';
import pretty from 'pino-pretty';
import { printable, printableLines } from '../domain/printable.ts';
import { maskPhoneNumbersIn } from '../domain/sms/sms.ts';
import { describeError, RedialError } from '../errors.ts';
import type { Logger } from '../ports/logger.ts';
import { LineOutput } from './line-output.ts';
import { isReaderGone, isTerminal, takesEscapes, writeTalk } from './output.ts';

export interface LoggerOptions {
  readonly name: string;
  readonly level: string;
  /** Undefined: pretty on a terminal, else JSON. */
  readonly format: 'json' | 'pretty' | undefined;
  /** 1 is stdout (services), 2 is stderr (commands whose stdout carries data). */
  readonly fileDescriptor: 1 | 2;
  /** Called when nobody can read the log any more. Without it stderr is told. */
  readonly onReaderGone?: () => void;
}

const CANNOT_BE_WRITTEN =
  'the log on stdout cannot be written: its lines are dropped until it can, and everything else goes on';

/** The same log, with every line at level debug. */
export function quieted(log: Logger): Logger {
  const tell = (fields: object, message: string) => log.debug(fields, message);
  return { debug: tell, info: tell, warn: tell, error: tell };
}

/**
 * A logger that writes JSON, or coloured lines on a terminal. Of an error it writes only code and message, because other
 * fields of a client library's errors may hold credentials. It masks phone numbers wherever they stand in a line, because an
 * error may quote what it was given. No text of others reaches a terminal as a command. Nothing is thrown where the log cannot
 * be written: lines are dropped, and the log says how many when it can be written again.
 */
export function createLogger(options: LoggerOptions): Logger {
  const { fileDescriptor, onReaderGone } = options;
  const output = new LineOutput({
    fileDescriptor,
    describeGap: (lineCount) =>
      noticeOf(options, { lineCount }, 'lines are missing here: the log could not be written'),
    onTrouble(err) {
      if (onReaderGone !== undefined && isReaderGone(fileDescriptor, err)) return onReaderGone();
      // A log on stderr has no other place to be told at: stdout carries data.
      if (fileDescriptor === 1) writeTalk(noticeOf(options, { err }, CANNOT_BE_WRITTEN));
    },
  });
  return createPino(options, (line) => output.write(line));
}

/** A line as the log would write it. */
function noticeOf(options: LoggerOptions, fields: object, message: string): string {
  let notice = '';
  createPino({ ...options, level: 'warn' }, (line) => {
    notice += line;
  }).warn(fields, message);
  return notice;
}

function createPino(options: LoggerOptions, write: (line: string) => void): Logger {
  const { name, level, fileDescriptor } = options;
  const format = options.format ?? (isTerminal(fileDescriptor) ? 'pretty' : 'json');
  const render = pretty.prettyFactory({
    ignore: 'pid,hostname,name',
    translateTime: 'SYS:HH:MM:ss.l',
    colorize: takesEscapes(fileDescriptor),
  });
  return pino(
    {
      name,
      level,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: serializeError, error: serializeError },
      // JSON itself escapes only characters below the blank.
      hooks: { streamWrite: (line) => printableLines(maskPhoneNumbersIn(line)) },
    },
    {
      write: (line: string) =>
        write(format === 'pretty' ? render(withPrintableTexts(JSON.parse(line))) : line),
    },
  );
}

/** The same value, with each text in it, names included, made harmless for a terminal. */
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
