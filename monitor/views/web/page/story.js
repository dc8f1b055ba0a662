/** The whole story of one SMS, for whoever knows its id: its number and text are told, as the HTTP API tells them. */
import { element } from './element.js';
import { duration, moment } from './figures.js';
import { rowOf } from './lists.js';

const FIELDS = [
  ...[
    ['state', 'State'],
    ['reason', 'Reason'],
    ['run', 'Run'],
    ['to', 'To'],
    ['from', 'From'],
    ['text', 'Text'],
  ],
  ...[
    ['reference', 'Reference'],
    ['priority', 'Priority'],
    ['acceptedAt', 'Accepted'],
    ['sendAt', 'Send at'],
  ],
  ...[
    ['expiresAt', 'Expires'],
    ['nextAttemptAt', 'Next attempt'],
    ['finishedAt', 'Ended'],
    ['record', 'Record'],
  ],
];
const TIMES = new Set(['acceptedAt', 'sendAt', 'expiresAt', 'nextAttemptAt', 'finishedAt']);

/** @returns asks for the story of an id, and goes there */
export function openStories() {
  const form = element('story-form');
  const input = /** @type {HTMLInputElement} */ (element('story-id'));
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    void tell(input.value.trim());
  });
  return (id) => {
    input.value = id;
    form.scrollIntoView({ block: 'nearest' });
    input.focus();
    void tell(id);
  };
}

async function tell(id) {
  const place = element('story');
  place.replaceChildren(paragraph('Looking …'));
  const { story, problem } = await ask(id);
  place.replaceChildren(...(story === undefined ? [paragraph(problem)] : render(story)));
}

async function ask(id) {
  try {
    return await (await fetch(`/messages/${encodeURIComponent(id)}`)).json();
  } catch {
    return { problem: 'The monitor does not answer.' };
  }
}

/** @param {import('../../../../shared/pipeline/story/story.ts').Story} story */
function render(story) {
  const facts = document.createElement('dl');
  facts.className = 'facts';
  for (const [field, title] of FIELDS) {
    const value = story[field];
    if (value === undefined) continue;
    const [term, told] = [document.createElement('dt'), document.createElement('dd')];
    term.textContent = title;
    told.textContent = TIMES.has(field) ? moment(value, Date.now()) : value;
    if (field === 'state') told.dataset.state = value;
    facts.append(term, told);
  }
  return [facts, story.attempts.length === 0 ? paragraph('No attempt has ended yet.') : attemptsOf(story)];
}

function attemptsOf({ attempts }) {
  const table = document.createElement('table');
  const head = table.createTHead().insertRow();
  for (const title of ['Attempt', 'Began', 'Late', 'Took', 'Result']) {
    const cell = document.createElement('th');
    cell.scope = 'col';
    cell.textContent = title;
    head.append(cell);
  }
  const body = table.createTBody();
  for (const { attempt, startedAt, lateMs, tookMs, result, reason } of attempts)
    body.append(
      rowOf([
        ...[[String(attempt)], [moment(startedAt, Date.now()), 'nowrap']],
        ...[
          [lateMs === undefined ? '' : duration(lateMs / 1_000), 'nowrap'],
          [duration(tookMs / 1_000), 'nowrap'],
        ],
        [reason === undefined ? result : `${result}: ${reason}`],
      ]),
    );
  return table;
}

function paragraph(text) {
  const made = document.createElement('p');
  made.textContent = text;
  return made;
}
