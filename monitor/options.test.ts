import { describe, expect, it } from 'vitest';
import { judgeOptions } from './options.ts';

describe('the options of the monitor', () => {
  it.each([
    [{}, { mode: 'watch', isJson: false, run: undefined }],
    [
      { once: true, json: true },
      { mode: 'once', isJson: true, run: undefined },
    ],
    [
      { audit: true, run: 'demo' },
      { mode: 'audit', isJson: false, run: 'demo' },
    ],
    [
      { audit: true, once: true },
      { mode: 'audit', isJson: false, run: undefined },
    ],
  ])('%j', (typed, options) => {
    expect(judgeOptions(typed)).toEqual(options);
  });

  it.each(['', 'a b', 'a/b', '.', '..', 'x'.repeat(65)])(
    'refuse the run name "%s", as no run can have it',
    (run) => {
      expect(() => judgeOptions({ run })).toThrow(expect.objectContaining({ code: 'USAGE' }));
    },
  );
});
