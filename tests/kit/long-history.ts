/** Rebuilds the counters from millions of keys, to be run in a small heap: `long-history.js <number of keys>`. */
import { hash } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { rebuildCounters } from '../../sender/recording/rebuild/rebuild-counters.ts';
import { outcomeObjectId, outcomeObjectKey } from '../../shared/domain/outcome/outcome-object.ts';
import type { ObjectStore } from '../../shared/ports/object-store.ts';
import { systemClock } from '../../shared/process/system-clock.ts';
import { MemoryCounters } from '../../shared/rehearsal/memory-counters.ts';
import { PREFIXES } from '../../shared/rehearsal/simulated-process.ts';
import { RecordedLog } from './recorded-log.ts';

const KEYS_PER_PAGE = 1_000;
const DAY_MS = 24 * 3_600_000;
const beganAtMs = Date.now() - 365 * DAY_MS;
const keyCount = Number(process.argv[2] ?? 2_000_000);

/** Two thirds are sent, one third failed, an object every twelve seconds; each holds one outcome. */
const objects: ObjectStore = {
  put: async () => {},
  async get(key) {
    // Slower than keys can be listed.
    await nextTurn();
    const sequence = Number(/-(\d+)\.ndjson$/.exec(key)?.[1]);
    const status = key.startsWith('success/') ? 'sent' : 'failed';
    const at = new Date(beganAtMs + sequence * 12_000).toISOString();
    const record = { smsId: `demo-${sequence}`, run: 'demo', queue: 'sms', status };
    const attempts = [{ attempt: 1, startedAt: at, tookMs: 100, result: status }];
    return Buffer.from(JSON.stringify({ ...record, acceptedAt: at, finishedAt: at, attempts }));
  },
  async *list(prefix) {
    const remainders = { 'success/': [0, 1], 'failed/': [2] }[prefix] ?? [];
    for (let sequence = 0; sequence < keyCount; sequence += 1) {
      if (sequence % KEYS_PER_PAGE === 0) await nextTurn();
      if (!remainders.includes(sequence % 3)) continue;
      const objectId = outcomeObjectId(beganAtMs + sequence * 12_000, 'one', sequence);
      yield outcomeObjectKey(prefix.slice(0, -1), objectId);
    }
  },
};

const counters = new MemoryCounters(Date.now, DAY_MS);
const startedAtMs = Date.now();
await rebuildCounters({
  ...{ counters: counters.store('one'), objects, prefixes: PREFIXES, queue: 'sms', clock: systemClock },
  ...{ digest: (text) => hash('sha256', text).slice(0, 16), log: new RecordedLog() },
  ...{ pause: () => nextTurn(), onRead: () => {} },
});
const met = counters.hashOf('demo').get('met');
const seconds = ((Date.now() - startedAtMs) / 1_000).toFixed(1);
const { maxRSS } = process.resourceUsage();
console.log(
  `${met} of ${keyCount} SMS counted in ${seconds} s, ${counters.sms.size} keys, ${Math.round(maxRSS / 1_024)} MB resident`,
);
process.exitCode = met === keyCount ? 0 : 1;
