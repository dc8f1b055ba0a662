import type { Snapshot } from '../../../shared/domain/snapshot.ts';
import type { Paint } from '../paint.ts';
import { layOut, type Size } from './layout.ts';
import { type Sample, withSample } from './samples.ts';

/** Where the screen is drawn. */
export interface Canvas {
  readonly size: Size;
  draw(lines: readonly string[]): void;
}

/** The live screen: remembers what was seen, and draws it whenever there is something new or the size has changed. */
export class Screen {
  readonly #canvas: Canvas;
  readonly #queue: string;
  readonly #paint: Paint;
  readonly #nowMs: () => number;
  #snapshot: Snapshot | undefined;
  #lastFresh: Snapshot | undefined;
  #samples: readonly Sample[] = [];

  /** @param queue QUEUE_NAME */
  constructor(canvas: Canvas, queue: string, paint: Paint, nowMs: () => number) {
    this.#canvas = canvas;
    this.#queue = queue;
    this.#paint = paint;
    this.#nowMs = nowMs;
  }

  show(snapshot: Snapshot): void {
    this.#snapshot = snapshot;
    if (snapshot.state !== 'stale') this.#lastFresh = snapshot;
    this.#samples = withSample(this.#samples, snapshot);
    this.draw();
  }

  draw(): void {
    const seen = {
      queue: this.#queue,
      snapshot: this.#snapshot,
      lastFresh: this.#lastFresh,
      samples: this.#samples,
      time: new Date(this.#nowMs()).toTimeString().slice(0, 8),
    };
    this.#canvas.draw(layOut(seen, this.#canvas.size, this.#paint));
  }
}
