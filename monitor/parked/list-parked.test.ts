import { beforeEach, describe, expect, it } from 'vitest';
import type { OutcomeRecord, OutcomeStatus } from '../../shared/domain/outcome/outcome.ts';
import { outcomeObjectId, outcomeObjectKey } from '../../shared/domain/outcome/outcome-object.ts';
import { RedialError, ServerUnavailableError } from '../../shared/errors.ts';
import { ManualClock } from '../../tests/kit/manual-clock.ts';
import { type ListParkedOptions, listParked } from './list-parked.ts';

const PREFIXES = { sent: 'success', failed: 'failed', parked: 'refused', known: 'known' };
const STARTED_AT_MS = Date.UTC(2026, 10, 22, 10);
const KEEP_TIME_MS = 86_400_000;
const NO_TEXT = 'text is missing: send {"to":"+…","text":"…"}';

let bucket: Map<string, Buffer>;
let objectCount: number;
beforeEach(() => {
  bucket = new Map();
  objectCount = 0;
});

/** A record of a parked message that came so many seconds after the start. */
function parked(smsId: string, seconds: number, changes: Partial<OutcomeRecord> = {}): OutcomeRecord {
  const at = new Date(STARTED_AT_MS + seconds * 1_000).toISOString();
  const body = Buffer.from('{"to":"+15550100001"}');
  return {
    ...{ smsId, run: 'foreign', queue: 'sms', status: 'parked', reason: NO_TEXT },
    ...{ acceptedAt: at, finishedAt: at, attempts: [], messageId: smsId },
    ...{ raw: body.toString('base64'), rawBytes: body.length },
    ...changes,
  };
}

function store(records: readonly OutcomeRecord[], status: OutcomeStatus = 'parked'): string {
  objectCount += 1;
  const openedAtMs = Date.parse(records[0]?.finishedAt ?? '') || STARTED_AT_MS;
  const key = outcomeObjectKey(PREFIXES[status], outcomeObjectId(openedAtMs, 'r1', objectCount));
  bucket.set(key, Buffer.from(records.map((record) => `${JSON.stringify(record)}\n`).join('')));
  return key;
}

const objects = {
  get: async (key: string) => bucket.get(key),
  async *list(prefix: string) {
    yield* [...bucket.keys()].filter((key) => key.startsWith(prefix)).sort();
  },
};

/** Takes in what is written, until it has had enough. */
class Screen {
  text = '';
  #linesTaken = 0;
  readonly #maxLines: number;

  constructor(maxLines = Number.POSITIVE_INFINITY) {
    this.#maxLines = maxLines;
  }

  readonly write = async (text: string): Promise<boolean> => {
    this.text += text;
    this.#linesTaken += 1;
    return this.#linesTaken < this.#maxLines;
  };
}

async function list(
  changes: Partial<ListParkedOptions> = {},
  screen = new Screen(),
  store: typeof objects = objects,
) {
  const options = { queue: 'sms', prefixes: PREFIXES, keepTimeMs: KEEP_TIME_MS, areBodiesShown: false };
  const clock = new ManualClock();
  const problems = await listParked(
    { objects: store, clock },
    { ...options, isJson: false, ...changes },
    screen.write,
  );
  return { text: screen.text, problems, lines: screen.text.trimEnd().split('\n') };
}

describe('the list of what is parked', () => {
  it('tells by reason how many, the newest of them, and what to do', async () => {
    store([parked('order-1', 1), parked('order-2', 2), parked('order-3', 3)]);
    store([parked('order-4', 4, { run: 'may' })]);
    store([
      parked('parked-1a2b', 5, {
        messageId: 'a/b',
        reason: 'message id is not an SMS id: set …',
        rawBytes: 70_000,
        contentEncoding: 'gzip',
      }),
    ]);
    expect((await list()).lines).toEqual([
      'Parked messages of queue "sms"',
      `  4 messages: ${NO_TEXT}`,
      '    2026-11-22T10:00:04.000Z  order-4  run may  21 bytes',
      '    2026-11-22T10:00:03.000Z  order-3  run foreign  21 bytes',
      '    2026-11-22T10:00:02.000Z  order-2  run foreign  21 bytes',
      '    …',
      '  1 message: message id is not an SMS id: set …',
      '    2026-11-22T10:00:05.000Z  a/b (recorded as parked-1a2b)  run foreign  70,000 bytes  gzip',
      '5 messages are parked. Mend what the reason names, and send the SMS again under another id. The messages lie in ' +
        'sms.parked; their header parked-id is the id of the record.',
    ]);
  });

  it('is one object a line with --json, oldest first', async () => {
    store([parked('order-1', 1, { contentType: 'text/plain' })]);
    store([parked('parked-1a2b', 2, { messageId: '' })]);
    const { lines } = await list({ isJson: true });
    expect(lines.map((line) => JSON.parse(line))).toEqual([
      {
        ...{ smsId: 'order-1', messageId: 'order-1', run: 'foreign', reason: NO_TEXT },
        ...{ at: '2026-11-22T10:00:01.000Z', bytes: 21, contentType: 'text/plain', contentEncoding: null },
      },
      {
        ...{ smsId: 'parked-1a2b', messageId: null, run: 'foreign', reason: NO_TEXT },
        ...{ at: '2026-11-22T10:00:02.000Z', bytes: 21, contentType: null, contentEncoding: null },
      },
    ]);
  });

  it('shows no body, which holds phone number and text, unless it is asked to', async () => {
    store([parked('order-1', 1)]);
    for (const isJson of [true, false]) {
      expect((await list({ isJson })).text).not.toContain('5550100001');
      expect((await list({ isJson, areBodiesShown: true })).text).toContain('5550100001');
    }
  });

  it('shows the beginning of a body, and nothing that a terminal obeys', async () => {
    const raw = Buffer.from(`\u001b[2J${'😀'.repeat(70)}`).toString('base64');
    store([parked('order-1', 1, { raw, messageId: 'a\u001b]0;b' }), parked('b', 2, { raw: '/w==' })]);
    const { text } = await list({ areBodiesShown: true });
    expect(text).toContain(`\\u001b[2J${'😀'.repeat(56)}…\n`);
    expect(text).toContain('a\\u001b]0;b (recorded as order-1)');
    expect(text).toContain('\ufffd\n');
    const { lines } = await list({ isJson: true, areBodiesShown: true });
    expect([...lines.join()].filter((character) => character < ' ')).toEqual([]);
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ messageId: 'a\u001b]0;b' });
  });

  it('is of one queue, and with --run of one run', async () => {
    store([parked('a', 1), parked('b', 2, { run: 'may' }), parked('c', 3, { queue: 'other' })]);
    store([parked('d', 4, { status: 'sent' })], 'sent');
    expect((await list()).text).toContain('2 messages are parked.');
    const { lines } = await list({ run: 'may' });
    expect(lines[0]).toBe('Parked messages of queue "sms", run "may"');
    expect(lines.at(-1)).toMatch(/^1 message is parked\./);
    expect((await list({ run: 'june' })).lines.at(-1)).toBe('Nothing is parked.');
  });

  it('tells a record that is there twice once, and one that came again after KEEP_TIME twice', async () => {
    store([parked('a', 1)]);
    store([parked('a', 60)]);
    store([parked('a', 60 + KEEP_TIME_MS / 1_000)]);
    expect((await list()).text).toContain('2 messages are parked.');
  });

  it('says so where nothing is parked, also where there is no bucket yet', async () => {
    expect((await list()).lines.at(-1)).toBe('Nothing is parked.');
    const noBucket = {
      ...objects,
      // biome-ignore lint/correctness/useYield: it has nothing to tell
      async *list(): AsyncGenerator<string> {
        throw new RedialError('NO_BUCKET', 'no bucket');
      },
    };
    expect((await list({}, new Screen(), noBucket)).lines.at(-1)).toBe('Nothing is parked.');
  });

  it('names objects that cannot be read, and tells of the others', async () => {
    store([parked('a', 1)]);
    bucket.set(store([parked('b', 2)]), Buffer.from('{"no":"record"}\n'));
    const { text, problems } = await list();
    expect(problems).toEqual([
      expect.stringMatching(/^1 object in S3 cannot be read .* lines .*: refused\/dt=/),
    ]);
    expect(text).toContain(`  problem: ${problems[0]}`);
    expect(text).toContain('1 message is parked.');
    expect((await list({ isJson: true })).problems).toEqual(problems);
  });

  it('is an error where S3 refuses us', async () => {
    const refusing = {
      ...objects,
      get: async () => {
        throw new ServerUnavailableError('access refused', { isRefusal: true });
      },
    };
    store([parked('a', 1)]);
    await expect(list({}, new Screen(), refusing)).rejects.toMatchObject({ code: 'SERVER_REFUSED' });
  });

  it('holds a few messages, however many are parked and however slow they are read', async () => {
    for (let object = 0; object < 200; object += 1)
      store(Array.from({ length: 50 }, (_, index) => parked(`a-${object}-${index}`, object)));
    let fetched = 0;
    const counting = {
      ...objects,
      get: async (key: string) => objects.get(key).finally(() => (fetched += 1)),
    };
    const screen = new Screen(100);
    const { lines } = await list({ isJson: true }, screen, counting);
    // The reader has gone after a hundred lines: nothing more is read, beyond what was on its way.
    expect(lines.length).toBe(100);
    expect(fetched).toBeLessThan(50);
    expect((await list()).text).toContain('10,000 messages are parked.');
  });

  it('keeps a hundred reasons, whatever a record says', async () => {
    store(Array.from({ length: 150 }, (_, index) => parked(`a-${index}`, index, { reason: `odd ${index}` })));
    const { text, lines } = await list();
    expect(text).toContain('  50 messages: other reasons');
    expect(lines.length).toBeLessThan(320);
  });
});
