import { string } from 'fast-check';
import { expect, test } from 'vitest';
import { forAll } from '../../tests/kit/for-all.ts';
import { printable, printableLines } from './printable.ts';

test.each([
  ['a sequence that clears the screen', '\u001b[2J', '\\u001b[2J'],
  ['the same sequence begun by one C1 character', '\u009b2J', '\\u009b2J'],
  ['a title of the window, ended by a bell', '\u001b]0;mine\u0007', '\\u001b]0;mine\\u0007'],
  ['a carriage return, after which a line is written over', 'all is well\rx', 'all is well\\u000dx'],
  ['a line feed, after which a line looks like one of ours', 'a\nb', 'a\\u000ab'],
  ['tabulator, delete and nul', '\t\u007f\u0000', '\\u0009\\u007f\\u0000'],
  [
    'characters that turn the direction of writing',
    'a\u202egpj.exe\u2066b\u200f',
    'a\\u202egpj.exe\\u2066b\\u200f',
  ],
  ['separators of lines and paragraphs', 'a\u2028b\u2029', 'a\\u2028b\\u2029'],
])('%s is shown and does nothing', (_, text, shown) => expect(printable(text)).toBe(shown));

test.each(['runs/demo/000000000001.json', 'Grüße, 你好, שלום, 👍🏽', ''])('%j stays as it is', (text) => {
  expect(printable(text)).toBe(text);
});

test('lines stay lines', () => {
  expect(printableLines('one\ntwo\u001b[2J\r\n')).toBe('one\ntwo\\u001b[2J\\u000d\n');
});

test('JSON means the same afterwards', () => {
  forAll(string({ unit: 'binary' }), (text) => {
    const json = printable(JSON.stringify({ [text]: text }));
    expect(json).not.toMatch(/[\u007f-\u009f\u202e]/);
    expect(JSON.parse(json)).toEqual({ [text]: text });
    return true;
  });
});
