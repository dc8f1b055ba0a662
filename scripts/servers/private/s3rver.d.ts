/** The part of @20minutes/s3rver that we use; the package brings no types. */
declare module '@20minutes/s3rver' {
  import type { Server } from 'node:http';
  import type { AddressInfo } from 'node:net';
  import type { Readable } from 'node:stream';

  export default class S3rver {
    constructor(options: {
      address: string;
      port: number;
      directory: string;
      allowMismatchedSignatures: boolean;
      silent: boolean;
      /** In PEM; with both of them the port speaks TLS. */
      cert?: Buffer;
      key?: Buffer;
    });
    store: {
      putContent(objectPath: string, content: Buffer | Readable): Promise<[size: number, md5: string]>;
    };
    run(): Promise<AddressInfo>;
    /** Once it runs. */
    httpServer: Server;
  }
}
