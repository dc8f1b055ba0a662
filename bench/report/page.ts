/** The report as one HTML page that needs no network and no other file. */
import { describeVerdict } from '../questions/thresholds.ts';
import { drawPlots, escapeHtml } from './plots.ts';
import { type Answer, type Circumstances, describeInOneLine } from './results.ts';
import { cellsOf } from './table.ts';

const STYLE = `
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
h2 { margin-top: 2.5rem; border-top: 1px solid #ccc; padding-top: 1rem; }
figure { display: inline-block; margin: 0 1.5rem 1rem 0; vertical-align: top; }
figcaption { font-weight: 600; font-size: 13px; }
svg { font: 12px system-ui, sans-serif; max-width: 100%; }
table { border-collapse: collapse; font-size: 13px; }
th, td { padding: 2px 10px; border-bottom: 1px solid #ddd; text-align: right; }
th:first-child, td:first-child { text-align: left; }
.missed { color: #b03a48; } .reached { color: #2d7a3e; }
`;

export function renderPage(circumstances: Circumstances, answers: readonly Answer[]): string {
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Redial: bench of ${circumstances.at.slice(0, 10)}</title>
<style>${STYLE}</style></head><body>
<h1>Redial: bench</h1>
<p><code>${escapeHtml(circumstances.command)}</code></p>
<p>${escapeHtml(describeInOneLine(circumstances))}</p>
${answers.map(renderAnswer).join('\n')}
</body></html>
`;
}

function renderAnswer({ question, measurements, verdicts }: Answer): string {
  const sentences = verdicts.map(
    (verdict) =>
      `<li class="${verdict.isReached ? 'reached' : 'missed'}">${escapeHtml(describeVerdict(verdict))}</li>`,
  );
  return [
    `<h2>${escapeHtml(question.title)}</h2>`,
    `<ul>${sentences.join('')}</ul>`,
    ...drawPlots(measurements),
    renderTable(measurements),
    listOf(measurements.notes),
    `<small>${listOf(question.method)}</small>`,
  ].join('\n');
}

function listOf(sentences: readonly string[]): string {
  return `<ul>${sentences.map((sentence) => `<li>${escapeHtml(sentence)}</li>`).join('')}</ul>`;
}

function renderTable(measurements: Answer['measurements']): string {
  const row = (tag: 'th' | 'td') => (cells: readonly string[]) =>
    `<tr>${cells.map((cell) => `<${tag}>${escapeHtml(cell)}</${tag}>`).join('')}</tr>`;
  const [head = [], ...body] = cellsOf(measurements);
  return `<table>${row('th')(head)}${body.map(row('td')).join('')}</table>`;
}
