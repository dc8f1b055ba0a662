import { RedialError } from '../../shared/errors.ts';

/** A process that did not start. `PORT_TAKEN` is worth another try with other ports. */
export class ServerStartError extends RedialError {
  constructor(code: 'NOT_STARTED' | 'PORT_TAKEN', message: string) {
    super(code, message);
  }
}
