/** The HTTP API: limits, authorization, problems, documentation, and its routes. */
import bearerAuth from '@fastify/bearer-auth';
import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import fastify, { type FastifyError, type FastifyInstance } from 'fastify';
import {
  jsonSchemaTransform,
  jsonSchemaTransformObject,
  validatorCompiler,
  type ZodTypeProvider,
} from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { Logger } from '../../shared/ports/logger.ts';
import { answerClientError, answerProblem, explain } from './explain-errors.ts';
import { Problem } from './problem.ts';
import { BODY_LIMIT_BYTES, HEADER_LIMIT_BYTES, limitBodies, readJsonStrictly } from './read-body.ts';
import { addBulkRoutes, type BulkRouteParts } from './routes/bulk.ts';
import { addDirectiveRoutes, type DirectiveParts } from './routes/directives.ts';
import { addMessageRoutes, type MessageParts } from './routes/messages.ts';
import { addStateRoutes, type StateParts } from './routes/state.ts';
import { addStoryRoutes, type StoryParts } from './routes/stories.ts';

/** The server as routes see it: schemas are types. */
export type TypedApi = ReturnType<typeof typed>;

export interface ApiOptions {
  /** Undefined: nobody is asked for one. */
  readonly token: string | undefined;
  readonly log: Logger;
  /** Where they are not the usual ones. */
  readonly patience?: Patience;
}

/** How long clients are waited for, in milliseconds. */
export interface Patience {
  /** For the head of a request. */
  readonly headMs: number;
  /** For a body that is read whole before it is looked at. */
  readonly bodyMs: number;
  /** For anything at all on a socket, however far its request has come. */
  readonly idleMs: number;
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What the OpenAPI document says of the body of a route that reads it itself. */
    readonly documentedBody?: z.ZodType;
  }
}

export type ApiParts = MessageParts & BulkRouteParts & StoryParts & DirectiveParts & StateParts;

const USUAL_PATIENCE: Patience = { headMs: 30_000, bodyMs: 30_000, idleMs: 60_000 };
/** How often heads are looked at that have not come whole. */
const LOOKS_PER_HEAD = 6;
/** Answered without a token: for load balancers, and for a browser that has yet to be given one. They tell nothing of the pipeline. */
const OPEN_ROUTES = /^\/(healthz|readyz|openapi\.json|docs(\/.*)?)$/;

/** Nothing listens yet. */
export async function createApi(options: ApiOptions, parts: ApiParts): Promise<FastifyInstance> {
  const { headMs, bodyMs, idleMs } = options.patience ?? USUAL_PATIENCE;
  const app = fastify({
    bodyLimit: BODY_LIMIT_BYTES,
    connectionTimeout: idleMs,
    keepAliveTimeout: idleMs,
    http: {
      maxHeaderSize: HEADER_LIMIT_BYTES,
      headersTimeout: headMs,
      requestTimeout: 0,
      connectionsCheckingInterval: headMs / LOOKS_PER_HEAD,
    },
    routerOptions: { maxParamLength: 256 },
    forceCloseConnections: 'idle',
    // The intake refuses what comes while the process ends, in words of ours.
    return503OnClosing: false,
    frameworkErrors: (error, _, reply) => void answerProblem(reply, explain(error, options.log)),
    clientErrorHandler: answerClientError,
  });
  readJsonStrictly(app);
  limitBodies(app, bodyMs);
  app.setValidatorCompiler(validatorCompiler);
  // What an answer holds is checked by its type, and in tests against the OpenAPI document: to check each costs 40 µs.
  app.setSerializerCompiler(() => JSON.stringify);
  app.setErrorHandler((error: FastifyError, _, reply) => answerProblem(reply, explain(error, options.log)));
  app.setNotFoundHandler(({ method }, reply) =>
    answerProblem(
      reply,
      new Problem('no-such-route', `${method} is not answered here; GET /docs tells what is`),
    ),
  );
  parts.metrics.watch(app);
  await addToken(app, options.token);
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Redial',
        version: '1',
        description: 'Sends SMS, retries what fails, and tells what became of each.',
      },
      ...(options.token === undefined
        ? {}
        : {
            components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
            security: [{ token: [] }],
          }),
    },
    transform: (documented) => {
      const { schema, url } = jsonSchemaTransform(documented);
      const { documentedBody } = documented.route.config ?? {};
      return {
        schema: documentedBody === undefined ? schema : { ...schema, body: inputOf(documentedBody) },
        url,
      };
    },
    transformObject: jsonSchemaTransformObject,
  });
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    staticCSP: true,
    // Its own page sets styles, and over plain HTTP a browser must not be sent to HTTPS.
    transformStaticCSP: (header) =>
      header
        .replace(/upgrade-insecure-requests;?/, '')
        .replace("style-src 'self'", "style-src 'self' 'unsafe-inline'"),
  });
  const routes = typed(app);
  routes.get('/openapi.json', { schema: { hide: true } }, () => app.swagger());
  addMessageRoutes(routes, parts);
  addBulkRoutes(routes, parts);
  addStoryRoutes(routes, parts);
  addDirectiveRoutes(routes, parts);
  addStateRoutes(routes, parts);
  return app;
}

/** As JSON schema, where a route reads its body itself. */
function inputOf(schema: z.ZodType): object {
  const { $schema: _, ...body } = z.toJSONSchema(schema, { io: 'input', target: 'draft-2020-12' });
  return body;
}

function typed(app: FastifyInstance) {
  return app.withTypeProvider<ZodTypeProvider>();
}

async function addToken(app: FastifyInstance, token: string | undefined): Promise<void> {
  if (token === undefined) return;
  await app.register(bearerAuth, { keys: new Set([token]), addHook: false });
  app.addHook('onRequest', (request, reply, done) => {
    if (OPEN_ROUTES.test(request.routeOptions.url ?? '')) return done();
    // The name of the scheme may be written either way.
    const { headers } = request;
    if (headers.authorization !== undefined)
      headers.authorization = headers.authorization.replace(/^bearer /i, 'Bearer ');
    app.verifyBearerAuth?.(request, reply, done);
  });
}
