import { beforeEach, expect, it } from 'vitest';
import { letRun, ManualClock } from '../../tests/kit/manual-clock.ts';
import { RecordedLog } from '../../tests/kit/recorded-log.ts';
import { type DirectiveStore, KnownDirectives } from './known-directives.ts';

/** Directives as Redis keeps them: a number for each, and an identity that changes when it is emptied. */
class MemoryStore implements DirectiveStore {
  readonly numbers = new Map<string, number>();
  readonly acknowledged: number[] = [];
  readonly met: string[] = [];
  identity = 'first';
  last = 0;
  isAway = false;
  forgetCount = 0;

  async read(above: number) {
    if (this.isAway) throw new Error('away');
    const texts = [...this.numbers].filter(([, number]) => number > above).map(([text]) => text);
    return { identity: this.identity, last: this.last, count: this.numbers.size, texts, second: 0 };
  }
  async giveAgain(texts: readonly string[]) {
    for (const text of texts) if (!this.numbers.has(text)) this.numbers.set(text, ++this.last);
    return this.last;
  }
  async acknowledge(_: string, { last }: { last: number }) {
    this.acknowledged.push(last);
  }
  async leave() {}
  async noteMet(texts: readonly string[]) {
    if (this.isAway) throw new Error('away');
    this.met.push(...texts);
  }
  async forget() {
    this.forgetCount += 1;
  }
  empty(identity: string) {
    this.numbers.clear();
    this.last = 0;
    this.identity = identity;
  }
}

const smsOf = (id: string, run = 'a') => ({ id, run, to: '+15550100001', text: 'hello' });
const shutdown = new AbortController().signal;
let store: MemoryStore;
let clock: ManualClock;
let log: RecordedLog;

beforeEach(() => {
  store = new MemoryStore();
  clock = new ManualClock();
  log = new RecordedLog();
});

function senderNamed(senderId: string): KnownDirectives {
  return new KnownDirectives({ store, senderId, keepTimeMs: 1_000, clock, log });
}

it('a sender knows all directives before its first SMS, and each new one within a second', async () => {
  await store.giveAgain(['cancel|a-1', 'send-now|a-2|3', 'cancel-run|b', 'pause|of a newer version']);
  const known = senderNamed('s');
  await known.start(shutdown);
  expect(known.isCancelled(smsOf('a-1'))).toBe(true);
  expect(known.isCancelled(smsOf('x', 'b'))).toBe(true);
  expect([known.isSentNow('a-2', 3), known.isSentNow('a-2', 2)]).toEqual([true, false]);
  expect(known.isCancelled(smsOf('a-5'))).toBe(false);
  await store.giveAgain(['cancel|a-5']);
  await clock.advance(1_000);
  expect(known.isCancelled(smsOf('a-5'))).toBe(true);
  expect(store.acknowledged).toEqual([4, 5]);
  expect(store.met).toEqual(['cancel|a-1']);
  await known.stop();
  expect(store.met).toEqual(['cancel|a-1', 'cancel|a-5']);
  expect(clock.timerCount).toBe(0);
});

it('a Redis that was emptied gets back what a sender knows, beside what it was given since', async () => {
  await store.giveAgain(['cancel|a-1', 'cancel|a-2']);
  const known = senderNamed('s');
  await known.start(shutdown);
  store.empty('second');
  await store.giveAgain(['cancel|a-3', 'cancel|a-4', 'cancel|a-5']);
  await clock.advance(1_000);
  expect([...store.numbers.keys()].sort()).toEqual(['1', '2', '3', '4', '5'].map((n) => `cancel|a-${n}`));
  expect(['a-1', 'a-5'].map((id) => known.isCancelled(smsOf(id)))).toEqual([true, true]);
  await known.stop();
});

it('what was forgotten in Redis is out of mind here too', async () => {
  await store.giveAgain(['cancel|a-1', 'cancel|a-2']);
  const known = senderNamed('s');
  await known.start(shutdown);
  store.numbers.delete('cancel|a-1');
  await clock.advance(1_000);
  expect(['a-1', 'a-2'].map((id) => known.isCancelled(smsOf(id)))).toEqual([false, true]);
  await known.stop();
});

it('without Redis a sender begins after five seconds and says so; it learns them later', async () => {
  await store.giveAgain(['cancel|a-1']);
  store.isAway = true;
  const known = senderNamed('s');
  let isStarted = false;
  void known.start(shutdown).then(() => {
    isStarted = true;
  });
  await clock.advance(4_900);
  expect(isStarted).toBe(false);
  await clock.advance(200);
  expect(isStarted).toBe(true);
  expect(log.count('sending without knowing what was cancelled: Redis is away')).toBe(1);
  store.isAway = false;
  await clock.advance(1_000);
  await letRun();
  expect(known.isCancelled(smsOf('a-1'))).toBe(true);
  await known.stop();
});
