import type { CpuReading } from './bench-servers.ts';
import type { MeasureName } from './measurements.ts';

/** CPU µs per SMS of every process between two readings. @param clientMs CPU time of the producers or senders */
export function cpuPerSms(
  before: CpuReading,
  after: CpuReading,
  clientMs: number,
  smsCount: number,
): Partial<Record<MeasureName, number>> {
  const perSms = (ms: number) => (ms * 1_000) / smsCount;
  const rabbitMqMs = after.rabbitMqMs - before.rabbitMqMs;
  const redisMs = after.redisMs - before.redisMs;
  const s3Ms = after.s3Ms - before.s3Ms;
  return {
    clientCpu: perSms(clientMs),
    rabbitMqCpu: perSms(rabbitMqMs),
    redisCpu: perSms(redisMs),
    s3Cpu: perSms(s3Ms),
    totalCpu: perSms(clientMs + rabbitMqMs + redisMs + s3Ms),
  };
}

/** How many of the machine's cores every process and all of them kept busy between two readings. */
export function busyCores(
  before: CpuReading,
  after: CpuReading,
  clientMs: number,
): Partial<Record<MeasureName, number>> {
  const elapsedMs = after.atMs - before.atMs;
  return {
    clientCores: clientMs / elapsedMs,
    rabbitMqCores: (after.rabbitMqMs - before.rabbitMqMs) / elapsedMs,
    redisCores: (after.redisMs - before.redisMs) / elapsedMs,
    s3Cores: (after.s3Ms - before.s3Ms) / elapsedMs,
    machineCores: (after.machineMs - before.machineMs) / elapsedMs,
  };
}
