/**
 * All that Redial touches of the inside of amqplib: fields and habits that its types do not promise. Any of them may change
 * with any release, so package.json pins ~2.3.1. Before an upgrade read this file; the integration tests beside it fail where
 * something has changed.
 *
 * | inside | used for |
 * |---|---|
 * | `recvFrame`, `rest` of a connection: the next frame, decoded, and the bytes behind it | headers that cannot be decoded; waiting while too much is in hand |
 * | `recvSinceLastCheck` of a connection: false at two heartbeats in a row ends it | the same waiting |
 * | `stream` of a connection: the socket, read on at each event `readable` | the same waiting; fewer system calls; the end of a silent server |
 * | `publish` of a channel reads all headers before it returns | one object of headers for all messages |
 * | `ack` and `nack` of a channel read nothing of a message but its delivery tag | deliveries that keep no message |
 * | names and sentences of errors | telling a refusal from a server that is away |
 */
import type { ChannelModel, Message } from 'amqplib';
import { describeError } from '../../errors.ts';
import { replaceHeaders } from './foreign-headers.ts';

interface ConnectionInside {
  /** Decodes the next frame; false where there is none yet. Calls itself again when it had to read more. */
  recvFrame(): unknown;
  /** Bytes that are not decoded yet. */
  rest: Buffer;
  recvSinceLastCheck: boolean;
  readonly stream: {
    write(...args: unknown[]): boolean;
    cork(): void;
    uncork(): void;
    emit(event: 'readable'): boolean;
    destroy(error: Error): void;
  };
}

/** Bytes that may gather before amqplib is told to wait: Node's own 16 KiB are fewer than it writes in one turn. */
export const GATHERED_BYTES = 256 * 1024;
/** The reply code for a virtual host that does not exist or is not open to the user. */
export const NOT_ALLOWED = 530;
/** Well below the shortest heartbeat, which is a second. */
const SIGN_OF_LIFE_MS = 400;
const MAX_HEADER_NAMES = 30;

function insideOf(connection: ChannelModel): ConnectionInside {
  return connection.connection as unknown as ConnectionInside;
}

/**
 * Headers that amqplib cannot decode end its connection, and the message comes again, for ever: some 6,000 levels of tables
 * in each other, which fit into one frame, overflow the stack, and RabbitMQ passes on fields of a type that amqplib does not
 * know. From now on such headers are replaced by one that says so, and the frame is decoded once more; everything else of
 * the message stays. To be called right after the connection is made.
 */
export function surviveUndecodableHeaders(connection: ChannelModel): void {
  const inside = insideOf(connection);
  const receive = inside.recvFrame;
  inside.recvFrame = function (this: ConnectionInside) {
    const before = this.rest;
    try {
      return receive.call(this);
    } catch (error) {
      const replaced = replaceHeaders(before.subarray(0, before.length - this.rest.length));
      if (replaced === undefined) throw error;
      this.rest = Buffer.concat([replaced, this.rest]);
      return receive.call(this);
    }
  };
}

/**
 * amqplib hands each message and each acknowledgement to the socket by itself, and each costs a system call: 12 % of a
 * sender's time when it drains a backlog. From now on what is written in one turn of the event loop leaves in one call, at
 * the end of that turn, so nothing waits. To be called right after the connection is made.
 */
export function gatherWrites(connection: ChannelModel): void {
  const { stream } = insideOf(connection);
  const write = stream.write.bind(stream);
  let isGathering = false;
  stream.write = (...args) => {
    if (!isGathering) {
      isGathering = true;
      stream.cork();
      setImmediate(() => {
        isGathering = false;
        stream.uncork();
      });
    }
    return write(...args);
  };
}

/** Reads frames from a connection only while `mayRead` says so. To be made right after the connection is. */
export class FrameGate {
  readonly #inside: ConnectionInside;
  #signsOfLife: NodeJS.Timeout | undefined;

  constructor(connection: ChannelModel, mayRead: () => boolean) {
    const inside = insideOf(connection);
    this.#inside = inside;
    const receive = inside.recvFrame;
    inside.recvFrame = () => {
      if (mayRead()) return receive.call(inside);
      // RabbitMQ's heartbeats are not read meanwhile: it is us who keep it waiting.
      this.#signsOfLife ??= setInterval(() => {
        inside.recvSinceLastCheck = true;
      }, SIGN_OF_LIFE_MS);
      return false;
    };
  }

  /** Reads on where it had to wait. */
  open(): void {
    if (this.#signsOfLife === undefined) return;
    this.end();
    setImmediate(() => this.#inside.stream.emit('readable'));
  }

  /** The connection has ended. */
  end(): void {
    clearInterval(this.#signsOfLife);
    this.#signsOfLife = undefined;
  }
}

/** Ends the socket of a connection. Whatever still waits for a reply of the server gets an error. */
export function destroySocket(connection: ChannelModel): void {
  insideOf(connection).stream.destroy(new Error('the connection was given up'));
}

/**
 * amqplib makes the headers of a message the prototype of an object, and V8 makes a class of its own for each object that
 * becomes a prototype: 5 of the 14 µs of a publish, half of it in cleaning up. So all headers travel in one object; what is
 * undefined in it amqplib leaves out.
 */
export class ReusedHeaders {
  #headers: Record<string, unknown> = Object.create(null);

  /** These headers; valid until the next call. */
  of(headers: Readonly<Record<string, unknown>>): Record<string, unknown> {
    let nameCount = 0;
    for (const name in this.#headers) {
      this.#headers[name] = undefined;
      nameCount += 1;
    }
    // Foreign clients have headers of any name.
    if (nameCount > MAX_HEADER_NAMES) this.#headers = Object.create(null);
    return Object.assign(this.#headers, headers);
  }
}

/** What `ack` and `nack` need of a message. */
export function messageOfTag(deliveryTag: number): Message {
  return { fields: { deliveryTag } } as unknown as Message;
}

/** True where a channel sent nothing, because it is closed or being closed. */
export function isOfClosedChannel(error: unknown): boolean {
  return error instanceof Error && error.name === 'IllegalOperationError';
}

/** The reply code that RabbitMQ gave, NaN where the cause is another. */
export function replyCodeOf(cause: unknown): number {
  const code = (cause as { code?: unknown } | null | undefined)?.code;
  if (typeof code === 'number') return code;
  const said = describeError(cause);
  // amqplib keeps the reason of a refusal after the login to itself; there it is about the virtual host.
  if (said.startsWith('Expected ConnectionOpenOk; got <ConnectionClose')) return NOT_ALLOWED;
  // A refusal during the login has its code in the text only.
  return Number(/^Handshake terminated by server: (\d+)/.exec(said)?.[1]);
}
