import { describe, expect, it } from 'vitest';
import { Access } from './access.ts';

const TOKEN = 'a-token-of-24-characters';
const marks = (given: Partial<{ authorization: string; cookie: string; host: string }>) => ({
  ...{ authorization: undefined, cookie: undefined, host: '127.0.0.1:9090' },
  ...given,
});

describe('with a token, the page', () => {
  const access = new Access(TOKEN);

  it('lets in who carries the token, or was given its cookie', () => {
    expect(access.judge(marks({ authorization: `Bearer ${TOKEN}` }))).toBe('allowed');
    const [cookie = ''] = access.cookie.split(';');
    expect(access.judge(marks({ cookie: `a=b; ${cookie}`, host: 'somewhere.example' }))).toBe('allowed');
    expect(access.isToken(TOKEN)).toBe(true);
  });

  it.each([
    {},
    { authorization: 'Bearer another' },
    { authorization: `Basic ${TOKEN}` },
    { authorization: 'Bearer ' },
    { cookie: `redial=${TOKEN}` },
    { cookie: 'redial=' },
    { host: 'localhost' },
  ])('lets nobody else in: %j', (given) => expect(access.judge(marks(given))).toBe('token needed'));

  it('gives a cookie that scripts cannot read, that stays here, and that does not hold the token', () => {
    expect(access.cookie).toMatch(/^redial=[0-9a-f]{64}; HttpOnly; SameSite=Strict; Path=\/$/);
    expect(access.cookie).not.toContain(TOKEN);
  });
});

describe('without a token, the page', () => {
  it.each(['localhost', 'localhost:9090', 'a.localhost:1', '127.0.0.1:9090', '[::1]:9090', '10.0.0.1'])(
    'answers to %s',
    (host) => expect(new Access(undefined).judge(marks({ host }))).toBe('allowed'),
  );

  it.each(['evil.example', 'evil.example:9090', 'localhost.evil.example', '', '127.0.0.1.evil.example'])(
    'does not answer to "%s": a page of others could lead there',
    (host) => expect(new Access(undefined).judge(marks({ host }))).toBe('strange host'),
  );

  it('has no token that one could know', () => expect(new Access(undefined).isToken('')).toBe(false));
});

it.each([
  ...(['monitor:9090', 'localhost:9090', '127.0.0.1', '[::1]:9090'] as const).map((host) => [
    host,
    'allowed',
  ]),
  ...(['redial.example', 'evil.example:9090', '[', ''] as const).map((host) => [host, 'strange host']),
])('where something else keeps others out, %s is %s', (host, judgement) => {
  expect(new Access(null).judge(marks({ host }))).toBe(judgement);
});
