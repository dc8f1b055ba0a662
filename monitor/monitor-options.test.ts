import { describe, expect, it } from 'vitest';
import { judgeOptions } from './monitor-options.ts';

const USUAL = {
  mode: 'watch',
  isJson: false,
  isPlain: false,
  run: undefined,
  areBodiesShown: false,
  failIf: [],
};

describe('the options of the monitor', () => {
  it.each([
    [{}, {}],
    [{ plain: true }, { isPlain: true }],
    [
      { once: true, json: true },
      { mode: 'once', isJson: true },
    ],
    [
      { audit: true, run: 'demo' },
      { mode: 'audit', run: 'demo' },
    ],
    [
      { parked: true, once: true, json: true, run: 'demo' },
      { mode: 'parked', isJson: true, run: 'demo' },
    ],
    [
      { parked: true, bodies: true },
      { mode: 'parked', areBodiesShown: true },
    ],
    [{ audit: true, once: true }, { mode: 'audit' }],
    [
      { wait: true, run: 'demo', failIf: ['failed>2%'] },
      {
        ...{ mode: 'wait', run: 'demo' },
        failIf: [{ text: 'failed>2%', name: 'failed', operator: '>', limit: 0.02, unit: 'share' }],
      },
    ],
  ])('%j', (typed, options) => {
    expect(judgeOptions(typed)).toEqual({ ...USUAL, ...options });
  });

  it.each([{ bodies: true }, { bodies: true, audit: true, parked: true }])(
    'refuse bodies where nothing parked is listed: %j',
    (typed) => expect(() => judgeOptions(typed)).toThrow('--bodies goes with --parked only'),
  );

  it.each([
    [{ failIf: ['failed>2%'] }, '--fail-if goes with --wait only'],
    [{ wait: true, once: true }, '--wait goes without --once, --audit and --parked'],
    [{ wait: true, failIf: ['failed'] }, '--fail-if "failed": write a number'],
  ])('refuse what does not go together or cannot be read: %j', (typed, sentence) => {
    expect(() => judgeOptions(typed)).toThrow(sentence);
  });

  it.each(['once', 'audit', 'parked', 'wait'])('refuse a page beside --%s', (mode) => {
    expect(() => judgeOptions({ [mode]: true }, { monitorPort: '9090' })).toThrow(
      '--port and --host are of the page',
    );
    expect(judgeOptions({}, { monitorPort: '9090' })).toMatchObject({ mode: 'watch' });
  });

  it.each(['', 'a b', 'a/b', '.', '..', 'x'.repeat(65)])(
    'refuse the run name "%s", as no run can have it',
    (run) => {
      expect(() => judgeOptions({ run })).toThrow(expect.objectContaining({ code: 'USAGE' }));
    },
  );
});
