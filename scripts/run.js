/** `node scripts/run.js PROGRAM [ARGS...]`: installs and builds what is missing, then becomes dist/PROGRAM.js. */
import { runScript } from './bootstrap.js';

const [program = ''] = process.argv.splice(2, 1);
const isRun = await runScript(program);
// Readers of the last line of a test command expect a count: nothing could be built, so nothing was tested.
if (!isRun && program.includes('test')) console.log('0 passed, 1 failed');
