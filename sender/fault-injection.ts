/**
 * Faults that the tests of Redial put into a sender: death exactly at a named point, and safeguards switched off, so
 * that a test can see what each of them is good for. All of it stands around the ports, nothing in the pipeline
 * itself, and nothing happens unless the environment names it:
 *
 *   REDIAL_CRASH_POINT=object-stored     dies the first time the point is reached; object-stored:3 the third time
 *   REDIAL_POISON=demo-000007            dies whenever this SMS is given to the gateway
 *   REDIAL_SAFEGUARDS_OFF=confirm,put    see SAFEGUARDS
 */
import type { OutgoingMessage } from '../shared/domain/message.ts';
import { RUNS_PREFIX } from '../shared/domain/outcome-object.ts';
import { ROUTING_KEYS, type Topology } from '../shared/domain/topology.ts';
import { ConfigurationError } from '../shared/errors.ts';
import type {
  CounterStore,
  Delivery,
  DeliverySource,
  Gateway,
  ObjectStore,
  Publisher,
} from '../shared/ports.ts';

/** Where a sender can die, in the order in which an SMS passes them. */
export const CRASH_POINTS = [
  'gateway-answered',
  'retry-confirmed',
  'journal-confirmed',
  'before-acknowledgement',
  'after-acknowledgement',
  'outcomes-claimed',
  'before-object',
  'object-stored',
  'outcomes-settled',
  'before-journal-acknowledgement',
  'after-journal-acknowledgement',
  'counters-half-rebuilt',
] as const;
export type CrashPoint = (typeof CRASH_POINTS)[number];

/**
 * What keeps SMS from being lost or counted twice, by the name under which it is switched off:
 * - mandatory: what no queue takes is returned, instead of confirmed and dropped
 * - confirm: a retry is confirmed before its delivery is acknowledged
 * - journal: an attempt is in the journal before its delivery is acknowledged
 * - put: outcomes are in S3 before their journal messages are acknowledged
 * - count-once: an attempt that is told again is not counted again
 * - at-least-once: the broker keeps a message until its dead-letter target has it
 */
export const SAFEGUARDS = ['mandatory', 'confirm', 'journal', 'put', 'count-once', 'at-least-once'] as const;
export type Safeguard = (typeof SAFEGUARDS)[number];

export interface InjectedFaults {
  readonly crashPoint?: { readonly name: CrashPoint; readonly passage: number };
  /** Id of an SMS that ends the process at each start. */
  readonly poison?: string;
  readonly safeguardsOff: ReadonlySet<Safeguard>;
}

/** @throws ConfigurationError for a name that does not exist: a test that injects nothing would prove nothing */
export function readInjectedFaults(
  environment: Readonly<Record<string, string | undefined>>,
): InjectedFaults {
  const [name = '', passage = '1'] = (environment.REDIAL_CRASH_POINT ?? '').split(':');
  const names = (environment.REDIAL_SAFEGUARDS_OFF ?? '').split(',').filter((each) => each !== '');
  const problems = [
    ...(name === '' || CRASH_POINTS.some((each) => each === name)
      ? []
      : [`REDIAL_CRASH_POINT must be one of ${CRASH_POINTS.join(', ')}, got "${name}"`]),
    ...(/^[1-9]\d*$/.test(passage) ? [] : [`REDIAL_CRASH_POINT must end with a number, got "${passage}"`]),
    ...names
      .filter((each) => !SAFEGUARDS.some((safeguard) => safeguard === each))
      .map((each) => `REDIAL_SAFEGUARDS_OFF must name ${SAFEGUARDS.join(', ')}, got "${each}"`),
  ];
  if (problems.length > 0) throw new ConfigurationError(problems);
  return {
    ...(name === '' ? {} : { crashPoint: { name: name as CrashPoint, passage: Number(passage) } }),
    ...(environment.REDIAL_POISON ? { poison: environment.REDIAL_POISON } : {}),
    safeguardsOff: new Set(names as Safeguard[]),
  };
}

export function areInjected({ crashPoint, poison, safeguardsOff }: InjectedFaults): boolean {
  return crashPoint !== undefined || poison !== undefined || safeguardsOff.size > 0;
}

/** The ports of a sender that faults can stand around. */
export interface FaultyPorts {
  readonly gateway: Gateway;
  readonly publisher: Publisher;
  readonly laneSources: readonly DeliverySource[];
  readonly journalSource: DeliverySource;
  readonly counters: CounterStore;
  readonly objects: ObjectStore;
}

/** The ports as they are, or with the faults around them. @param crash ends the process at once */
export function injectFaults<Ports extends FaultyPorts>(
  ports: Ports,
  faults: InjectedFaults,
  crash: () => void,
): Ports {
  if (!areInjected(faults)) return ports;
  const pass = passagesTo(faults, crash);
  const isOff = (safeguard: Safeguard) => faults.safeguardsOff.has(safeguard);
  return {
    ...ports,
    gateway: aroundGateway(ports.gateway, pass, (smsId) => smsId === faults.poison && crash()),
    publisher: aroundPublisher(ports.publisher, pass, isOff),
    laneSources: ports.laneSources.map((source) =>
      aroundSource(source, pass, ['before-acknowledgement', 'after-acknowledgement']),
    ),
    journalSource: aroundSource(ports.journalSource, pass, [
      'before-journal-acknowledgement',
      'after-journal-acknowledgement',
    ]),
    counters: aroundCounters(ports.counters, pass),
    objects: aroundObjects(ports.objects, pass, isOff),
  };
}

/** The topology as it is, or with dead-lettering as the broker does it by default. */
export function weakenTopology(topology: Topology, { safeguardsOff }: InjectedFaults): Topology {
  if (!safeguardsOff.has('at-least-once')) return topology;
  return {
    ...topology,
    queues: topology.queues.map((queue) => {
      if (!queue.routingKey.startsWith('retry.')) return queue;
      const { 'x-dead-letter-strategy': _, ...others } = queue.arguments;
      return { ...queue, arguments: others };
    }),
  };
}

type Pass = (point: CrashPoint) => void;

function passagesTo({ crashPoint }: InjectedFaults, crash: () => void): Pass {
  let passages = 0;
  return (point) => {
    if (point !== crashPoint?.name) return;
    passages += 1;
    if (passages === crashPoint.passage) crash();
  };
}

function aroundGateway(gateway: Gateway, pass: Pass, taste: (smsId: string) => void): Gateway {
  return {
    async send(sms, attempt) {
      taste(sms.id);
      const result = await gateway.send(sms, attempt);
      pass('gateway-answered');
      return result;
    },
    close: () => gateway.close(),
  };
}

function aroundPublisher(
  publisher: Publisher,
  pass: Pass,
  isOff: (safeguard: Safeguard) => boolean,
): Publisher {
  const publish = async (message: OutgoingMessage, isJournal: boolean) => {
    await publisher.publish(message);
    pass(isJournal ? 'journal-confirmed' : 'retry-confirmed');
  };
  return {
    publish(message) {
      const isJournal = message.routingKey === ROUTING_KEYS.journal;
      const published = publish(message, isJournal);
      if (!isOff(isJournal ? 'journal' : 'confirm')) return published;
      published.catch(() => {});
      return Promise.resolve();
    },
  };
}

function aroundSource(
  source: DeliverySource,
  pass: Pass,
  [before, after]: readonly [CrashPoint, CrashPoint],
): DeliverySource {
  const around = (delivery: Delivery): Delivery => ({
    message: delivery.message,
    isLive: () => delivery.isLive(),
    acknowledge() {
      pass(before);
      delivery.acknowledge();
      // Acknowledgements leave at the end of the turn of the event loop, those of the next turn after them.
      setImmediate(() => setImmediate(() => pass(after)));
    },
    reject: () => delivery.reject(),
  });
  return {
    start: (onDelivery) => source.start((delivery) => onDelivery(around(delivery))),
    cancel: () => source.cancel(),
    release: () => source.release(),
  };
}

function aroundCounters(counters: CounterStore, pass: Pass): CounterStore {
  return {
    async record(entries) {
      const answers = await counters.record(entries);
      if (entries.some(({ kind }) => kind === 'outcome')) pass('outcomes-claimed');
      return answers;
    },
    async settle(objectId, smsIds) {
      const strangers = await counters.settle(objectId, smsIds);
      pass('outcomes-settled');
      return strangers;
    },
    async rebuildOutcomes(objectId, outcomes) {
      await counters.rebuildOutcomes(objectId, outcomes);
      pass('counters-half-rebuilt');
    },
    restore: (objectId, outcomes) => counters.restore(objectId, outcomes),
    beat: (isRecording, trouble) => counters.beat(isRecording, trouble),
    abandon: (objectId, smsIds) => counters.abandon(objectId, smsIds),
    tidy: () => counters.tidy(),
    leave: () => counters.leave(),
    keepTimeMs: counters.keepTimeMs,
    beginRebuild: () => counters.beginRebuild(),
    prolongRebuild: () => counters.prolongRebuild(),
    abandonRebuild: () => counters.abandonRebuild(),
    rebuildSums: (sums) => counters.rebuildSums(sums),
    rebuildAnnouncement: (announcement) => counters.rebuildAnnouncement(announcement),
    endRebuild: () => counters.endRebuild(),
  };
}

function aroundObjects(
  objects: ObjectStore,
  pass: Pass,
  isOff: (safeguard: Safeguard) => boolean,
): ObjectStore {
  const put = async (key: string, body: Buffer) => {
    const isAnnouncement = key.startsWith(`${RUNS_PREFIX}/`);
    if (!isAnnouncement) pass('before-object');
    await objects.put(key, body);
    if (!isAnnouncement) pass('object-stored');
  };
  return {
    put(key, body) {
      const stored = put(key, body);
      if (!isOff('put')) return stored;
      stored.catch(() => {});
      return Promise.resolve();
    },
    get: (key) => objects.get(key),
    list: (prefix, after) => objects.list(prefix, after),
  };
}
