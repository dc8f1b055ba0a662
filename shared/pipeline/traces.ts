/**
 * Spans of what happens to an SMS, through the API of OpenTelemetry alone. Who wants them loads an SDK before the process
 * starts (docs/traces.md). Without an SDK there is no `Traces` at all, so an SMS makes no span and costs nothing.
 *
 *   send       API or producer: from the publish to the answer of RabbitMQ. Its context is the traceparent of the message
 *   attempt    sender: from the call of the gateway to its answer. It belongs to the trace of the message, and is linked to
 *              the span that published it
 *   record     recorder: from the put of an object to the end of its counting. It has many SMS, and is linked to some of them
 *
 * A span holds no phone number and no text of an SMS. Whatever an SDK throws is left alone: no SMS is sent again, and none is
 * lost, for a span.
 */
import {
  type Context,
  context,
  isSpanContextValid,
  type Link,
  ProxyTracerProvider,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import { type GatewayResult, readableReason } from '../domain/outcome/attempt.ts';
import type { OutcomeStatus } from '../domain/outcome/outcome.ts';
import { parseOutcomeLine } from '../domain/outcome/outcome-object.ts';
import { maskPhoneNumbersIn } from '../domain/sms/sms.ts';
import { readTraceparent } from '../domain/sms/traceparent.ts';
import { describeError } from '../errors.ts';

const TRACER = 'redial';
/** As many as an SDK keeps of a span, unless it is told otherwise. */
const MAX_LINKS = 128;

/** The publish of one SMS. */
export interface SendSpan {
  /** For the message; undefined where the SMS belongs to no trace. */
  readonly traceparent: string | undefined;
  /** Called once, when RabbitMQ has answered. */
  end(error: Error | undefined): void;
}

/** What makes spans in this process; undefined where no SDK was loaded before. */
export function tracesOfProcess(): Traces | undefined {
  const provider = trace.getTracerProvider();
  // Without an SDK it is the stand-in of the API, which has no tracers to hand on.
  const isStandIn =
    provider instanceof ProxyTracerProvider && provider.getDelegateTracer(TRACER) === undefined;
  return isStandIn ? undefined : new Traces(provider.getTracer(TRACER));
}

export class Traces {
  readonly #tracer: Tracer;

  constructor(tracer: Tracer) {
    this.#tracer = tracer;
  }

  /** @param traceparent as the client gave it; the span of a server that is active goes before */
  send(smsId: string, traceparent: string | undefined): SendSpan {
    const active = context.active();
    const parent = trace.getSpan(active) === undefined ? contextOf(traceparent) : active;
    const attributes = { 'messaging.system': 'rabbitmq', 'messaging.message.id': smsId };
    const options = { kind: SpanKind.PRODUCER, attributes };
    const span = quietly(() => this.#tracer.startSpan('send', options, parent));
    return {
      traceparent: (span && traceparentOf(span.spanContext())) ?? traceparent,
      end: (error) => end(span, error === undefined ? undefined : describeError(error)),
    };
  }

  /** Spans one call of the gateway, which finds the span in its context. */
  async attempt(
    smsId: string,
    attempt: number,
    traceparent: string | undefined,
    send: () => Promise<GatewayResult>,
  ): Promise<GatewayResult> {
    const parent = contextOf(traceparent);
    const attributes = { 'messaging.message.id': smsId, 'redial.attempt': attempt };
    const options = { kind: SpanKind.CONSUMER, attributes, links: linksTo(traceparent) };
    const span = quietly(() => this.#tracer.startSpan('attempt', options, parent));
    if (span === undefined) return send();
    try {
      const result = await context.with(trace.setSpan(parent, span), send);
      quietly(() => span.setAttribute('redial.result', result.kind));
      end(span, 'reason' in result ? readableReason(result.reason) : undefined);
      return result;
    } catch (error) {
      end(span, describeError(error));
      throw error;
    }
  }

  /** Spans the storing of an object. @param lines its records */
  async record(status: OutcomeStatus, lines: readonly Buffer[], store: () => Promise<void>): Promise<void> {
    const attributes = { 'redial.status': status, 'redial.outcomes': lines.length };
    const options = { attributes, links: linksOf(lines) };
    const span = quietly(() => this.#tracer.startSpan('record', options, ROOT_CONTEXT));
    if (span === undefined) return store();
    try {
      await context.with(trace.setSpan(ROOT_CONTEXT, span), store);
      end(span, undefined);
    } catch (error) {
      end(span, describeError(error));
      throw error;
    }
  }
}

/** @returns undefined where the SDK, or a processor that somebody gave it, throws */
function quietly<Result>(call: () => Result): Result | undefined {
  try {
    return call();
  } catch {
    return undefined;
  }
}

/** @param reason why it failed; undefined where it did not */
function end(span: Span | undefined, reason: string | undefined): void {
  quietly(() => {
    if (reason !== undefined)
      span?.setStatus({ code: SpanStatusCode.ERROR, message: maskPhoneNumbersIn(reason) });
    span?.end();
  });
}

function contextOf(traceparent: string | undefined): Context {
  const spanContext = spanContextOf(traceparent);
  return spanContext === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, spanContext);
}

function linksTo(traceparent: string | undefined): Link[] {
  const spanContext = spanContextOf(traceparent);
  return spanContext === undefined ? [] : [{ context: spanContext }];
}

function linksOf(lines: readonly Buffer[]): Link[] {
  const links: Link[] = [];
  for (const line of lines) {
    if (links.length >= MAX_LINKS) break;
    links.push(...linksTo(parseOutcomeLine(line.toString())?.traceparent));
  }
  return links;
}

function spanContextOf(traceparent: string | undefined): SpanContext | undefined {
  const [, traceId = '', spanId = '', flags = ''] = readTraceparent(traceparent)?.split('-') ?? [];
  return traceId === ''
    ? undefined
    : { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true };
}

function traceparentOf(spanContext: SpanContext): string | undefined {
  if (!isSpanContextValid(spanContext)) return undefined;
  const { traceId, spanId, traceFlags } = spanContext;
  return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`;
}
