import { styleText } from 'node:util';

export type Style = 'bold' | 'dim' | 'green' | 'yellow' | 'red' | 'cyan';
export type Paint = (style: Style, text: string) => string;

/** Whoever knows the stream has decided whether to colour; styleText would look at stdout again. */
export function createPaint(hasColours: boolean): Paint {
  if (!hasColours) return (_style, text) => text;
  return (style, text) => (text === '' ? '' : styleText(style, text, { validateStream: false }));
}
