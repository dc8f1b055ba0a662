/**
 * What the monitor shows can be true: of one moment, and of now. A run with failures is watched by a monitor that goes on
 * and by ones that look once, while a sender is killed, and each shown number is held against the queues as another
 * client sees them.
 */
import { type ChannelModel, connect } from 'amqplib';
import { afterEach, expect, inject, test } from 'vitest';
import { PipelineUnderTest, type Snapshot } from './kit/process/pipeline-under-test.ts';
import { waitFor } from './kit/wait-for.ts';

const SMS_COUNT = 4_000;
const SCHEDULE = { RETRY_SCHEDULE: '1s,2s', FAILURE_RATE: '0.5', MEAN_PROCESSING_TIME: '0.1' };
const RETRIES = [
  { attempt: 1, delaySeconds: 1, queue: 'retry.1.1s' },
  { attempt: 2, delaySeconds: 2, queue: 'retry.2.2s' },
];
const QUEUES = ['work', 'due', ...RETRIES.map(({ queue }) => queue)];
/** A snapshot tells when its queues were asked, and their answers take a moment on a busy machine. */
const MAX_ANSWER_MS = 1_500;

type Depths = Readonly<Record<string, number>>;
interface Probe {
  readonly fromMs: number;
  readonly toMs: number;
  readonly ready: Depths;
}

const servers = inject('servers');
let pipeline: PipelineUnderTest;
let connection: ChannelModel | undefined;
afterEach(async () => {
  await pipeline.end();
  await connection?.close();
});

/** Ready messages, asked for again and again by a client of its own until `isOver`. */
async function probe(isOver: () => boolean): Promise<Probe[]> {
  connection = await connect(servers.rabbitmqUrl);
  const channel = await connection.createChannel();
  const probes: Probe[] = [];
  while (!isOver()) {
    const fromMs = Date.now();
    const counts = QUEUES.map(async (queue): Promise<[string, number]> => {
      const { messageCount } = await channel.checkQueue(`${pipeline.queueName}.${queue}`);
      return [queue, messageCount];
    });
    probes.push({ ready: Object.fromEntries(await Promise.all(counts)), fromMs, toMs: Date.now() });
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return probes;
}

async function lookAgainAndAgain(isOver: () => boolean): Promise<Snapshot[]> {
  const snapshots: Snapshot[] = [];
  while (!isOver()) {
    const { stdout, stderr } = await pipeline.start('monitor', ['--once', '--json']).ended;
    if (stdout === '') throw new Error(`the monitor said nothing: ${stderr}`);
    snapshots.push(JSON.parse(stdout));
  }
  return snapshots;
}

function depthsOf({ queues }: Snapshot): Depths {
  const retries = RETRIES.map(({ attempt, delaySeconds, queue }): [string, number] => {
    const found = queues.retry.find(
      (retry) => retry.attempt === attempt && retry.delaySeconds === delaySeconds,
    );
    return [queue, found?.messages ?? 0];
  });
  return { work: queues.work, due: queues.due, ...Object.fromEntries(retries) };
}

/** What cannot be true in a snapshot. */
function impossibleIn(snapshot: Snapshot): string[] {
  const { accepted, sent, failed, parked, known, inProgress, senders, repeatedSends, problems } = snapshot;
  const waiting = Object.values(depthsOf(snapshot)).reduce((sum, depth) => sum + depth, 0);
  // What the killed sender had published and not acknowledged came again, and was sent again: two messages for one SMS.
  const isTold = problems.some((problem) => problem.startsWith(`${waiting - inProgress} SMS wait`));
  // While the producer publishes, its announcement is behind on a busy machine.
  const mostWaiting = inProgress + (isTold ? Math.max(repeatedSends, SMS_COUNT - accepted) : 0);
  return [
    ...(waiting > mostWaiting ? [`${waiting} wait of ${inProgress} in progress`] : []),
    ...(accepted !== sent + failed + parked + known + inProgress ? ['the books do not add up'] : []),
    ...(accepted > SMS_COUNT ? [`${accepted} accepted`] : []),
    ...(senders > 3 ? [`${senders} senders`] : []),
  ].map((what) => `${what}: ${JSON.stringify(snapshot)}`);
}

/** Depths that no other client has seen in the time before the snapshot. */
function untrueIn(snapshot: Snapshot, probes: readonly Probe[]): string[] {
  const atMs = Date.parse(snapshot.at);
  // The first one after it too: on a busy machine some time passes between two.
  const next = probes.findIndex(({ fromMs }) => fromMs > atMs);
  if (next === -1) return [];
  const oldestMs = atMs - snapshot.queues.asOfSeconds * 1_000 - MAX_ANSWER_MS;
  const around = probes.slice(0, next + 1).filter(({ toMs }) => toMs >= oldestMs);
  return Object.entries(depthsOf(snapshot)).flatMap(([queue, depth]) => {
    const seen = around.map(({ ready }) => ready[queue] ?? 0);
    // Between two looks it goes up and down as fast as it does from look to look.
    const step = Math.max(...seen.slice(1).map((depth, index) => Math.abs(depth - (seen[index] ?? depth))));
    const [least, most] = [Math.min(...seen) - step, Math.max(...seen) + step];
    return depth < least || depth > most
      ? [`${queue} ${depth}, seen ${least} to ${most} (${snapshot.at})`]
      : [];
  });
}

/** Numbers that only ever grow, and did not. */
function fallingIn(snapshots: readonly Snapshot[]): string[] {
  return snapshots.slice(1).flatMap((now, index) => {
    const before = snapshots[index] ?? now;
    const names = ['accepted', 'sent', 'failed', 'attempts'] as const;
    return names.flatMap((name) =>
      now[name] < before[name] ? [`${name} ${before[name]}, then ${now[name]}`] : [],
    );
  });
}

test('no number is shown that cannot be true, while a run with failures loses a sender', async () => {
  pipeline = new PipelineUnderTest(servers, 'true-numbers', SCHEDULE);
  const [victim] = await Promise.all([1, 2, 3].map(() => pipeline.startSender()));
  let isOver = false;
  const probing = probe(() => isOver);
  const looking = lookAgainAndAgain(() => isOver);
  const monitor = pipeline.start('monitor', ['--json', '--update-interval', '0.25']);
  const newest = () => JSON.parse(monitor.stdout.split('\n').at(-2) || '{}') as Partial<Snapshot>;
  await waitFor('the monitor to print a line', () => newest().at !== undefined);
  const producing = pipeline.produce(SMS_COUNT, 'demo');
  await waitFor('some SMS to be sent', () => (newest().sent ?? 0) > SMS_COUNT / 8);
  await victim?.stop('SIGKILL');
  await producing;
  await waitFor('all SMS to have their outcomes', () => {
    const { sent = 0, failed = 0 } = newest();
    return sent + failed === SMS_COUNT;
  });
  await waitFor('the killed sender to be counted out', () => newest().senders === 2);
  isOver = true;
  const [probes, looks] = await Promise.all([probing, looking]);
  const watched = monitor.stdout
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Snapshot);
  expect(watched.length).toBeGreaterThan(15);
  expect(looks.length).toBeGreaterThan(3);
  expect([...watched, ...looks].flatMap(impossibleIn)).toEqual([]);
  expect([...watched, ...looks].flatMap((snapshot) => untrueIn(snapshot, probes))).toEqual([]);
  expect([...fallingIn(watched), ...fallingIn(looks)]).toEqual([]);
});
