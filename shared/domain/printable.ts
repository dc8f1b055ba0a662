/**
 * Makes text of others harmless for a terminal: object keys, ids, names of files, what servers say. A terminal obeys control
 * characters: they clear the screen, write over it, or change its title. Characters that turn the direction of writing make
 * a text look like another one.
 */

// Cc: C0 (ESC, line feed, carriage return, …), DEL and C1, of which U+009B begins the same sequences as ESC [.
const OBEYED = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;

/** For a text of one line: writes each such character as `\u001b`. JSON stays JSON and means the same. */
export function printable(text: string): string {
  return text.replace(OBEYED, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** For a text of several lines: line feeds stay. */
export function printableLines(text: string): string {
  return text.split('\n').map(printable).join('\n');
}
