/** What both commands of the producer are made of: settings, talk, and connections to RabbitMQ. */
import { type ConnectionRole, RabbitMqConnection } from '../shared/adapters/rabbitmq/connection.ts';
import { RabbitMqPublisher } from '../shared/adapters/rabbitmq/publisher.ts';
import { serverNamesOf } from '../shared/adapters/rabbitmq/server-urls.ts';
import { untilAborted } from '../shared/pipeline/waiting.ts';
import type { Logger } from '../shared/ports/logger.ts';
import type { Config } from '../shared/process/config/config.ts';
import { connectionOptionsOf } from '../shared/process/config/rabbitmq.ts';
import { createLogger } from '../shared/process/logger.ts';
import { say } from '../shared/process/output.ts';
import { systemClock } from '../shared/process/system-clock.ts';

const PUBLISH_DEADLINE_MS = 30_000;
/** How long a look at queues may take where the command waits for what it tells. */
export const LOOK_DEADLINE_MS = 20_000;
// Exit 69 is promised within 30 s of the start.
const OPEN_DEADLINE_MS = 25_000;
const WAITING_IS_TOLD_AFTER_MS = 1_000;

/** What a command has done. */
export interface Report {
  /** What `--json` prints. */
  readonly summary: object;
  /** The same for people, each line with its line feed. */
  readonly text: string;
  /** The same in one line, for where stdout does not take the text. */
  readonly line: string;
  /** What an interrupted command has left. */
  readonly rest: string;
  /** What else there is to say, a sentence each; not asked of an interrupted command, which says what is left. */
  readonly findHints: () => Promise<readonly string[]>;
  readonly isComplete: boolean;
}

/** What a command works with. */
export class Surroundings {
  readonly config: Config;
  readonly shutdown: AbortSignal;
  readonly log: Logger;

  constructor(config: Config, shutdown: AbortSignal) {
    this.config = config;
    this.shutdown = shutdown;
    this.log = createLogger({
      name: 'producer',
      // The commands tell their story in sentences; the usual level would tell it twice.
      level: config.logLevel === 'info' ? 'warn' : config.logLevel,
      format: config.logFormat,
      file: config.logFile,
      fileDescriptor: 2,
    });
  }

  get connectionOptions() {
    return connectionOptionsOf(this.config, 'producer', this.log);
  }

  createPublisher(maxUnconfirmed: number): RabbitMqPublisher {
    const { queueName: prefix } = this.config;
    return new RabbitMqPublisher({ prefix, maxUnconfirmed, deadlineMs: PUBLISH_DEADLINE_MS });
  }

  /**
   * Opens a connection with these roles, does the work and closes the connection. After a shutdown the work begins
   * without waiting for the connection.
   * @throws ServerUnavailableError, and what the work throws
   */
  async connected<Result>(roles: readonly ConnectionRole[], work: () => Promise<Result>): Promise<Result> {
    const options = this.connectionOptions;
    const connection = new RabbitMqConnection(options);
    for (const role of roles) connection.add(role);
    const endTelling = systemClock.after(WAITING_IS_TOLD_AFTER_MS, () => {
      say(`waiting up to ${OPEN_DEADLINE_MS / 1_000} s for RabbitMQ at ${serverNamesOf(options.urls)}`);
    });
    try {
      await untilAborted(connection.open(OPEN_DEADLINE_MS), this.shutdown).finally(endTelling);
      return await work();
    } finally {
      await connection.close();
    }
  }
}
