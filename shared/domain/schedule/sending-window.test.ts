import { expect, test } from 'vitest';
import { closingFrom, openingFrom, parseSendingWindow, type SendingWindow } from './sending-window.ts';

function windowOf(text: string): SendingWindow {
  const parsed = parseSendingWindow(text);
  if ('problem' in parsed) throw new Error(parsed.problem);
  return parsed.window;
}

const at = (text: string) => Date.parse(text);

test('a moment inside stays, and one outside waits for the opening', () => {
  const window = windowOf('08:00-21:00 Europe/Berlin');
  const inside = at('2026-12-01T12:34:56.789+01:00');
  expect(openingFrom(window, inside)).toBe(inside);
  expect(openingFrom(window, at('2026-12-01T21:00:00+01:00'))).toBe(at('2026-12-02T08:00:00+01:00'));
  expect(openingFrom(window, at('2026-12-01T07:59:59.999+01:00'))).toBe(at('2026-12-01T08:00:00+01:00'));
  expect(closingFrom(window, inside)).toBe(at('2026-12-01T21:00:00+01:00'));
  expect(closingFrom(windowOf('00:00-24:00 UTC'), inside)).toBe(Infinity);
});

// For each minute from then on, whether the clock on the wall shows one of the window.
function minutesOf(window: SendingWindow, fromMs: number, count: number): boolean[] {
  const clock = new Intl.DateTimeFormat('en-GB', { timeZone: window.zone, timeStyle: 'short' });
  return Array.from({ length: count }, (_, index) => {
    const [hour = 0, minute = 0] = clock
      .format(fromMs + index * 60_000)
      .split(':')
      .map(Number);
    const shown = hour * 60 + minute;
    const { fromMinute, untilMinute } = window;
    return fromMinute < untilMinute
      ? shown >= fromMinute && shown < untilMinute
      : shown >= fromMinute || shown < untilMinute;
  });
}

test.each([
  ['08:00-21:00 Europe/Berlin', '2026-03-28T12:00:00Z'],
  ['21:00-08:00 America/New_York', '2026-10-31T12:00:00Z'],
  // The opening is in the hour that is left out, and in the hour that comes twice.
  ['02:30-03:10 Europe/Berlin', '2026-03-28T12:00:00Z'],
  ['02:30-02:50 Europe/Berlin', '2026-03-28T12:00:00Z'],
  ['02:30-02:50 Europe/Berlin', '2026-10-24T12:00:00Z'],
  ['03:00-02:30 Europe/Berlin', '2026-10-24T12:00:00Z'],
  // Half an hour is left out, and comes twice.
  ['02:00-02:45 Australia/Lord_Howe', '2026-10-03T00:00:00Z'],
  ['01:30-01:45 Australia/Lord_Howe', '2026-04-04T00:00:00Z'],
])('%s opens and closes as the clock on the wall shows, around the change of %s', (text, from) => {
  const window = windowOf(text);
  const fromMs = at(from);
  const open = minutesOf(window, fromMs, 4 * 1_440);
  for (let minute = 0; minute < 2 * 1_440; minute += 7) {
    const timeMs = fromMs + minute * 60_000 + (minute % 3) * 1_234;
    for (const wanted of [true, false]) {
      const first = open.indexOf(wanted, minute);
      const expected = first === minute ? timeMs : fromMs + first * 60_000;
      expect((wanted ? openingFrom : closingFrom)(window, timeMs)).toBe(expected);
    }
  }
});

test.each([
  ['', 'is not a window'],
  ['08:00-21:00', 'is not a window'],
  ['8:00-21:00 UTC', 'is not a window'],
  ['25:00-08:00 UTC', '"25:00" is not a time of the day'],
  ['24:00-08:00 UTC', '"24:00" is not a time of the day'],
  ['08:00-24:01 UTC', '"24:01" is not a time of the day'],
  ['08:60-21:00 UTC', '"08:60" is not a time of the day'],
  ['08:00-08:00 UTC', 'opens and closes at the same time'],
  ['08:00-21:00 Europe/Atlantis', '"Europe/Atlantis" is not a time zone'],
])('"%s" is refused', (text, problem) => {
  expect(parseSendingWindow(text)).toEqual({ problem: expect.stringContaining(problem) });
});
