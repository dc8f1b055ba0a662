import { describe, expect, it } from 'vitest';
import { judgeOptions } from './monitor-options.ts';

describe('the options of the monitor', () => {
  it.each([
    [{}, { mode: 'watch', isJson: false, run: undefined, areBodiesShown: false }],
    [
      { once: true, json: true },
      { mode: 'once', isJson: true, run: undefined, areBodiesShown: false },
    ],
    [
      { audit: true, run: 'demo' },
      { mode: 'audit', isJson: false, run: 'demo', areBodiesShown: false },
    ],
    [
      { parked: true, once: true, json: true, run: 'demo' },
      { mode: 'parked', isJson: true, run: 'demo', areBodiesShown: false },
    ],
    [
      { parked: true, bodies: true },
      { mode: 'parked', isJson: false, run: undefined, areBodiesShown: true },
    ],
    [
      { audit: true, once: true },
      { mode: 'audit', isJson: false, run: undefined, areBodiesShown: false },
    ],
  ])('%j', (typed, options) => {
    expect(judgeOptions(typed)).toEqual(options);
  });

  it.each([{ bodies: true }, { bodies: true, audit: true, parked: true }])(
    'refuse bodies where nothing parked is listed: %j',
    (typed) => expect(() => judgeOptions(typed)).toThrow('--bodies goes with --parked only'),
  );

  it.each(['', 'a b', 'a/b', '.', '..', 'x'.repeat(65)])(
    'refuse the run name "%s", as no run can have it',
    (run) => {
      expect(() => judgeOptions({ run })).toThrow(expect.objectContaining({ code: 'USAGE' }));
    },
  );
});
