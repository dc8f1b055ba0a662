/**
 * Makes headers of foreign clients harmless, before amqplib decodes them and after. amqplib reads a table into an object, in which two names have a meaning:
 * - `__proto__` becomes the object's prototype. An object with bytes as its prototype throws where it is looked at, which
 *   ends the connection, and the message comes again, for ever.
 * - `!` names the type as which amqplib will write the table. A double whose value is a text is written as no number,
 *   for which RabbitMQ closes the connection, and the publish is tried again, for ever.
 */
import { HEADERS_UNDECODABLE } from '../../domain/sms/envelope.ts';

// A content header frame of AMQP 0-9-1, as bytes.
const FRAME_HEADER = 2;
const FRAME_HEADER_BYTES = 7;
const FRAME_END_BYTES = 1;
// Class, weight and body size stand before the property flags.
const FLAGS_AT = FRAME_HEADER_BYTES + 12;
const HAS_CONTENT_TYPE = 0x8000;
const HAS_CONTENT_ENCODING = 0x4000;
const HAS_HEADERS = 0x2000;
const REPLACEMENT = tableWithFlag(HEADERS_UNDECODABLE);

/**
 * The same frame with one header, which says that the others cannot be decoded. @param frame a whole frame
 * @returns undefined for a frame that is no content header
 */
export function replaceHeaders(frame: Buffer): Buffer | undefined {
  if (frame[0] !== FRAME_HEADER) return undefined;
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
  const entry = Buffer.concat([Buffer.from([name.length]), Buffer.from(`${name}t`), Buffer.from([1])]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(entry.length);
  return Buffer.concat([length, entry]);
}

/** Takes both out of all tables in decoded headers. A loop with its own stack: nobody knows how deep they are. */
export function makePlain(headers: object): void {
  const waiting: object[] = [headers];
  for (let table = waiting.pop(); table !== undefined; table = waiting.pop()) {
    // An object that only has bytes as its prototype is no view.
    if (ArrayBuffer.isView(table)) continue;
    if (!Array.isArray(table)) makeTablePlain(table as Record<string, unknown>);
    for (const name in table) {
      const value = (table as Record<string, unknown>)[name];
      if (typeof value === 'object' && value !== null) waiting.push(value);
    }
  }
}

function makeTablePlain(table: Record<string, unknown>): void {
  if (Object.getPrototypeOf(table) !== Object.prototype) Object.setPrototypeOf(table, Object.prototype);
  if (table['!'] !== undefined && !isMoment(table) && !isDecimal(table)) delete table['!'];
}

// These two are how amqplib itself reads what JavaScript has no type for.
function isMoment({ '!': type, value }: Record<string, unknown>): boolean {
  return type === 'timestamp' && typeof value === 'number';
}

function isDecimal({ '!': type, value }: Record<string, unknown>): boolean {
  const { places, digits } = Object(value) as { readonly places?: unknown; readonly digits?: unknown };
  return type === 'decimal' && typeof places === 'number' && typeof digits === 'number';
}
