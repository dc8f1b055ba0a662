/**
 * The stream of views. A hidden tab has none. Where nothing comes for a while, or the monitor is gone, `onSilence` is called
 * once, and the stream is opened again and again until it comes.
 */

/** A view comes each second, and a look at a server that hangs takes 1.5 s: a banner must come within 3 s. */
const SILENT_AFTER_MS = 2_700;
const OPEN_AGAIN_MS = 1_000;

/**
 * @param {object} handlers
 * @param {() => void} handlers.onOpen
 * @param {(view: import('../live-view.ts').View) => void} handlers.onView
 * @param {(failures: import('../newest-failures.ts').Failures) => void} handlers.onFailures
 * @param {() => void} handlers.onSilence
 */
export function follow(handlers) {
  /** @type {EventSource | undefined} */
  let source;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let silence;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let again;

  const listen = () => {
    clearTimeout(silence);
    silence = setTimeout(handlers.onSilence, SILENT_AFTER_MS);
  };
  const close = () => {
    source?.close();
    source = undefined;
    clearTimeout(again);
  };
  const open = () => {
    close();
    source = new EventSource('/events');
    source.addEventListener('open', handlers.onOpen);
    source.addEventListener('view', ({ data }) => {
      listen();
      handlers.onView(JSON.parse(data));
    });
    source.addEventListener('failures', ({ data }) => handlers.onFailures(JSON.parse(data)));
    // The browser's own pause before it tries again is seconds long.
    source.addEventListener('error', () => {
      close();
      again = setTimeout(open, OPEN_AGAIN_MS);
    });
  };
  const adapt = () => {
    if (document.hidden) {
      close();
      clearTimeout(silence);
    } else {
      listen();
      open();
    }
  };
  document.addEventListener('visibilitychange', adapt);
  adapt();
}
