/**
 * Bounds what has been read from one connection and is not settled yet, in bytes. The prefetch count bounds deliveries by
 * number only, and RabbitMQ has no prefetch by size: 150 messages of 16 MiB are 2.4 GiB. So while the deliveries in hand
 * are too many bytes, nothing more is read from the connection, and TCP lets RabbitMQ wait.
 */
import type { ChannelModel, ConsumeMessage } from 'amqplib';

/** What reads frames inside of an amqplib connection (2.3.1). */
interface FrameReader {
  recvFrame(): unknown;
  /** Asked at each heartbeat: two without it end the connection. */
  recvSinceLastCheck: boolean;
  readonly stream: { emit(event: 'readable'): void };
}

/** What a delivery takes beside body and headers. */
const LEAST_BYTES = 512;
const BYTES_OF_AN_ENTRY = 64;
/** Well below the shortest heartbeat, which is a second. */
const SIGN_OF_LIFE_MS = 400;

/** The bytes in hand of one connection. */
export class Reading {
  readonly #maxBytes: number;
  readonly #reader: FrameReader;
  #bytes = 0;
  #isBounded = true;
  #signsOfLife: NodeJS.Timeout | undefined;

  /** To be made right after the connection is. */
  constructor(connection: ChannelModel, maxBytes: number) {
    this.#maxBytes = maxBytes;
    this.#reader = connection.connection as unknown as FrameReader;
    const receive = this.#reader.recvFrame;
    this.#reader.recvFrame = () => {
      if (!this.#isFull) return receive.call(this.#reader);
      this.#wait();
      return false;
    };
  }

  get isWaiting(): boolean {
    return this.#signsOfLife !== undefined;
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

  /** False while nothing is kept of what is read, because RabbitMQ is asked to send no more and its answer is awaited. */
  setBounded(isBounded: boolean): void {
    this.#isBounded = isBounded;
    this.#goOn();
  }

  /** The connection has ended. */
  end(): void {
    clearInterval(this.#signsOfLife);
    this.#signsOfLife = undefined;
  }

  get #isFull(): boolean {
    return this.#isBounded && this.#bytes > this.#maxBytes;
  }

  // RabbitMQ's heartbeats are not read meanwhile: it is us who keep it waiting.
  #wait(): void {
    this.#signsOfLife ??= setInterval(() => {
      this.#reader.recvSinceLastCheck = true;
    }, SIGN_OF_LIFE_MS);
  }

  #goOn(): void {
    if (!this.isWaiting || this.#isFull) return;
    this.end();
    setImmediate(() => this.#reader.stream.emit('readable'));
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

// A loop with its own stack: nobody knows how deep it is.
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
