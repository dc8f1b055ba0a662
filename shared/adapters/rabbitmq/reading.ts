/**
 * Bounds the bytes that were read from one connection and are not settled yet. A prefetch count bounds deliveries by number
 * only, and RabbitMQ has no prefetch by size: 150 messages of 16 MiB are 2.4 GiB. So while the deliveries in hand are too
 * many bytes, nothing more is read from the connection, and TCP lets RabbitMQ wait.
 */
import type { ChannelModel, ConsumeMessage } from 'amqplib';
import { FrameGate } from './amqplib-internals.ts';

/** What a delivery takes beside body and headers. */
const LEAST_BYTES = 512;
const BYTES_OF_AN_ENTRY = 64;

/** The bytes in hand of one connection. */
export class Reading {
  readonly #maxBytes: number;
  readonly #gate: FrameGate;
  #bytes = 0;
  #isBounded = true;

  /** To be made right after the connection is. */
  constructor(connection: ChannelModel, maxBytes: number) {
    this.#maxBytes = maxBytes;
    this.#gate = new FrameGate(connection, () => !this.#isFull);
  }

  /** A delivery is in hand. */
  take(bytes: number): void {
    this.#bytes += bytes;
  }

  /** A delivery is settled, or its channel is dead. */
  release(bytes: number): void {
    this.#bytes -= bytes;
    this.#goOn();
  }

  /** False while RabbitMQ is asked to send no more and its answer is awaited: nothing is kept of what is read then. */
  setBounded(isBounded: boolean): void {
    this.#isBounded = isBounded;
    this.#goOn();
  }

  /** The connection has ended. */
  end(): void {
    this.#gate.end();
  }

  get #isFull(): boolean {
    return this.#isBounded && this.#bytes > this.#maxBytes;
  }

  #goOn(): void {
    if (!this.#isFull) this.#gate.open();
  }
}

/** What a delivery takes in memory, roughly. */
export function bytesOf({ content, properties }: ConsumeMessage): number {
  let bytes = LEAST_BYTES + content.length;
  const headers = properties.headers ?? {};
  for (const name in headers) {
    const value: unknown = headers[name];
    if (typeof value === 'string') bytes += value.length;
    else if (typeof value === 'object' && value !== null) bytes += bytesOfNested(value);
  }
  return bytes;
}

// A loop with a stack of its own: headers may be nested deeper than calls can be.
function bytesOfNested(root: object): number {
  let bytes = 0;
  const waiting: object[] = [root];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (Buffer.isBuffer(next)) {
      bytes += next.length;
      continue;
    }
    for (const value of Object.values(next) as unknown[]) {
      bytes += BYTES_OF_AN_ENTRY;
      if (typeof value === 'string') bytes += value.length;
      else if (typeof value === 'object' && value !== null) waiting.push(value);
    }
  }
  return bytes;
}
