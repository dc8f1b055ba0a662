/** The queues of a pipeline in the order in which an SMS goes through them: what waits where. */
import { formatDuration } from '../../../shared/domain/schedule/duration.ts';
import type { HoldDepth, QueueDepths, RetryDepth, Snapshot } from '../../../shared/domain/snapshot.ts';
import { holdRoutingKey, ROUTING_KEYS, retryRoutingKey } from '../../../shared/domain/topology/topology.ts';

export interface Rung {
  /** The routing key. `queueNameOf(QUEUE_NAME, key)` is the name of the queue in the management UI. */
  readonly key: string;
  readonly kind: 'lane' | 'retry' | 'hold' | 'books';
  /** Short: `work`, `retry 1`. */
  readonly name: string;
  /** What waits there, in a few words. */
  readonly label: string;
  /** Null while nobody has told us. */
  readonly messages: number | null;
}

/** Queues that nearly always are empty, and hold queues, are there only while something waits in them. */
export function ladderOf({ queues }: Pick<Snapshot, 'queues'>): Rung[] {
  const { high, work, low, due, retry, hold } = queues;
  return [
    rungOf('lane', ROUTING_KEYS.high, 'fresh SMS that go first', high),
    rungOf('lane', ROUTING_KEYS.work, 'fresh SMS', work),
    rungOf('lane', ROUTING_KEYS.low, 'fresh SMS that go last', low),
    rungOf('lane', ROUTING_KEYS.due, 'SMS whose wait is over', due),
    ...retry.map(retryRung),
    ...hold.filter(({ messages }) => messages > 0).map(holdRung),
    ...bookRungs(queues),
  ];
}

function bookRungs({ journal, later, deadLetters, parked }: QueueDepths): Rung[] {
  const rare = [
    rungOf('books', ROUTING_KEYS.later, 'journal for a newer version', later),
    rungOf('books', ROUTING_KEYS.deadLetters, 'what RabbitMQ took out of a queue', deadLetters),
  ];
  return [
    rungOf('books', ROUTING_KEYS.journal, 'results to be recorded', journal),
    ...rare.filter(({ messages }) => (messages ?? 0) > 0),
    rungOf('books', ROUTING_KEYS.parked, 'what could not be read', parked),
  ];
}

function rungOf(kind: Rung['kind'], key: string, label: string, messages: number | null): Rung {
  return { key, kind, name: key, label, messages };
}

function retryRung({ attempt, delaySeconds, messages }: RetryDepth): Rung {
  const delayMs = Math.round(delaySeconds * 1_000);
  return {
    key: retryRoutingKey(attempt, delayMs),
    kind: 'retry',
    name: `retry ${attempt}`,
    label: `wait ${formatDuration(delayMs)} after attempt ${attempt}`,
    messages,
  };
}

function holdRung({ delaySeconds, messages }: HoldDepth): Rung {
  const delayMs = Math.round(delaySeconds * 1_000);
  const delay = formatDuration(delayMs);
  return {
    key: holdRoutingKey(delayMs),
    kind: 'hold',
    name: `hold ${delay}`,
    label: `held until a moment, measured every ${delay}`,
    messages,
  };
}
