/** What Linux tells about processes: their CPU time and memory, those of all their descendants included. */
import { readdirSync, readFileSync } from 'node:fs';

// Linux has told user programs of 100 ticks per second on every architecture for decades (USER_HZ).
const MS_PER_TICK = 10;
const BYTES_PER_KILOBYTE = 1_024;

interface ProcessSeen {
  readonly parentPid: number;
  /** Its own and that of its children that have ended. */
  readonly cpuMs: number;
  /** That of its children that have ended, alone. */
  readonly endedChildrenCpuMs: number;
}

/** CPU time that a process and all its descendants have used since they were started. */
export function cpuMsOf(pid: number): number {
  return treeOf(pid).reduce((sum, each) => sum + (readProcess(each)?.cpuMs ?? 0), 0);
}

/** Resident memory of a process and all its descendants now. */
export function residentBytesOf(pid: number): number {
  return treeOf(pid).reduce((sum, each) => sum + readMemory(each, 'VmRSS'), 0);
}

/**
 * For a process whose memory is judged. Node.js 24 lets young objects take up to 134 MB before it looks which of them
 * are needed, where Node.js 20 takes 34 MB: without this a test would judge Node.js.
 */
export const FEW_YOUNG_OBJECTS = { NODE_OPTIONS: '--max-semi-space-size=16' };

/** The most resident memory that the process alone has ever had. */
export function highestResidentBytesOf(pid: number): number {
  return readMemory(pid, 'VmHWM');
}

/** CPU time of our own children that have ended, to the tick. */
export function cpuMsOfEndedChildren(): number {
  return readProcess(process.pid)?.endedChildrenCpuMs ?? 0;
}

/** CPU time that all processes of the machine have used since it was started. */
export function cpuMsOfMachine(): number {
  const [, ...ticks] = (readFileSync('/proc/stat', 'utf8').split('\n')[0] ?? '').trim().split(/\s+/);
  // Fields: user nice system idle iowait irq softirq steal …; guest time is contained in user time.
  const [user = 0, nice = 0, system = 0, , , irq = 0, softIrq = 0, steal = 0] = ticks.map(Number);
  return (user + nice + system + irq + softIrq + steal) * MS_PER_TICK;
}

function treeOf(pid: number): number[] {
  const childrenOf = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    const parentPid = /^\d+$/.test(name) ? readProcess(Number(name))?.parentPid : undefined;
    if (parentPid !== undefined)
      childrenOf.set(parentPid, [...(childrenOf.get(parentPid) ?? []), Number(name)]);
  }
  const tree = [pid];
  for (const each of tree) tree.push(...(childrenOf.get(each) ?? []));
  return tree;
}

/** Undefined where it has ended meanwhile. */
function readProcess(pid: number): ProcessSeen | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name in parentheses may hold anything; field 3 follows it.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const ticks = (field: number) => Number(fields[field - 3]);
    const endedChildrenTicks = ticks(16) + ticks(17);
    return {
      parentPid: ticks(4),
      cpuMs: (ticks(14) + ticks(15) + endedChildrenTicks) * MS_PER_TICK,
      endedChildrenCpuMs: endedChildrenTicks * MS_PER_TICK,
    };
  } catch {
    return undefined;
  }
}

function readMemory(pid: number, field: 'VmRSS' | 'VmHWM'): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    return Number(new RegExp(`${field}:\\s+(\\d+) kB`).exec(status)?.[1] ?? 0) * BYTES_PER_KILOBYTE;
  } catch {
    return 0;
  }
}
