import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, describe, expect, it, vi } from 'vitest';
import type { SendingRequest } from '../../../shared/domain/sms/sending-request.ts';
import type { Sms } from '../../../shared/domain/sms/sms.ts';
import { UsageError } from '../../../shared/errors.ts';
import type { NumberedSms } from '../produce-run.ts';
import { InputFile } from './read-input.ts';

const folder = mkdtempSync(join(tmpdir(), 'redial-input-'));
afterAll(() => rmSync(folder, { recursive: true }));

const NOW = Date.UTC(2026, 10, 30, 12);

interface Read {
  readonly numbered: NumberedSms[];
  readonly sms: Sms[];
  readonly bad: string[];
  readonly rowCount: number;
  readonly identity: string | undefined;
}

async function read(
  source: { stdin: Readable } | { path: string },
  maxRows?: number,
  signal = new AbortController().signal,
  sending: SendingRequest | undefined = undefined,
): Promise<Read> {
  const bad: string[] = [];
  const input = await InputFile.open({
    path: 'path' in source ? source.path : '-',
    stdin: 'stdin' in source ? source.stdin : Readable.from([]),
    run: 'demo',
    maxRows,
    sending,
    nowMs: () => NOW,
    signal,
    onBadLine: (lineNumber, problem) => bad.push(`${lineNumber}: ${problem}`),
  });
  const numbered: NumberedSms[] = [];
  for await (const batch of input.batches()) numbered.push(...batch);
  expect(input.badLineCount).toBe(bad.length);
  return {
    numbered,
    sms: numbered.map(({ sms }) => sms),
    bad,
    rowCount: input.rowCount,
    identity: input.identity,
  };
}

/** Standard input that comes in these chunks. */
function piped(...chunks: (string | Buffer)[]): { stdin: Readable } {
  const buffers = chunks.map((chunk) => Buffer.from(chunk)).filter(({ length }) => length > 0);
  return { stdin: Readable.from(buffers, { objectMode: false }) };
}

function file(name: string, content: string | Buffer): { path: string } {
  const path = join(folder, name);
  writeFileSync(path, content);
  return { path };
}

describe('a CSV file', () => {
  it('names its columns in any order, those not known are ignored, empty ones are left out', async () => {
    const { sms, bad } = await read(
      file(
        'order.csv',
        'note,text,ID,to,reference,From\nx,Hello,order-1,+15550100001,ref-1,Shop\n,Hi,,+15550100002,,\n',
      ),
    );
    expect(sms).toEqual([
      { id: 'order-1', run: 'demo', to: '+15550100001', text: 'Hello', reference: 'ref-1', from: 'Shop' },
      { id: 'demo-000002', run: 'demo', to: '+15550100002', text: 'Hi' },
    ]);
    expect(bad).toEqual([]);
  });

  it.each([
    ['a byte-order mark', '\uFEFFto,text\n+15550100001,Hello\n'],
    ['CRLF', 'to,text\r\n+15550100001,Hello\r\n'],
    ['a byte-order mark, CRLF and no line end at the end', '\uFEFFto,text\r\n+15550100001,Hello'],
    ['mixed line ends', 'to,text\r\n+15550100001,Hello\n'],
    ['blank lines', '\n \r\nto,text\n\n\t\n+15550100001,Hello\n\n'],
    ['quotes', '"to","text"\n"+15550100001","Hello"\n'],
    ['spaces around the names', 'to , text\n+15550100001,Hello\n'],
  ])('may have %s', async (_, content) => {
    const { sms, bad } = await read(file('accepted.csv', content));
    expect(sms).toEqual([{ id: 'demo-000001', run: 'demo', to: '+15550100001', text: 'Hello' }]);
    expect(bad).toEqual([]);
  });

  it('may have commas, quotes and line feeds in a quoted text', async () => {
    const { sms } = await read(
      file(
        'quoted.csv',
        'to,text\n+15550100001,"One, ""two""\nthree\r\n\r\nfour"\n+15550100002,"""five"""\r\n+15550100003,"six\r\n"',
      ),
    );
    expect(sms.map(({ text }) => text)).toEqual(['One, "two"\nthree\r\n\r\nfour', '"five"', 'six\r\n']);
  });

  it('keeps every row’s number and line, whatever is wrong with the rows before it', async () => {
    const { numbered, bad, rowCount } = await read(
      file(
        'bad.csv',
        [
          'to,text,id',
          '+15550100001,good,',
          '5550100002,no plus,',
          '+15550100003,,',
          ',nobody,',
          '+15550100005,too many,,,',
          '+15550100006',
          '+15550100007,bad id,a b',
          '+15550100008,a "quote" inside,',
          '+15550100009,"after"the quote,',
          '+15550100010,ends with a "quote",',
          `+15550100011,${'x'.repeat(1_601)},`,
          `+15550100012,${'x'.repeat(70_000)},`,
          '"two',
          'lines",last bad,',
          '+15550100014,good,',
        ].join('\n'),
      ),
    );
    expect(bad).toEqual([
      '3: to is not a phone number',
      '4: text is empty',
      '5: to is missing',
      '6: wrong number of columns',
      '7: wrong number of columns',
      '8: id is not 1 to 128 letters, digits, ".", "_", ":" or "-"',
      '9: a quote stands inside a field',
      '10: a quote stands inside a field',
      '11: a quote stands inside a field',
      '12: text is too long',
      '13: line is longer than 64 KiB',
      '14: to is not a phone number',
    ]);
    expect(numbered.map(({ smsNumber, sms }) => [smsNumber, sms.id, sms.to])).toEqual([
      [1, 'demo-000001', '+15550100001'],
      [14, 'demo-000014', '+15550100014'],
    ]);
    expect(rowCount).toBe(14);
  });

  it.each([
    ['at the end', ''],
    ['before a quoted text', '+15550100004,"fine, too"\n'],
    ['before more than 64 KiB', `+15550100004,${'x'.repeat(1_000)}\n`.repeat(70)],
    ['before a line of more than 64 KiB', `${'x'.repeat(70_000)}\n`],
  ])('with a quote that is not closed %s loses that line and no other', async (_, more) => {
    const good = 'to,text\n+15550100001,one\n+15550100002,two\n+15550100003,three\n';
    const mended = await read(file('mended.csv', good + more));
    const broken = await read(file('broken.csv', good.replace('two', '"two') + more));
    expect(broken.sms).toEqual(mended.sms.filter(({ id }) => id !== 'demo-000002'));
    expect(broken.bad).toEqual(['3: a quote is not closed', ...mended.bad]);
  });

  it('that is not UTF-8 has the lines named where it is not', async () => {
    const latin1 = Buffer.from('to,text\n+15550100001,caf\u00e9\n+15550100002,tea\n', 'latin1');
    const { sms, bad } = await read(file('latin1.csv', latin1));
    expect(sms.map(({ text }) => text)).toEqual(['tea']);
    expect(bad).toEqual(['2: not UTF-8']);
  });

  it.each([
    ['to,message\n+1555,x\n', 'the column "text" is missing'],
    ['+15550100001,Hello\n', 'the column "to" is missing'],
    ['to;text\n+15550100001;Hello\n', 'the columns are separated by semicolons, write commas'],
    ['to\ttext\n+15550100001\tHello\n', 'the columns are separated by tabs, write commas'],
    [gzipSync('to,text\n+15550100001,Hello\n'), 'is compressed with gzip, unpack it first'],
    [Buffer.from('PK\u0003\u0004'), 'is a ZIP archive or a spreadsheet, write it as CSV'],
    [Buffer.from('\uFEFFto,text\n', 'utf16le'), 'is UTF-16, write it as UTF-8'],
    [Buffer.from('\uFEFFto,text\n', 'utf16le').swap16(), 'is UTF-16, write it as UTF-8'],
    ['to,text,to\n+15550100001,Hello,+15550100001\n', 'the column "to" is there twice'],
    ['{"to":"+15550100001","text":"Hello"}\n', 'it holds JSON and not CSV, let its name end in .ndjson'],
    ['\n [{"to":"+15550100001","text":"Hello"}]\n', 'it is a JSON list, write one object a line'],
    ['to,text,sendAt,SENDAT\n+15550100001,Hello,,\n', 'the column "sendAt" is there twice'],
    ['to,text,send_at\n+15550100001,Hello,10m\n', 'the column "send_at" must be named sendAt'],
    ['to,text,Valid For\n+15550100001,Hello,10m\n', 'the column "Valid For" must be named validFor'],
    ['to,"text\n+15550100001,Hello\n', 'the header row cannot be read: a quote is not closed'],
    [`${'x'.repeat(70_000)}\n`, 'the header row cannot be read: line is longer than 64 KiB'],
    ['', 'is empty'],
    ['\n\n', 'is empty'],
    ['to,text\n', 'is empty'],
    ['\uFEFF', 'is empty'],
  ])('%j is refused as a whole', async (content, problem) => {
    const source = file('refused.csv', content);
    await expect(read(source)).rejects.toThrow(UsageError);
    await expect(read(source)).rejects.toThrow(problem);
    await expect(read(source)).rejects.not.toThrow('+15550100001');
  });

  it('gives the same rows however it is cut into chunks', async () => {
    const cell = fc.string({ unit: fc.constantFrom('a', '"', ',', '\n', '\r\n', '\r', 'é', '🚚', ' ') });
    const row = fc.oneof(
      {
        weight: 4,
        arbitrary: fc.array(cell, { minLength: 2, maxLength: 2 }).map((cells) => cells.map(quote)),
      },
      { weight: 1, arbitrary: fc.array(cell, { maxLength: 4 }) },
    );
    const content = fc
      .tuple(fc.array(row, { maxLength: 8 }), fc.constantFrom('\n', '\r\n'))
      .map(([rows, end]) => [['to', 'text'], ...rows].map((cells) => cells.join(',')).join(end));
    await fc.assert(
      fc.asyncProperty(content, fc.array(fc.nat(60), { maxLength: 20 }), async (text, lengths) => {
        const whole = await attempt(piped(text));
        expect(await attempt(piped(...cut(Buffer.from(text), lengths)))).toEqual(whole);
      }),
    );
  });

  it('reads back whatever was written with quotes', async () => {
    const text = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 50 });
    await fc.assert(
      fc.asyncProperty(fc.array(text, { minLength: 1, maxLength: 10 }), async (texts) => {
        const rows = texts.map((one) => `+15550100001,${quote(one)}\r\n`);
        const { sms } = await read(piped(`to,text\r\n${rows.join('')}`));
        expect(sms.map((one) => one.text)).toEqual(texts);
      }),
    );
  });
});

describe('an NDJSON file', () => {
  it('has one SMS a line', async () => {
    const { numbered } = await read(
      file(
        'good.ndjson',
        '\uFEFF{"to":"+15550100001","text":"Hello","from":"Shop","reference":"r","id":"a:1","other":[1]}\r\n\n{"text":"Hi","to":"+15550100002"}',
      ),
    );
    expect(numbered).toEqual([
      {
        smsNumber: 1,
        sms: { id: 'a:1', run: 'demo', to: '+15550100001', text: 'Hello', from: 'Shop', reference: 'r' },
      },
      { smsNumber: 2, sms: { id: 'demo-000002', run: 'demo', to: '+15550100002', text: 'Hi' } },
    ]);
  });

  it.each(['list.json', 'list.ndjson', '-'])(
    'that is one list (%s) is refused as a whole, with what to do',
    async (name) => {
      const list = '[{"to":"+15550100001","text":"Hello"}]';
      const source = name === '-' ? piped(list) : file(name, list);
      await expect(read(source)).rejects.toThrow(
        /is a JSON list, write one object a line \(jq -c '\.\[\]' does\)/,
      );
    },
  );

  it('has its bad lines named by number', async () => {
    const { sms, bad } = await read(
      file(
        'bad.jsonl',
        Buffer.concat([
          Buffer.from('not json\n[]\nnull\n7\n{"text":"x"}\n{"to":"+15550100001"}\n'),
          Buffer.from('{"to":"+15550100001","text":7}\n{"to":5,"text":"x"}\n'),
          Buffer.from('{"to":"+15550100001","text":"x","id":7}\n{"to":"+15550100001","text":"x","id":""}\n'),
          Buffer.from('{"to":"+15550100001","text":"x","from":{}}\n'),
          Buffer.from('{"to":"+15550100001","text":"caf\u00e9"}\n', 'latin1'),
          Buffer.from(`${'['.repeat(10_000)}\n{"__proto__":{"to":"+15550100001","text":"x"}}\n`),
          Buffer.from(`{"to":"+15550100001","text":"${'x'.repeat(70_000)}"}\n`),
          Buffer.from('{"to":"+15550100001","text":"half of \\ud83d"}\n'),
          Buffer.from('{"to":"+15550100001","text":"good"}'),
        ]),
      ),
    );
    expect(bad).toEqual([
      '1: not JSON',
      '2: not a JSON object',
      '3: not a JSON object',
      '4: not a JSON object',
      '5: to is missing',
      '6: text is missing',
      '7: text is not a string',
      '8: to is not a phone number',
      '9: id is not 1 to 128 letters, digits, ".", "_", ":" or "-"',
      '10: id is not 1 to 128 letters, digits, ".", "_", ":" or "-"',
      '11: from is not a short text',
      '12: not UTF-8',
      '13: not JSON',
      '14: to is missing',
      '15: line is longer than 64 KiB',
      '16: text is not valid Unicode',
    ]);
    expect(sms.map(({ id }) => id)).toEqual(['demo-000017']);
  });

  it('gives the same rows however it is cut into chunks', async () => {
    const line = fc.oneof(
      fc
        .record({ to: fc.constant('+15550100001'), text: fc.string({ unit: 'grapheme' }) })
        .map((one) => JSON.stringify(one)),
      fc.constantFrom('', ' ', 'x', '{}'),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(line, { minLength: 1 }),
        fc.array(fc.nat(80), { maxLength: 20 }),
        async (lines, lengths) => {
          const text = `\uFEFF {"to":"+15550100001","text":"first"}\n${lines.join('\r\n')}`;
          const whole = await read(piped(text));
          expect(await read(piped(...cut(Buffer.from(text), lengths)))).toEqual(whole);
        },
      ),
    );
  });
});

describe('the format', () => {
  const csv = 'to,text\n+15550100001,Hello\n';
  const ndjson = '{"to":"+15550100001","text":"Hello"}\n';

  it.each([
    ['contacts.csv', csv],
    ['contacts.CSV', csv],
    ['contacts.ndjson', ndjson],
    ['contacts.jsonl', ndjson],
    ['contacts.json', ndjson],
    ['contacts.txt', csv],
    ['contacts', `\n  ${ndjson}`],
    ['contacts.dat', `\uFEFF${ndjson}`],
  ])('of %s is known', async (name, content) => {
    expect((await read(file(name, content))).sms.map(({ text }) => text)).toEqual(['Hello']);
  });

  it.each([csv, ndjson])('of standard input follows from its first character: %j', async (content) => {
    expect((await read(piped(...content))).sms.map(({ text }) => text)).toEqual(['Hello']);
  });
});

describe('an input', () => {
  it.each([
    ['that does not exist', join(folder, 'missing.csv'), 'does not exist'],
    ['that is a directory', folder, 'is a directory'],
    ['below a file', join(folder, 'file.csv', 'x.csv'), 'cannot be read'],
  ])('%s is refused with a sentence', async (_, path, problem) => {
    file('file.csv', '');
    mkdirSync(folder, { recursive: true });
    await expect(read({ path })).rejects.toThrow(UsageError);
    await expect(read({ path })).rejects.toThrow(problem);
  });

  it('is read up to the number of rows asked for', async () => {
    const rows = '+15550100001,x\nbad\n'.repeat(50_000);
    const { sms, rowCount, bad } = await read(file('long.csv', `to,text\n${rows}`), 5);
    expect([sms.length, bad.length, rowCount]).toEqual([3, 2, 5]);
  });

  it('that never ends is left after the number of rows asked for', async () => {
    const stdin = new PassThrough();
    stdin.write('to,text\n+15550100001,x\n+15550100002,y\n');
    expect((await read({ stdin }, 2)).sms).toHaveLength(2);
    await vi.waitFor(() => expect(stdin.destroyed).toBe(true));
  });

  it('that is a file is called by all its bytes, from its first row on', async () => {
    const head = `to,text\n${'+15550100001,x\n'.repeat(50_000)}`;
    const identities = new Set<string | undefined>();
    for (const tail of ['', '+15550100002,y\n', '+15550100002,z\n']) {
      const input = await InputFile.open({
        ...file('whole.csv', head + tail),
        stdin: Readable.from([]),
        ...{ run: 'demo', maxRows: undefined, sending: undefined, nowMs: () => NOW, onBadLine: () => {} },
        signal: new AbortController().signal,
      });
      identities.add(input.identity);
      input.close();
    }
    expect(identities.size).toBe(3);
    expect(identities).toContain(`file:${digestOf(head)}`);
  });

  it('that is a stream is called by its first 64 KiB, a smaller one as a file of the same bytes', async () => {
    const head = `to,text\n${'+15550100001,x\n'.repeat(5_000)}`.slice(0, 65_536);
    const name = `stream:${digestOf(head)}`;
    for (const tail of ['\n+15550100002,y\n', `\n${'+15550100001,x\n'.repeat(10_000)}`]) {
      expect((await read(piped(head + tail))).identity).toBe(name);
    }
    expect((await read(piped(...cut(Buffer.from(head), [7, 9_000, 1]), '\n'))).identity).toBe(name);
    expect((await read(piped(`${head.slice(0, -1)}y\n`))).identity).not.toBe(name);
    expect((await read(piped(head))).identity).toBe(`file:${digestOf(head)}`);
    expect((await read(file('small.csv', head))).identity).toBe(`file:${digestOf(head)}`);
  });

  it('that is a stream can be called so before any of its SMS is taken, and loses none', async () => {
    const stdin = new PassThrough();
    stdin.write('to,text\n+15550100001,x\n');
    const input = await InputFile.open({
      path: '-',
      ...{
        stdin,
        run: 'demo',
        maxRows: undefined,
        sending: undefined,
        nowMs: () => NOW,
        onBadLine: () => {},
      },
      signal: new AbortController().signal,
    });
    const identified = input.identify();
    expect(input.identity).toBeUndefined();
    stdin.end('+15550100002,y\n');
    await identified;
    expect(input.identity).toMatch(/^file:/);
    const texts: string[] = [];
    for await (const batch of input.batches()) texts.push(...batch.map(({ sms }) => sms.text));
    expect(texts).toEqual(['x', 'y']);
  });

  it('leaves out the SMS that were accepted before, and still finds what they repeat', async () => {
    const input = await InputFile.open({
      ...file(
        'rest.csv',
        'to,text,id\n+15550100001,a,x\n555,b,\n+15550100003,c,\n+15550100004,d,x\n+15550100005,e,\n',
      ),
      stdin: Readable.from([]),
      ...{ run: 'demo', maxRows: undefined, sending: undefined, nowMs: () => NOW, onBadLine: () => {} },
      signal: new AbortController().signal,
    });
    const rest: NumberedSms[] = [];
    for await (const batch of input.batches(3)) rest.push(...batch);
    expect(rest).toMatchObject([{ smsNumber: 5, sms: { text: 'e' } }]);
    expect([input.acceptedBefore, input.badLineCount, input.rowCount]).toEqual([2, 2, 5]);
  });

  it('that is small is called so before its first row is sent', async () => {
    const input = await InputFile.open({
      path: '-',
      ...piped('to,text\n+15550100001,x\n'),
      ...{ run: 'demo', maxRows: undefined, sending: undefined, nowMs: () => NOW, onBadLine: () => {} },
      signal: new AbortController().signal,
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(input.identity).toMatch(/^file:[0-9a-f]{16}$/);
    input.close();
  });

  it('that stands still ends at the shutdown', async () => {
    const stdin = new PassThrough();
    stdin.write('to,text\n+15550100001,x\n');
    const shutdown = new AbortController();
    const reading = read({ stdin }, undefined, shutdown.signal);
    setTimeout(() => shutdown.abort('SIGINT'), 20);
    expect((await reading).sms).toHaveLength(1);
    expect(stdin.destroyed).toBe(true);
  });

  it('holds back no more than 64 KiB for a quote that is not closed', async () => {
    const stdin = new PassThrough();
    stdin.write(`to,text\n+15550100001,"open\n${'+15550100002,x\n'.repeat(6_000)}`);
    const shutdown = new AbortController();
    setTimeout(() => shutdown.abort('SIGINT'), 500);
    const { sms, bad } = await read({ stdin }, undefined, shutdown.signal);
    expect(bad).toEqual(['2: a quote is not closed']);
    expect(sms.length).toBeGreaterThan(5_000);
  });

  it('that has not begun ends at the shutdown', async () => {
    const stdin = new PassThrough();
    const shutdown = new AbortController();
    const reading = read({ stdin }, undefined, shutdown.signal);
    setTimeout(() => shutdown.abort('SIGINT'), 20);
    expect((await reading).sms).toEqual([]);
  });

  it('of one endless line is read in bounded memory', async () => {
    const chunk = Buffer.alloc(65_536, 'x');
    function* endless() {
      yield Buffer.from('to,text\n');
      for (let count = 0; count < 8_000; count += 1) yield chunk;
      yield Buffer.from('\n+15550100001,after\n');
    }
    const beforeBytes = process.memoryUsage().rss;
    const { sms, bad } = await read({ stdin: Readable.from(endless(), { objectMode: false }) });
    expect(process.memoryUsage().rss - beforeBytes).toBeLessThan(100e6);
    expect(bad).toEqual(['2: line is longer than 64 KiB']);
    expect(sms).toMatchObject([{ id: 'demo-000002', text: 'after' }]);
  });
});

describe('when and how urgently an SMS is to be sent', () => {
  const rows = [
    ['10m', 'high', '1h', { sendAtMs: NOW + 600_000, priority: 'high', validForMs: 3_600_000 }],
    ['2026-12-01T09:00:00+01:00', '', '', { sendAtMs: Date.UTC(2026, 11, 1, 8) }],
    ['', 'low', '', { priority: 'low' }],
    ['', '', '2s', { validForMs: 2_000 }],
    ['', '', '', undefined],
  ] as const;
  const csv = `to,text,SendAt,priority,validfor\n${rows
    .map(([sendAt, priority, validFor]) => `+15550100001,Hello,${sendAt},${priority},${validFor}\n`)
    .join('')}`;
  const ndjson = rows
    .map(([sendAt, priority, validFor]) => {
      const fields = { to: '+15550100001', text: 'Hello', sendAt, priority, validFor };
      return `${JSON.stringify(fields, (_, value: unknown) => (value === '' ? null : value))}\n`;
    })
    .join('');
  const flags: SendingRequest = { sendAtMs: 5, priority: 'normal' };

  it.each([
    ['CSV', csv],
    ['NDJSON', ndjson],
  ])('is read from %s, and a row says nothing where it says nothing', async (_, content) => {
    const { numbered, bad } = await read(piped(content));
    expect(bad).toEqual([]);
    expect(numbered.map(({ sending }) => sending)).toEqual(rows.map(([, , , request]) => request));
  });

  it.each([
    ['CSV', csv],
    ['NDJSON', ndjson],
  ])('is read from %s before it is taken from the flags', async (_, content) => {
    const { numbered } = await read(piped(content), undefined, undefined, flags);
    expect(numbered.map(({ sending }) => sending)).toEqual(
      rows.map(([, , , request]) => request && { ...flags, ...request }),
    );
  });

  it('is told by the line where it cannot be read, and the other rows are sent', async () => {
    const { sms, bad } = await read(
      file(
        'wishes.csv',
        [
          'to,text,sendAt,priority,validFor',
          '+15550100001,a,2026-12-01T09:00:00,,',
          '+15550100002,b,tomorrow,,',
          '+15550100003,c,2026-02-30T09:00:00Z,,',
          '+15550100004,d,367d,urgent,1s',
          '+15550100005,e,,urgent,1s',
          '+15550100006,f,,,1s',
          '+15550100007,g,,,soon',
          '+15550100008,h,,,366d',
          '+15550100009,i,1s,low,2s',
        ].join('\n'),
      ),
    );
    expect(bad).toEqual([
      '2: sendAt has no offset from UTC (write Z or an offset such as +01:00 at its end)',
      '3: sendAt is not a time (write 2026-12-01T09:00:00+01:00, or a duration from now such as 10m)',
      '4: sendAt names a date or a time of day that does not exist',
      '5: sendAt is more than 366 days ahead',
      '6: priority is not high, normal or low',
      '7: validFor is too short (at least 2s)',
      '8: validFor is not a duration (write 30s, 5m, 12h or 1d)',
      '9: validFor is too long (at most a year, 8760h)',
    ]);
    expect(sms.map(({ text }) => text)).toEqual(['i']);
  });

  it('is told of NDJSON values that are no text', async () => {
    const lines = ['"sendAt":1796115600000', '"priority":1', '"validFor":60', '"sendAt":{"toString":1}'];
    const { bad } = await read(
      piped(...lines.map((field) => `{"to":"+15550100001","text":"Hello",${field}}\n`)),
    );
    expect(bad.map((each) => each.split(' (')[0])).toEqual([
      '1: sendAt is not a time',
      '2: priority is not high, normal or low',
      '3: validFor is not a duration',
      '4: sendAt is not a time',
    ]);
  });
});

describe('an id that is there twice', () => {
  it('is told by both lines and sent once, also where the rows are the same to the byte', async () => {
    const { sms, bad, rowCount } = await read(
      file(
        'twice.csv',
        'to,text,id\n+15550100001,one,dup1\n+15550100002,two,dup2\n+15550100001,other,dup1\n+15550100002,two,dup2\n+15550100003,last,\n',
      ),
    );
    expect(sms.map(({ id, text }) => [id, text])).toEqual([
      ['dup1', 'one'],
      ['dup2', 'two'],
      ['demo-000005', 'last'],
    ]);
    expect(bad).toEqual(['4: id dup1 was on line 2 already', '5: id dup2 was on line 3 already']);
    expect(rowCount).toBe(5);
  });

  it('is told of NDJSON too, and of rows far apart', async () => {
    const row = (id: string) => `{"to":"+15550100001","text":"x","id":"${id}"}\n`;
    const between = Array.from({ length: 5_000 }, (_, index) => row(`n${index}`)).join('');
    const { sms, bad } = await read(piped(`${row('dup')}${between}\n${row('dup')}`));
    expect(sms).toHaveLength(5_001);
    expect(bad).toEqual(['5003: id dup was on line 1 already']);
  });

  it('is left to the row that can be sent', async () => {
    const { sms, bad } = await read(piped('to,text,id\n555,one,a\n+15550100002,two,a\n'));
    expect(sms).toMatchObject([{ id: 'a', text: 'two' }]);
    expect(bad).toEqual(['2: to is not a phone number']);
  });

  it.each([
    ['a later row that brings none', ['demo-000003', '', ''], ['4: id demo-000003 was on line 2 already']],
    [
      'an earlier row that brings none',
      ['', '', 'demo-000002'],
      ['4: id demo-000002 is that of row 2, which brings none'],
    ],
    ['its own row', ['', 'demo-000002', ''], []],
    ['a row that brings another', ['x', 'demo-000001', ''], []],
    ['a later row that brings another', ['demo-000002', 'x', ''], []],
    ['a row of another run', ['may-000003', '', ''], []],
  ])('may be the one of %s', async (_, ids, expected) => {
    const rows = ids.map((id) => `+15550100001,x,${id}\n`).join('');
    const { sms, bad } = await read(piped(`to,text,id\n${rows}`));
    expect(bad).toEqual(expected);
    expect(new Set(sms.map(({ id }) => id)).size).toBe(ids.length - expected.length);
  });

  it('is found as by a Map, in any mixture of rows with ids and without', async () => {
    const id = fc.oneof(
      fc.constant(''),
      fc.integer({ min: 1, max: 20 }).map((number) => `demo-${String(number).padStart(6, '0')}`),
      fc.constantFrom('a', 'b', 'c'),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(id, { minLength: 1, maxLength: 20 }), async (ids) => {
        const { sms, bad } = await read(
          piped(`to,text,id\n${ids.map((each) => `+15550100001,x,${each}\n`).join('')}`),
        );
        const taken = new Set<string>();
        const expected = ids
          .map((each, index) => (each === '' ? `demo-${String(index + 1).padStart(6, '0')}` : each))
          .filter((each) => !taken.has(each) && taken.add(each));
        expect(sms.map((each) => each.id)).toEqual(expected);
        expect(bad).toHaveLength(ids.length - expected.length);
      }),
      { numRuns: 60 },
    );
  });
});

async function attempt(source: { stdin: Readable }): Promise<Read | string> {
  try {
    return await read(source);
  } catch (error) {
    return String(error);
  }
}

function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}

function quote(text: string): string {
  return `"${text.replaceAll('"', '""')}"`;
}

/** The bytes in pieces of these lengths, and the rest. */
function cut(bytes: Buffer, lengths: readonly number[]): Buffer[] {
  const pieces: Buffer[] = [];
  let start = 0;
  for (const length of lengths) {
    pieces.push(bytes.subarray(start, start + length));
    start += length;
  }
  return [...pieces, bytes.subarray(start)];
}
