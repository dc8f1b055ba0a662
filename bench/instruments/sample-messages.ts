import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'amqplib';
import type { Bench } from '../question.ts';
import { Pipeline } from './pipeline.ts';

/** A message of the producer as it lies in the queue. */
export interface SampleMessage {
  readonly routingKey: string;
  readonly type: string;
  readonly appId: string;
  readonly contentType: string;
  readonly timestamp: number;
  readonly headers: Record<string, unknown>;
  readonly bodyBase64: string;
}

const SAMPLE_COUNT = 1_000;

/** Takes messages that the producer has published, for a baseline to publish alike. @returns a file of them as JSON */
export async function takeSampleMessages(bench: Bench): Promise<string> {
  const pipeline = await Pipeline.open(bench, {});
  await pipeline.produce('sample', SAMPLE_COUNT);
  const connection = await connect(pipeline.servers.rabbitMq.amqpUrl);
  const channel = await connection.createChannel();
  const samples: SampleMessage[] = [];
  while (samples.length < SAMPLE_COUNT) {
    const message = await channel.get(pipeline.workQueue, { noAck: true });
    if (message === false) throw new Error(`the queue held only ${samples.length} messages`);
    const { type, appId, contentType, timestamp, headers } = message.properties;
    samples.push({
      routingKey: message.fields.routingKey,
      ...{ type, appId, contentType, timestamp, headers: headers ?? {} },
      bodyBase64: message.content.toString('base64'),
    });
  }
  await connection.close();
  await pipeline.close();
  const file = join(bench.folder, 'sample-messages.json');
  writeFileSync(file, JSON.stringify(samples));
  return file;
}
