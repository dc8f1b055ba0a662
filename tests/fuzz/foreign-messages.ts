/** Messages as foreign clients may write them: all of AMQP's properties and types, forged headers, bodies of all kinds. */
import {
  type Arbitrary,
  array,
  bigInt,
  boolean,
  constant,
  constantFrom,
  double,
  float,
  integer,
  jsonValue,
  letrec,
  nat,
  oneof,
  option,
  record,
  string,
  tuple,
  uint8Array,
} from 'fast-check';
import type { Dice } from '../../shared/rehearsal/dice.ts';
import {
  encodeProperties,
  field,
  type HeaderEntry,
  nested,
  type Properties,
  table,
} from './amqp-encoding.ts';
import { mutated } from './mutate.ts';

/** Bytes for one publish. */
export interface EncodedMessage {
  readonly properties: Buffer;
  readonly body: Buffer;
  /** Under which it must be found again; undefined where RabbitMQ may read another one, or none, in the properties. */
  readonly id: string | undefined;
  /** True where RabbitMQ may refuse it and close the connection. */
  readonly isRisky: boolean;
}

/** A message that lacks what must differ from message to message. */
export interface ForeignMessage {
  readonly properties: Properties;
  readonly headers: readonly HeaderEntry[];
  readonly body: Buffer;
  readonly idKind: 'own' | 'body' | 'none' | 'odd';
  readonly mutation: 'none' | 'properties' | 'body';
}

const RUNS = ['forest', 'fox', 'f.1', '_', '__proto__', 'constructor', 'x'.repeat(64)];
const MAX_TIME_MS = 8.64e15;
/** A content header is one frame, and RabbitMQ takes frames of 128 KiB. */
const MAX_HEADER_BYTES = 120_000;

const bytes = (maxLength: number) => uint8Array({ maxLength }).map((each) => Buffer.from(each));
const texts = string({ unit: 'binary', maxLength: 40 }).map((text) => Buffer.from(text));
const shortTexts = oneof({ weight: 4, arbitrary: texts }, { weight: 1, arbitrary: bytes(255) });
const unsigned64 = bigInt({ min: 0n, max: 2n ** 64n - 1n });

// amqplib takes a table with "!" for a type, and "__proto__" is no name like others in JavaScript.
const headerNames: Arbitrary<Buffer> = oneof(
  { weight: 6, arbitrary: string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 20 }) },
  {
    weight: 4,
    arbitrary: constantFrom(
      ...['__proto__', 'constructor', 'toString', 'toJSON', 'hasOwnProperty', 'length', '!', 'value', 'then'],
      ...['traceparent', 'parked-reason', 'parked-at', 'priority', 'x-foreign', 'messageId', ''],
    ),
  },
  { weight: 1, arbitrary: string({ unit: 'binary', maxLength: 60 }) },
)
  .filter((name) => name !== 'notBefore')
  .map((name) => Buffer.from(name));

/** Values of all field types, nested. */
const { fieldValue } = letrec<{ fieldValue: Buffer }>((tie) => ({
  fieldValue: oneof(
    { depthSize: 'small', withCrossShrink: false },
    texts.map(field.text),
    bytes(60).map(field.bytes),
    boolean().map(field.boolean),
    constant(field.nothing()),
    integer().map(field.int8),
    integer().map(field.uint8),
    integer().map(field.int16),
    integer().map(field.uint16),
    integer().map(field.int32),
    nat().map(field.uint32),
    unsigned64.map(field.int64),
    unsigned64.map(field.timestamp),
    float({ noNaN: true, noDefaultInfinity: true }).map(field.float),
    double({ noNaN: true, noDefaultInfinity: true }).map(field.double),
    tuple(nat(255), nat()).map(([places, digits]) => field.decimal(places, digits)),
    array(tie('fieldValue'), { maxLength: 6 }).map(field.array),
    array(tuple(headerNames, tie('fieldValue')), { maxLength: 6 }).map(field.table),
  ),
}));

/** Tables that amqplib would write as another type when they are passed on. */
const trapdoors = tuple(
  constantFrom('int8', 'long', 'timestamp', 'decimal', 'object', 'string', 'float', 'void', 'toString', ''),
  fieldValue,
).map(([type, value]) =>
  field.table([
    ['!', field.text(type)],
    ['value', value],
  ]),
);

const large = oneof(
  tuple(integer({ min: 100, max: 9_000 }), boolean()).map(([depth, inTables]) => nested(depth, inTables)),
  integer({ min: 1_000, max: 120_000 }).map((length) => field.text(Buffer.alloc(length, 'x'))),
  integer({ min: 1_000, max: 40_000 }).map((length) => field.text('€'.repeat(length))),
  integer({ min: 1_000, max: 100_000 }).map((length) => field.bytes(Buffer.alloc(length, 0xff))),
  integer({ min: 100, max: 20_000 }).map((length) => field.array(Array(length).fill(field.nothing()))),
);
const manyHeaders = integer({ min: 30, max: 1_500 }).map((count) =>
  Array.from({ length: count }, (_, index): HeaderEntry => [`name-${index}`, field.int32(index)]),
);

const histories = tuple(
  oneof(
    { weight: 9, arbitrary: integer({ min: 2, max: 8 }) },
    { weight: 1, arbitrary: integer({ min: 9, max: 300 }) },
  ),
  constantFrom('whole', 'whole', 'gap', 'sent', 'nested', 'odd fields', 'cut', 'wrong type'),
  jsonValue(),
).map(([attempt, kind, value]): HeaderEntry[] => {
  const entries: Record<string, unknown>[] = Array.from({ length: attempt - 1 }, (_, index) => ({
    ...{ attempt: index + 1, startedAt: '2026-11-22T10:00:00.000Z', tookMs: 5 * index, result: 'failed' },
    reason: 'timeout',
  }));
  const [first] = entries;
  if (kind === 'gap') entries.shift();
  if (kind === 'sent' && first !== undefined) first.result = 'sent';
  if (kind === 'odd fields' && first !== undefined)
    Object.assign(first, { lateMs: 2 ** 52, reason: value, odd: value });
  if (kind === 'nested') {
    const deep = `${'['.repeat(3_000)}${']'.repeat(3_000)}`;
    const told = JSON.stringify(entries).replace('{', `{"deep":${deep},`);
    return [
      ['attempt', field.int16(attempt)],
      ['history', field.text(told)],
    ];
  }
  const told = JSON.stringify(entries);
  const text = kind === 'cut' ? told.slice(0, -3) : told;
  const history = kind === 'wrong type' ? field.array([field.text(text)]) : field.text(text);
  return [
    ['attempt', field.int16(attempt)],
    ['history', history],
  ];
});

// Not far ahead: such an SMS waits as long as it says.
const moments = constantFrom(-86_400_000, -1_000, -1, 0, 10, 300).map((ahead) => BigInt(Date.now() + ahead));

const ownHeaders: Arbitrary<HeaderEntry[]> = oneof(
  histories,
  fieldValue.map((value): HeaderEntry[] => [['attempt', value]]),
  fieldValue.map((value): HeaderEntry[] => [['history', value]]),
  fieldValue.map((value): HeaderEntry[] => [['run', value]]),
  fieldValue.map((value): HeaderEntry[] => [['acceptedAt', value]]),
  bigInt({ min: 0n, max: BigInt(MAX_TIME_MS) + 5n }).map((value): HeaderEntry[] => [
    ['acceptedAt', field.int64(value)],
  ]),
  moments.map((value): HeaderEntry[] => [['notBefore', field.int64(value)]]),
  constantFrom(field.text('soon'), field.nothing(), field.int8(-1), field.double(0.5), field.array([])).map(
    (value): HeaderEntry[] => [['notBefore', value]],
  ),
  constantFrom(...RUNS).map((run): HeaderEntry[] => [['run', field.text(run)]]),
);

const deaths = oneof(
  fieldValue,
  constantFrom('expired', 'rejected', 'delivery_limit', '').map((reason) =>
    field.array([
      field.table([
        ...([
          ['reason', field.text(reason)],
          ['queue', field.text('q.journal')],
        ] as const),
        ...([
          ['exchange', field.text('')],
          ['count', field.int64(2n ** 62n)],
        ] as const),
        ['routing-keys', field.array([field.text('work')])],
      ]),
    ]),
  ),
);
const brokerHeaders: Arbitrary<HeaderEntry[]> = oneof(
  deaths.map((value): HeaderEntry[] => [['x-death', value]]),
  fieldValue.map((value): HeaderEntry[] => [['x-delivery-count', value]]),
  nat(100).map((count): HeaderEntry[] => [['x-delivery-count', field.int64(BigInt(count))]]),
  array(constantFrom('work', 'due', 'journal', 'parked', 'nowhere'), { maxLength: 3 }).map(
    (keys): HeaderEntry[] => [
      ['CC', field.array(keys.map(field.text))],
      ['BCC', field.array(keys.map(field.text))],
    ],
  ),
  fieldValue.map((value): HeaderEntry[] => [
    ['x-first-death-reason', value],
    ['x-headers-too-deep', value],
  ]),
  constantFrom('CC', 'BCC').map((name): HeaderEntry[] => [[name, field.text('work')]]),
);

const foreignHeaders: Arbitrary<HeaderEntry[]> = oneof(
  { weight: 8, arbitrary: array(tuple(headerNames, fieldValue), { maxLength: 5 }) },
  { weight: 2, arbitrary: tuple(headerNames, trapdoors).map((entry): HeaderEntry[] => [entry]) },
  { weight: 1, arbitrary: tuple(headerNames, large).map((entry): HeaderEntry[] => [entry]) },
  { weight: 1, arbitrary: manyHeaders },
);
const headers: Arbitrary<HeaderEntry[]> = oneof(
  { weight: 3, arbitrary: constant<HeaderEntry[]>([]) },
  { weight: 4, arbitrary: ownHeaders },
  { weight: 3, arbitrary: foreignHeaders },
  { weight: 1, arbitrary: brokerHeaders },
  {
    weight: 1,
    arbitrary: tuple(ownHeaders, foreignHeaders, brokerHeaders).map((all) => all.flat()),
  },
);

const json = Buffer.from('application/json');
const contentTypes = oneof(
  { weight: 8, arbitrary: constant(json) },
  { weight: 1, arbitrary: shortTexts },
  {
    weight: 1,
    arbitrary: constantFrom(
      ...['application/json; charset=utf-16', 'APPLICATION/JSON ;', 'text/plain', '', 'text/x+json'],
    ).map((type) => Buffer.from(type)),
  },
);
const rare = <Value>(arbitrary: Arbitrary<Value>) => option(arbitrary, { freq: 6, nil: undefined });
const plainProperties = record({ contentType: contentTypes }, { requiredKeys: [] });
const allProperties = record(
  {
    contentType: contentTypes,
    contentEncoding: oneof(
      shortTexts,
      constantFrom('utf-8', 'binary', 'gzip', '').map((encoding) => Buffer.from(encoding)),
    ),
    deliveryMode: constantFrom(1, 2),
    priority: nat(255),
    correlationId: shortTexts,
    replyTo: texts,
    timestamp: unsigned64,
    type: shortTexts,
    appId: shortTexts,
    clusterId: shortTexts,
    // What has expired when a sender would take it goes another way through RabbitMQ.
    expiration: constantFrom('0', '1', '50', '600000').map((ms) => Buffer.from(ms)),
  },
  { requiredKeys: [] },
);
/** RabbitMQ refuses most of these. */
const refusedProperties = record(
  {
    deliveryMode: nat(255),
    expiration: constantFrom('soon', '-1', '99999999999999', '').map((ms) => Buffer.from(ms)),
    userId: constantFrom('guest', 'somebody').map((user) => Buffer.from(user)),
    replyTo: constantFrom('amq.rabbitmq.reply-to', '').map((name) => Buffer.from(name)),
  },
  { requiredKeys: [] },
);
const properties: Arbitrary<Properties> = oneof(
  { weight: 60, arbitrary: plainProperties },
  { weight: 39, arbitrary: allProperties },
  { weight: 1, arbitrary: refusedProperties },
) as Arbitrary<Properties>;

const content = record({
  to: oneof({ weight: 12, arbitrary: constant('+15550100001') }, { weight: 1, arbitrary: jsonValue() }),
  text: oneof(
    { weight: 8, arbitrary: string({ unit: 'binary', minLength: 1, maxLength: 60 }) },
    {
      weight: 1,
      arbitrary: constantFrom('', 'x'.repeat(1_601), '🚚'.repeat(1_600), '\ud800', '\u0000', '"\\'),
    },
    { weight: 1, arbitrary: jsonValue() },
  ),
  from: rare(jsonValue()),
  reference: rare(string({ unit: 'binary', maxLength: 300 })),
}).map((fields) => Buffer.from(JSON.stringify(fields)));
const deepBodies = tuple(integer({ min: 10, max: 30_000 }), constantFrom('[', '{"a":')).map(([depth, open]) =>
  Buffer.from(
    `{"to":"+15550100001","text":"x","deep":${open.repeat(depth)}${open === '[' ? '' : '1'}${(open === '[' ? ']' : '}').repeat(depth)}}`.slice(
      0,
      200_000,
    ),
  ),
);
const bodies = oneof(
  { weight: 60, arbitrary: content },
  { weight: 8, arbitrary: jsonValue().map((value) => Buffer.from(JSON.stringify(value))) },
  { weight: 8, arbitrary: bytes(200) },
  {
    weight: 3,
    arbitrary: constantFrom('__proto__', 'constructor', 'prototype').map((key) =>
      Buffer.from(`{"to":"+15550100001","text":"x","${key}":{"to":1}}`),
    ),
  },
  {
    weight: 2,
    arbitrary: constantFrom('\ufeff', ' \n', '').map((start) =>
      Buffer.from(`${start}{"to":"+15550100001","text":"x"}`),
    ),
  },
  { weight: 2, arbitrary: deepBodies },
  { weight: 1, arbitrary: integer({ min: 60_000, max: 300_000 }).map((length) => Buffer.alloc(length, 'x')) },
);

export const foreignMessages: Arbitrary<ForeignMessage> = record({
  properties,
  headers,
  body: bodies,
  idKind: oneof(
    { weight: 8, arbitrary: constant('own') },
    { weight: 1, arbitrary: constantFrom('body', 'none', 'odd') },
  ) as Arbitrary<ForeignMessage['idKind']>,
  mutation: oneof(
    { weight: 17, arbitrary: constant('none') },
    { weight: 1, arbitrary: constant('properties') },
    { weight: 2, arbitrary: constant('body') },
  ) as Arbitrary<ForeignMessage['mutation']>,
});

/** @param id of its own, for messages that have one */
export function encodeForeign(message: ForeignMessage, id: string, dice: Dice): EncodedMessage {
  const { idKind, mutation } = message;
  const isMutated = mutation === 'properties';
  const isExpiring = message.properties.expiration !== undefined;
  const entries = message.headers.filter(([header]) => {
    const name = String(header);
    // A changed byte must not send an SMS far into the future.
    if (isMutated && name === 'notBefore') return false;
    // RabbitMQ 3 does not survive an odd x-death of a message that expires: docs/foreign-clients.md.
    return name !== 'x-death' || !(isMutated || isExpiring);
  });
  const odd = () => Buffer.from(Array.from({ length: dice.below(256) }, () => dice.below(256)));
  const messageId = idKind === 'own' ? Buffer.from(id) : odd();
  const encoded = encodeProperties({
    ...message.properties,
    ...(idKind === 'none' || idKind === 'body' ? {} : { messageId }),
    ...(entries.length === 0 ? {} : { headers: table(entries) }),
  });
  const body = idKind === 'body' ? withId(message.body, id) : message.body;
  return {
    properties: isMutated ? mutated(encoded, dice) : encoded,
    body: mutation === 'body' ? mutated(body, dice) : body,
    id: idKind === 'own' && !isMutated ? id : undefined,
    isRisky: isMutated || isRefused(message, encoded),
  };
}

/** The id in the body, as clients tell it that cannot set a message id. */
function withId(body: Buffer, id: string): Buffer {
  const isObject = body.subarray(0, 2).equals(Buffer.from('{"'));
  return isObject ? Buffer.concat([Buffer.from(`{"id":"${id}",`), body.subarray(1)]) : body;
}

/** Roughly: what RabbitMQ probably closes the channel or the connection for. */
function isRefused({ properties, headers: entries }: ForeignMessage, encoded: Buffer): boolean {
  const { deliveryMode = 2, userId, replyTo, expiration } = properties;
  const areCopied = entries.some(([name]) => ['CC', 'BCC'].includes(String(name)));
  const isOdd =
    userId !== undefined ||
    deliveryMode > 2 ||
    /^amq/.test(String(replyTo)) ||
    !/^\d{1,6}$/.test(String(expiration ?? '0'));
  return areCopied || isOdd || encoded.length > MAX_HEADER_BYTES;
}
