import { describe, expect, it } from 'vitest';
import { queueNameOf } from '../../../shared/domain/topology/topology.ts';
import { waitingIn } from '../../../shared/pipeline/readings/queue-depths.ts';
import { forAll } from '../../../tests/kit/for-all.ts';
import { anySnapshot, GOING_WELL } from '../../../tests/kit/snapshots.ts';
import { ladderOf } from './ladder.ts';

describe('the ladder', () => {
  it('has the queues in the order in which an SMS goes through them', () => {
    const hold = [
      { delaySeconds: 1, messages: 0 },
      { delaySeconds: 16, messages: 7 },
    ];
    const rungs = ladderOf({ queues: { ...GOING_WELL.queues, hold, later: 1 } });
    expect(rungs.map(({ name, label, messages }) => `${name}: ${messages} ${label}`)).toEqual([
      'high: 0 fresh SMS that go first',
      'work: 4000 fresh SMS',
      'low: 0 fresh SMS that go last',
      'due: 8 SMS whose wait is over',
      'retry 1: 740 wait 5s after attempt 1',
      'retry 2: 212 wait 30s after attempt 2',
      'retry 3: 28 wait 2m after attempt 3',
      'hold 16s: 7 held until a moment, measured every 16s',
      'journal: 2 results to be recorded',
      'journal.later: 1 journal for a newer version',
      'parked: 0 what could not be read',
    ]);
    expect(rungs.map(({ key }) => queueNameOf('sms', key))).toContain('sms.retry.3.2m');
  });

  it('leaves out nothing that waits, and makes nothing known that is not', () => {
    forAll(anySnapshot, (snapshot) => {
      const rungs = ladderOf(snapshot);
      const sum = rungs.reduce((total, { messages }) => total + (messages ?? 0), 0);
      expect(sum).toBe(waitingIn(snapshot.queues) + (snapshot.queues.parked ?? 0));
      expect(new Set(rungs.map(({ key }) => key)).size).toBe(rungs.length);
      for (const lane of ['high', 'work', 'low', 'due', 'journal', 'parked'] as const)
        expect(rungs.find(({ key }) => key === lane)?.messages).toBe(snapshot.queues[lane]);
    });
  });
});
