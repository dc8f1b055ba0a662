import type { FieldProblem } from '../../../shared/domain/sms/sending-request.ts';
import type { ContentProblem } from '../../../shared/domain/sms/sms.ts';
import type { Line } from './read-lines.ts';

/** Why a row of an input is not sent. Names no phone number and no text. */
export type RowProblem =
  | ContentProblem
  | `${FieldProblem['field']} ${FieldProblem['problem']}`
  | 'line is longer than 64 KiB'
  | 'not UTF-8'
  | 'not JSON'
  | 'not a JSON object'
  | 'wrong number of columns'
  | 'a quote is not closed'
  | 'a quote stands inside a field'
  | 'id is not 1 to 128 letters, digits, ".", "_", ":" or "-"'
  | `id ${string} was on line ${number} already`
  | `id ${string} is that of row ${number}, which brings none`;

/** A data row as found in the input, its content not yet judged. */
export type InputRow =
  | { readonly kind: 'fields'; readonly lineNumber: number; readonly fields: Record<string, unknown> }
  | { readonly kind: 'bad'; readonly lineNumber: number; readonly problem: RowProblem };

/** Reads rows from lines, in order. `isEnd` with the last lines, for rows that wait for more. */
export interface RowReader {
  read(lines: readonly Line[], isEnd: boolean): InputRow[];
}

export function badRow(lineNumber: number, problem: RowProblem): InputRow {
  return { kind: 'bad', lineNumber, problem };
}
