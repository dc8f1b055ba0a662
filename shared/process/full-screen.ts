/**
 * The terminal as one picture that is drawn again and again: on the alternate screen, so that what the operator had there
 * comes back at the end. However the process ends, short of SIGKILL, the terminal is as it was: at the end of the process, at a
 * signal, and after an error that nobody catches (Node.js calls the listeners of `exit` before it prints such an error).
 *
 * A frame is one write between "begin" and "end synchronized update", and each line is cleared just before it is written:
 * no terminal shows half of it. Lines never wrap and nothing scrolls, so a line that is too wide breaks nothing.
 */
import ansiEscapes from 'ansi-escapes';
import { LineOutput } from './line-output.ts';

const {
  beginSynchronizedOutput,
  cursorHide,
  cursorShow,
  cursorTo,
  endSynchronizedOutput,
  enterAlternativeScreen,
  eraseDown,
  eraseLine,
  exitAlternativeScreen,
} = ansiEscapes;
// ansi-escapes has no names for these: DECAWM, and the default colours.
const WRAP_OFF = '\u001b[?7l';
const WRAP_ON = '\u001b[?7h';
const PLAIN_COLOURS = '\u001b[0m';
const QUIT_KEYS = new Set(['q', 'Q', '\u0003']);
/** Where the terminal does not tell its size. */
const USUAL_SIZE = { columns: 80, rows: 24 };

export interface FullScreenEvents {
  /** `q` or Ctrl-C. In the mode in which single keys are read, Ctrl-C is a key and no signal. */
  readonly onQuit: () => void;
  readonly onResize: () => void;
  /** Nobody looks at the terminal any more. */
  readonly onGone: () => void;
}

export class FullScreen {
  readonly #events: FullScreenEvents;
  readonly #output: LineOutput;
  #isOpen = false;

  constructor(events: FullScreenEvents) {
    this.#events = events;
    // A frame that a slow terminal does not take is left out, and the next one is drawn in full.
    this.#output = new LineOutput({
      fileDescriptor: 1,
      describeGap: () => PLAIN_COLOURS,
      onTrouble: ({ code }) => {
        if (code !== 'EAGAIN') events.onGone();
      },
    });
  }

  get size(): { readonly columns: number; readonly rows: number } {
    const { columns, rows } = process.stdout;
    return columns > 0 && rows > 0 ? { columns, rows } : USUAL_SIZE;
  }

  open(): void {
    this.#isOpen = true;
    process.once('exit', this.#restore);
    process.stdout.on('resize', this.#events.onResize);
    if (process.stdin.isTTY) {
      process.stdin.setRawMode(true);
      process.stdin.on('data', this.#readKeys).on('error', this.#events.onGone);
    }
    this.#output.write(enterAlternativeScreen + cursorHide + WRAP_OFF);
  }

  /** Draws at most as many lines as there are rows. */
  draw(lines: readonly string[]): void {
    if (!this.#isOpen) return;
    const rows = lines
      .slice(0, this.size.rows)
      .map((line, row) => `${cursorTo(0, row)}${eraseLine}${line}${PLAIN_COLOURS}`);
    const below = rows.length < this.size.rows ? `${cursorTo(0, rows.length)}${eraseDown}` : '';
    this.#output.write(`${beginSynchronizedOutput}${rows.join('')}${below}${endSynchronizedOutput}`);
  }

  /** Gives the terminal back. Does nothing the second time. */
  close(): void {
    if (!this.#isOpen) return;
    this.#restore();
    process.removeListener('exit', this.#restore);
    process.stdout.removeListener('resize', this.#events.onResize);
    process.stdin.removeListener('data', this.#readKeys).pause();
  }

  readonly #restore = (): void => {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#output.write(endSynchronizedOutput + PLAIN_COLOURS + WRAP_ON + cursorShow + exitAlternativeScreen);
    try {
      if (process.stdin.isTTY) process.stdin.setRawMode(false);
    } catch {
      // A terminal that is closed has no modes any more.
    }
  };

  readonly #readKeys = (bytes: Buffer): void => {
    if ([...bytes.toString('latin1')].some((key) => QUIT_KEYS.has(key))) this.#events.onQuit();
  };
}
