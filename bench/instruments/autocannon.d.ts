/** The part of autocannon that the bench uses; the package comes without types. */
declare module 'autocannon' {
  interface Options {
    readonly url: string;
    readonly method: 'POST';
    readonly headers: Readonly<Record<string, string>>;
    readonly body: string;
    readonly connections: number;
    /** Requests in sum. */
    readonly amount: number;
  }
  export interface Result {
    /** In milliseconds. */
    readonly latency: { readonly p50: number; readonly p99: number; readonly max: number };
    readonly '2xx': number;
    readonly errors: number;
    readonly timeouts: number;
  }
  interface Instance {
    on(event: 'response', listener: () => void): void;
  }
  export default function autocannon(
    options: Options,
    onEnd: (error: Error | null, result: Result) => void,
  ): Instance;
}
