import { describe, expect, it } from 'vitest';
import { NOTHING_OVERDUE } from '../../shared/domain/schedule/overdue.ts';
import { hintsOfRequeue, renderRequeue, requeueOverdue, summarizeRequeue } from './requeue-overdue.ts';

/** Retry queues with so many overdue SMS, of which each move takes up to `atOnce`. */
function pipelineOf(queues: Record<string, number>, atOnce = Number.POSITIVE_INFINITY) {
  const shutdown = new AbortController();
  const moves: string[] = [];
  const parts = {
    overdue: {
      read: async (names: readonly string[]) =>
        new Map(
          names.map((name) => [name, { ...NOTHING_OVERDUE, overdueCount: queues[name] ?? 0 }] as const),
        ),
    },
    move: async (name: string) => {
      const count = Math.min(queues[name] ?? 0, atOnce);
      queues[name] = (queues[name] ?? 0) - count;
      moves.push(`${name} ${count}`);
      return count;
    },
    shutdown: shutdown.signal,
  };
  return { parts, moves, shutdown };
}

describe('moving by turns', () => {
  it('goes on until nothing is overdue, and touches no other queue', async () => {
    const { parts, moves } = pipelineOf({ a: 3, b: 0, c: 1 }, 2);
    const requeued = await requeueOverdue(parts, ['a', 'b', 'c']);
    expect(requeued).toEqual({ movedCount: 4, leftCount: 0, unknownCount: 0 });
    expect(moves).toEqual(['a 2', 'c 1', 'a 1']);
  });

  it('ends where nothing moves any more, and tells what is left', async () => {
    const { parts } = pipelineOf({ a: 3 }, 0);
    expect(await requeueOverdue(parts, ['a'])).toMatchObject({ movedCount: 0, leftCount: 3 });
  });

  it('ends at a shutdown without knowing what is left', async () => {
    const { parts, shutdown } = pipelineOf({ a: 3, b: 2 });
    const move = async (name: string) => {
      shutdown.abort('SIGINT');
      return parts.move(name);
    };
    expect(await requeueOverdue({ ...parts, move }, ['a', 'b'])).toEqual({
      ...{ movedCount: 3, leftCount: undefined, unknownCount: 0 },
    });
  });
});

describe('the end of a move', () => {
  const summary = summarizeRequeue({ movedCount: 12_000, leftCount: 1, unknownCount: 0 }, 5, 1_500.4);

  it('is one object with its fields in order', () => {
    expect(JSON.stringify(summary)).toBe('{"moved":12000,"left":1,"expired":5,"seconds":1.5}');
    expect(summarizeRequeue({ movedCount: 0, leftCount: undefined, unknownCount: 0 }, undefined, 0)).toEqual({
      ...{ moved: 0, left: null, expired: null, seconds: 0 },
    });
  });

  it('is told to people, with what is left and what only RabbitMQ can move', () => {
    expect(renderRequeue(summary, 'sms')).toBe(
      'Moved     12,000 overdue SMS to sms.due in 1.5 s\n' +
        'Left      1 SMS that could not be moved\n' +
        'Expired   5 SMS that RabbitMQ itself hands to sms.due\n',
    );
    expect(renderRequeue({ moved: 0, left: 0, expired: 0, seconds: 0.1 }, 'sms')).toBe(
      'Moved     0 overdue SMS to sms.due in 0.1 s\n',
    );
  });

  it('comes with a sentence for each thing that needs one', () => {
    expect(hintsOfRequeue({ ...summary, expired: 0 }, 0, undefined)).toEqual([]);
    const hints = hintsOfRequeue(summary, 1, 'the management API did not answer').join('\n');
    expect(hints).toMatch(
      /^the management API did not answer; so only the hold queues and the retry queues of RETRY_SCHEDULE/,
    );
    expect(hints).toContain('RabbitMQ tries again by itself');
    expect(hints).toContain('1 message stays where it is');
  });
});
