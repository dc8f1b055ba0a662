import fc from 'fast-check';
import { expect, test } from 'vitest';
import { forAll } from '../../../tests/kit/for-all.ts';
import { readTraceparent } from './traceparent.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN = '00f067aa0ba902b7';

test.each([
  ['as the W3C writes it', `00-${TRACE}-${SPAN}-01`, `00-${TRACE}-${SPAN}-01`],
  ['with flags that nobody knows yet', `00-${TRACE}-${SPAN}-ff`, `00-${TRACE}-${SPAN}-ff`],
  ['of a newer version', `01-${TRACE}-${SPAN}-01`, `00-${TRACE}-${SPAN}-01`],
  ['of a newer version that adds something', `cc-${TRACE}-${SPAN}-01-what-ever`, `00-${TRACE}-${SPAN}-01`],
])('a traceparent %s is read', (_, header, expected) => expect(readTraceparent(header)).toBe(expected));

test.each([
  ['of a version that is forbidden', `ff-${TRACE}-${SPAN}-01`],
  ['of version 00 with more in it', `00-${TRACE}-${SPAN}-01-more`],
  ['of a newer version that runs on without a hyphen', `01-${TRACE}-${SPAN}-01more`],
  ['without a trace', `00-${'0'.repeat(32)}-${SPAN}-01`],
  ['without a span', `00-${TRACE}-${'0'.repeat(16)}-01`],
  ['in capital letters', `00-${TRACE.toUpperCase()}-${SPAN}-01`],
  ['that is two', `00-${TRACE}-${SPAN}-01, 00-${TRACE}-${SPAN}-01`],
  ['with a line feed', `00-${TRACE}-${SPAN}-01\n`],
  ['that is too long', `01-${TRACE}-${SPAN}-01-${'x'.repeat(500)}`],
  ['that is empty', ''],
])('a traceparent %s is none', (_, header) => expect(readTraceparent(header)).toBeUndefined());

test('whatever a header holds, the answer is a traceparent of version 00 or nothing', () => {
  const near = fc
    .tuple(
      fc.constantFrom('00', '01', 'ff', 'zz'),
      fc.oneof(fc.constant(TRACE), fc.string({ maxLength: 40 })),
      fc.oneof(fc.constant(SPAN), fc.string({ maxLength: 20 })),
      fc.stringMatching(/^[0-9a-f]{1,3}(-.*)?$/),
    )
    .map((parts) => parts.join('-'));
  forAll(fc.oneof(fc.anything(), near), (header) => {
    const read = readTraceparent(header);
    // What was read reads as itself.
    expect(readTraceparent(read)).toBe(read);
    return read === undefined || /^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/.test(read);
  });
});
