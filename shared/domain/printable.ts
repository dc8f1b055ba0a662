/**
 * Text of others (object keys, ids, names of files, what servers say) made harmless for a terminal. A terminal obeys
 * control characters: they clear the screen, write over what stands there, change its title. Characters that turn the
 * direction of writing make a text look like another one.
 */

// Cc: C0 (ESC, line feed, carriage return, …), DEL and C1, of which U+009B begins the same sequences as ESC [.
const OBEYED = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;

/** One line: each such character as `\u001b`. JSON text stays JSON and means the same. */
export function printable(text: string): string {
  return text.replace(OBEYED, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** The same for a text of several lines. */
export function printableLines(text: string): string {
  return text.split('\n').map(printable).join('\n');
}
