/** What the command `cdk` runs. */
import { App } from 'aws-cdk-lib';
import { RedialStack } from './stack.ts';

const app = new App();
new RedialStack(app, 'redial');
app.synth();
