import { connect } from 'amqplib';
import { afterEach, beforeEach, expect, inject, test, vi } from 'vitest';
import { idOf, PipelineOnRabbitMq } from '../../../tests/kit/rabbitmq/pipeline-on-rabbitmq.ts';
import { HEADERS_UNDECODABLE } from '../../domain/sms/envelope.ts';
import type { Delivery } from '../../ports/delivery-source.ts';
import { surviveUndecodableHeaders } from './amqplib-internals.ts';

const servers = inject('servers');
let pipeline: PipelineOnRabbitMq;
beforeEach(async () => {
  pipeline = await PipelineOnRabbitMq.start(servers);
});
afterEach(async () => {
  expect(await pipeline.stop()).toBe(0);
});

test('a message whose headers nobody can decode is handed over all the same, and the next ones too', async () => {
  const received: Delivery[] = [];
  const consumer = pipeline.consumer('work');
  await pipeline.connect([consumer]);
  await publishRaw(headerFrame('odd-1', nestedTable(15_000)));
  await pipeline.fill('work', ['sms-1', 'sms-2']);
  consumer.start((delivery) => received.push(delivery));
  await vi.waitUntil(() => received.length === 3, { timeout: 120_000 });
  expect(received.map(idOf).sort()).toEqual(['odd-1', 'sms-1', 'sms-2']);
  const odd = received.find((delivery) => idOf(delivery) === 'odd-1')?.message;
  expect(odd?.headers).toEqual({ [HEADERS_UNDECODABLE]: true });
  expect([odd?.contentType, odd?.type, odd?.body.toString()]).toEqual(['text/plain', 'odd', 'hello']);
  expect(pipeline.log.count('away')).toBe(0);
});

// RabbitMQ turns most of them into one that amqplib knows, and passes some on as they are.
test('a field of a type that amqplib does not know is read as headers that cannot be decoded', async () => {
  const connection = await connect(servers.rabbitmqUrl);
  surviveUndecodableHeaders(connection);
  const reader = connection.connection as unknown as { rest: Buffer; recvFrame(): unknown };
  const heartbeat = frame(8, Buffer.alloc(0));
  reader.rest = Buffer.concat([frame(2, headerFrame('odd-1', fieldOfType('L'))), heartbeat]);
  expect(reader.recvFrame()).toMatchObject({
    fields: { headers: { [HEADERS_UNDECODABLE]: true }, messageId: 'odd-1', contentType: 'text/plain' },
  });
  expect(reader.rest).toEqual(heartbeat);
  await connection.close();
});

/** What no client library would write: frames by hand, on a channel of a real connection. */
async function publishRaw(header: Buffer): Promise<void> {
  const connection = await connect(servers.rabbitmqUrl);
  await connection.createChannel();
  const { stream } = connection.connection as unknown as { stream: { write(bytes: Buffer): void } };
  const publish = Buffer.concat([
    Buffer.from([0, 60, 0, 40, 0, 0]),
    shortText(pipeline.prefix),
    shortText('work'),
    Buffer.from([0]),
  ]);
  stream.write(Buffer.concat([frame(1, publish), frame(2, header), frame(3, Buffer.from('hello'))]));
  await connection.close();
}

function headerFrame(messageId: string, table: Buffer): Buffer {
  const start = Buffer.alloc(14);
  start.writeUInt16BE(60, 0);
  start.writeUInt32BE('hello'.length, 8);
  // Content type, headers, message id, type.
  start.writeUInt16BE(0x8000 | 0x2000 | 0x0080 | 0x0020, 12);
  return Buffer.concat([
    start,
    shortText('text/plain'),
    longBytes(table),
    shortText(messageId),
    shortText('odd'),
  ]);
}

function nestedTable(depth: number): Buffer {
  const levels: Buffer[] = [];
  for (let level = depth; level > 0; level -= 1) {
    const head = Buffer.from([1, 97, 70, 0, 0, 0, 0]);
    head.writeUInt32BE((level - 1) * 7, 3);
    levels.push(head);
  }
  return Buffer.concat(levels);
}

/** The table of one field that is eight bytes long. */
function fieldOfType(type: string): Buffer {
  const value = Buffer.alloc(8);
  return Buffer.concat([shortText('a'), Buffer.from(type), value]);
}

function frame(type: number, payload: Buffer): Buffer {
  const head = Buffer.from([type, 0, 1, 0, 0, 0, 0]);
  head.writeUInt32BE(payload.length, 3);
  return Buffer.concat([head, payload, Buffer.from([206])]);
}

function shortText(text: string): Buffer {
  return Buffer.concat([Buffer.from([text.length]), Buffer.from(text)]);
}

function longBytes(bytes: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}
