/**
 * Loaded before a process starts (`NODE_OPTIONS=--import=…`), as an SDK is: appends each span that ends as a line of JSON to
 * the file SPAN_FILE. A file that several processes append to holds whole lines.
 */
import { appendFileSync } from 'node:fs';
import { context, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { BasicTracerProvider, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base';

const file = process.env.SPAN_FILE ?? '';

/** @param {import('@opentelemetry/sdk-trace-base').ReadableSpan} span */
function lineOf(span) {
  const { name, attributes, links, parentSpanContext } = span;
  const { traceId, spanId } = span.spanContext();
  const linked = links.map((link) => link.context.spanId);
  return `${JSON.stringify({ name, traceId, spanId, parentSpanId: parentSpanContext?.spanId, linked, attributes })}\n`;
}

/** @type {import('@opentelemetry/sdk-trace-base').SpanExporter} */
const exporter = {
  export(spans, onDone) {
    for (const span of spans) appendFileSync(file, lineOf(span));
    onDone({ code: 0 });
  },
  shutdown: async () => {},
};

context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
trace.setGlobalTracerProvider(
  new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }),
);
