/**
 * Tells CloudWatch how many senders live and how full the disk is, once. The alarms of the stack look at these two.
 * What is not known is not told: the alarm takes a number that does not come for a bad one.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, statfsSync } from 'node:fs';
import { join } from 'node:path';

const { CREDENTIALS_DIRECTORY = '', REDIAL_REGION = '', REDIAL_STACK = '' } = process.env;

const { blocks, bfree, bavail } = statfsSync('/');
const used = blocks - bfree;
const vitals = { DiskUsed: (100 * used) / (used + bavail) };

try {
  const token = readFileSync(join(CREDENTIALS_DIRECTORY, 'MONITOR_TOKEN'), 'utf8').trim();
  const response = await fetch('http://127.0.0.1:9090/snapshot', {
    headers: token === '' ? {} : { authorization: `Bearer ${token}` },
    signal: AbortSignal.timeout(10_000),
  });
  if (!response.ok) throw new Error(`the monitor answers ${response.status}`);
  const { state, senders } = await response.json();
  if (state !== 'stale') vitals.Senders = senders;
} catch (error) {
  console.error(`The monitor does not tell how many senders live: ${error.cause?.message ?? error.message}`);
}

const data = Object.entries(vitals).map(([MetricName, Value]) => ({
  MetricName,
  Value,
  Dimensions: [{ Name: 'Stack', Value: REDIAL_STACK }],
}));
const command = ['cloudwatch', 'put-metric-data', '--region', REDIAL_REGION, '--namespace', 'Redial'];
execFileSync('aws', [...command, '--metric-data', JSON.stringify(data)], {
  stdio: 'inherit',
  timeout: 30_000,
});
