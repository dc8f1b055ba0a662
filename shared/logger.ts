import { pino } from 'pino';
import pretty from 'pino-pretty';
import { maskPhoneNumbersIn } from './domain/sms.ts';
import { describeError, RedialError } from './errors.ts';
import type { Logger } from './ports.ts';

export interface LoggerOptions {
  readonly name: string;
  readonly level: string;
  readonly format: 'json' | 'pretty';
  /** 1 is stdout (services), 2 is stderr (commands whose stdout carries data). */
  readonly fileDescriptor: 1 | 2;
}

/** The same log for what is only worth telling to somebody who debugs. */
export function quieted(log: Logger): Logger {
  const tell = (fields: object, message: string) => log.debug(fields, message);
  return { debug: tell, info: tell, warn: tell, error: tell };
}

/**
 * A logger that writes JSON, or coloured lines on a terminal. Error objects are reduced to code and message: what else
 * client libraries hang on them may hold credentials. Phone numbers are masked wherever they stand in a line: an error
 * may quote what it was given.
 */
export function createLogger(options: LoggerOptions): Logger {
  const destination =
    options.format === 'pretty'
      ? pretty({
          destination: options.fileDescriptor,
          sync: true,
          ignore: 'pid,hostname,name',
          translateTime: 'SYS:HH:MM:ss.l',
        })
      : pino.destination({ dest: options.fileDescriptor, sync: true });
  return pino(
    {
      name: options.name,
      level: options.level,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: serializeError, error: serializeError },
      hooks: { streamWrite: maskPhoneNumbersIn },
    },
    destination,
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
