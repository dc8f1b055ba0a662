import { describe, expect, it } from 'vitest';
import { ManagementQueueReader } from './management-queues.ts';

interface Call {
  readonly url: URL;
  readonly authorization: string | null;
}

/** A reader whose management API answers with these pages, in turn. */
function readerOf(
  answers: readonly (() => Response | Promise<Response>)[],
  prefix = 'sms',
  otherUrls: readonly string[] = [],
) {
  const calls: Call[] = [];
  const reader = new ManagementQueueReader({
    url: 'http://rabbit:15672/base/',
    otherUrls,
    user: 'monitor',
    password: 'geheim',
    vhost: '/',
    prefix,
    timeoutMs: 200,
    fetch: async (url, init) => {
      calls.push({
        url: new URL(String(url)),
        authorization: new Headers(init?.headers).get('authorization'),
      });
      const answer = answers[calls.length - 1] ?? (() => new Response('', { status: 500 }));
      return answer();
    },
  });
  return { reader, calls };
}

function page(items: readonly object[], pageCount = 1): () => Response {
  return () => Response.json({ items, page_count: pageCount });
}

const account = {
  url: 'http://rabbit:15672',
  user: 'monitor',
  password: 'geheim',
  vhost: '/',
  prefix: 'sms',
};

const hangingFetch: typeof fetch = (_, init) =>
  new Promise((_, reject) => {
    init?.signal?.addEventListener('abort', () => reject(init.signal?.reason));
  });

const work = { name: 'sms.work', messages: 3, ready: 3 };

describe('the queues of the management API', () => {
  it('are asked for by virtual host and name, with the account', async () => {
    const { reader, calls } = readerOf([page([{ ...work, name: 'a.b.work' }])], 'a.b');
    expect(await reader.read()).toEqual({
      ...{ queues: [{ ...work, name: 'a.b.work' }], isComplete: true, readyAgeMs: 5_000 },
    });
    expect(calls[0]?.url.pathname).toBe('/base/api/queues/%2F');
    expect(calls[0]?.url.searchParams.get('name')).toMatch(/^\^a\\\.b\\\./);
    expect(calls[0]?.authorization).toBe(`Basic ${Buffer.from('monitor:geheim').toString('base64')}`);
  });

  it('tell what is on its way to a dead-letter target: neither ready nor unacknowledged', async () => {
    const counts = { messages: 9, messages_ready: 3, messages_unacknowledged: 1, messages_dlx: 5 };
    const { reader } = readerOf([page([{ ...work, ...counts }])]);
    expect((await reader.read()).queues).toEqual([{ ...work, messages: 9, ready: 3, deadLettering: 5 }]);
  });

  it('are read over all pages, each once', async () => {
    const due = { name: 'sms.due', messages: 1, ready: 1 };
    const { reader, calls } = readerOf([page([work], 2), page([due, work], 2)]);
    expect((await reader.read()).queues).toEqual([work, due]);
    expect(calls.map(({ url }) => url.searchParams.get('page'))).toEqual(['1', '2']);
  });

  it('are told by another node where one does not answer, which is asked first from then on', async () => {
    const nobody = () => Promise.reject(new TypeError('fetch failed', { cause: new Error('ECONNREFUSED') }));
    const { reader, calls } = readerOf([nobody, nobody, page([work]), page([work])], 'sms', [
      'http://two:1',
      'http://three:1',
    ]);
    expect((await reader.read()).queues).toEqual([work]);
    expect((await reader.read()).queues).toEqual([work]);
    expect(calls.map(({ url }) => url.hostname)).toEqual(['rabbit', 'two', 'three', 'three']);
  });

  it('hold 0 messages where the broker has no statistics yet', async () => {
    const { reader } = readerOf([page([{ name: 'sms.work' }, { name: 'sms.due', messages: null }])]);
    expect((await reader.read()).queues.map(({ messages }) => messages)).toEqual([0, 0]);
  });

  it('leave out those of other pipelines', async () => {
    const names = ['sms.retry.1.5s', 'sms.retry.work', 'sms.retry.1.soon', 'smsXwork', 'sms.other'];
    const { reader } = readerOf([page(names.map((name) => ({ name })))]);
    expect((await reader.read()).queues.map(({ name }) => name)).toEqual(['sms.retry.1.5s']);
  });

  it('are given up when the time has passed, and when nobody wants them any more', async () => {
    const hanging = { ...account, fetch: hangingFetch };
    const slow = new ManagementQueueReader({ ...hanging, timeoutMs: 20 });
    await expect(slow.read()).rejects.toMatchObject({
      message: expect.stringMatching(/no answer within 0.02 s/),
    });
    const closed = new ManagementQueueReader(hanging);
    const reading = closed.read();
    closed.close();
    await expect(reading).rejects.toMatchObject({ code: 'SERVER_UNREACHABLE' });
  });

  const failures: [string, () => Response | Promise<Response>, string, RegExp][] = [
    ['a wrong password', () => new Response('', { status: 401 }), 'SERVER_REFUSED', /refused us.*tag/],
    [
      'a missing virtual host',
      () => new Response('', { status: 404 }),
      'SERVER_REFUSED',
      /no virtual host "\/"/,
    ],
    [
      'a broker that starts',
      () => new Response('', { status: 503 }),
      'SERVER_UNREACHABLE',
      /HTTP status 503/,
    ],
    ['another server', () => new Response('<html>'), 'SERVER_UNREACHABLE', /not the one expected/],
    ['another JSON', () => Response.json([work]), 'SERVER_UNREACHABLE', /not the one expected/],
    [
      'nobody there',
      () => Promise.reject(new TypeError('fetch failed', { cause: new Error('ECONNREFUSED') })),
      'SERVER_UNREACHABLE',
      /did not answer: ECONNREFUSED/,
    ],
  ];
  it.each(failures)(
    'say in a sentence that there is %s, without the password',
    async (_, answer, code, message) => {
      const { reader } = readerOf([answer]);
      const error = await reader.read().catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code, message: expect.stringMatching(message) });
      expect(String(error)).not.toContain('geheim');
    },
  );
});
