import { SeenNumbers } from '../../../shared/domain/seen-numbers.ts';
import { smsNumberOf } from '../../../shared/domain/sms/sms.ts';
import type { RowProblem } from './input-row.ts';
import { SeenIds } from './seen-ids.ts';

/**
 * Which rows of an input repeat an id. Only the ids that rows bring are remembered: the others follow from the rows'
 * numbers, and can be met only by an id that looks like one of them.
 */
export class InputIds {
  readonly #run: string;
  readonly #seen = new SeenIds();
  readonly #rowsWithId = new SeenNumbers();
  #isNumberedIdSeen = false;

  constructor(run: string) {
    this.#run = run;
  }

  /** A row brings an id of its own, whatever else is wrong with the row. */
  noteRowWithId(rowNumber: number): void {
    this.#rowsWithId.add(rowNumber);
  }

  /** What is wrong with the id of a row that is good otherwise; undefined where no row before it had that id. */
  problemOf(id: string, rowNumber: number, lineNumber: number): RowProblem | undefined {
    const isOwn = this.#rowsWithId.has(rowNumber);
    if (!isOwn && !this.#isNumberedIdSeen) return undefined;
    const numberInId = smsNumberOf(this.#run, id);
    if (isOwn && numberInId !== undefined) {
      this.#isNumberedIdSeen = true;
      const isOfEarlierRow = numberInId < rowNumber && !this.#rowsWithId.has(numberInId);
      if (isOfEarlierRow) return `id ${id} is that of row ${numberInId}, which brings none`;
    }
    const firstLine = this.#seen.meet(id, lineNumber);
    return firstLine === undefined ? undefined : `id ${id} was on line ${firstLine} already`;
  }
}
