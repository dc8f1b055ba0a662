import type { CounterStore } from '../ports/counter-store.ts';
import type { MemoryCounters } from './memory-counters.ts';

/** How a script gets to Redis and its answer back; each is a place for faults. */
export type Transport = <Value>(script: string, run: () => Value) => Promise<Value>;

const direct: Transport = async (_, run) => run();

/** The port of one recorder: a script of memory for each script of Lua. */
export function createMemoryCounterStore(
  counters: MemoryCounters,
  recorder: string,
  call: Transport = direct,
): CounterStore {
  let rebuildCount = 0;
  const rebuildTry = () => `${recorder}/${rebuildCount}`;
  /** A script that only the recorder with the grant may run; the grant is the one at the time of the call. */
  const rebuild = (script: string, run: (granted: string) => void): Promise<void> => {
    const granted = rebuildTry();
    return call(script, () => run(granted));
  };
  return {
    keepTimeMs: counters.keepTimeMs,
    record: (entries) => call('record', () => counters.record(recorder, entries)),
    settle: (objectId, smsIds, reasons) =>
      call('settle', () => counters.settle(recorder, objectId, smsIds, reasons)),
    restore: (objectId, outcomes) =>
      call('restore', () => counters.restore(recorder, '', objectId, outcomes)),
    abandon: (objectId, smsIds) => call('abandon', () => counters.abandon(objectId, smsIds)),
    signalLife: (isRecording) => call('signalLife', () => counters.signalLife(recorder, isRecording)),
    async tidy() {
      while (await call('tidy', () => counters.tidy(recorder)));
    },
    leave: () => call('leave', () => counters.leave(recorder)),
    async beginRebuild() {
      rebuildCount += 1;
      const granted = rebuildTry();
      const answer = await call('beginRebuild', () => counters.beginRebuild(recorder, granted));
      if (answer === 'mine') await call('clear', () => counters.clear(granted));
      return answer;
    },
    prolongRebuild: () => rebuild('prolongRebuild', (granted) => counters.prolongRebuild(granted)),
    abandonRebuild: () => rebuild('abandonRebuild', (granted) => counters.abandonRebuild(granted)),
    rebuildSums: (sums) => rebuild('rebuildSums', (granted) => counters.rebuildSums(granted, sums)),
    rebuildOutcomes: (objectId, outcomes) =>
      rebuild('rebuildOutcomes', (granted) => counters.restore(recorder, granted, objectId, outcomes)),
    rebuildAnnouncement: (announcement) =>
      rebuild('rebuildAnnouncement', (granted) => counters.rebuildAnnouncement(granted, announcement)),
    endRebuild: () => rebuild('endRebuild', (granted) => counters.endRebuild(granted)),
  };
}
