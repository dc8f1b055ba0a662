/**
 * The hours of a day in which SMS may be sent, in the time of a place: `08:00-21:00 Europe/Berlin`. `21:00-08:00` is open
 * over midnight. Where the clock is set back, both hours of that name count alike. Where it is set forward over the opening,
 * the window opens with the first minute after the gap.
 */

/** Open from the first minute of the day up to, and without, the second. */
export interface SendingWindow {
  /** As it was written. */
  readonly text: string;
  /** IANA name of a time zone. */
  readonly zone: string;
  /** Minutes since midnight, 0 to 1439. */
  readonly fromMinute: number;
  /** Minutes since midnight, 1 to 1440. */
  readonly untilMinute: number;
}

const MINUTE_MS = 60_000;
const DAY_MINUTES = 1_440;
const DAY_MS = DAY_MINUTES * MINUTE_MS;
const WRITTEN = /^(\d\d):(\d\d)-(\d\d):(\d\d) (\S+)$/;

/** Reads `08:00-21:00 Europe/Berlin`. A problem is the end of a sentence. */
export function parseSendingWindow(
  text: string,
): { readonly window: SendingWindow } | { readonly problem: string } {
  const match = WRITTEN.exec(text.trim());
  if (match === null)
    return {
      problem: `"${text}" is not a window (write 08:00-21:00 and a time zone, such as Europe/Berlin)`,
    };
  const [, fromHour, fromMinutes, untilHour, untilMinutes, zone = ''] = match;
  const fromMinute = minuteOf(fromHour, fromMinutes);
  const untilMinute = minuteOf(untilHour, untilMinutes);
  if (fromMinute === undefined || fromMinute === DAY_MINUTES)
    return { problem: `"${fromHour}:${fromMinutes}" is not a time of the day (00:00 to 23:59)` };
  if (untilMinute === undefined)
    return { problem: `"${untilHour}:${untilMinutes}" is not a time of the day (00:00 to 24:00)` };
  if (fromMinute === untilMinute % DAY_MINUTES && untilMinute !== DAY_MINUTES)
    return { problem: `"${text}" opens and closes at the same time (leave it out to send at any time)` };
  if (!isTimeZone(zone))
    return { problem: `"${zone}" is not a time zone (write an IANA name, such as Europe/Berlin or UTC)` };
  return { window: { text: text.trim(), zone, fromMinute, untilMinute: untilMinute || DAY_MINUTES } };
}

function minuteOf(hours: string | undefined, minutes: string | undefined): number | undefined {
  const minute = Number(hours) * 60 + Number(minutes);
  return Number(minutes) < 60 && minute <= DAY_MINUTES ? minute : undefined;
}

function isTimeZone(zone: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: zone });
    return true;
  } catch {
    return false;
  }
}

/** The first moment from `timeMs` on at which the window is open, in milliseconds since the epoch. */
export function openingFrom(window: SendingWindow, timeMs: number): number {
  for (const { untilMs, isOpen } of spansOf(window, Math.floor(timeMs / DAY_MS)))
    if (timeMs < untilMs) return isOpen ? timeMs : untilMs;
  return timeMs;
}

/** The first moment from `timeMs` on at which the window is closed; Infinity for one that never closes. */
export function closingFrom(window: SendingWindow, timeMs: number): number {
  const isAlwaysOpen = window.fromMinute === 0 && window.untilMinute === DAY_MINUTES;
  return isAlwaysOpen ? Infinity : momentFrom(window, timeMs, false);
}

/** The window is open, or closed, from the end of the span before up to `untilMs`. */
interface Span {
  readonly untilMs: number;
  readonly isOpen: boolean;
}

const MAX_KNOWN_DAYS = 400;
// Each SMS asks, and `Intl` takes 100 times as long as a look into this table.
const knownDays = new WeakMap<SendingWindow, Map<number, readonly Span[]>>();

/** The spans of a day of UTC, counted since the epoch. The last one ends when it ends, not with the day. */
function spansOf(window: SendingWindow, day: number): readonly Span[] {
  let days = knownDays.get(window);
  if (days === undefined) {
    days = new Map();
    knownDays.set(window, days);
  }
  let spans = days.get(day);
  if (spans === undefined) {
    if (days.size >= MAX_KNOWN_DAYS) days.clear();
    spans = findSpans(window, day);
    days.set(day, spans);
  }
  return spans;
}

function findSpans(window: SendingWindow, day: number): readonly Span[] {
  const spans: Span[] = [];
  for (let timeMs = day * DAY_MS; timeMs < (day + 1) * DAY_MS; ) {
    const isOpen = isOpenAt(window, timeMs);
    const untilMs = isOpen ? closingFrom(window, timeMs) : momentFrom(window, timeMs, true);
    spans.push({ untilMs, isOpen });
    timeMs = untilMs;
  }
  return spans;
}

// A window changes where the clock on the wall shows its opening or closing, or where that clock is set. Each of these moments
// within the next days is tried, the earliest first.
function momentFrom(window: SendingWindow, timeMs: number, isOpen: boolean): number {
  if (isOpenAt(window, timeMs) === isOpen) return timeMs;
  const wallMinute = isOpen ? window.fromMinute : window.untilMinute % DAY_MINUTES;
  const candidates = [0, 1, 2].flatMap((days) => {
    const fromMs = timeMs + days * DAY_MS;
    const change = offsetChangeWithin(window.zone, fromMs, fromMs + DAY_MS);
    // What the clock will show is reckoned with the offset of now and, where the clock is set, with the one after it.
    const starts = change === undefined ? [fromMs] : [fromMs, change];
    return [
      ...starts.map((startMs) => startMs + minutesUntil(wallMinute, startMs, window.zone) * MINUTE_MS),
      ...(change === undefined ? [] : [change]),
    ].map((moment) => wholeMinute(moment));
  });
  const later = candidates.filter((moment) => moment > timeMs).sort((left, right) => left - right);
  return later.find((moment) => isOpenAt(window, moment) === isOpen) ?? timeMs + DAY_MS;
}

function isOpenAt({ zone, fromMinute, untilMinute }: SendingWindow, timeMs: number): boolean {
  const minute = wallMinuteOf(zone, timeMs);
  return fromMinute < untilMinute
    ? minute >= fromMinute && minute < untilMinute
    : minute >= fromMinute || minute < untilMinute;
}

function wholeMinute(timeMs: number): number {
  return Math.floor(timeMs / MINUTE_MS) * MINUTE_MS;
}

function minutesUntil(wallMinute: number, timeMs: number, zone: string): number {
  return (wallMinute - wallMinuteOf(zone, timeMs) + DAY_MINUTES) % DAY_MINUTES;
}

/** The minute of the day that a clock in the zone shows. */
function wallMinuteOf(zone: string, timeMs: number): number {
  const minute = Math.floor((timeMs + offsetMsOf(zone, timeMs)) / MINUTE_MS) % DAY_MINUTES;
  return (minute + DAY_MINUTES) % DAY_MINUTES;
}

const formats = new Map<string, Intl.DateTimeFormat>();

/** How far clocks of the zone are ahead of UTC at that moment, in milliseconds. */
function offsetMsOf(zone: string, timeMs: number): number {
  let format = formats.get(zone);
  if (format === undefined) {
    format = new Intl.DateTimeFormat('en-US', {
      timeZone: zone,
      hourCycle: 'h23',
      ...{ year: 'numeric', month: 'numeric', day: 'numeric' },
      ...{ hour: 'numeric', minute: 'numeric', second: 'numeric' },
    });
    formats.set(zone, format);
  }
  const parts = new Map(format.formatToParts(timeMs).map(({ type, value }) => [type, Number(value)]));
  const part = (name: Intl.DateTimeFormatPartTypes) => parts.get(name) ?? 0;
  const wallMs = Date.UTC(
    part('year'),
    part('month') - 1,
    part('day'),
    part('hour'),
    part('minute'),
    part('second'),
  );
  return wallMs - Math.floor(timeMs / 1_000) * 1_000;
}

/** The first minute with another offset than that of `fromMs`, where the offset at `untilMs` is another one. */
function offsetChangeWithin(zone: string, fromMs: number, untilMs: number): number | undefined {
  const before = offsetMsOf(zone, fromMs);
  if (offsetMsOf(zone, untilMs) === before) return undefined;
  let [low, high] = [wholeMinute(fromMs) / MINUTE_MS, Math.ceil(untilMs / MINUTE_MS)];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (offsetMsOf(zone, middle * MINUTE_MS) === before) low = middle;
    else high = middle;
  }
  return high * MINUTE_MS;
}
