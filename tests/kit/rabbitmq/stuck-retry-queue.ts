import { encodeBody, encodeEnvelope } from '../../../shared/domain/sms/envelope.ts';
import type { OutgoingMessage } from '../../../shared/domain/sms/message.ts';
import { internalExchangeOf, ROUTING_KEYS, topologyOf } from '../../../shared/domain/topology/topology.ts';
import type { ManagementApi } from './management-api.ts';

/** Declares a retry queue without a TTL, as another program might do: nothing ever comes out of it. */
export async function declareWithoutTtl(
  api: ManagementApi,
  prefix: string,
  routingKey = 'retry.1.5s',
): Promise<string> {
  const name = `${prefix}.${routingKey}`;
  const retry = topologyOf(prefix, [5_000]).queues.find((each) => each.name === `${prefix}.retry.1.5s`);
  const { 'x-message-ttl': _, ...args } = retry?.arguments ?? {};
  await api.call('PUT', `queues/%2F/${name}`, { durable: true, arguments: args });
  await api.call('POST', `bindings/%2F/e/${internalExchangeOf(prefix)}/q/${name}`, {
    routing_key: routingKey,
  });
  return name;
}

/** Deletes the binding of the due queue: what expires from now on has nowhere to go. */
export function unbindDue(api: ManagementApi, prefix: string): Promise<void> {
  return api.deleteBinding(internalExchangeOf(prefix), `${prefix}.${ROUTING_KEYS.due}`, ROUTING_KEYS.due);
}

/** An SMS after its first attempt, as it lies in a retry queue. @param notBeforeMs undefined from foreign clients */
export function waitingSms(
  id: string,
  notBeforeMs: number | undefined,
  routingKey = 'retry.1.5s',
): OutgoingMessage {
  const sms = { id, run: 'demo', to: '+15550100001', text: 'Hello' };
  const attempt = {
    attempt: 1,
    startedAt: '2026-11-22T10:00:00.000Z',
    tookMs: 5,
    result: 'failed' as const,
    reason: 'timeout',
  };
  return encodeEnvelope(
    {
      sms,
      body: encodeBody(sms),
      attempt: 2,
      acceptedAtMs: 1_700_000_000_000,
      notBeforeMs,
      expiresAtMs: undefined,
      priority: undefined,
      traceparent: undefined,
      redriveOf: undefined,
      history: [attempt],
      foreignHeaders: { tenant: 'a' },
    },
    routingKey,
  );
}

/** An SMS for tomorrow in a hold queue that should have let it go so many seconds ago. */
export function heldSms(id: string, pastSeconds: number, routingKey: string): OutgoingMessage {
  const nowMs = Date.now();
  const message = waitingSms(id, nowMs + 86_400_000, routingKey);
  return { ...message, headers: { ...message.headers, heldUntil: nowMs - pastSeconds * 1_000 } };
}
