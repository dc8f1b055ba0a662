/**
 * A file, or standard input, as the SMS of a run. Row n is SMS number n, and its id is made of that number unless the row
 * brings its own. Bad rows are numbered too, so that mending one changes no other id. The input is streamed: one chunk of
 * it is in memory at a time.
 */
import { createHash, type Hash } from 'node:crypto';
import { constants, createReadStream, openSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { Socket } from 'node:net';
import { addAbortSignal, pipeline, type Readable, Transform } from 'node:stream';
import { pipeline as pipe } from 'node:stream/promises';
import {
  hasRequestFields,
  type RequestFields,
  readSendingRequest,
  type SendingRequest,
} from '../../../shared/domain/sms/sending-request.ts';
import { isSmsId, readSmsContent, smsIdOf } from '../../../shared/domain/sms/sms.ts';
import { describeError, RedialError, UsageError } from '../../../shared/errors.ts';
import type { NumberedSms } from '../produce-run.ts';
import { InputIds } from './input-ids.ts';
import type { InputRow, RowProblem, RowReader } from './input-row.ts';
import { CsvReader } from './read-csv.ts';
import { isBlank, type Line, LineSplitter } from './read-lines.ts';
import { NdjsonReader } from './read-ndjson.ts';

export interface InputOptions {
  /** A path, or `-` for standard input. */
  readonly path: string;
  readonly stdin: Readable;
  readonly run: string;
  /** Undefined: all. */
  readonly maxRows: number | undefined;
  /** What holds for rows that say nothing else. */
  readonly sending: SendingRequest | undefined;
  /** What a `sendAt` of a row such as `10m` counts from: the moment at which the row is read. */
  readonly nowMs: () => number;
  /** Ends the reading. */
  readonly signal: AbortSignal;
  readonly onBadLine: (lineNumber: number, problem: RowProblem) => void;
}

const FINGERPRINT_BYTES = 64 * 1024;
const FINGERPRINT_DIGITS = 16;

export class InputFile {
  readonly #options: InputOptions;
  readonly #bytes: Transform;
  readonly #rest: AsyncGenerator<NumberedSms[]>;
  readonly #ids: InputIds;
  #identity: string | undefined;
  #firstBatches: NumberedSms[][] = [];
  #acceptedBefore = 0;
  #rowCount = 0;
  #badLineCount = 0;

  /**
   * Opens the input and reads it up to its first row.
   * @throws UsageError where it cannot be opened, names no columns or holds no row
   */
  static async open(options: InputOptions): Promise<InputFile> {
    const identity = await identifyFile(options);
    const input = new InputFile(options, await openSource(options), identity);
    await input.#readToFirstRow();
    return input;
  }

  private constructor(options: InputOptions, source: Readable, identity: string | undefined) {
    this.#options = options;
    this.#identity = identity;
    this.#ids = new InputIds(options.run);
    this.#bytes = fingerprinted((found) => {
      this.#identity ??= found;
    });
    // Errors come to the reader of the bytes; the callback is there because pipeline asks for one.
    pipeline(source, this.#bytes, () => {});
    addAbortSignal(options.signal, this.#bytes);
    this.#rest = this.#read();
  }

  /** What announcements call this input; undefined until 64 KiB or all of a stream were read. */
  get identity(): string | undefined {
    return this.#identity;
  }

  /** Data rows read so far, bad ones included. */
  get rowCount(): number {
    return this.#rowCount;
  }

  get maxRows(): number | undefined {
    return this.#options.maxRows;
  }

  get badLineCount(): number {
    return this.#badLineCount;
  }

  /** Ends the reading, so that an open standard input does not keep the process. */
  close(): void {
    this.#bytes.destroy();
  }

  /** SMS of this input that were left out because they were accepted before. */
  get acceptedBefore(): number {
    return this.#acceptedBefore;
  }

  /** Reads on until the identity is known, no more than 64 KiB; also at the end and at the shutdown. */
  async identify(): Promise<void> {
    while (this.#identity === undefined) {
      const { done, value } = await this.#rest.next().catch((error: unknown) => this.#failFurther(error));
      if (done === true) return;
      this.#firstBatches.push(value);
    }
  }

  /** The SMS of the input. @param resumeAfter those up to this number were accepted before, and are left out */
  async *batches(resumeAfter = 0): AsyncGenerator<readonly NumberedSms[]> {
    for await (const batch of this.#allBatches()) {
      const rest = batch.filter(({ smsNumber }) => smsNumber > resumeAfter);
      this.#acceptedBefore += batch.length - rest.length;
      yield rest;
    }
  }

  async *#allBatches(): AsyncGenerator<NumberedSms[]> {
    try {
      yield* this.#firstBatches.splice(0);
      yield* this.#rest;
    } catch (error) {
      this.#failFurther(error);
    }
  }

  #failFurther(error: unknown): never {
    if (error instanceof UsageError) throw error;
    throw new RedialError(
      'INPUT_FAILED',
      `${nameOf(this.#options)} cannot be read further: ${describeError(error)}`,
    );
  }

  async #readToFirstRow(): Promise<void> {
    try {
      while (this.#rowCount === 0) {
        const { done, value } = await this.#rest.next();
        if (done === true) break;
        this.#firstBatches.push(value);
      }
    } catch (error) {
      if (error instanceof UsageError) throw new UsageError(`${nameOf(this.#options)}: ${error.message}`);
      throw new UsageError(`${nameOf(this.#options)} ${explainOpenError(error)}`);
    }
    if (this.#rowCount === 0 && !this.#options.signal.aborted) {
      throw new UsageError(`${nameOf(this.#options)} is empty: it must hold at least one SMS`);
    }
  }

  async *#read(): AsyncGenerator<NumberedSms[]> {
    const splitter = new LineSplitter();
    let reader: RowReader | undefined;
    const read = (lines: readonly Line[], isEnd: boolean) => {
      reader ??= chooseReader(this.#options.path, lines);
      return this.#judge(reader?.read(lines, isEnd) ?? []);
    };
    try {
      for await (const chunk of this.#bytes) {
        if (this.#rowCount === 0) refuseOtherFormats(chunk as Buffer);
        yield read(splitter.split(chunk as Buffer), false);
        if (this.#isComplete()) return;
      }
      yield read(splitter.end(), true);
    } catch (error) {
      if (!this.#options.signal.aborted) throw error;
    }
  }

  #isComplete(): boolean {
    return this.#rowCount === this.#options.maxRows;
  }

  /** Numbers the rows, and keeps those that are an SMS. */
  #judge(rows: readonly InputRow[]): NumberedSms[] {
    const good: NumberedSms[] = [];
    for (const row of rows) {
      if (this.#isComplete()) break;
      this.#rowCount += 1;
      const sms = this.#readSms(row);
      if (typeof sms === 'object') good.push(sms);
      else {
        this.#badLineCount += 1;
        this.#options.onBadLine(row.lineNumber, sms);
      }
    }
    return good;
  }

  #readSms(row: InputRow): NumberedSms | RowProblem {
    if (row.kind === 'bad') return row.problem;
    const { run } = this.#options;
    const ownId = row.fields.id ?? undefined;
    if (ownId !== undefined) this.#ids.noteRowWithId(this.#rowCount);
    const id = ownId ?? smsIdOf(run, this.#rowCount);
    if (!isSmsId(id)) return 'id is not 1 to 128 letters, digits, ".", "_", ":" or "-"';
    const judged = readSmsContent(row.fields);
    if ('problem' in judged) return judged.problem;
    const { fields } = row;
    const sending = hasRequestFields(fields) ? this.#readSending(fields) : undefined;
    if (typeof sending === 'string') return sending;
    const repeat = this.#ids.problemOf(id, this.#rowCount, row.lineNumber);
    if (repeat !== undefined) return repeat;
    const sms = { id, run, ...judged.content };
    return sending === undefined
      ? { smsNumber: this.#rowCount, sms }
      : { smsNumber: this.#rowCount, sms, sending };
  }

  #readSending(fields: RequestFields): SendingRequest | RowProblem {
    const { sending, nowMs } = this.#options;
    const read = readSendingRequest(fields, nowMs(), sending);
    if ('request' in read) return read.request;
    const [first] = read.problems;
    return `${first.field} ${first.problem}`;
  }
}

function nameOf({ path }: InputOptions): string {
  return path === '-' ? 'standard input' : `--file ${path}`;
}

/**
 * A FIFO is opened without waiting for its writer: an open that waits cannot be taken back, and would keep the process
 * after a Ctrl-C.
 * @throws UsageError
 */
async function openSource(options: InputOptions): Promise<Readable> {
  const { path, stdin } = options;
  if (path === '-') return stdin;
  const found = await stat(path).catch(() => undefined);
  if (found?.isFIFO() !== true) return createReadStream(path);
  try {
    const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    return new Socket({ fd, readable: true, writable: false });
  } catch (error) {
    throw new UsageError(`${nameOf(options)} ${explainOpenError(error)}`);
  }
}

/** What stands at the beginning of files that are no text in UTF-8. */
const OTHER_FORMATS: readonly (readonly [Buffer, string])[] = [
  [Buffer.from([0x1f, 0x8b]), 'is compressed with gzip, unpack it first'],
  [Buffer.from([0x50, 0x4b, 0x03, 0x04]), 'is a ZIP archive or a spreadsheet, write it as CSV'],
  [Buffer.from([0xff, 0xfe]), 'is UTF-16, write it as UTF-8'],
  [Buffer.from([0xfe, 0xff]), 'is UTF-16, write it as UTF-8'],
];

function refuseOtherFormats(beginning: Buffer): void {
  for (const [mark, advice] of OTHER_FORMATS)
    if (beginning.subarray(0, mark.length).equals(mark)) throw new UsageError(`it ${advice}`);
}

/**
 * The identity of a file is a digest of all its bytes: a file in which one digit has changed is another input. Undefined
 * for a stream, which is known only while it is read, and for a file that cannot be read.
 */
async function identifyFile({ path, signal }: InputOptions): Promise<string | undefined> {
  try {
    if (path === '-' || !(await stat(path)).isFile()) return undefined;
    const digest = createHash('sha256');
    await pipe(createReadStream(path), digest, { signal });
    return identityOf('file', digest);
  } catch {
    // Reading the rows fails in the same way, and says why.
    return undefined;
  }
}

function identityOf(kind: 'file' | 'stream', digest: Hash): string {
  return `${kind}:${digest.digest('hex').slice(0, FINGERPRINT_DIGITS)}`;
}

/**
 * Passes bytes through, and tells the identity of the stream as soon as it is known. The identity of a stream of up to
 * 64 KiB is that of a file with the same bytes; that of a longer one is made of its first 64 KiB. A stream reads ahead, so a
 * small one is known soon after its first row, however slowly rows are sent.
 */
function fingerprinted(onIdentity: (identity: string) => void): Transform {
  const digest = createHash('sha256');
  let missingBytes = FINGERPRINT_BYTES;
  let isTold = false;
  return new Transform({
    transform(chunk: Buffer, _, done) {
      if (!isTold) {
        digest.update(chunk.subarray(0, missingBytes));
        isTold = chunk.length > missingBytes;
        missingBytes = Math.max(0, missingBytes - chunk.length);
        if (isTold) onIdentity(identityOf('stream', digest));
      }
      done(null, chunk);
    },
    flush(done) {
      if (!isTold) onIdentity(identityOf('file', digest));
      done();
    },
  });
}

/**
 * CSV or NDJSON: by the file's extension, else by the first character that is not blank. Undefined while there is none.
 * @throws UsageError for JSON that is not one object a line, and for a file that says it is CSV and holds JSON
 */
function chooseReader(path: string, lines: readonly Line[]): RowReader | undefined {
  const first = lines.find(({ bytes }) => bytes === undefined || !isBlank(bytes));
  if (first === undefined) return undefined;
  const beginning = first.bytes?.toString('utf8').trimStart().charAt(0);
  if (beginning === '[')
    throw new UsageError(`it is a JSON list, write one object a line (jq -c '.[]' does)`);
  if (/\.(ndjson|jsonl|json)$/i.test(path)) return new NdjsonReader();
  if (beginning !== '{') return new CsvReader();
  if (/\.csv$/i.test(path)) throw new UsageError('it holds JSON and not CSV, let its name end in .ndjson');
  return new NdjsonReader();
}

function explainOpenError(error: unknown): string {
  switch ((error as { code?: unknown }).code) {
    case 'ENOENT':
      return 'does not exist';
    case 'EISDIR':
      return 'is a directory; it must be a CSV or NDJSON file';
    case 'EACCES':
    case 'EPERM':
      return 'must be readable for this user';
    default:
      return `cannot be read: ${describeError(error)}`;
  }
}
