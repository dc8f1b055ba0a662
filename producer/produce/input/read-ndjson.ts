import { isUtf8 } from 'node:buffer';
import { parseJson } from '../../../shared/domain/parse-json.ts';
import { badRow, type InputRow, type RowReader } from './input-row.ts';
import { isBlank, type Line } from './read-lines.ts';

/** One JSON object a line; blank lines are skipped. */
export class NdjsonReader implements RowReader {
  read(lines: readonly Line[]): InputRow[] {
    return lines.filter(({ bytes }) => bytes === undefined || !isBlank(bytes)).map(readRow);
  }
}

function readRow({ lineNumber, bytes }: Line): InputRow {
  if (bytes === undefined) return badRow(lineNumber, 'line is longer than 64 KiB');
  if (!isUtf8(bytes)) return badRow(lineNumber, 'not UTF-8');
  const value = parseJson(bytes.toString('utf8'));
  if (value === undefined) return badRow(lineNumber, 'not JSON');
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return badRow(lineNumber, 'not a JSON object');
  }
  return { kind: 'fields', lineNumber, fields: value as Record<string, unknown> };
}
