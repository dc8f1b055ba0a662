/**
 * Faults that tests put into a sender: death exactly at a named point, and safeguards switched off, so that a test can see
 * what each of them is good for. All of it stands around the ports, nothing in the pipeline itself. The environment names it:
 *
 *   REDIAL_CRASH_POINT=object-stored     dies the first time the point is reached; object-stored:3 the third time
 *   REDIAL_POISON=demo-000007            dies whenever this SMS is given to the gateway
 *   REDIAL_SAFEGUARDS_OFF=confirm,put    see SAFEGUARDS
 *   REDIAL_THROTTLED=0.2                 the carrier refuses that share of the attempts, mostly for a second or two
 *   REDIAL_CLOCK_STEPS=1500              so many ms pass between steps of its clock: 5 s on, back, 5 s back, on
 */

import type { Seam } from '../../../sender/compose.ts';
import type { SenderPorts } from '../../../sender/pipeline.ts';
import { RUNS_PREFIX } from '../../../shared/domain/outcome/outcome-object.ts';
import { ROUTING_KEYS, type Topology } from '../../../shared/domain/topology/topology.ts';
import { ConfigurationError, UnroutableError } from '../../../shared/errors.ts';
import type { Clock } from '../../../shared/ports/clock.ts';
import type { CounterEntry, CounterStore } from '../../../shared/ports/counter-store.ts';
import type { Delivery, DeliverySource } from '../../../shared/ports/delivery-source.ts';
import type { Gateway } from '../../../shared/ports/gateway.ts';
import type { ObjectStore } from '../../../shared/ports/object-store.ts';
import type { Publisher } from '../../../shared/ports/publisher.ts';

/** A sender with one of these in its environment must be this one: the product does not know them. */
export const FAULT_VARIABLES = [
  ...['REDIAL_CRASH_POINT', 'REDIAL_POISON', 'REDIAL_SAFEGUARDS_OFF'],
  ...['REDIAL_THROTTLED', 'REDIAL_CLOCK_STEPS'],
];

/** Where a sender can die, in the order in which an SMS passes them, and how often a run of 300 SMS passes it at least. */
export const CRASH_POINTS = {
  'gateway-answered': 250,
  'retry-confirmed': 60,
  'journal-confirmed': 40,
  'before-acknowledgement': 250,
  'after-acknowledgement': 250,
  'outcomes-claimed': 20,
  'before-object': 4,
  'object-stored': 4,
  'outcomes-settled': 4,
  'before-journal-acknowledgement': 20,
  'after-journal-acknowledgement': 20,
  'counters-half-rebuilt': 1,
};
type CrashPoint = keyof typeof CRASH_POINTS;

/**
 * What keeps SMS from being lost or counted twice, by the name under which it is switched off:
 * - mandatory: what no queue takes is returned, instead of confirmed and dropped
 * - confirm: a retry is confirmed before its delivery is acknowledged
 * - journal: an attempt is in the journal before its delivery is acknowledged
 * - put: outcomes are in S3 before their journal messages are acknowledged
 * - count-once: an attempt that is told again is not counted again
 * - at-least-once: the broker keeps a message until its dead-letter target has it
 */
const SAFEGUARDS = ['mandatory', 'confirm', 'journal', 'put', 'count-once', 'at-least-once'] as const;
export type Safeguard = (typeof SAFEGUARDS)[number];

type Pass = (point: CrashPoint) => void;
type IsOff = (safeguard: Safeguard) => boolean;

/**
 * Puts the faults that the environment names around a sender's ports. @param crash ends the process at once
 * @throws ConfigurationError for a name that does not exist and for none: a test that injects nothing would prove nothing
 */
export function seamWithFaults(
  environment: Readonly<Record<string, string | undefined>>,
  crash: () => void,
): Seam {
  const [crashPoint, poison, off, throttled, clockSteps] = FAULT_VARIABLES.map(
    (name) => environment[name] ?? '',
  );
  const [point = '', passage = '1'] = (crashPoint ?? '').split(':');
  const safeguardsOff = (off ?? '').split(',').filter((name) => name !== '');
  const others = [poison, throttled, clockSteps];
  requireFaults(
    point,
    passage,
    safeguardsOff,
    others.some((value) => value !== ''),
  );
  let passages = 0;
  const pass: Pass = (passed) => {
    if (passed !== point) return;
    passages += 1;
    if (passages === Number(passage)) crash();
  };
  const isOff: IsOff = (safeguard) => safeguardsOff.includes(safeguard);
  return {
    topology: (topology) => (isOff('at-least-once') ? withoutAtLeastOnce(topology) : topology),
    ports: (ports) => ({
      ...ports,
      gateway: throttling(
        aroundGateway(ports.gateway, pass, (smsId) => smsId === poison && crash()),
        Number(throttled),
        ports,
      ),
      clock: clockSteps === '' ? ports.clock : steppedClock(ports.clock, Number(clockSteps)),
      publisher: aroundPublisher(ports.publisher, pass, isOff),
      laneSources: ports.laneSources.map((source) =>
        aroundSource(source, pass, ['before-acknowledgement', 'after-acknowledgement']),
      ),
      journalSource: aroundSource(ports.journalSource, pass, [
        'before-journal-acknowledgement',
        'after-journal-acknowledgement',
      ]),
      counters: aroundCounters(ports.counters, pass, isOff),
      objects: aroundObjects(ports.objects, pass, isOff),
    }),
  };
}

function requireFaults(
  point: string,
  passage: string,
  safeguardsOff: readonly string[],
  hasOthers: boolean,
): void {
  const problems = safeguardsOff
    .filter((name) => !SAFEGUARDS.some((safeguard) => safeguard === name))
    .map((name) => `REDIAL_SAFEGUARDS_OFF must name ${SAFEGUARDS.join(', ')}, got "${name}"`);
  if (!/^[1-9]\d*$/.test(passage))
    problems.unshift(`REDIAL_CRASH_POINT must end with a number, got "${passage}"`);
  if (point !== '' && !(point in CRASH_POINTS))
    problems.unshift(
      `REDIAL_CRASH_POINT must be one of ${Object.keys(CRASH_POINTS).join(', ')}, got "${point}"`,
    );
  if (point === '' && safeguardsOff.length === 0 && !hasOthers)
    problems.push(`one of ${FAULT_VARIABLES.join(', ')} must be set`);
  if (problems.length > 0) throw new ConfigurationError(problems);
}

/** Retry queues that dead-letter as RabbitMQ does by default. */
function withoutAtLeastOnce(topology: Topology): Topology {
  const queues = topology.queues.map((queue) => {
    if (!queue.name.includes('.retry.')) return queue;
    const { 'x-dead-letter-strategy': _, ...others } = queue.arguments;
    return { ...queue, arguments: others };
  });
  return { ...topology, queues };
}

/** The same port, with some of its calls replaced. */
function replacing<Port extends object>(port: Port, calls: Partial<Port>): Port {
  return new Proxy(port, {
    get(target, name) {
      if (name in calls) return Reflect.get(calls, name);
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

function aroundGateway(gateway: Gateway, pass: Pass, taste: (smsId: string) => void): Gateway {
  return replacing(gateway, {
    async send(sms, attempt) {
      taste(sms.id);
      const result = await gateway.send(sms, attempt);
      pass('gateway-answered');
      return result;
    },
  });
}

function throttling(gateway: Gateway, share: number, { clock, log }: SenderPorts): Gateway {
  return replacing(gateway, {
    async send(sms, attempt) {
      if (Math.random() >= share) return gateway.send(sms, attempt);
      log.warn({}, 'the carrier takes nothing now');
      const untilMs = clock.nowMs() + 1_000 + Math.random() * 1_000;
      return Math.random() < 0.5 ? { kind: 'throttled' } : { kind: 'throttled', untilMs };
    },
  });
}

const STEP_MS = 5_000;
const OFFSETS_MS = [STEP_MS, 0, -STEP_MS, 0];

/** Stepped between two turns of the event loop, never within one. */
function steppedClock(clock: Clock, everyMs: number): Clock {
  let steps = 0;
  let offsetMs = 0;
  setInterval(() => {
    offsetMs = OFFSETS_MS[steps % OFFSETS_MS.length] ?? 0;
    steps += 1;
  }, everyMs).unref();
  return replacing(clock, { nowMs: () => clock.nowMs() + offsetMs });
}

function aroundPublisher(publisher: Publisher, pass: Pass, isOff: IsOff): Publisher {
  return {
    publish(message) {
      const isJournal = message.routingKey === ROUTING_KEYS.journal;
      const published = publisher
        .publish(message)
        .catch((error: unknown) => {
          // What is returned counts as confirmed, as it does where nothing is returned.
          if (!(isOff('mandatory') && error instanceof UnroutableError)) throw error;
        })
        .then(() => pass(isJournal ? 'journal-confirmed' : 'retry-confirmed'));
      return answeredEarly(published, isOff(isJournal ? 'journal' : 'confirm'));
    },
  };
}

/** An answer that does not wait for what it is about. */
function answeredEarly(done: Promise<void>, isEarly: boolean): Promise<void> {
  if (!isEarly) return done;
  done.catch(() => {});
  return Promise.resolve();
}

function aroundSource(
  source: DeliverySource,
  pass: Pass,
  [before, after]: readonly [CrashPoint, CrashPoint],
): DeliverySource {
  const around = (delivery: Delivery) =>
    replacing(delivery, {
      acknowledge() {
        pass(before);
        delivery.acknowledge();
        // Acknowledgements leave at the end of the turn of the event loop, those of the next turn after them.
        setImmediate(() => setImmediate(() => pass(after)));
      },
    });
  return replacing(source, {
    start: (onDelivery) => source.start((delivery) => onDelivery(around(delivery))),
  });
}

function aroundCounters(counters: CounterStore, pass: Pass, isOff: IsOff): CounterStore {
  const countAgain = toldAgainAsAnother();
  return replacing(counters, {
    async record(entries) {
      const answers = await counters.record(isOff('count-once') ? entries.map(countAgain) : entries);
      if (entries.some(({ kind }) => kind === 'outcome')) pass('outcomes-claimed');
      return answers;
    },
    async settle(objectId, smsIds, reasons) {
      const strangers = await counters.settle(objectId, smsIds, reasons);
      pass('outcomes-settled');
      return strangers;
    },
    async rebuildOutcomes(objectId, outcomes) {
      await counters.rebuildOutcomes(objectId, outcomes);
      pass('counters-half-rebuilt');
    },
  });
}

/** An attempt that is told again is told as that of another SMS: Redis counts it once more. */
function toldAgainAsAnother(): (entry: CounterEntry) => CounterEntry {
  const told = new Set<string>();
  let againCount = 0;
  return (entry) => {
    if (entry.kind !== 'attempt') return entry;
    const { smsId, attempt } = entry;
    if (told.size < told.add(`${smsId} ${attempt.attempt} ${attempt.startedAt}`).size) return entry;
    againCount += 1;
    return { ...entry, smsId: `${smsId}.again-${againCount}` };
  };
}

function aroundObjects(objects: ObjectStore, pass: Pass, isOff: IsOff): ObjectStore {
  const put = async (key: string, body: Buffer) => {
    const isAnnouncement = key.startsWith(`${RUNS_PREFIX}/`);
    if (!isAnnouncement) pass('before-object');
    await objects.put(key, body);
    if (!isAnnouncement) pass('object-stored');
  };
  return replacing(objects, { put: (key, body) => answeredEarly(put(key, body), isOff('put')) });
}
