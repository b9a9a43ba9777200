/** COPY on a session, both ways. The bytes pass through; nothing looks at them. */
import { once } from 'node:events';
import { pipeline } from 'node:stream/promises';
import { Transform } from 'node:stream';
import { from, to } from 'pg-copy-streams';
import { classify, type MirrorError } from '../core/errors.ts';
import type { Session } from './session.ts';

/** Sends `data` as the whole input of a COPY … FROM STDIN. Returns the rows the server took. Throws MirrorError. */
export async function copyInto(session: Session, statement: string, data: Buffer): Promise<number> {
  const stream = session.client.query(from(statement));
  try {
    stream.end(data);
    await once(stream, 'finish');
    return stream.rowCount;
  } catch (error) {
    throw session.failure(error);
  }
}

export interface PipedCopy {
  readonly source: Session;
  /** COPY … TO STDOUT */
  readonly read: string;
  readonly destination: Session;
  /** COPY … FROM STDIN, in the same format */
  readonly write: string;
  /** Called for each chunk that passed. */
  readonly onBytes: (bytes: number) => void;
  readonly signal: AbortSignal;
}

/**
 * Pipes one COPY into another. Returns the rows each side counted; the caller compares. Throws
 * MirrorError; both sessions are cut off then, since a half-done COPY cannot be told to stop safely.
 */
export async function pipeCopy(
  copy: PipedCopy,
): Promise<{ sent: number; received: number; bytes: number }> {
  let bytes = 0;
  const counter = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length;
      copy.onBytes(chunk.length);
      done(null, chunk);
    },
  });
  const cut = (): void => {
    copy.source.destroy();
    copy.destination.destroy();
  };
  let failure: MirrorError | undefined;
  // The first error is the cause. A stream that is destroyed waits for a word of its server, which may
  // be long in coming: with the connection cut it ends at once.
  const failIn = (session: Session) => (error: unknown) => {
    failure ??= session.failure(error);
    cut();
  };
  copy.signal.throwIfAborted();
  copy.signal.addEventListener('abort', cut, { once: true });
  try {
    const reader = copy.source.client.query(to(copy.read));
    const writer = copy.destination.client.query(from(copy.write));
    reader.once('error', failIn(copy.source));
    writer.once('error', failIn(copy.destination));
    await pipeline(reader, counter, writer);
    // The reader learns its count after its last row; the next statement runs after that.
    await copy.source.query('select 1');
    return { sent: reader.rowCount, received: writer.rowCount, bytes };
  } catch (error) {
    cut();
    throw failure ?? classify(error);
  } finally {
    copy.signal.removeEventListener('abort', cut);
  }
}
