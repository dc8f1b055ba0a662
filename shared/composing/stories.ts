/** What tells stories of SMS, and lists outcomes: of the HTTP API and of the monitor's page. */
import { RedisKnownSmsReader } from '../adapters/redis/clients/known-sms-reader.ts';
import type { RedisConnection } from '../adapters/redis/connection.ts';
import type { S3ObjectStore } from '../adapters/s3/object-store.ts';
import { earliestOf } from '../domain/sms/api-run.ts';
import type { SearchBudget } from '../pipeline/archive/newest-outcomes.ts';
import { OutcomeList } from '../pipeline/story/outcome-list.ts';
import { StoryTeller } from '../pipeline/story/story-teller.ts';
import type { Config } from '../process/config/config.ts';
import { outcomePrefixesOf } from '../process/config/s3.ts';
import { systemClock } from '../process/system-clock.ts';

const LOOK_BACK_MS = 3 * 86_400_000;
const BUDGET = { maxObjects: 500, maxMs: 5_000 };

interface StoriesOptions {
  /** True for an SMS that this process itself has accepted. */
  readonly hasAccepted?: (id: string) => boolean;
  /** How much a list may read. */
  readonly listBudget?: SearchBudget;
}

export function createStories(
  config: Config,
  redis: RedisConnection,
  objects: S3ObjectStore,
  { hasAccepted = () => false, listBudget = BUDGET }: StoriesOptions = {},
) {
  const { queueName: queue, retrySchedule: schedule, retryAnchor: anchor, sendingWindow: window } = config;
  const shared = { queue, prefixes: outcomePrefixesOf(config), lookBackMs: LOOK_BACK_MS };
  const rules = { schedule, anchor, window, unknownResult: config.unknownResult };
  const sms = new RedisKnownSmsReader(redis, queue, systemClock);
  return {
    teller: new StoryTeller(
      { ...shared, rules, budget: BUDGET, keepMs: config.keepTime, earliestOf },
      { sms, objects, clock: systemClock, hasAccepted },
    ),
    list: new OutcomeList({ ...shared, budget: listBudget }, objects, systemClock),
  };
}
