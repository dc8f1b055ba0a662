/**
 * Decides how settled deliveries of one channel are acknowledged. Where all tags up to one are settled, one frame with
 * "multiple" acknowledges all of them. Tags behind a gap go one by one, so that a slow SMS never keeps the prefetch window
 * of the fast ones closed. A tag is acknowledged once: a second time would close the channel.
 */
export interface Acknowledgement {
  readonly deliveryTag: number;
  /** All tags up to this one. */
  readonly isMultiple: boolean;
}

export class Acknowledgements {
  #settledUpTo = 0;
  readonly #settledAbove = new Set<number>();
  #newTags: number[] = [];

  /** Notes a settled delivery. @returns true where it is the first since the last `take` */
  add(deliveryTag: number): boolean {
    this.#newTags.push(deliveryTag);
    return this.#newTags.length === 1;
  }

  /** Notes a delivery that was rejected: it must not be acknowledged, and must not hold up others. */
  skip(deliveryTag: number): void {
    this.#settledAbove.add(deliveryTag);
  }

  /** The acknowledgements for all that was noted since the last call. */
  take(): Acknowledgement[] {
    const newTags = this.#newTags;
    this.#newTags = [];
    for (const tag of newTags) this.#settledAbove.add(tag);
    while (this.#settledAbove.delete(this.#settledUpTo + 1)) this.#settledUpTo += 1;
    const covered = newTags.filter((tag) => tag <= this.#settledUpTo);
    const single = newTags.filter((tag) => tag > this.#settledUpTo);
    const acknowledgements = single.map((deliveryTag) => ({ deliveryTag, isMultiple: false }));
    if (covered.length === 0) return acknowledgements;
    const highest = covered.reduce((max, tag) => Math.max(max, tag));
    return [{ deliveryTag: highest, isMultiple: covered.length > 1 }, ...acknowledgements];
  }
}
