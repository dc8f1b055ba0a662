import { describe, expect, it } from 'vitest';
import type { IncomingMessage } from '../../shared/domain/sms/message.ts';
import { UnencodableError } from '../../shared/errors.ts';
import { HandDrivenQueue } from '../../tests/kit/hand-driven-queue.ts';
import { letRun, ManualClock } from '../../tests/kit/manual-clock.ts';
import { waitingSms } from '../../tests/kit/rabbitmq/stuck-retry-queue.ts';
import { RecordedLog } from '../../tests/kit/recorded-log.ts';
import { RecordingPublisher } from '../../tests/kit/recording-publisher.ts';
import { OverdueMover } from './move-overdue.ts';

/** A retry queue with these SMS, each that many seconds past its time, and a mover on it. */
function stuck(pastSeconds: readonly (number | undefined)[], prefetchCount = 500) {
  const clock = new ManualClock();
  const queue = new HandDrivenQueue();
  const publisher = new RecordingPublisher();
  const shutdown = new AbortController();
  pastSeconds.forEach((past, index) => {
    const notBeforeMs = past === undefined ? undefined : clock.nowMs() - past * 1_000;
    const { timestampMs, routingKey: _, ...message } = waitingSms(`sms-${index}`, notBeforeMs);
    queue.publish({ ...message, timestamp: timestampMs / 1_000 });
  });
  const source = queue.consumer(prefetchCount);
  const mover = new OverdueMover(source, {
    ...{ publisher, clock, log: new RecordedLog(), random: () => 0, shutdown: shutdown.signal },
  });
  const move = (expectedCount: number) => {
    const state = { isOver: false };
    void mover.move(expectedCount).then(() => {
      state.isOver = true;
    });
    return state;
  };
  return { clock, queue, publisher, shutdown, source, mover, move };
}

function idsOf(messages: readonly Pick<IncomingMessage, 'messageId'>[]): unknown[] {
  return messages.map(({ messageId }) => messageId);
}

describe('moving what is overdue', () => {
  it('publishes to due, acknowledges after the confirm, and ends at the first SMS that is not overdue', async () => {
    const { queue, publisher, mover, move } = stuck([100, 90, 0, -5]);
    publisher.confirmsAtOnce = false;
    const state = move(2);
    await letRun();
    expect(publisher.published.map(({ routingKey }) => routingKey)).toEqual(['due', 'due']);
    expect(queue.acknowledged).toEqual([]);
    expect(state.isOver).toBe(false);
    publisher.confirmOpen();
    await letRun();
    expect(state.isOver).toBe(true);
    expect(idsOf(queue.acknowledged)).toEqual(['sms-0', 'sms-1']);
    expect({ moved: mover.movedCount, kept: queue.unacknowledgedCount }).toEqual({ moved: 2, kept: 2 });
  });

  it('goes on behind others until as many were met as were found', async () => {
    const { mover, move } = stuck([0, 100, undefined, 100, 0]);
    const state = move(2);
    await letRun();
    expect({ ...state, moved: mover.movedCount }).toEqual({ isOver: true, moved: 2 });
  });

  it('ends when the queue is through', async () => {
    const { clock, mover, move } = stuck([100, 100]);
    const state = move(5);
    await clock.advance(1_000);
    expect(state.isOver).toBe(false);
    await clock.advance(5_000);
    expect({ ...state, moved: mover.movedCount }).toEqual({ isOver: true, moved: 2 });
  });

  it('ends where all that may be unacknowledged is not overdue', async () => {
    const { move, mover } = stuck([...Array.from({ length: 500 }, () => 0), 100]);
    const state = move(1);
    await letRun();
    expect({ ...state, moved: mover.movedCount }).toEqual({ isOver: true, moved: 0 });
  });

  it('counts an SMS once that comes again because its channel died before the confirm', async () => {
    const { queue, publisher, source, mover, move } = stuck([100, 0]);
    publisher.confirmsAtOnce = false;
    move(1);
    await letRun();
    source.breakChannel();
    publisher.confirmOpen();
    await letRun();
    publisher.confirmOpen();
    await letRun();
    expect(idsOf(publisher.published)).toContain('sms-0');
    expect(mover.movedCount).toBe(queue.acknowledged.length);
    expect(queue.settledTwiceCount).toBe(0);
  });

  it('leaves an SMS that no message can carry where it is', async () => {
    const { clock, queue, publisher, mover, move } = stuck([100, 90]);
    publisher.confirmsAtOnce = false;
    const state = move(2);
    await letRun();
    publisher.open[0]?.fail(new UnencodableError({ cause: new Error('a header') }));
    publisher.open[1]?.confirm();
    await clock.advance(5_000);
    expect({ ...state, moved: mover.movedCount }).toEqual({ isOver: true, moved: 1 });
    expect(queue.unacknowledgedCount).toBe(1);
  });

  it('stops at a shutdown: what is confirmed in time is acknowledged, nothing else is begun', async () => {
    const { clock, publisher, shutdown, mover, move, queue } = stuck([100, 100, 100], 2);
    publisher.confirmsAtOnce = false;
    const state = move(3);
    await letRun();
    shutdown.abort('SIGTERM');
    publisher.open[0]?.confirm();
    await letRun();
    expect(state.isOver).toBe(false);
    expect(idsOf(publisher.published)).toEqual(['sms-0', 'sms-1']);
    await clock.advance(6_000);
    expect({ ...state, moved: mover.movedCount }).toEqual({ isOver: true, moved: 1 });
    expect(idsOf(queue.acknowledged)).toEqual(['sms-0']);
  });
});
