/** Texts of a certain width on the screen: a letter of Chinese is two columns wide, an accent none. */
import stringWidth from 'string-width';

const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' });

/** Cuts a text that is too wide and says so with an ellipsis. The text must not contain escape sequences. */
export function cutTo(width: number, text: string): string {
  if (stringWidth(text) <= width) return text;
  let cut = '';
  let used = 0;
  for (const { segment } of graphemes.segment(text)) {
    const segmentWidth = stringWidth(segment);
    if (used + segmentWidth > width - 1) break;
    cut += segment;
    used += segmentWidth;
  }
  return width <= 0 ? '' : `${cut}…`;
}

export function leftIn(width: number, text: string): string {
  const cut = cutTo(width, text);
  return cut + ' '.repeat(Math.max(0, width - stringWidth(cut)));
}

export function rightIn(width: number, text: string): string {
  const cut = cutTo(width, text);
  return ' '.repeat(Math.max(0, width - stringWidth(cut))) + cut;
}

/** A line that may hold colours, which take no room. */
export function paddedTo(width: number, line: string): string {
  return line + ' '.repeat(Math.max(0, width - stringWidth(line)));
}

/** Breaks a text at blanks. Further lines are indented. A word that is wider than a line is cut. */
export function wrapTo(width: number, text: string, indent = ''): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    const longer = line === '' ? word : `${line} ${word}`;
    if (line === '' || stringWidth(longer) <= width) line = longer;
    else {
      lines.push(cutTo(width, line));
      line = indent + word;
    }
  }
  return [...lines, cutTo(width, line)];
}

/** The first lines, and how many more there are. */
export function firstOf(count: number, lines: readonly string[], width: number): string[] {
  if (lines.length <= count) return [...lines];
  if (count <= 0) return [];
  return [...lines.slice(0, count - 1), cutTo(width, `… ${lines.length - count + 1} more`)];
}
