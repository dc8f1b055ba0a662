/**
 * The embedded S3 server, for rehearsal and tests only: node --openssl-legacy-provider embedded-s3-main.js FOLDER PORT [CERTIFICATE KEY]
 *
 * Listing more than 1,000 keys encrypts its continuation token with DES, which OpenSSL 3 keeps in the legacy provider;
 * today's AWS SDK signs in a way that the server cannot check.
 */
import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, unlink, writeFile } from 'node:fs/promises';
import { buffer } from 'node:stream/consumers';
import S3rver from '@20minutes/s3rver';

const [folder = '', port = '', ...files] = process.argv.slice(2);
let partNumber = 0;

await mkdir(folder, { recursive: true });
const [cert, key] = await Promise.all(files.map((file) => readFile(file)));
const server = new S3rver({
  address: '127.0.0.1',
  port: Number(port),
  directory: folder,
  allowMismatchedSignatures: true,
  silent: true,
  ...(cert && key ? { cert, key } : {}),
});
server.store.putContent = putWhole;
const listener = await server.run();
// By default a connection that rests for 5 s is closed, sometimes just when its client sends the next request over it.
server.httpServer.keepAliveTimeout = 0;
process.stdout.write(`the embedded S3 server listens on port ${listener.port}\n`);
for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => process.exit(0));

/**
 * An S3 object is there whole or not at all. The server would write in place, and a killed server or a cut upload
 * would leave half an object.
 *
 * @param {string} objectPath
 * @param {Buffer | import('node:stream').Readable} content
 * @returns {Promise<[number, string]>}
 */
async function putWhole(objectPath, content) {
  const bytes = Buffer.isBuffer(content) ? content : await buffer(content);
  partNumber += 1;
  const partPath = `${objectPath}.part-${process.pid}-${partNumber}`;
  try {
    await writeFile(partPath, bytes);
    await rename(partPath, objectPath);
  } catch (error) {
    await unlink(partPath).catch(() => {});
    throw error;
  }
  return [bytes.length, createHash('md5').update(bytes).digest('hex')];
}
