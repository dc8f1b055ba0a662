/**
 * Sends the spans of a process to a collector: NODE_OPTIONS=--import=./deploy/observability/traces.js (docs/traces.md).
 * Where the collector is, what the service is called and how many traces are kept is told by the usual variables of
 * OpenTelemetry: OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_SERVICE_NAME, OTEL_TRACES_SAMPLER.
 */
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { defaultResource, detectResources, envDetector } from '@opentelemetry/resources';
import { BatchSpanProcessor, NodeTracerProvider } from '@opentelemetry/sdk-trace-node';

const provider = new NodeTracerProvider({
  resource: defaultResource().merge(detectResources({ detectors: [envDetector] })),
  spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter())],
});
provider.register();
// A command of Redial ends when nothing is left to do: what is not sent yet is sent then.
// A collector that is away takes nothing from what the command says with its exit code.
process.once('beforeExit', () =>
  provider.shutdown().catch((error) => console.error(`spans were not sent: ${error.message}`)),
);
