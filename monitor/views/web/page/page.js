/** Puts what the stream tells into the page. Text of others is only ever set as text. */
import { Charts } from './charts.js';
import { element } from './element.js';
import { count, timeOfDay, UNKNOWN } from './figures.js';
import { showFailures, showReasons, showSenders } from './lists.js';
import { Series } from './series.js';
import { openStories } from './story.js';
import { follow } from './stream.js';
import { Way } from './way.js';

/** A screen reader hears the sentence where it turns, and each half minute. */
const SPOKEN_EVERY_MS = 30_000;

const series = new Series();
const charts = new Charts(series);
const way = new Way(element('way'), series);
const askForStory = openStories();
let isHistoryRead = false;
let newestAt = '';
let spoken = { tone: '', at: 0 };

follow({
  onOpen() {
    isHistoryRead = false;
  },
  onView(view) {
    if (!isHistoryRead) void readHistory();
    const { snapshot, sentence, sample } = view;
    newestAt = snapshot.at;
    series.add(sample);
    showSentence(sentence, snapshot.at);
    showBanner(snapshot.state === 'stale' ? `Not of now: ${staleReason(snapshot)}` : '');
    showProblems(snapshot.problems);
    showCounters(snapshot);
    way.show(view);
    showReasons(snapshot);
    showSenders(snapshot.seenSenders);
    charts.draw();
    document.documentElement.dataset.at = snapshot.at;
  },
  onFailures: (failures) => showFailures(failures, askForStory),
  onSilence: () =>
    showBanner(
      newestAt === ''
        ? 'The monitor does not answer.'
        : `The monitor does not answer: these numbers are of ${timeOfDay(newestAt)}.`,
    ),
});
void readFacts();

/** What was before this page was seen. Asked again with the next view where Redis does not tell it yet. */
async function readHistory() {
  isHistoryRead = true;
  const { samples, problem } = await readJson('/history');
  if (samples === undefined || problem !== undefined) isHistoryRead = false;
  else series.merge(samples);
  charts.draw();
}

async function readFacts() {
  const { queue, rabbitmqUi } = await readJson('/facts');
  if (queue === undefined) return;
  element('queue').textContent = queue;
  document.title = `Redial ${queue}`;
  const url = new URL(rabbitmqUi);
  // The name of a container leads nowhere in a browser; its port is published where this page is.
  if (!/[.:]/.test(url.hostname)) url.hostname = location.hostname;
  element('rabbitmq-ui').setAttribute('href', url.href);
}

async function readJson(path) {
  try {
    return await (await fetch(path)).json();
  } catch {
    // The banner tells that nobody answers.
    return {};
  }
}

function showSentence({ tone, text }, at) {
  const sentence = element('sentence');
  sentence.dataset.tone = tone;
  setText(sentence, text);
  const time = element('at');
  time.setAttribute('datetime', at);
  setText(time, timeOfDay(at));
  const now = Date.parse(at);
  if (tone === spoken.tone && now - spoken.at < SPOKEN_EVERY_MS) return;
  spoken = { tone, at: now };
  element('spoken').textContent = text;
}

function staleReason({ problems }) {
  return problems.find((problem) => /does not answer/.test(problem)) ?? 'a server does not answer';
}

function showBanner(text) {
  const banner = element('banner');
  document.documentElement.classList.toggle('is-stale', text !== '');
  banner.hidden = text === '';
  setText(banner, text);
}

function showProblems(problems) {
  const list = element('problems');
  list.hidden = problems.length === 0;
  const texts = [...list.children].map(({ textContent }) => textContent);
  if (texts.length === problems.length && texts.every((text, index) => text === problems[index])) return;
  list.replaceChildren(
    ...problems.map((problem) => {
      const item = document.createElement('li');
      item.textContent = problem;
      return item;
    }),
  );
}

function showNumber(place, value) {
  setText(place, count(value));
  place.classList.toggle('is-zero', value === 0);
}

/** @param {import('../../../../shared/domain/snapshot.ts').Snapshot} snapshot */
function showCounters(snapshot) {
  const { retry, work } = snapshot.queues;
  const waiting = work === null ? null : retry.reduce((sum, { messages }) => sum + messages, 0);
  const numbers = { ...snapshot, waiting };
  for (const place of document.querySelectorAll('[data-number]'))
    showNumber(place, numbers[place.getAttribute('data-number') ?? '']);
  const known = element('known');
  known.hidden = (snapshot.known ?? 0) === 0;
  setText(
    known,
    `${count(snapshot.known)} more came again: they have their outcome in the run that had them first.`,
  );
}

/** What stays as it is makes no work for the browser, nor for a screen reader. */
function setText(place, text) {
  if (place.textContent !== text) place.textContent = text ?? UNKNOWN;
}
