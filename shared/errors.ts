/**
 * Every error Redial throws on purpose. Tests and logs match the `code`; people read the message, which
 * says what is, what must be and what to do. An SMS that could not be sent is a result, never an error.
 */
export class RedialError extends Error {
  readonly code: string;

  constructor(code: string, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

/** The configuration cannot work: all problems at once, one line each. Exit 78. */
export class ConfigurationError extends RedialError {
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(
      'CONFIGURATION',
      `Invalid configuration:\n${problems.map((problem) => `  - ${problem}`).join('\n')}`,
    );
    this.problems = problems;
  }
}

/** The command line cannot be understood. Exit 2. */
export class UsageError extends RedialError {
  constructor(message: string) {
    super('USAGE', message);
  }
}

/** Data could not be written: the disk is full. Whoever reads it must not take a part for all of it. Exit 1. */
export class OutputError extends RedialError {
  constructor(stream: 'stdout', cause: Error) {
    // `ENOSPC: no space left on device, write`
    const reason = /^[A-Z]+: (.*), write$/.exec(cause.message)?.[1] ?? cause.message;
    super('OUTPUT', `cannot write to ${stream}: ${reason}`, { cause });
  }
}

/** A server we need did not answer in time, or refused us. Exit 69. */
export class ServerUnavailableError extends RedialError {
  /** True where trying again cannot help: wrong password, missing virtual host, another queue of that name. */
  readonly isRefusal: boolean;

  constructor(message: string, options: { isRefusal: boolean; cause?: unknown }) {
    super(options.isRefusal ? 'SERVER_REFUSED' : 'SERVER_UNREACHABLE', message, options);
    this.isRefusal = options.isRefusal;
  }
}

/**
 * RabbitMQ has not told us whether it holds the message: the connection died or the deadline passed
 * between publish and confirm. Publish again with the same id; a second copy is closed by identity.
 */
export class PublishUnknownError extends RedialError {
  constructor(message: string, options?: { cause?: unknown }) {
    super('PUBLISH_UNKNOWN', message, options);
  }
}

/** RabbitMQ returned the message: no queue is bound to its routing key. It was not accepted. */
export class UnroutableError extends RedialError {
  constructor(routingKey: string) {
    super('UNROUTABLE', `no queue is bound to routing key "${routingKey}"; the topology is declared again`);
  }
}

/** The message cannot be put into AMQP frames (headers too large, a value AMQP has no type for). Never retry. */
export class UnencodableError extends RedialError {
  constructor(options: { cause: unknown }) {
    super('UNENCODABLE', 'the message cannot be encoded for RabbitMQ', options);
  }
}

/** The message is larger than RabbitMQ takes (`max_message_size`). Never retry as it is. */
export class MessageTooLargeError extends RedialError {
  constructor(bytes: number, maxBytes: number) {
    super('MESSAGE_TOO_LARGE', `a message of ${bytes} bytes is larger than RabbitMQ takes (${maxBytes})`);
  }
}

/** True for errors that publishing the same message again would only repeat. */
export function isUnpublishable(error: unknown): boolean {
  return error instanceof UnencodableError || error instanceof MessageTooLargeError;
}

/** True where a server has said no, so that trying again cannot help and nothing of the call was carried out. */
export function isRefusal(error: unknown): boolean {
  return error instanceof ServerUnavailableError && error.isRefusal;
}

/** The process must end: what was waited for is left as it is, and comes again to another process. */
export class StoppedError extends RedialError {
  constructor(message: string) {
    super('STOPPED', message);
  }
}

/** A server is well and refuses this one call, whose arguments it cannot work with. Never retry as it is. */
export class CallRefusedError extends RedialError {
  constructor(message: string, options?: { cause?: unknown }) {
    super('CALL_REFUSED', message, options);
  }
}

/** The counters in Redis are not those of this Redis process: emptied, replaced or back on older data. */
export class CountersLostError extends RedialError {
  constructor() {
    super('COUNTERS_LOST', 'the counters in Redis were lost and must be rebuilt from S3');
  }
}

/** The text of an unknown thrown value, for a log line or the end of a sentence. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // An AggregateError of a connect over several addresses has an empty message and says all in its parts.
  if (error instanceof AggregateError && error.message === '')
    return error.errors.map(describeError).join(', ');
  return error.message === '' ? error.name : error.message;
}
