/**
 * CSV with a header row, after RFC 4180. csv-parse splits records into fields; where a record begins and ends is
 * found here, because csv-parse 6 cannot go on after a record that is too long (with `max_record_size` and
 * `skip_records_with_error` it drops the rest of the chunk) and reads an unclosed quote to the end of the input.
 * Here such a quote makes one line bad and reading goes on at the next: mending the line moves no other row.
 */
import { isUtf8 } from 'node:buffer';
import { parse } from 'csv-parse/sync';
import { UsageError } from '../../../shared/errors.ts';
import { badRow, type InputRow, type RowProblem, type RowReader } from './input-row.ts';
import { isBlank, type Line, MAX_LINE_BYTES } from './read-lines.ts';

const QUOTE = 0x22;
const COMMA = 0x2c;
const CARRIAGE_RETURN = 0x0d;
const LINE_FEED = Buffer.from('\n');
const KNOWN_COLUMNS = ['to', 'text', 'from', 'reference', 'id', 'sendAt', 'priority', 'validFor'];

interface CsvRecord {
  readonly lineNumber: number;
  /** Its lines, joined again. */
  readonly bytes: Buffer;
}

type FoundRecord =
  | { readonly kind: 'record'; readonly bytes: Buffer; readonly lineCount: number }
  | { readonly kind: 'bad'; readonly problem: RowProblem }
  | { readonly kind: 'needs more lines' };

export class CsvReader implements RowReader {
  #waiting: Line[] = [];
  #columns: readonly string[] | undefined;

  /** @throws UsageError where the header row does not name the columns */
  read(newLines: readonly Line[], isEnd: boolean): InputRow[] {
    const lines = [...this.#waiting, ...newLines];
    const rows: InputRow[] = [];
    let records: CsvRecord[] = [];
    let index = 0;
    while (index < lines.length) {
      const line = lines[index] as Line;
      const isSkipped = line.bytes !== undefined && isBlank(line.bytes);
      const found: FoundRecord | undefined = isSkipped ? undefined : findRecord(lines, index, isEnd);
      if (found?.kind === 'needs more lines') break;
      if (found?.kind === 'record') records.push({ lineNumber: line.lineNumber, bytes: found.bytes });
      if (found?.kind === 'bad') {
        rows.push(...this.#readRecords(records), this.#badRow(line.lineNumber, found.problem));
        records = [];
      }
      index += found?.kind === 'record' ? found.lineCount : 1;
    }
    this.#waiting = lines.slice(index);
    rows.push(...this.#readRecords(records));
    return rows;
  }

  #badRow(lineNumber: number, problem: RowProblem): InputRow {
    if (this.#columns === undefined) throw new UsageError(`the header row cannot be read: ${problem}`);
    return badRow(lineNumber, problem);
  }

  #readRecords(records: readonly CsvRecord[]): InputRow[] {
    const [header, ...rest] = records;
    if (header === undefined) return [];
    if (this.#columns !== undefined) return readRows(records, this.#columns);
    this.#columns = readHeader(header);
    return readRows(rest, this.#columns);
  }
}

/** The record that begins at that line. */
function findRecord(lines: readonly Line[], first: number, isEnd: boolean): FoundRecord {
  const parts: Buffer[] = [];
  let length = 0;
  let isQuoted = false;
  for (let index = first; index < lines.length; index += 1) {
    const { bytes } = lines[index] as Line;
    length += (bytes?.length ?? Infinity) + 1;
    const isFirst = index === first;
    if (bytes === undefined || length > MAX_LINE_BYTES + 1) {
      return { kind: 'bad', problem: isFirst ? 'line is longer than 64 KiB' : 'a quote is not closed' };
    }
    const state = scanQuotes(bytes, isQuoted);
    if (state === 'misplaced') {
      return { kind: 'bad', problem: isFirst ? 'a quote stands inside a field' : 'a quote is not closed' };
    }
    parts.push(bytes, LINE_FEED);
    if (state === 'closed') {
      return { kind: 'record', bytes: Buffer.concat(parts), lineCount: index - first + 1 };
    }
    isQuoted = true;
  }
  return isEnd ? { kind: 'bad', problem: 'a quote is not closed' } : { kind: 'needs more lines' };
}

/** How a line leaves the quotes: a field may hold quotes only if it begins with one, and doubles those inside. */
function scanQuotes(bytes: Buffer, isQuotedBefore: boolean): 'closed' | 'open' | 'misplaced' {
  if (bytes.indexOf(QUOTE) === -1) return isQuotedBefore ? 'open' : 'closed';
  const end = bytes.at(-1) === CARRIAGE_RETURN ? bytes.length - 1 : bytes.length;
  let isQuoted = isQuotedBefore;
  for (let position = 0; position < end; position += 1) {
    if (bytes[position] !== QUOTE) continue;
    if (!isQuoted) {
      const isFieldStart = position === 0 || bytes[position - 1] === COMMA;
      if (!isFieldStart) return 'misplaced';
      isQuoted = true;
    } else if (position + 1 < end && bytes[position + 1] === QUOTE) {
      position += 1;
    } else {
      const isFieldEnd = position + 1 === end || bytes[position + 1] === COMMA;
      if (!isFieldEnd) return 'misplaced';
      isQuoted = false;
    }
  }
  return isQuoted ? 'open' : 'closed';
}

function readHeader({ bytes }: CsvRecord): readonly string[] {
  if (!isUtf8(bytes)) throw new UsageError('the header row cannot be read: not UTF-8');
  const columns = (splitFields([bytes])[0] ?? []).map((name) => columnNamed(name.trim()));
  const advice = `the first row must name the columns to and text, and may name ${KNOWN_COLUMNS.slice(2).join(', ')}`;
  for (const [name, mark] of Object.entries({ semicolons: ';', tabs: '\t' })) {
    if (columns.length === 1 && columns[0]?.includes(mark))
      throw new UsageError(`the columns are separated by ${name}, write commas: ${advice}`);
  }
  for (const name of ['to', 'text']) {
    if (!columns.includes(name)) throw new UsageError(`the column "${name}" is missing: ${advice}`);
  }
  for (const name of KNOWN_COLUMNS) {
    if (columns.indexOf(name) !== columns.lastIndexOf(name)) {
      throw new UsageError(`the column "${name}" is there twice: ${advice}`);
    }
  }
  return columns;
}

/** The known column of that name, in capitals or not. @throws UsageError for a name that is almost one of two words */
function columnNamed(name: string): string {
  const known = KNOWN_COLUMNS.find((column) => column.toLowerCase() === name.toLowerCase());
  if (known !== undefined) return known;
  // Columns that are not known are ignored. Ignoring `send_at` would send at once what is to be sent later.
  const plain = name.replaceAll(/[\s_-]/g, '').toLowerCase();
  const meant = ['sendAt', 'validFor'].find((column) => column.toLowerCase() === plain);
  if (meant !== undefined) throw new UsageError(`the column "${name}" must be named ${meant}`);
  return name;
}

function readRows(records: readonly CsvRecord[], columns: readonly string[]): InputRow[] {
  const readable = records.filter(({ bytes }) => isUtf8(bytes));
  const fieldsOf = new Map(
    splitFields(readable.map(({ bytes }) => bytes)).map((fields, index) => [readable[index], fields]),
  );
  return records.map((record) => {
    const fields = fieldsOf.get(record);
    if (fields === undefined) return badRow(record.lineNumber, 'not UTF-8');
    if (fields.length !== columns.length) return badRow(record.lineNumber, 'wrong number of columns');
    return { kind: 'fields', lineNumber: record.lineNumber, fields: nameFields(columns, fields) };
  });
}

// An empty field means that there is none, except for the two that must be there.
function nameFields(columns: readonly string[], fields: readonly string[]): Record<string, string> {
  const named: Record<string, string> = {};
  for (const [index, name] of columns.entries()) {
    const field = fields[index] ?? '';
    if (KNOWN_COLUMNS.includes(name) && (field !== '' || name === 'text')) named[name] = field;
  }
  return named;
}

/** The fields of each record: a list for each, in order. */
function splitFields(records: readonly Buffer[]): string[][] {
  const rows = parse(Buffer.concat(records), { record_delimiter: ['\r\n', '\n'], relax_column_count: true });
  if (rows.length !== records.length) throw new Error('csv-parse sees other records than we do');
  return rows;
}
