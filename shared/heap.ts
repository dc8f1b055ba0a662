import { setFlagsFromString } from 'node:v8';

/**
 * What is in flight outlives V8's young generation and dies in the old one, which V8 lets grow to four times of what lives
 * before it cleans up, buffers that hang on it included. Told at the start of a process, this makes it clean up sooner.
 * @param percent by how much the old generation may grow over what lives
 */
export function boundHeapGrowth(percent: number): void {
  setFlagsFromString(`--heap-growing-percent=${percent}`);
}
