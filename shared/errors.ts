/**
 * The base of every error that Redial throws on purpose. Tests and logs match the `code`. People read the message: it says
 * what is, what must be and what to do. An SMS that could not be sent is a result, never an error.
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

/** Data could not be written, because the disk is full. A reader must not take a part of the data for all of it. Exit 1. */
export class OutputError extends RedialError {
  constructor(stream: 'stdout', cause: Error) {
    // `ENOSPC: no space left on device, write`
    const reason = /^[A-Z]+: (.*), write$/.exec(cause.message)?.[1] ?? cause.message;
    super('OUTPUT', `cannot write to ${stream}: ${reason}`, { cause });
  }
}

/** A server that the process needs did not answer in time, or refused it. Exit 69. */
export class ServerUnavailableError extends RedialError {
  /** True where trying again cannot help: a wrong password, a missing virtual host, a queue with other arguments. */
  readonly isRefusal: boolean;

  constructor(message: string, options: { isRefusal: boolean; cause?: unknown }) {
    super(options.isRefusal ? 'SERVER_REFUSED' : 'SERVER_UNREACHABLE', message, options);
    this.isRefusal = options.isRefusal;
  }
}

/**
 * It is not known whether RabbitMQ holds the message: the connection died or the deadline passed between publish and
 * confirm. Publish the message again with the same id: a second copy is recognised by the id.
 */
export class PublishUnknownError extends RedialError {
  constructor(message: string, options?: { cause?: unknown }) {
    super('PUBLISH_UNKNOWN', message, options);
  }
}

/** RabbitMQ returned the message, because no queue is bound to its routing key. The message was not accepted. */
export class UnroutableError extends RedialError {
  constructor(routingKey: string) {
    super('UNROUTABLE', `no queue is bound to routing key "${routingKey}"; the topology is declared again`);
  }
}

/** The message does not fit into AMQP frames: its headers are too large, or AMQP has no type for a value. Never retry. */
export class UnencodableError extends RedialError {
  constructor(options: { cause: unknown }) {
    super('UNENCODABLE', 'the message cannot be encoded for RabbitMQ', options);
  }
}

/** The message is larger than RabbitMQ takes (`max_message_size`). Never publish it again as it is. */
export class MessageTooLargeError extends RedialError {
  constructor(bytes: number, maxBytes: number) {
    super('MESSAGE_TOO_LARGE', `a message of ${bytes} bytes is larger than RabbitMQ takes (${maxBytes})`);
  }
}

/** True for errors that publishing the same message again would only repeat. */
export function isUnpublishable(error: unknown): boolean {
  return error instanceof UnencodableError || error instanceof MessageTooLargeError;
}

/** True where a server refused a call: nothing of the call was carried out, and trying again cannot help. */
export function isRefusal(error: unknown): boolean {
  return error instanceof ServerUnavailableError && error.isRefusal;
}

/** A wait ended because the process must end. What it waited for is left as it is, and comes again to another process. */
export class StoppedError extends RedialError {
  constructor(message: string) {
    super('STOPPED', message);
  }
}

/** A server is well and refuses one call, because it cannot work with its arguments. Never repeat the call as it is. */
export class CallRefusedError extends RedialError {
  constructor(message: string, options?: { cause?: unknown }) {
    super('CALL_REFUSED', message, options);
  }
}

/** Redis has lost the counters: it was emptied, replaced, or is back on older data. */
export class CountersLostError extends RedialError {
  constructor() {
    super('COUNTERS_LOST', 'the counters in Redis were lost and must be rebuilt from S3');
  }
}

/** The text of an unknown thrown value, for a log line or the end of a sentence. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // A connect over several addresses fails with an AggregateError: its message is empty, its parts say what happened.
  if (error instanceof AggregateError && error.message === '')
    return error.errors.map(describeError).join(', ');
  return error.message === '' ? error.name : error.message;
}
