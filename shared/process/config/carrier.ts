import { PROCESSING_TIME_DISTRIBUTIONS } from '../../domain/simulation/simulation.ts';
import { above0, oneOf, seconds, share, wholeNumber } from './kinds.ts';
import { setting } from './setting.ts';

/** What the simulated carrier does. */
export const CARRIER = {
  meanProcessingTime: setting(
    'MEAN_PROCESSING_TIME',
    '0.5',
    seconds(120, true),
    'mean time the simulated carrier takes',
    '--mean-processing-time <seconds>',
  ),
  processingTimeDistribution: setting(
    'PROCESSING_TIME_DISTRIBUTION',
    'exponential',
    oneOf(PROCESSING_TIME_DISTRIBUTIONS),
    'how times spread around the mean',
  ),
  failureRate: setting(
    'FAILURE_RATE',
    '0.1',
    share('probability per attempt'),
    'share of attempts that the simulated carrier fails',
    '--failure-rate <0..1>',
  ),
  permanentFailureShare: setting(
    'PERMANENT_FAILURE_SHARE',
    '0',
    share('share of failures'),
    'failures that end the SMS at once (unknown subscriber, blocked)',
  ),
  unknownShare: setting(
    'UNKNOWN_SHARE',
    '0',
    share('probability per attempt'),
    'share of attempts that the simulated carrier gives no clear answer to',
  ),
  carrierCapacity: setting(
    'CARRIER_CAPACITY',
    '',
    above0('SMS per second'),
    'what the simulated carrier takes over all senders, above it throttles; none: any number',
  ),
  randomSeed: setting(
    'RANDOM_SEED',
    '1',
    wholeNumber('whole number', 0),
    'the simulated carrier does the same again for the same seed',
    '--seed <number>',
  ),
};
