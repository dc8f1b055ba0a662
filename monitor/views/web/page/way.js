/**
 * The way of an SMS as a picture: what waits in each queue, how fast SMS go from one to the next, and the retry ladder. On a
 * wide page it goes from left to right, on a narrow one from top to bottom. Units are pixels, so text is never scaled.
 */
import { count, rate } from './figures.js';

const SVG = 'http://www.w3.org/2000/svg';
const WIDE_FROM = 760;
const RUNG = 34;
const RUNGS = 6;

export class Way {
  #place;
  #series;
  /** @type {import('../live-view.ts').View | undefined} */
  #view;

  /** @param {HTMLElement} place @param {import('./series.js').Series} series */
  constructor(place, series) {
    this.#place = place;
    this.#series = series;
    new ResizeObserver(() => this.#draw()).observe(place);
  }

  /** @param {import('../live-view.ts').View} view */
  show(view) {
    this.#view = view;
    this.#draw();
  }

  #draw() {
    const width = this.#place.clientWidth;
    if (this.#view === undefined || width === 0) return;
    const facts = factsOf(this.#view, this.#series);
    const { shapes, height } = width >= WIDE_FROM ? layWide(width, facts) : layNarrow(width, facts);
    const svg = make('svg', { width, height, viewBox: `0 0 ${width} ${height}`, role: 'img' });
    svg.setAttribute('aria-label', describe(facts));
    svg.append(arrowHead(), ...shapes.flat(Number.POSITIVE_INFINITY));
    this.#place.replaceChildren(svg);
  }
}

/**
 * What the picture tells, all of it from the snapshot.
 *
 * @param {import('../live-view.ts').View} view @param {import('./series.js').Series} series
 */
function factsOf({ snapshot, ladder }, series) {
  const { queues, lastTenSeconds: flow, seenSenders, senders } = snapshot;
  const failedPerSecond =
    flow === null || flow.failureRate === null ? null : flow.attemptsPerSecond * flow.failureRate;
  const giveUpsPerSecond = series.rateNow('failed');
  return {
    accepted: snapshot.accepted,
    ...{ sent: snapshot.sent, failed: snapshot.failed, parked: snapshot.parked },
    ...{ work: queues.work, high: queues.high, low: queues.low, due: queues.due, journal: queues.journal },
    ...{ senders, inFlight: inFlightOf(seenSenders), isPaused: snapshot.gateway?.state === 'paused' },
    acceptedPerSecond: series.rateNow('accepted'),
    giveUpsPerSecond,
    firstPerSecond: series.rateNow('first'),
    retriedPerSecond: series.rateNow('retried'),
    attemptsPerSecond: flow?.attemptsPerSecond ?? null,
    sentPerSecond: flow?.sentPerSecond ?? null,
    toWaitPerSecond: toWaitOf(flow?.attemptsPerSecond === 0 ? 0 : failedPerSecond, giveUpsPerSecond),
    rungs: ladder.filter(({ kind }) => kind === 'retry' || kind === 'hold'),
    inHand: inHandOf(snapshot, ladder),
  };
}

/** What failed and was not given up waits for its retry. */
function toWaitOf(failedPerSecond, giveUpsPerSecond) {
  return failedPerSecond === null ? null : Math.max(0, failedPerSecond - (giveUpsPerSecond ?? 0));
}

/**
 * SMS in progress that stand in no queue: a sender has them, or their outcome is being recorded.
 *
 * @param {import('../live-view.ts').View['snapshot']} snapshot
 */
function inHandOf({ inProgress, run }, ladder) {
  const inQueues = ladder.filter(({ kind }) => kind !== 'books');
  if (inProgress === null || run !== undefined || inQueues.some(({ messages }) => messages === null))
    return null;
  return Math.max(0, inProgress - inQueues.reduce((sum, { messages }) => sum + messages, 0));
}

/** Not known where a sender of an older version tells nothing of itself. */
function inFlightOf(senders) {
  if (senders === null || senders.some(({ inFlight }) => inFlight === null)) return null;
  return senders.reduce((sum, { inFlight }) => sum + inFlight, 0);
}

function layWide(width, facts) {
  const gap = Math.min(110, width * 0.085);
  const box = (width - 3 * gap) / 4;
  const x = [0, box + gap, 2 * (box + gap), 3 * (box + gap)];
  const ladderTop = 310;
  const fresh = { x: x[1], y: 22, w: box, h: 92 };
  const due = { x: x[1], y: 146, w: box, h: 66 };
  const senders = { x: x[2], y: 0, w: box, h: 254 };
  const ends = [0, 1, 2, 3].map((index) => ({ x: x[3], y: index * 60, w: box, h: 50 }));
  const middle = senders.x + box / 2;
  const ladder = layLadder({ x: 0, y: ladderTop, w: width }, facts);
  const shapes = [
    boxOf({ x: x[0], y: 22, w: box, h: 92 }, 'Accepted', facts.accepted, 'accepted'),
    boxOf(fresh, 'To be sent', facts.work, 'work', lanesOf(facts)),
    boxOf(due, 'Wait is over', facts.due, 'due'),
    sendersBox(senders, facts),
    rowOf(ends[0], 'Sent', facts.sent, 'sent'),
    rowOf(ends[1], 'Failed', facts.failed, 'failed'),
    rowOf(ends[2], 'Parked', facts.parked, 'parked'),
    rowOf(ends[3], 'In the journal', facts.journal, 'journal'),
    arrow([box, 68], [x[1], 68], perSecond(facts.acceptedPerSecond)),
    arrow([x[1] + box, 68], [x[2], 68], perSecond(facts.firstPerSecond)),
    arrow([x[1] + box, 179], [x[2], 179], perSecond(facts.retriedPerSecond)),
    arrow([x[2] + box, 25], [x[3], 25], perSecond(facts.sentPerSecond)),
    arrow([x[2] + box, 85], [x[3], 85], perSecond(facts.giveUpsPerSecond)),
    arrow([x[2] + box, 145], [x[3], 145]),
    arrow([middle, 254], [middle, ladderTop], `to wait: ${perSecond(facts.toWaitPerSecond)}`, 'side'),
    arrow([due.x + box / 2, ladderTop], [due.x + box / 2, 212], 'come back', 'side'),
    ladder.shapes,
  ];
  return { shapes, height: ladderTop + ladder.height };
}

function layNarrow(width, facts) {
  const middle = width / 2;
  const third = (width - 16) / 3;
  const ends = [0, 1, 2].map((index) => ({ x: index * (third + 8), y: 252, w: third, h: 70 }));
  const ladder = layLadder({ x: 0, y: 370, w: width }, facts);
  const dueTop = 370 + ladder.height + 34;
  const shapes = [
    rowOf({ x: 0, y: 0, w: width, h: 48 }, 'Accepted', facts.accepted, 'accepted'),
    arrow([middle, 48], [middle, 84], perSecond(facts.acceptedPerSecond), 'side'),
    rowOf({ x: 0, y: 84, w: width, h: 48 }, 'To be sent', facts.work, 'work', lanesOf(facts)),
    arrow([middle, 132], [middle, 168], perSecond(facts.firstPerSecond), 'side'),
    rowOf({ x: 0, y: 168, w: width, h: 48 }, 'Senders', facts.senders, 'senders', notesOf(facts)),
    arrow([middle, 216], [middle, 252], perSecond(facts.sentPerSecond), 'side'),
    boxOf(ends[0], 'Sent', facts.sent, 'sent'),
    boxOf(ends[1], 'Failed', facts.failed, 'failed'),
    boxOf(ends[2], 'Parked', facts.parked, 'parked'),
    arrow([middle, 330], [middle, 370], `to wait: ${perSecond(facts.toWaitPerSecond)}`, 'side'),
    ladder.shapes,
    arrow([middle, dueTop - 34], [middle, dueTop], `come back: ${perSecond(facts.retriedPerSecond)}`, 'side'),
    rowOf({ x: 0, y: dueTop, w: width, h: 48 }, 'Wait is over', facts.due, 'due', 'back to the senders'),
    rowOf({ x: 0, y: dueTop + 58, w: width, h: 48 }, 'In the journal', facts.journal, 'journal'),
  ];
  return { shapes, height: dueTop + 108 };
}

/** A rung for each queue that SMS wait in, its bar as long as its share of all that wait. */
function layLadder({ x, y, w }, { rungs }) {
  const head = 44;
  const height = head + Math.max(1, rungs.length) * RUNG + 12;
  const waiting = rungs.reduce((sum, { messages }) => sum + (messages ?? 0), 0);
  const most = Math.max(10, ...rungs.map(({ messages }) => messages ?? 0));
  const isNarrow = w < WIDE_FROM;
  const labelWidth = isNarrow ? 166 : 230;
  const barWidth = w - labelWidth - (isNarrow ? 84 : 96);
  const shapes = [
    frame({ x, y, w, h: height }, 'ladder'),
    text(x + 16, y + 28, 'Waiting', 'title'),
    text(x + w - 16, y + 28, rungs.length === 0 ? '–' : count(waiting), 'value end', 'ladder'),
  ];
  if (rungs.length === 0)
    shapes.push(text(x + 16, y + head + 20, 'Nobody has told us of a queue yet.', 'note'));
  rungs.forEach((rung, index) => {
    const top = y + head + index * RUNG;
    const filled = ((rung.messages ?? 0) / most) * barWidth;
    const number = (index % RUNGS) + 1;
    shapes.push(
      text(x + 16, top + 21, shortLabel(rung, w), isNarrow ? 'label small' : 'label'),
      make('rect', { x: x + labelWidth, y: top + 7, width: barWidth, height: 18, rx: 4, class: 'rail' }),
      make('rect', {
        ...{ x: x + labelWidth, y: top + 7, width: Math.max(filled, rung.messages > 0 ? 3 : 0), height: 18 },
        ...{ rx: 4, class: `bar rung-${number}` },
      }),
      text(x + w - 16, top + 21, count(rung.messages), 'number end', rung.key),
    );
  });
  return { shapes, height };
}

function shortLabel({ kind, name, label }, width) {
  if (width >= WIDE_FROM) return label.charAt(0).toUpperCase() + label.slice(1);
  return kind === 'retry' ? label.replace(/^wait (\S+) after attempt/, '$1 after attempt') : name;
}

function lanesOf({ high, low }) {
  const lanes = [
    ['high', high],
    ['low', low],
  ].filter(([, messages]) => (messages ?? 0) > 0);
  return lanes.map(([name, messages]) => `${name} ${count(messages)}`).join(' · ');
}

function notesOf({ inFlight, inHand, isPaused }) {
  const hand = `${count(inHand)} in hand`;
  return isPaused ? `${hand}; the carrier takes nothing` : `${hand}, ${count(inFlight)} with the carrier`;
}

function sendersBox({ x, y, w, h }, facts) {
  const { isPaused, senders, inFlight, inHand, attemptsPerSecond } = facts;
  const notes = isPaused
    ? [
        ['the carrier', 'note'],
        ['takes nothing', 'note'],
      ]
    : [
        ['with the carrier', 'note'],
        [count(inFlight), 'number', 'in-flight'],
        ['attempts', 'note'],
        [perSecond(attemptsPerSecond), 'number'],
      ];
  const all = [['in hand or being recorded', 'note'], [count(inHand), 'number', 'in-hand'], ...notes];
  return [
    frame({ x, y, w, h }, 'box senders'),
    text(x + w / 2, y + 32, 'Senders', 'title middle'),
    text(x + w / 2, y + 62, count(senders), 'value middle', 'senders'),
    ...all.map(([note, className, name], index) =>
      text(x + w / 2, y + 96 + index * 21 + Math.floor(index / 2) * 8, note, `${className} middle`, name),
    ),
  ];
}

function frame({ x, y, w, h }, className) {
  return make('rect', { x: x + 0.5, y: y + 0.5, width: w - 1, height: h - 1, rx: 10, class: className });
}

/** A 0 is nothing to be alarmed at. */
function classOf(name, value) {
  return value === 0 ? 'box' : `box ${name}`;
}

/** Title above, number below. */
function boxOf({ x, y, w, h }, title, value, name, note = '') {
  return [
    frame({ x, y, w, h }, classOf(name, value)),
    text(x + w / 2, y + h * 0.36, title, 'title middle'),
    text(x + w / 2, y + h * 0.36 + 28, count(value), 'value middle', name),
    ...(note === '' ? [] : [text(x + w / 2, y + h - 10, note, 'note middle')]),
  ];
}

/** Title to the left, number to the right. */
function rowOf({ x, y, w, h }, title, value, name, note = '') {
  const middle = y + h / 2 + 6;
  return [
    frame({ x, y, w, h }, classOf(name, value)),
    text(x + 14, note === '' ? middle : middle - 7, title, 'title'),
    ...(note === '' ? [] : [text(x + 14, middle + 11, note, 'note')]),
    text(x + w - 14, middle, count(value), 'value end', name),
  ];
}

function arrow([x1, y1], [x2, y2], label = '', side = 'above') {
  const line = make('line', { x1, y1, x2, y2, class: 'arrow', 'marker-end': 'url(#arrow-head)' });
  // The head stands before the box.
  const length = Math.hypot(x2 - x1, y2 - y1);
  line.setAttribute('x2', String(x2 - ((x2 - x1) / length) * 4));
  line.setAttribute('y2', String(y2 - ((y2 - y1) / length) * 4));
  if (label === '') return [line];
  const middle = [(x1 + x2) / 2, (y1 + y2) / 2];
  return side === 'above'
    ? [line, text(middle[0], middle[1] - 8, label, 'flow middle')]
    : [line, text(middle[0] + 10, middle[1] + 5, label, 'flow')];
}

function arrowHead() {
  const definitions = make('defs', {});
  const marker = make('marker', {
    ...{
      id: 'arrow-head',
      viewBox: '0 0 8 8',
      refX: 4,
      refY: 4,
      markerWidth: 7,
      markerHeight: 7,
      orient: 'auto',
    },
  });
  marker.append(make('path', { d: 'M0 0 8 4 0 8z', class: 'arrow-head' }));
  definitions.append(marker);
  return definitions;
}

function perSecond(value) {
  return `${rate(value)}/s`;
}

/** For those who do not see the picture. */
function describe(facts) {
  const rungs = facts.rungs.map(({ label, messages }) => `${count(messages)} ${label}`);
  return (
    `${count(facts.accepted)} accepted; ${count(facts.work)} to be sent; ${count(facts.senders)} senders; ` +
    `${count(facts.due)} whose wait is over; ${rungs.join('; ')}; ` +
    `${count(facts.sent)} sent, ${count(facts.failed)} failed, ${count(facts.parked)} parked`
  );
}

function text(x, y, content, className, name) {
  const made = make('text', { x, y, class: className });
  if (name !== undefined) made.dataset.way = name;
  made.textContent = content;
  return made;
}

function make(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, String(value));
  return made;
}
