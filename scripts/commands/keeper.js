/**
 * Runs one process and makes sure that it does not outlive the one that wanted it:
 * node keeper.js [--private] COMMAND [ARGS...]
 *
 * The process gets a group of its own. When our stdin closes, the parent is gone, for whatever reason (SIGKILL too:
 * the kernel closes its end of the pipe), and the whole group is killed. Nothing else can do this: a killed parent
 * runs no handler, and its children simply go on.
 * With --private, what the process writes is for its owner only: servers and senders write phone numbers and texts.
 * stdout and stderr are handed on. File descriptor 3 tells the parent, one JSON object a line: {"pid"} once started,
 * {"failed"} instead, {"code","signal"} at the end.
 */
import { spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';

const isPrivate = process.argv[2] === '--private';
const [command = '', ...args] = process.argv.slice(isPrivate ? 3 : 2);
if (isPrivate) process.umask(0o077);

// The parent decides when the process ends: a Ctrl-C in its terminal must let it stop things in order.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => {});

const facts = createWriteStream('', { fd: 3 });
// The parent may die between two lines: what cannot be told any more is no error.
facts.on('error', () => {});

const kept = spawn(command, args, { detached: true, stdio: ['ignore', 'inherit', 'inherit'] });
kept.on('spawn', () => tell({ pid: kept.pid }));
kept.on('error', (error) => {
  tell({ failed: error.message });
  process.stdin.destroy();
});
kept.on('exit', (code, signal) => {
  killGroup();
  tell({ code, signal });
  process.stdin.destroy();
});

process.stdin.on('end', killGroup);
process.stdin.on('error', killGroup);
process.stdin.resume();

/** @param {object} fact */
function tell(fact) {
  facts.write(`${JSON.stringify(fact)}\n`);
}

function killGroup() {
  if (kept.pid === undefined) return;
  try {
    process.kill(-kept.pid, 'SIGKILL');
  } catch {
    // Nobody of the group is left.
  }
}
