/**
 * Senders, failures and reasons as tables and bars.
 *
 * @typedef {import('../../../../shared/domain/snapshot.ts').Snapshot} Snapshot
 */
import { element } from './element.js';
import { count, duration, moment, rate, UNKNOWN } from './figures.js';

/** A sender counts as living until it has missed two signs of life. */
const SILENT_AFTER_SECONDS = 5;

/** @param {Snapshot['seenSenders']} senders */
export function showSenders(senders) {
  const rows = (senders ?? []).map((sender) => {
    const isSilent = sender.lastSeenSeconds > SILENT_AFTER_SECONDS;
    const lastSeen = sender.lastSeenSeconds < 1 ? 'now' : `${duration(sender.lastSeenSeconds)} ago`;
    const row = rowOf([
      [sender.id, 'id'],
      [sender.host ?? UNKNOWN],
      [count(sender.inFlight), 'number'],
      [rate(sender.attemptsPerSecond), 'number'],
      [isSilent ? `silent for ${duration(sender.lastSeenSeconds)}` : lastSeen, 'number'],
    ]);
    row.classList.toggle('is-silent', isSilent);
    return row;
  });
  const none = senders === null ? 'Nobody has told us yet.' : 'No sender is running.';
  fill('senders', rows, none, 5);
}

/**
 * @param {import('../newest-failures.ts').Failures} failures
 * @param {(id: string) => void} askForStory called with the id that somebody wants to know more of
 */
export function showFailures({ rows, problem }, askForStory) {
  const note = element('failures-problem');
  note.hidden = problem === '';
  note.textContent = problem;
  const now = Date.now();
  const shown = rows.map(({ id, to, reason, attempts, finishedAt }) => {
    const button = document.createElement('button');
    button.type = 'button';
    button.className = 'link';
    button.textContent = id;
    button.addEventListener('click', () => askForStory(id));
    const row = rowOf([
      [finishedAt === '' ? UNKNOWN : moment(finishedAt, now), 'nowrap'],
      ['', 'id'],
      [to, 'nowrap'],
      [reason],
      [count(attempts), 'number'],
    ]);
    row.children[1].replaceChildren(button);
    return row;
  });
  fill('failures', shown, 'None.', 5);
}

/** @param {Snapshot} snapshot */
export function showReasons({ failedByReason, failed }) {
  const reasons = Object.entries(failedByReason);
  const largest = Math.max(1, ...reasons.map(([, number]) => number));
  const items = reasons.map(([reason, number]) => {
    const item = document.createElement('li');
    const [name, bar, value] = ['name', 'bar', 'value'].map((part) => {
      const span = document.createElement('span');
      span.className = part;
      return span;
    });
    name.textContent = reason;
    value.textContent = count(number);
    const filled = document.createElement('i');
    filled.style.width = `${(number / largest) * 100}%`;
    bar.append(filled);
    item.append(name, bar, value);
    return item;
  });
  if (items.length === 0) {
    const item = document.createElement('li');
    item.className = 'none';
    item.textContent = failed === null ? 'Nobody has told us yet.' : 'Nothing has failed.';
    items.push(item);
  }
  element('reasons').replaceChildren(...items);
}

/** A row of cells, each a text and the name of its class. */
export function rowOf(cells) {
  const row = document.createElement('tr');
  for (const [text, className = ''] of cells) {
    const cell = document.createElement('td');
    cell.className = className;
    cell.textContent = text;
    row.append(cell);
  }
  return row;
}

function fill(id, rows, none, columns) {
  if (rows.length > 0) return element(id).replaceChildren(...rows);
  const row = rowOf([[none, 'none']]);
  row.cells[0].colSpan = columns;
  element(id).replaceChildren(row);
}
