import { expect, inject, test } from 'vitest';
import { findGivenServers } from './given-servers.ts';

const { rabbitmqUrl, redisUrl, s3Endpoint } = inject('servers');

test('addresses in the environment are taken when such a server answers there', async () => {
  const said: string[] = [];
  const environment = { RABBITMQ_URL: rabbitmqUrl, REDIS_URL: redisUrl, AWS_ENDPOINT_URL: s3Endpoint };
  const { addresses } = await findGivenServers(environment, (line) => said.push(line));
  expect(addresses).toEqual({
    rabbitmq: { RABBITMQ_URL: rabbitmqUrl },
    redis: { REDIS_URL: redisUrl },
    s3: { AWS_ENDPOINT_URL: s3Endpoint },
  });
  expect(said).toEqual([]);
});

test('the account of S3 belongs to its address, as those of the other servers do', async () => {
  const account = {
    AWS_ACCESS_KEY_ID: 'a',
    AWS_SECRET_ACCESS_KEY_FILE: import.meta.filename,
    AWS_REGION: 'eu-west-1',
  };
  const environment = { AWS_ENDPOINT_URL: s3Endpoint, ...account, AWS_SESSION_TOKEN: '' };
  const { addresses } = await findGivenServers(environment, () => {});
  expect(addresses.s3).toEqual({ AWS_ENDPOINT_URL: s3Endpoint, ...account });
});

test('a server of another kind, or none, is said and not taken; what is not named is no matter', async () => {
  const said: string[] = [];
  const environment = {
    RABBITMQ_URL: redisUrl.replace('redis:', 'amqp:'),
    REDIS_URL: 'rediss://127.0.0.1:9',
    AWS_SECRET_ACCESS_KEY: 'x',
    AWS_ACCESS_KEY_ID: 'x',
  };
  const { addresses } = await findGivenServers(environment, (line) => said.push(line));
  expect(addresses).toEqual({});
  expect(said).toEqual([
    'RABBITMQ_URL is set, but no RabbitMQ answers there; looking elsewhere.',
    'REDIS_URL is set, but no Redis answers there; looking elsewhere.',
  ]);
});
