import { Duration, RemovalPolicy } from 'aws-cdk-lib';
import * as s3 from 'aws-cdk-lib/aws-s3';
import type { Construct } from 'constructs';

/** What Redial writes: `shared/domain/outcome/outcome-object.ts` and the defaults of `S3_…_PREFIX`. */
export const PREFIXES = ['success', 'failed', 'parked', 'known', 'runs'];

/** The outcomes. They outlive the stack. */
export function createOutcomesBucket(scope: Construct): s3.Bucket {
  return new s3.Bucket(scope, 'Outcomes', {
    removalPolicy: RemovalPolicy.RETAIN,
    versioned: true,
    encryption: s3.BucketEncryption.S3_MANAGED,
    blockPublicAccess: s3.BlockPublicAccess.BLOCK_ALL,
    objectOwnership: s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
    enforceSSL: true,
    minimumTLSVersion: 1.2,
    lifecycleRules: [
      {
        id: 'OldVersions',
        noncurrentVersionExpiration: Duration.days(90),
        expiredObjectDeleteMarker: true,
        abortIncompleteMultipartUploadAfter: Duration.days(7),
      },
      {
        // S3 leaves objects of less than 128 KB where they are. Colder classes that must be restored before they can be
        // read are no choice: an audit and a rebuild of the counters read everything.
        id: 'Cooler',
        transitions: [
          { storageClass: s3.StorageClass.INFREQUENT_ACCESS, transitionAfter: Duration.days(60) },
          { storageClass: s3.StorageClass.GLACIER_INSTANT_RETRIEVAL, transitionAfter: Duration.days(180) },
        ],
      },
    ],
  });
}
