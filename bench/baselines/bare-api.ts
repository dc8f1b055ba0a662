/**
 * bare-api.js PORT: what fastify and amqplib alone can do. One route takes a JSON body without judging it, publishes it to a
 * queue like the work queue, persistent and mandatory, and answers once it is confirmed.
 */
import { randomUUID } from 'node:crypto';
import fastify from 'fastify';
import { openWorkQueue } from './open-work-queue.ts';

const { channel, exchange, routingKey } = await openWorkQueue();

const app = fastify();
app.post('/messages', (request, reply) => {
  const id = randomUUID();
  const options = { persistent: true, mandatory: true, messageId: id, contentType: 'application/json' };
  channel.publish(
    exchange,
    routingKey,
    Buffer.from(JSON.stringify(request.body)),
    options,
    (error: unknown) => {
      void (error === null || error === undefined
        ? reply.code(202).send({ id })
        : reply.code(503).send({ id }));
    },
  );
});
await app.listen({ host: '127.0.0.1', port: Number(process.argv[2]) });
process.stdout.write('the bare API listens\n');
