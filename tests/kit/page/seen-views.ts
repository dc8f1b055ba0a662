import type { Snapshot } from '../process/pipeline-under-test.ts';
import { waitUntil } from '../wait-for.ts';

export interface SeenView {
  readonly snapshot: Snapshot & { readonly seenSenders: readonly { readonly inFlight: number }[] };
  readonly sentence: { readonly text: string };
}

/** What a monitor tells its pages, as a client sees it that knows nothing of the page. */
export class SeenViews {
  readonly #views = new Map<string, SeenView>();
  readonly #end = new AbortController();

  /** @param token where the monitor asks for one */
  constructor(url: string, token?: string) {
    this.#follow(url, token === undefined ? {} : { authorization: `Bearer ${token}` }).catch(() => {});
  }

  get count(): number {
    return this.#views.size;
  }

  /** The most SMS that waited for a retry at any moment. */
  get mostWaiting(): number {
    const sums = [...this.#views.values()].map(({ snapshot }) =>
      snapshot.queues.retry.reduce((sum, { messages }) => sum + messages, 0),
    );
    return Math.max(0, ...sums);
  }

  /** The view of that moment. */
  async at(at: string): Promise<SeenView> {
    const view = await waitUntil(`the view of ${at}`, () => this.#views.get(at), Boolean);
    if (view === undefined) throw new Error(`no view of ${at}`);
    return view;
  }

  close(): void {
    this.#end.abort();
  }

  async #follow(url: string, headers: Record<string, string>): Promise<void> {
    const { body } = await fetch(`${url}/events`, { headers, signal: this.#end.signal });
    let text = '';
    for await (const part of body?.pipeThrough(new TextDecoderStream()) ?? []) {
      text += part;
      const events = text.split('\n\n');
      text = events.pop() ?? '';
      for (const event of events) this.#note(event);
    }
  }

  #note(event: string): void {
    if (!/^event: ?view$/m.test(event)) return;
    const data = /^data: ?(.*)$/m.exec(event)?.[1] ?? '';
    const view = JSON.parse(data) as SeenView;
    this.#views.set(view.snapshot.at, view);
  }
}
