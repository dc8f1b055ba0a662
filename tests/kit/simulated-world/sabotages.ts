/** Each sabotage takes one safeguard away. The simulated worlds must notice every one of them. */
import type { Journal } from '../../../sender/recording/journal.ts';
import { HOLD_DELAYS_MS, holdRoutingKey } from '../../../shared/domain/topology/topology.ts';
import { ServerUnavailableError } from '../../../shared/errors.ts';
import { NO_DIRECTIVES } from '../../../shared/pipeline/attempt/directives.ts';
import type { CounterEntry, CounterStore } from '../../../shared/ports/counter-store.ts';
import type { ObjectStore } from '../../../shared/ports/object-store.ts';
import type { Publisher } from '../../../shared/ports/publisher.ts';
import { intercepted } from '../intercepted.ts';
import type { Sabotage } from './faulty-world.ts';

/** Says that all went well before it has, and does not look back. */
function hasty<Port extends object>(port: Port, names: readonly string[]): Port {
  return intercepted(port, async (name, run) => {
    if (!names.includes(name)) return run();
    run().catch(() => {});
    return undefined;
  });
}

/** Lets the counters forget which attempts they counted, right before each call. */
const forgetsAttempts: Sabotage = (ports, { world }) => ({
  ...ports,
  counters: intercepted(ports.counters, (_, run) => {
    for (const sms of world.counters.memory.sms.values()) if (sms.phase === 'p') sms.attempts = '';
    return run();
  }),
});

/** Believes that an outcome is its own, whoever has claimed it. */
const grantsEveryClaim: Sabotage = (ports) => ({
  ...ports,
  counters: changingAnswers(ports.counters, () => ({ kind: 'claimed' })),
});

/** Takes every owner of a claim for dead. */
const seesNobodyAlive: Sabotage = (ports) => ({
  ...ports,
  counters: changingAnswers(ports.counters, (answer) => ({ ...answer, isOwnerAlive: false })),
});

/** Takes a claim over without a look into the object it names. */
const readsNoObject: Sabotage = (ports) => ({
  ...ports,
  objects: { ...ports.objects, get: async () => undefined } satisfies ObjectStore,
});

/** Takes what S3 refuses for stored, and goes on. */
const dropsWhatIsRefused: Sabotage = (ports) => ({
  ...ports,
  objects: {
    ...ports.objects,
    put: (key, body) =>
      ports.objects.put(key, body).catch((error: unknown) => {
        if (!(error instanceof ServerUnavailableError) || !error.isRefusal) throw error;
      }),
  } satisfies ObjectStore,
});

/** Parks what S3 refuses, and says that it is being written. */
const keepsItsClaims: Sabotage = (ports) => ({
  ...ports,
  counters: intercepted(ports.counters, async (name, run) => (name === 'abandon' ? undefined : run())),
});

/** Tells the counters nothing of the histories that outcomes bring. */
const tellsNoHistory: Sabotage = (ports) => ({
  ...ports,
  counters: intercepted(ports.counters, (name, run, args) => {
    if (name !== 'record') return run();
    const entries = args[0] as readonly CounterEntry[];
    return ports.counters.record(
      entries.map((entry) =>
        entry.kind === 'outcome' ? { ...entry, outcome: { ...entry.outcome, attempts: [] } } : entry,
      ),
    );
  }),
});

/** A carrier that does not recognise a repeated attempt. */
const gatewayWithMoods: Sabotage = (ports, { sends }) => ({
  ...ports,
  gateway: {
    send: (sms, attempt) => ports.gateway.send({ ...sms, id: `${sms.id}${sends.length}` }, attempt),
    close: () => ports.gateway.close(),
  },
});

/** Publishes without that header. */
const forgetsHeader =
  (name: string): Sabotage =>
  (ports) => ({
    ...ports,
    publisher: {
      publish(message) {
        const { [name]: _, ...headers } = message.headers;
        return ports.publisher.publish({ ...message, headers });
      },
    },
  });

/** Spends an attempt where the carrier takes nothing. */
const failsWhatIsThrottled: Sabotage = (ports) => ({
  ...ports,
  gateway: {
    async send(sms, attempt) {
      const result = await ports.gateway.send(sms, attempt);
      if (result.kind !== 'throttled') return result;
      return { kind: 'failed', reason: 'carrier busy', isPermanent: false };
    },
    close: () => ports.gateway.close(),
  },
});

/** Waits in a much longer hold queue. */
const holdsTooLong: Sabotage = (ports) => ({
  ...ports,
  publisher: {
    publish(message) {
      const index = HOLD_DELAYS_MS.findIndex((delayMs) => holdRoutingKey(delayMs) === message.routingKey);
      const longerMs = index < 0 ? undefined : HOLD_DELAYS_MS[index + 2];
      const routingKey = longerMs === undefined ? message.routingKey : holdRoutingKey(longerMs);
      return ports.publisher.publish({ ...message, routingKey });
    },
  },
});

/** Takes an event for confirmed as soon as it is published. */
const trustsEvents: Sabotage = (ports) => {
  const { events } = ports;
  if (events === undefined) return ports;
  const publishThen: typeof events.publishThen = (message, onSettled) => {
    events.publishThen(message, () => {});
    onSettled(undefined);
  };
  return { ...ports, events: { ...events, publishThen } };
};

/** Takes an outcome that is stored already for one whose event is published. */
const tellsOnlyWhatItStores: Sabotage = (ports) => ({
  ...ports,
  counters: changingAnswers(ports.counters, (answer) =>
    'kind' in answer && answer.kind === 'recorded' ? { kind: 'recorded otherwise' } : answer,
  ),
});

export const SABOTAGES: Readonly<Record<string, Sabotage>> = {
  'a publisher that says confirmed before it is': (ports) => ({
    ...ports,
    publisher: hasty<Publisher>(ports.publisher, ['publish']),
  }),
  'a journal that confirms at once': (ports) => ({
    ...ports,
    journal: intercepted(hasty<Journal>(ports.journal, ['append']), (name, run, [line, onSettled]) => {
      if (name !== 'appendThen') return run();
      ports.journal.appendThen(String(line), () => {});
      (onSettled as (error: unknown) => void)(undefined);
      return Promise.resolve();
    }),
  }),
  'an object store that answers before it has put, so that messages are acknowledged too early': (ports) => ({
    ...ports,
    objects: hasty<ObjectStore>(ports.objects, ['put']),
  }),
  'counters that are believed to have settled before they have': (ports) => ({
    ...ports,
    counters: intercepted(ports.counters, async (name, run) => {
      if (name !== 'settle') return run();
      run().catch(() => {});
      return [];
    }),
  }),
  'counters that count an attempt each time it is told': forgetsAttempts,
  'counters that do not hear of histories': tellsNoHistory,
  'a recorder that takes every claim for granted': grantsEveryClaim,
  'a recorder that takes everybody else for dead': seesNobodyAlive,
  'a recorder that takes claims over without reading what was stored': readsNoObject,
  'a recorder that drops what S3 refuses': dropsWhatIsRefused,
  'a recorder that keeps its claims on what it has parked': keepsItsClaims,
  'a recorder that does not wait for the confirms of events': trustsEvents,
  'a recorder that publishes no event of what another one has stored': tellsOnlyWhatItStores,
  'a gateway that answers an attempt differently each time': gatewayWithMoods,
  'a sender that spends an attempt where the carrier takes nothing': failsWhatIsThrottled,
  'a sender that forgets what an SMS waits for': forgetsHeader('notBefore'),
  'a sender that forgets when an SMS expires': forgetsHeader('expiresAt'),
  'a sender that holds SMS in too long a queue': holdsTooLong,
  'a sender that hears of no directive': (ports) => ({ ...ports, directives: NO_DIRECTIVES }),
};

function changingAnswers(counters: CounterStore, change: (answer: object) => object): CounterStore {
  return intercepted(counters, async (name, run) => {
    const answer = await run();
    return name === 'record' ? (answer as readonly object[]).map(change) : answer;
  });
}
