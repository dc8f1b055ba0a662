import type { Logger } from '../../shared/ports/logger.ts';

/** Something that a reset would forget, looked at but not touched yet. */
export interface Finding {
  /** What it is, how much and where: "12 queues of RabbitMQ at localhost:15672 (340 messages)". */
  readonly sentence: string;
  /** Why it may not stay forgotten. */
  readonly warning?: string;
  remove(): Promise<void>;
}

export const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} };

export function plural(count: number, noun: string): string {
  return `${count.toLocaleString('en-US')} ${noun}${count === 1 ? '' : 's'}`;
}
