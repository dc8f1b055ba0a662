import { pino } from 'pino';
import pretty from 'pino-pretty';
import { printable, printableLines } from '../domain/printable.ts';
import { maskPhoneNumbersIn } from '../domain/sms/sms.ts';
import { describeError, RedialError } from '../errors.ts';
import type { Logger } from '../ports/logger.ts';
import { tellFailureTo } from './exit-code.ts';
import { LineOutput } from './line-output.ts';
import { LogFile } from './log-file/log-file.ts';
import { isReaderGone, isTerminal, takesEscapes, writeTalk } from './output.ts';

export interface LoggerOptions {
  readonly name: string;
  readonly level: string;
  /** Undefined: pretty on a terminal, else JSON. */
  readonly format: 'json' | 'pretty' | undefined;
  /** 1 is stdout (services), 2 is stderr (commands whose stdout carries data). */
  readonly fileDescriptor: 1 | 2;
  /** The log also goes to this file, as JSON. */
  readonly file: string | undefined;
  /** False: the log goes to its file only. Default: true. */
  readonly isShown?: boolean;
  /** Called when nobody can read the log any more. Without it stderr is told. */
  readonly onReaderGone?: () => void;
}

const CANNOT_BE_WRITTEN =
  'the log on stdout cannot be written: its lines are dropped until it can, and everything else goes on';

const FILE_CANNOT_BE_WRITTEN =
  'LOG_FILE cannot be written: its lines are dropped until it can, and everything else goes on';
const SILENT: Logger = { debug() {}, info() {}, warn() {}, error() {} };
const GAP = 'lines are missing here: the log could not be written';

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
  const { isShown = true, file: path } = options;
  const show = isShown ? createConsole(options) : undefined;
  if (path === undefined) return show === undefined ? SILENT : createPino(options, show);
  const file = new LogFile({
    path,
    gap: JSON.parse(renderNotice(options, {}, GAP)),
    onTrouble: (err) => show?.(renderNotice(options, { err }, FILE_CANNOT_BE_WRITTEN)),
  });
  const write = (line: string) => file.write(line);
  // A sentence on stderr tells these at the console.
  const fileAlone = createPino(options, write);
  tellFailureTo((error) => fileAlone.error({ err: error }, 'ended'));
  process.on('uncaughtExceptionMonitor', (error) => fileAlone.error({ err: error }, 'crashed'));
  process.on('exit', () => file.finish());
  return createPino(options, (line) => {
    write(line);
    show?.(line);
  });
}

/** Takes lines in JSON, and writes them as they are or for people. */
function createConsole(options: LoggerOptions): (line: string) => void {
  const { fileDescriptor, onReaderGone } = options;
  const render = rendererOf(options);
  const notice = (fields: object, message: string) => render(renderNotice(options, fields, message));
  const output = new LineOutput({
    fileDescriptor,
    describeGap: (lineCount) => notice({ lineCount }, GAP),
    onTrouble(err) {
      if (onReaderGone !== undefined && isReaderGone(fileDescriptor, err)) return onReaderGone();
      // A log on stderr has no other place to be told at: stdout carries data.
      if (fileDescriptor === 1) writeTalk(notice({ err }, CANNOT_BE_WRITTEN));
    },
  });
  return (line) => output.write(render(line));
}

/** A line of the log, in JSON. */
function renderNotice(options: LoggerOptions, fields: object, message: string): string {
  let notice = '';
  createPino({ ...options, level: 'warn' }, (line) => {
    notice += line;
  }).warn(fields, message);
  return notice;
}

function rendererOf({ format, fileDescriptor }: LoggerOptions): (line: string) => string {
  if ((format ?? (isTerminal(fileDescriptor) ? 'pretty' : 'json')) === 'json') return (line) => line;
  const render = pretty.prettyFactory({
    ignore: 'pid,hostname,name',
    translateTime: 'SYS:HH:MM:ss.l',
    colorize: takesEscapes(fileDescriptor),
  });
  return (line) => render(withPrintableTexts(JSON.parse(line)));
}

/** @param write takes lines in JSON */
function createPino({ name, level }: LoggerOptions, write: (line: string) => void): Logger {
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
    { write },
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
