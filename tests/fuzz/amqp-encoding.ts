/**
 * AMQP 0-9-1 as bytes: what any client may write, not only what amqplib would. A field value or table is the Buffer that
 * stands on the wire, so that arbitraries may put together what no library offers.
 */

/** Properties of a message. Short texts are cut to 255 bytes; what is absent is not written. */
export interface Properties {
  readonly contentType?: Buffer;
  readonly contentEncoding?: Buffer;
  /** An encoded table. */
  readonly headers?: Buffer;
  readonly deliveryMode?: number;
  readonly priority?: number;
  readonly correlationId?: Buffer;
  readonly replyTo?: Buffer;
  readonly expiration?: Buffer;
  readonly messageId?: Buffer;
  readonly timestamp?: bigint;
  readonly type?: Buffer;
  readonly userId?: Buffer;
  readonly appId?: Buffer;
  readonly clusterId?: Buffer;
}

// In the order of the wire, from the highest flag down.
const PROPERTY_NAMES: readonly (keyof Properties)[] = [
  ...(['contentType', 'contentEncoding', 'headers', 'deliveryMode', 'priority', 'correlationId'] as const),
  ...(['replyTo', 'expiration', 'messageId', 'timestamp', 'type', 'userId', 'appId', 'clusterId'] as const),
];
const MAX_SHORT_BYTES = 255;
const BASIC = 60;
const PUBLISH = 40;
// Not mandatory: whether a queue took the message shows in the copies.
const NO_FLAGS = 0;
const METHOD_FRAME = 1;
const HEADER_FRAME = 2;
const BODY_FRAME = 3;
const FRAME_END = 0xce;
const FRAME_OVERHEAD = 8;

/** The property flags and the list of what they announce. */
export function encodeProperties(properties: Properties): Buffer {
  let flags = 0;
  const parts: Buffer[] = [];
  PROPERTY_NAMES.forEach((name, index) => {
    const value = properties[name];
    if (value === undefined) return;
    flags |= 1 << (15 - index);
    if (typeof value === 'bigint') parts.push(uint64(value));
    else if (typeof value === 'number') parts.push(Buffer.from([value & 0xff]));
    else parts.push(name === 'headers' ? value : shortText(value));
  });
  return Buffer.concat([uint16(flags), ...parts]);
}

/** All frames of one publish. @param encoded what `encodeProperties` made, whole or not */
export function publishFrames(
  channel: number,
  place: { readonly exchange: string; readonly routingKey: string },
  encoded: Buffer,
  body: Buffer,
  frameMax: number,
): Buffer {
  const { exchange, routingKey } = place;
  const names = [shortText(Buffer.from(exchange)), shortText(Buffer.from(routingKey))];
  const method = Buffer.concat([
    ...[uint16(BASIC), uint16(PUBLISH), uint16(0)],
    ...names,
    Buffer.from([NO_FLAGS]),
  ]);
  const header = Buffer.concat([uint16(BASIC), uint16(0), uint64(BigInt(body.length)), encoded]);
  const frames = [frame(METHOD_FRAME, channel, method), frame(HEADER_FRAME, channel, header)];
  const most = frameMax - FRAME_OVERHEAD;
  for (let start = 0; start < body.length; start += most)
    frames.push(frame(BODY_FRAME, channel, body.subarray(start, start + most)));
  return Buffer.concat(frames);
}

export const field = {
  text: (value: Buffer | string) => tagged('S', longBytes(Buffer.from(value as Buffer))),
  bytes: (value: Buffer) => tagged('x', longBytes(value)),
  boolean: (value: boolean) => tagged('t', Buffer.from([value ? 1 : 0])),
  nothing: () => tagged('V', Buffer.alloc(0)),
  int8: (value: number) => tagged('b', Buffer.from([value & 0xff])),
  uint8: (value: number) => tagged('B', Buffer.from([value & 0xff])),
  int16: (value: number) => tagged('s', uint16(value & 0xffff)),
  uint16: (value: number) => tagged('u', uint16(value & 0xffff)),
  int32: (value: number) => tagged('I', uint32(value >>> 0)),
  uint32: (value: number) => tagged('i', uint32(value >>> 0)),
  int64: (value: bigint) => tagged('l', uint64(value)),
  timestamp: (value: bigint) => tagged('T', uint64(value)),
  float: (value: number) => {
    const bytes = Buffer.alloc(4);
    bytes.writeFloatBE(value);
    return tagged('f', bytes);
  },
  double: (value: number) => {
    const bytes = Buffer.alloc(8);
    bytes.writeDoubleBE(value);
    return tagged('d', bytes);
  },
  decimal: (places: number, digits: number) =>
    tagged('D', Buffer.concat([Buffer.from([places & 0xff]), uint32(digits >>> 0)])),
  array: (values: readonly Buffer[]) => tagged('A', longBytes(Buffer.concat(values))),
  table: (entries: readonly HeaderEntry[]) => tagged('F', table(entries)),
} as const;

/** Name and encoded value. */
export type HeaderEntry = readonly [name: Buffer | string, value: Buffer];

export function table(entries: readonly HeaderEntry[]): Buffer {
  return longBytes(
    Buffer.concat(entries.flatMap(([name, value]) => [shortText(Buffer.from(name as Buffer)), value])),
  );
}

/** Arrays in arrays, or tables in tables: a loop, because so many levels end a recursion. */
export function nested(depth: number, inTables: boolean): Buffer {
  const level = inTables ? 7 : 5;
  const innermost = inTables ? field.nothing() : Buffer.alloc(0);
  const bytes = Buffer.alloc(level * depth);
  for (let index = 0; index < depth; index += 1) {
    const at = index * level;
    const within = bytes.length - at - 5 + innermost.length;
    bytes.write(inTables ? 'F' : 'A', at);
    bytes.writeUInt32BE(within, at + 1);
    if (inTables) bytes.write('\u0001k', at + 5, 'latin1');
  }
  return Buffer.concat([bytes, innermost]);
}

function frame(type: number, channel: number, payload: Buffer): Buffer {
  return Buffer.concat([
    ...[Buffer.from([type]), uint16(channel), uint32(payload.length)],
    ...[payload, Buffer.from([FRAME_END])],
  ]);
}

function tagged(tag: string, bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.from(tag, 'latin1'), bytes]);
}

function shortText(text: Buffer): Buffer {
  const cut = text.subarray(0, MAX_SHORT_BYTES);
  return Buffer.concat([Buffer.from([cut.length]), cut]);
}

function longBytes(bytes: Buffer): Buffer {
  return Buffer.concat([uint32(bytes.length), bytes]);
}

function uint16(value: number): Buffer {
  return uint64(BigInt(value)).subarray(6);
}

function uint32(value: number): Buffer {
  return uint64(BigInt(value)).subarray(4);
}

function uint64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt.asUintN(64, value));
  return bytes;
}
