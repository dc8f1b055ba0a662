/** Prints the CloudFormation template of the stack: `npm run template`. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App } from 'aws-cdk-lib';
import { RedialStack } from './stack.ts';

const outdir = mkdtempSync(join(tmpdir(), 'redial-template-'));
try {
  // What CDK's validator of templates finds is an error, not a warning.
  const app = new App({ outdir, context: { '@aws-cdk/core:validateAgainstDefaultRules': true } });
  const { artifactId } = new RedialStack(app, 'redial');
  process.stdout.write(`${JSON.stringify(app.synth().getStackArtifact(artifactId).template, null, 2)}\n`);
} finally {
  rmSync(outdir, { recursive: true, force: true });
}
