/** Something that a reset would forget, looked at but not touched yet. */
export interface Finding {
  /** What it is, how much and where: "12 queues of RabbitMQ at localhost:15672 (340 messages)". */
  readonly sentence: string;
  remove(): Promise<void>;
}

export function plural(count: number, noun: string): string {
  return `${count.toLocaleString('en-US')} ${noun}${count === 1 ? '' : 's'}`;
}
