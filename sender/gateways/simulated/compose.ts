import type { RedisCounterStore } from '../../../shared/adapters/redis/counter-store.ts';
import type { RedisCarrier } from '../../../shared/adapters/redis/senders/carrier.ts';
import type { Gateway } from '../../../shared/ports/gateway.ts';
import type { Config } from '../../../shared/process/config/config.ts';
import { systemClock } from '../../../shared/process/system-clock.ts';
import { type CarrierCapacity, SharedCapacity } from './carrier-capacity.ts';
import { SimulatedGateway } from './simulated-gateway.ts';

/** The simulated carrier of a sender. */
export function gatewayOf(config: Config, carrier: RedisCarrier, counters: RedisCounterStore): Gateway {
  return new SimulatedGateway(simulationOf(config), systemClock, capacityOf(config, carrier, counters));
}

function simulationOf(config: Config) {
  return {
    seed: config.randomSeed,
    meanProcessingMs: config.meanProcessingTime,
    distribution: config.processingTimeDistribution,
    failureRate: config.failureRate,
    permanentFailureShare: config.permanentFailureShare,
    unknownShare: config.unknownShare,
  };
}

/** Undefined: without bound. */
function capacityOf(
  { carrierCapacity: smsPerSecond }: Config,
  carrier: RedisCarrier,
  counters: RedisCounterStore,
): CarrierCapacity | undefined {
  if (smsPerSecond === undefined) return undefined;
  return new SharedCapacity({
    smsPerSecond,
    takePlace: (perSecond) => carrier.takePlace(perSecond),
    senderCount: () => counters.livingSenders,
    clock: systemClock,
  });
}
