/** Objects by key. `put` replaces the whole object: all of its bytes become visible at once, or none. */
export interface ObjectStore {
  put(key: string, body: Buffer): Promise<void>;
  /** Undefined where there is no such object. */
  get(key: string): Promise<Buffer | undefined>;
  /**
   * All keys with the prefix, in key order.
   * @param after a key: only keys behind it are wanted, but a store may tell others too
   */
  list(prefix: string, after?: string): AsyncIterable<string>;
}
