/**
 * Forged messages and journal pages on real servers, in batches, good SMS among them. What must hold at the end of each
 * batch and of the run is told as a list of problems; none is what is wanted.
 */
import { connect } from 'amqplib';
import { sample } from 'fast-check';
import type { RedisCounterReader } from '../../shared/adapters/redis/counter-reader.ts';
import { decodeJournal } from '../../shared/domain/outcome/journal.ts';
import { smsIdOf } from '../../shared/domain/sms/sms.ts';
import { internalExchangeOf, queueNameOf, ROUTING_KEYS } from '../../shared/domain/topology/topology.ts';
import { Dice } from '../../shared/rehearsal/dice.ts';
import { PipelineUnderTest } from '../kit/process/pipeline-under-test.ts';
import { FEW_YOUNG_OBJECTS } from '../kit/process/processes-seen.ts';
import type { RunningProcess } from '../kit/process/running-process.ts';
import type { TestServers } from '../kit/process/test-servers.ts';
import { waitFor, waitUntil } from '../kit/wait-for.ts';
import { encodeProperties, field, table } from './amqp-encoding.ts';
import { type EncodedMessage, encodeForeign, foreignMessages } from './foreign-messages.ts';
import { encodePage, forgedPages, outcomeOf } from './journal-pages.ts';
import { Mirror } from './mirror.ts';
import { RawClient } from './raw-client.ts';

export interface FuzzOptions {
  readonly seed: number;
  readonly messages: number;
  readonly pages: number;
  readonly batches: number;
  /** Among the foreign messages of each batch. */
  readonly goodSms: number;
  readonly senders: number;
  readonly say: (line: string) => void;
}

export interface FuzzResult {
  readonly problems: readonly string[];
  /** Messages that RabbitMQ has put into the work queue, good SMS included. */
  readonly takenMessages: number;
  readonly takenPages: number;
  /** Times that RabbitMQ closed a connection for what was written. */
  readonly refused: number;
  readonly peakMegabytes: number;
  readonly keptLines: number;
}

const GOOD_WITHIN_MS = 10_000;
const STILL_WITHIN_MS = 60_000;
const AUDIT_WITHIN_MS = 60_000;
const MAX_MEGABYTES = 300;
// Messages that are made and published before the backlog is looked at again.
const PORTION = 400;
const MAX_BACKLOG = 1_000;
const MAX_UNCONFIRMED = 100;
const RISKY_CLIENTS = 3;
// A recorder does not read larger ones.
const MAX_PAGE_BYTES = 2 ** 20;
const RETRY_SCHEDULE = '200ms,300ms';
const { work, due, deadLetters, journal, later } = ROUTING_KEYS;
const LOOKED_AT = [work, due, deadLetters, journal, later, 'retry.1.200ms', 'retry.2.300ms'];

/** Ready messages by routing key. */
type Depths = Record<string, number>;

interface Started {
  readonly pipeline: PipelineUnderTest;
  readonly mirror: Mirror;
  readonly senders: readonly RunningProcess[];
  readonly counters: RedisCounterReader;
}

export async function fuzz(servers: TestServers, options: FuzzOptions): Promise<FuzzResult> {
  const pipeline = new PipelineUnderTest(servers, 'fuzz', {
    MEAN_PROCESSING_TIME: '0.01',
    FAILURE_RATE: '0.1',
    RETRY_SCHEDULE,
  });
  let mirror: Mirror | undefined;
  let run: FuzzRun | undefined;
  try {
    await pipeline.objects.ensureBucket();
    const senders = [await pipeline.startSender(FEW_YOUNG_OBJECTS)];
    mirror = await Mirror.open(servers.rabbitmqUrl, pipeline.queueName);
    while (senders.length < options.senders) senders.push(await pipeline.startSender(FEW_YOUNG_OBJECTS));
    const counters = await pipeline.openCounters();
    run = new FuzzRun(servers, options, { pipeline, mirror, senders, counters });
    for (let batch = 0; batch < options.batches; batch += 1) await run.sendBatch(batch);
    return await run.finish();
  } finally {
    await mirror?.close();
    await run?.close();
    await pipeline.end();
  }
}

class FuzzRun {
  readonly #options: FuzzOptions;
  readonly #pipeline: PipelineUnderTest;
  readonly #mirror: Mirror;
  readonly #senders: readonly RunningProcess[];
  readonly #counters: RedisCounterReader;
  readonly #goodClient: RawClient;
  readonly #foreignClient: RawClient;
  /** For what RabbitMQ may refuse: one at a time, so that nothing else is lost with its connection. */
  readonly #riskyClients: readonly RawClient[];
  readonly #pageClient: RawClient;
  readonly #url: string;
  readonly #dice: Dice;
  readonly #problems: string[] = [];
  readonly #goodPageIds = new Set<string>();
  /** SMS of which attempts were told, and no outcome. */
  readonly #openIds = new Set<string>();
  readonly #announcedRuns = new Set<string>();
  readonly #newerLines = new Set<string>();
  #messageCount = 0;
  #pageCount = 0;
  #peakMegabytes = 0;

  constructor(servers: TestServers, options: FuzzOptions, { pipeline, mirror, senders, counters }: Started) {
    this.#options = options;
    this.#pipeline = pipeline;
    this.#mirror = mirror;
    this.#senders = senders;
    this.#url = servers.rabbitmqUrl;
    const client = (maxUnconfirmed: number) => new RawClient(servers.rabbitmqUrl, maxUnconfirmed);
    this.#goodClient = client(MAX_UNCONFIRMED);
    this.#foreignClient = client(MAX_UNCONFIRMED);
    this.#riskyClients = Array.from({ length: RISKY_CLIENTS }, () => client(1));
    this.#pageClient = client(MAX_UNCONFIRMED);
    this.#counters = counters;
    this.#dice = new Dice(options.seed);
  }

  /** Messages and pages in portions, with good SMS among them, and then the good SMS must come to their ends. */
  async sendBatch(batch: number): Promise<void> {
    const { batches, messages, pages, goodSms, say } = this.#options;
    const startedMs = Date.now();
    const counts = [messages, pages].map((total) => shareOf(total, batch, batches)) as [number, number];
    const portions = Math.max(1, Math.ceil(counts[0] / PORTION));
    for (let portion = 0; portion < portions; portion += 1) {
      const [messageCount = 0, pageCount = 0, goodCount = 0] = [...counts, goodSms].map((count) =>
        shareOf(count, portion, portions),
      );
      const firstGood = Math.floor((goodSms * portion) / portions) + 1;
      const foreign = this.#makeMessages(messageCount);
      const good = Array.from({ length: goodCount }, (_, index) => goodMessage(batch, firstGood + index));
      await Promise.all([
        this.#publishForeign(foreign),
        this.#publishPages(pageCount),
        this.#goodClient.publish(this.#pipeline.queueName, work, good),
      ]);
      const isRoom = (depths: Depths) => [work, journal].every((key) => (depths[key] ?? 0) < MAX_BACKLOG);
      await this.#untilQueues('the backlog to become small', isRoom);
    }
    await this.#publishMissingOutcomes();
    const publishedMs = Date.now();
    const goodMs = await this.#goodMs(batch, publishedMs);
    this.#lookAtSenders(batch);
    const perSecond = Math.round((counts[0] + goodSms) / ((publishedMs - startedMs) / 1_000));
    say(
      `batch ${batch + 1}/${batches}: ${counts[0]} messages and ${counts[1]} pages (${perSecond} messages/s), ` +
        `good SMS done ${goodMs === undefined ? 'not' : `${(goodMs / 1_000).toFixed(1)} s`} after, ` +
        `${this.#refused} connections refused, senders at most ${Math.round(this.#peakMegabytes)} MB`,
    );
  }

  async close(): Promise<void> {
    await Promise.all([...this.#messageClients, this.#pageClient].map((client) => client.close()));
  }

  /** Waits until nothing moves any more, and compares what was taken with what has a record. */
  async finish(): Promise<FuzzResult> {
    const { seed } = this.#options;
    // Kept lines come by every 20 s.
    const isStill = ({ [later]: _, ...others }: Depths) =>
      Object.values(others).every((count) => count === 0) && this.#mirror.count >= this.#confirmedMessages;
    await this.#untilQueues('the queues to be empty', isStill).catch((error: unknown) =>
      this.#problems.push(String(error)),
    );
    this.#lookAtSenders(this.#options.batches);
    for (const sender of this.#senders) {
      const { exitCode, stdout } = await sender.stop();
      if (exitCode !== 0) this.#problems.push(`a sender ended with ${exitCode}: ${stdout.slice(-500)}`);
      if (stdout.includes('broke off'))
        this.#problems.push(`something broke off: ${excerpt(stdout, 'broke off')}`);
    }
    const kept = await this.#takeKeptLines();
    for (const line of this.#newerLines)
      if (!kept.has(line))
        this.#problems.push(`a line of an unknown kind was not kept: ${line.slice(0, 300)}`);
    const keptIds = idsIn(kept);
    const recorded = await this.#recordedIds();
    const confirmedIds = this.#messageClients.flatMap((client) => client.confirmedIds);
    const taken = new Set([...this.#mirror.identities, ...confirmedIds, ...this.#goodPageIds]);
    const lost = [...taken].filter((id) => !recorded.has(id) && !keptIds.has(id));
    if (lost.length > 0)
      this.#problems.push(`${lost.length} without a record, the first ${lost.slice(0, 5).join(', ')}`);
    if (this.#mirror.count < this.#confirmedMessages)
      this.#problems.push(
        `${this.#confirmedMessages} messages confirmed, ${this.#mirror.count} copied, without a copy: ` +
          confirmedIds
            .filter((id) => !this.#mirror.identities.has(id))
            .slice(0, 5)
            .join(', '),
      );
    this.#problems.push(...this.#mirror.troubles.slice(0, 3));
    await this.#audit(keptIds);
    return {
      problems: this.#problems.map((problem) => `${problem} (seed ${seed})`),
      takenMessages: this.#mirror.count,
      takenPages: this.#pageCount,
      refused: this.#refused,
      peakMegabytes: this.#peakMegabytes,
      keptLines: kept.size,
    };
  }

  get #messageClients(): readonly RawClient[] {
    return [this.#goodClient, this.#foreignClient, ...this.#riskyClients];
  }

  get #confirmedMessages(): number {
    return this.#messageClients.reduce((sum, { confirmedCount }) => sum + confirmedCount, 0);
  }

  get #refused(): number {
    return this.#messageClients.reduce((sum, { refusedCount }) => sum + refusedCount, 0);
  }

  // ---- What is published

  #makeMessages(count: number): EncodedMessage[] {
    const made = sample(foreignMessages, { numRuns: count, seed: this.#dice.below(2 ** 31) });
    return made.map((message) => {
      this.#messageCount += 1;
      return encodeForeign(message, `f-${this.#options.seed}-${this.#messageCount}`, this.#dice);
    });
  }

  async #publishForeign(messages: readonly EncodedMessage[]): Promise<void> {
    const exchange = this.#pipeline.queueName;
    const risky = messages.filter(({ isRisky }) => isRisky);
    await Promise.all([
      this.#foreignClient.publish(
        exchange,
        work,
        messages.filter(({ isRisky }) => !isRisky),
      ),
      ...this.#riskyClients.map((client, index) => {
        const share = risky.filter((_, place) => place % RISKY_CLIENTS === index);
        return client.publish(exchange, work, share);
      }),
    ]);
  }

  async #publishPages(count: number): Promise<void> {
    const { seed } = this.#options;
    const queue = this.#pipeline.queueName;
    const made = sample(forgedPages, { numRuns: count, seed: this.#dice.below(2 ** 31) });
    const pages = made.map((page) => {
      this.#pageCount += 1;
      const { body, goodIds } = encodePage(page, `p-${seed}-${this.#pageCount}`, queue, this.#dice);
      if (body.length <= MAX_PAGE_BYTES) this.#note(body, goodIds);
      return pageOf(body);
    });
    await this.#pageClient.publish(internalExchangeOf(queue), journal, pages);
  }

  /** What the books will rightly say of a page. */
  #note(body: Buffer, goodIds: readonly string[]): void {
    for (const id of goodIds) this.#goodPageIds.add(id);
    const { entries, newerLines } = decodeJournal(body);
    for (const line of newerLines) this.#newerLines.add(line);
    for (const entry of entries) {
      if (entry.kind === 'accepted') this.#announcedRuns.add(entry.announcement.run);
      if (entry.kind === 'attempt') this.#openIds.add(entry.smsId);
    }
  }

  /** An SMS that was attempted and has no outcome would rightly be missed. */
  async #publishMissingOutcomes(): Promise<void> {
    const queue = this.#pipeline.queueName;
    const ids = [...this.#openIds];
    this.#openIds.clear();
    if (ids.length === 0) return;
    const lines = ids.map((id) => JSON.stringify(outcomeOf(id, queue, this.#dice)));
    this.#pageCount += 1;
    await this.#pageClient.publish(internalExchangeOf(queue), journal, [
      pageOf(Buffer.from(lines.join('\n'))),
    ]);
  }

  // ---- What must hold

  async #untilQueues(what: string, areSo: (depths: Depths) => boolean): Promise<void> {
    const describe = (depths: Depths) => `${JSON.stringify(depths)} ${this.#describeSenders()}`;
    await waitUntil(what, () => this.#depths(), areSo, STILL_WITHIN_MS, undefined, describe);
  }

  /** How long after the end of the batch its good SMS had their outcomes; undefined where they had not in time. */
  async #goodMs(batch: number, sinceMs: number): Promise<number | undefined> {
    const { goodSms } = this.#options;
    let done = 0;
    try {
      await waitFor(
        `the good SMS of batch ${batch + 1}`,
        async () => {
          const run = (await this.#counters.read(goodRun(batch))).runs.get(goodRun(batch));
          done = (run?.sent ?? 0) + (run?.failed ?? 0);
          return done === goodSms;
        },
        GOOD_WITHIN_MS,
        () => `${done} of ${goodSms}; ${this.#describeSenders()}`,
      );
      return Date.now() - sinceMs;
    } catch (error) {
      this.#problems.push(String(error));
      return undefined;
    }
  }

  #lookAtSenders(batch: number): void {
    for (const sender of this.#senders) {
      if (sender.hasEnded)
        throw new Error(`a sender ended in batch ${batch + 1}: ${this.#describeSenders()}`);
      this.#peakMegabytes = Math.max(this.#peakMegabytes, sender.highestResidentBytes() / 1e6);
    }
    if (this.#peakMegabytes > MAX_MEGABYTES && !this.#problems.some((each) => each.includes('MB')))
      this.#problems.push(`a sender took ${Math.round(this.#peakMegabytes)} MB by batch ${batch + 1}`);
  }

  async #audit(keptIds: ReadonlySet<string>): Promise<void> {
    const { report } = await this.#pipeline.auditStill(AUDIT_WITHIN_MS).catch(() => this.#pipeline.audit());
    const { countersAgree, unreadableCount, missing, problems, runs } = report;
    if (countersAgree !== true || unreadableCount !== 0 || missing === null)
      this.#problems.push(`the books do not balance: ${JSON.stringify({ ...report, runs: undefined })}`);
    // Forged announcements promise what never comes; a kept outcome has its attempts in the books already.
    const unannounced = (runs as { run: string; missing: number }[]).filter(
      (each) => each.missing > 0 && !this.#announcedRuns.has(each.run),
    );
    const missed = unannounced.reduce((sum, each) => sum + each.missing, 0);
    if (missed > keptIds.size)
      this.#problems.push(
        `${missed} SMS are missing: ${JSON.stringify(unannounced)} ${JSON.stringify(problems)}`,
      );
  }

  // ---- What is looked at

  async #depths(): Promise<Depths> {
    const connection = await connect(this.#url);
    try {
      const channel = await connection.createChannel();
      const depths: Depths = {};
      for (const key of LOOKED_AT)
        depths[key] = (await channel.checkQueue(queueNameOf(this.#pipeline.queueName, key))).messageCount;
      return depths;
    } finally {
      await connection.close();
    }
  }

  /** Takes what is kept for a newer version, by line, out of its queues. No sender may run. */
  async #takeKeptLines(): Promise<Set<string>> {
    const connection = await connect(this.#url);
    const channel = await connection.createChannel();
    const lines = new Set<string>();
    for (const key of [later, journal]) {
      const queue = queueNameOf(this.#pipeline.queueName, key);
      for (let message = await channel.get(queue); message !== false; message = await channel.get(queue)) {
        for (const line of decodeJournal(message.content).newerLines) lines.add(line);
        channel.ack(message);
      }
    }
    await channel.close();
    await connection.close();
    return lines;
  }

  async #recordedIds(): Promise<Set<string>> {
    const { queueName } = this.#pipeline;
    const records = await this.#pipeline.records();
    return new Set(records.filter(({ queue }) => queue === queueName).map(({ smsId }) => smsId));
  }

  #describeSenders(): string {
    return this.#senders
      .map(
        (sender) =>
          `${sender.hasEnded ? 'ENDED ' : ''}${troublesIn(sender.stdout)}${sender.stderr.slice(-300)}`,
      )
      .join('\n');
  }
}

/** The share of one part, so that all parts together are the whole. */
function shareOf(total: number, part: number, parts: number): number {
  return Math.floor((total * (part + 1)) / parts) - Math.floor((total * part) / parts);
}

function goodRun(batch: number): string {
  return `good-${batch}`;
}

function goodMessage(batch: number, number: number): EncodedMessage {
  const run = goodRun(batch);
  const properties = encodeProperties({
    contentType: Buffer.from('application/json'),
    deliveryMode: 2,
    messageId: Buffer.from(smsIdOf(run, number)),
    headers: table([['run', field.text(run)]]),
  });
  return {
    properties,
    body: Buffer.from(`{"to":"+15550100001","text":"good"}`),
    id: smsIdOf(run, number),
    isRisky: false,
  };
}

function pageOf(body: Buffer): EncodedMessage {
  const properties = encodeProperties({ deliveryMode: 2, type: Buffer.from('journal') });
  return { properties, body, id: undefined, isRisky: false };
}

function idsIn(lines: ReadonlySet<string>): Set<string> {
  const ids = new Set<string>();
  for (const line of lines) {
    const { smsId } = JSON.parse(line) as { readonly smsId?: unknown };
    if (typeof smsId === 'string') ids.add(smsId);
  }
  return ids;
}

/** The last lines of a log that tell of troubles other than a message. */
function troublesIn(log: string): string {
  const lines = log.split('\n').filter((line) => !/"msg":"message parked"|"level":"info"/.test(line));
  return lines.slice(-4).join('\n').slice(-1_500);
}

function excerpt(text: string, words: string): string {
  const at = text.indexOf(words);
  return text.slice(Math.max(0, at - 400), at + 200);
}
