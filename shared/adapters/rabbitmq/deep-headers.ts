/**
 * amqplib decodes the tables in a message's headers by recursion: some 6,000 levels, which fit into one frame, overflow
 * the stack, end the connection, and the message comes again, for ever. Here such headers are replaced by one that says
 * so, before the frame is decoded once more; everything else of the message stays.
 */
import type { ChannelModel } from 'amqplib';
import { HEADERS_TOO_DEEP } from '../../domain/envelope.ts';

/** What reads frames inside of an amqplib connection (2.3.1). */
interface FrameReader {
  /** Bytes that are not decoded yet. */
  rest: Buffer;
  /** The next frame, decoded; calls itself again when it had to read more. */
  recvFrame(): unknown;
}

const FRAME_HEADER = 2;
const FRAME_HEADER_BYTES = 7;
const FRAME_END_BYTES = 1;
// Class, weight and body size stand before the property flags.
const FLAGS_AT = FRAME_HEADER_BYTES + 12;
const HAS_CONTENT_TYPE = 0x8000;
const HAS_CONTENT_ENCODING = 0x4000;
const HAS_HEADERS = 0x2000;
const REPLACEMENT = tableWithFlag(HEADERS_TOO_DEEP);

/** To be called right after the connection is made. */
export function surviveDeepHeaders(connection: ChannelModel): void {
  const reader = connection.connection as unknown as FrameReader;
  const receive = reader.recvFrame;
  reader.recvFrame = function (this: FrameReader) {
    const before = this.rest;
    try {
      return receive.call(this);
    } catch (error) {
      const frame = before.subarray(0, before.length - this.rest.length);
      // Nested too deep, or of a type that amqplib does not know.
      if (frame[0] !== FRAME_HEADER) throw error;
      this.rest = Buffer.concat([replaceHeaders(frame), this.rest]);
      return receive.call(this);
    }
  };
}

/** @param frame a whole content header frame */
export function replaceHeaders(frame: Buffer): Buffer {
  const flags = frame.readUInt16BE(FLAGS_AT);
  if ((flags & HAS_HEADERS) === 0) return frame;
  let tableAt = FLAGS_AT + 2;
  // Each is a text with its length in one byte.
  if ((flags & HAS_CONTENT_TYPE) !== 0) tableAt += 1 + frame.readUInt8(tableAt);
  if ((flags & HAS_CONTENT_ENCODING) !== 0) tableAt += 1 + frame.readUInt8(tableAt);
  const afterTable = tableAt + 4 + frame.readUInt32BE(tableAt);
  const replaced = Buffer.concat([frame.subarray(0, tableAt), REPLACEMENT, frame.subarray(afterTable)]);
  replaced.writeUInt32BE(replaced.length - FRAME_HEADER_BYTES - FRAME_END_BYTES, 3);
  return replaced;
}

/** An AMQP table with one entry that is true. */
function tableWithFlag(name: string): Buffer {
  const entry = Buffer.concat([
    Buffer.from([name.length]),
    Buffer.from(name),
    Buffer.from('t'),
    Buffer.from([1]),
  ]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(entry.length);
  return Buffer.concat([length, entry]);
}
