import { context, ROOT_CONTEXT, SpanStatusCode, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { GatewayResult } from '../domain/outcome/attempt.ts';
import { type Traces, tracesOfProcess } from './traces.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const GIVEN = `00-${TRACE}-00f067aa0ba902b7-01`;
const exporter = new InMemorySpanExporter();

beforeEach(() => {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  trace.setGlobalTracerProvider(
    new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }),
  );
});
afterEach(() => {
  trace.disable();
  context.disable();
  exporter.reset();
});

function traces(): Traces {
  const found = tracesOfProcess();
  if (found === undefined) throw new Error('the SDK is not seen');
  return found;
}

/** The only span that has ended since the last look. */
function endedSpan() {
  const spans = exporter.getFinishedSpans();
  exporter.reset();
  const [span] = spans;
  if (span === undefined || spans.length > 1) throw new Error(`${spans.length} spans have ended`);
  return span;
}

function recordLine(smsId: string, traceparent?: string): Buffer {
  const at = '2026-11-22T10:00:00.000Z';
  const record = { smsId, run: 'demo', queue: 'sms', traceparent, status: 'sent', acceptedAt: at };
  return Buffer.from(JSON.stringify({ ...record, finishedAt: at, attempts: [] }));
}

test('without an SDK there is nothing that makes spans', () => {
  trace.disable();
  expect(tracesOfProcess()).toBeUndefined();
});

test('a publish is a child of what its client named, and the message names the publish', () => {
  const span = traces().send('a-1', GIVEN);
  span.end(undefined);
  const ended = endedSpan();
  expect(ended).toMatchObject({
    name: 'send',
    parentSpanContext: { traceId: TRACE, spanId: '00f067aa0ba902b7', isRemote: true },
    attributes: { 'messaging.message.id': 'a-1' },
    status: { code: SpanStatusCode.UNSET },
  });
  expect(span.traceparent).toBe(`00-${TRACE}-${ended.spanContext().spanId}-01`);
});

test('a publish within the span of a server is a child of that one, and one that fails says why', () => {
  const tracer = trace.getTracer('http');
  const server = tracer.startSpan('POST /messages', {}, ROOT_CONTEXT);
  const send = context.with(trace.setSpan(ROOT_CONTEXT, server), () => traces().send('a-1', GIVEN));
  send.end(new Error('+15550100001 was returned'));
  expect(endedSpan()).toMatchObject({
    parentSpanContext: { spanId: server.spanContext().spanId },
    status: { code: SpanStatusCode.ERROR, message: '+1555…0001 was returned' },
  });
});

test.each<[GatewayResult, object]>([
  [{ kind: 'sent' }, { code: SpanStatusCode.UNSET }],
  [
    { kind: 'failed', reason: 'no route to +15550100001', isPermanent: false },
    { code: SpanStatusCode.ERROR, message: 'no route to +1555…0001' },
  ],
  [{ kind: 'throttled' }, { code: SpanStatusCode.UNSET }],
])(
  'an attempt belongs to the trace of its message, and is linked to the publish: %j',
  async (result, status) => {
    let insideTraceId: string | undefined;
    const answer = await traces().attempt('a-1', 2, GIVEN, async () => {
      await Promise.resolve();
      insideTraceId = trace.getActiveSpan()?.spanContext().traceId;
      return result;
    });
    expect(answer).toBe(result);
    // What the gateway calls finds the attempt.
    expect(insideTraceId).toBe(TRACE);
    const span = endedSpan();
    expect(span).toMatchObject({
      name: 'attempt',
      attributes: { 'messaging.message.id': 'a-1', 'redial.attempt': 2, 'redial.result': result.kind },
      links: [{ context: { traceId: TRACE, spanId: '00f067aa0ba902b7' } }],
      status,
    });
    expect(span.spanContext().traceId).toBe(TRACE);
  },
);

test('an attempt of an SMS without a trace begins one, and a gateway that breaks ends it', async () => {
  const broken = () => Promise.reject(new Error('closed'));
  await expect(traces().attempt('a-1', 1, undefined, broken)).rejects.toThrow('closed');
  expect(endedSpan()).toMatchObject({
    parentSpanContext: undefined,
    links: [],
    status: { code: SpanStatusCode.ERROR },
  });
});

test('the record of an object is linked to the SMS in it that belong to a trace, and not to more than an SDK keeps', async () => {
  const lines = Array.from({ length: 300 }, (_, index) =>
    recordLine(`a-${index}`, index % 2 === 0 ? GIVEN : undefined),
  );
  await traces().record('sent', [...lines, Buffer.from('no JSON')], async () => {});
  const span = endedSpan();
  expect(span).toMatchObject({
    name: 'record',
    attributes: { 'redial.status': 'sent', 'redial.outcomes': 301 },
  });
  expect(span.links).toHaveLength(128);
  expect(span.droppedLinksCount).toBe(0);
  await traces().record('sent', lines.slice(1, 2), async () => {});
  expect(endedSpan().links).toEqual([]);
  await expect(traces().record('sent', [], () => Promise.reject(new Error('gone')))).rejects.toThrow('gone');
  expect(endedSpan().status).toEqual({ code: SpanStatusCode.ERROR, message: 'gone' });
});

test.each(['onStart', 'onEnd'] as const)(
  'what a span processor throws at %s changes nothing',
  async (when) => {
    const processor = {
      onStart() {},
      onEnd() {},
      forceFlush: async () => {},
      shutdown: async () => {},
      [when]() {
        throw new Error('a bug of somebody else');
      },
    };
    trace.disable();
    trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [processor] }));
    let sendCount = 0;
    const send = async (): Promise<GatewayResult> => {
      sendCount += 1;
      return { kind: 'sent' };
    };
    expect(await traces().attempt('a-1', 1, GIVEN, send)).toEqual({ kind: 'sent' });
    expect(sendCount).toBe(1);
    expect(() => traces().send('a-1', GIVEN).end(new Error('not confirmed'))).not.toThrow();
    let isStored = false;
    await traces().record('sent', [recordLine('a-1')], async () => {
      isStored = true;
    });
    expect(isStored).toBe(true);
  },
);
